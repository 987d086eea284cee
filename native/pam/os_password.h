/* The password of the operating system. The agent keeps it, and only a right passcode opens it. */
#ifndef SPAREKEY_PAM_OS_PASSWORD_H
#define SPAREKEY_PAM_OS_PASSWORD_H

#include "options.h"
#include "session.h"

/* Pass the kept password to the modules that follow (PAM_AUTHTOK). If there is none, they ask; the sign-in stands. */
void open_os_password(pam_handle_t *pamh, const struct options *options, struct session *session);

/* Remove a kept password that the line before found to be wrong, so that the next line asks. Return PAM_SUCCESS only if
 * it was ours: a password that the user typed is not asked for again. */
int ask_os_password(pam_handle_t *pamh, bool silent, struct session *session);

/* Keep the password of a module before this one (PAM_AUTHTOK), on the connection of the sign-in. Then close it. */
int keep_os_password(pam_handle_t *pamh, const struct options *options, struct session *session);

#endif
