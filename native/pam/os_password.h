/* The password of the operating system, kept by the agent under what a right passcode gives. */
#ifndef SPAREKEY_PAM_OS_PASSWORD_H
#define SPAREKEY_PAM_OS_PASSWORD_H

#include "options.h"
#include "session.h"

/* Hands what is kept to the modules that follow (PAM_AUTHTOK). Where nothing is, they ask: the sign-in stands. */
void open_os_password(pam_handle_t *pamh, const struct options *options, struct session *session);

/* After a line that found what was opened to be wrong: takes it back, so that the next one asks. PAM_SUCCESS where it was
 * ours; what somebody typed is not asked for again. */
int ask_os_password(pam_handle_t *pamh, bool silent, struct session *session);

/* Keeps what a module before this one was given (PAM_AUTHTOK), on the connection of the sign-in, which then closes. */
int keep_os_password(pam_handle_t *pamh, const struct options *options, struct session *session);

#endif
