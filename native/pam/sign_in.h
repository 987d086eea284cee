/* One authentication: the typed text goes to the agent, and only its `granted` becomes PAM_SUCCESS. */
#ifndef SPAREKEY_PAM_SIGN_IN_H
#define SPAREKEY_PAM_SIGN_IN_H

#include "options.h"
#include "session.h"

/* After PAM_SUCCESS, `session` is granted and its connection is open. */
int sign_in(pam_handle_t *pamh, const struct options *options, bool silent, struct session *session);

#endif
