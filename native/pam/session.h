/*
 * What one PAM handle knows from its sign-in to its end: who was granted, the connection on which that was, and whether
 * the lines after it have a password from us.
 *
 * Only `sign_in` makes one granted. It ends with the handle, or with the next sign-in, before that begins.
 */
#ifndef SPAREKEY_PAM_SESSION_H
#define SPAREKEY_PAM_SESSION_H

#include <security/pam_modules.h>

#include "agent.h"

enum { LONGEST_USER = 256 };

struct session {
    struct agent agent;
    bool granted;
    bool opened; /* a password that was kept, for the lines that follow */
    char user[LONGEST_USER + 1];
};

/* A new one of this handle, nobody granted; NULL where there is no memory: then there is none at all. */
struct session *begin_session(pam_handle_t *pamh);

/* Takes back what was granted on this handle. */
void end_session(pam_handle_t *pamh);

/* The one in which the handle's user, as PAM has it now, was granted; else NULL. */
struct session *granted_session(pam_handle_t *pamh);

#endif
