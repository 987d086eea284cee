/*
 * pam_sparekey: the passcode at a Linux login. See pam_sparekey(8) and spec/local-socket.md.
 *
 * The agent decides. This module forwards the typed text and shows the agent's messages. It returns PAM_SUCCESS only
 * if the agent granted, and never PAM_IGNORE: every error refuses.
 */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <syslog.h>

#include "options.h"
#include "os_password.h"
#include "session.h"
#include "sign_in.h"
#include "talk.h"

#define ENTRY __attribute__((visibility("default")))

#define PIN_ELSEWHERE                                                                                                  \
    "Change your PIN at the self-service console of your organisation, or at a sign-in that asks for a new one. "      \
    "Nothing was changed here."

static bool is_silent(int flags)
{
    return ((unsigned)flags & PAM_SILENT) != 0;
}

/* Lines after the one that signed the user in. */
static int go_on(pam_handle_t *pamh, const struct options *options, bool silent)
{
    struct session *session = granted_session(pamh);
    if (session == NULL) {
        pam_syslog(pamh, LOG_NOTICE, "refused: this line needs a granted sign-in before it");
        return PAM_AUTH_ERR;
    }
    return options->keep_os_password ? keep_os_password(pamh, options, session)
                                     : ask_os_password(pamh, silent, session);
}

ENTRY int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct options options;
    if (!read_options(pamh, argc, argv, &options)) {
        end_session(pamh);
        return PAM_SERVICE_ERR;
    }
    if (options.ask_os_password || options.keep_os_password)
        return go_on(pamh, &options, is_silent(flags));
    struct session *session = begin_session(pamh);
    if (session == NULL)
        return PAM_BUF_ERR;
    int status = sign_in(pamh, &options, is_silent(flags), session);
    if (status == PAM_SUCCESS && options.os_password)
        open_os_password(pamh, &options, session);
    else
        agent_close(&session->agent);
    return status;
}

/* There are no credentials to set. */
ENTRY int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct options options;
    (void)flags;
    return read_options(pamh, argc, argv, &options) ? PAM_SUCCESS : PAM_SERVICE_ERR;
}

/* Refuses users who have proven their identity to the service in another way, for example with an ssh key. */
ENTRY int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct options options;
    (void)flags;
    if (!read_options(pamh, argc, argv, &options))
        return PAM_SERVICE_ERR;
    if (granted_session(pamh) != NULL)
        return PAM_SUCCESS;
    pam_syslog(pamh, LOG_NOTICE, "refused: this user did not sign in with a passcode here");
    return PAM_PERM_DENIED;
}

ENTRY int pam_sm_chauthtok(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct options options;
    if (!read_options(pamh, argc, argv, &options))
        return PAM_SERVICE_ERR;
    if (!is_silent(flags))
        show(pamh, PAM_ERROR_MSG, sparekey_bytes_of(PIN_ELSEWHERE));
    return PAM_PERM_DENIED;
}
