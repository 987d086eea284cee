/*
 * The session of one PAM handle, from its sign-in to its end: the granted user, the connection of the grant, and
 * whether the lines after it got a password from us.
 *
 * Only `sign_in` sets it to granted. It ends with the handle, or before the next sign-in begins.
 */
#ifndef SPAREKEY_PAM_SESSION_H
#define SPAREKEY_PAM_SESSION_H

#include <security/pam_modules.h>

#include "agent.h"

enum { LONGEST_USER = 256 };

struct session {
    struct agent agent;
    bool granted;
    bool opened; /* the kept password was passed to the lines that follow */
    char user[LONGEST_USER + 1];
};

/* Return a new session of this handle, without a grant. NULL without memory; then the handle has no session. */
struct session *begin_session(pam_handle_t *pamh);

/* Remove the grant of this handle. */
void end_session(pam_handle_t *pamh);

/* Return the session in which the current user of the handle was granted; otherwise NULL. */
struct session *granted_session(pam_handle_t *pamh);

#endif
