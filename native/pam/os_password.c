#include "os_password.h"

#include <security/pam_ext.h>
#include <string.h>
#include <syslog.h>

#include "talk.h"

#define PURPOSE "os-password"
#define DOES_NOT_FIT                                                                                                   \
    "The password that this device keeps for you is no longer right. Type the new one; it will be kept instead."

enum { LONGEST_SECRET = 1024, LONGEST_REASON = 64 };

static enum heard ask(const struct options *options, struct session *session, size_t size,
                      struct sparekey_reply *reply)
{
    agent_allow(&session->agent, options->timeout);
    return agent_ask(&session->agent, size, reply);
}

static void log_failure(pam_handle_t *pamh, const char *what, enum heard heard, const struct sparekey_reply *reply)
{
    char reason[LONGEST_REASON];
    printable(reason, sizeof reason, reply->reason, false);
    pam_syslog(pamh, LOG_WARNING, "the password was not %s: %s", what,
               heard == HEARD_REPLY ? reason : agent_words(heard));
}

/* A password is a string, so it has no zero byte. */
static int hand_on(pam_handle_t *pamh, struct sparekey_bytes secret)
{
    char password[LONGEST_SECRET + 1];
    if (secret.length == 0 || secret.length > LONGEST_SECRET || memchr(secret.data, 0, secret.length) != NULL)
        return PAM_AUTHTOK_RECOVERY_ERR;
    memcpy(password, secret.data, secret.length);
    password[secret.length] = '\0';
    int status = pam_set_item(pamh, PAM_AUTHTOK, password);
    explicit_bzero(password, sizeof password);
    return status;
}

void open_os_password(pam_handle_t *pamh, const struct options *options, struct session *session)
{
    struct agent *agent = &session->agent;
    struct sparekey_reply reply;
    size_t size = sparekey_open_frame(agent->frame, sizeof agent->frame, sparekey_bytes_of(PURPOSE));
    enum heard heard = ask(options, session, size, &reply);

    if (heard != HEARD_REPLY || reply.kind != SPAREKEY_SECRET) {
        if (heard != HEARD_REPLY || !sparekey_is(reply.reason, "stays-closed"))
            log_failure(pamh, "opened", heard, &reply);
    } else {
        session->opened = hand_on(pamh, reply.secret) == PAM_SUCCESS;
        if (!session->opened)
            pam_syslog(pamh, LOG_WARNING, "the kept password is not valid");
    }
    explicit_bzero(agent->frame, sizeof agent->frame);
}

int ask_os_password(pam_handle_t *pamh, bool silent, struct session *session)
{
    if (!session->opened)
        return PAM_AUTH_ERR;
    session->opened = false;
    int status = pam_set_item(pamh, PAM_AUTHTOK, NULL);
    if (status != PAM_SUCCESS)
        return status;
    pam_syslog(pamh, LOG_NOTICE, "the kept password was wrong, so it is asked for");
    if (!silent)
        show(pamh, PAM_TEXT_INFO, sparekey_bytes_of(DOES_NOT_FIT));
    return PAM_SUCCESS;
}

int keep_os_password(pam_handle_t *pamh, const struct options *options, struct session *session)
{
    struct agent *agent = &session->agent;
    struct sparekey_reply reply = {0};
    const void *password = NULL;

    if (agent->socket < 0) {
        pam_syslog(pamh, LOG_ERR, "the password was not kept: the line that signs in lacks the option os_password");
        return PAM_AUTHINFO_UNAVAIL;
    }
    if (pam_get_item(pamh, PAM_AUTHTOK, &password) != PAM_SUCCESS || password == NULL)
        return PAM_AUTHTOK_RECOVERY_ERR;
    size_t size = sparekey_keep_frame(agent->frame, sizeof agent->frame, sparekey_bytes_of(PURPOSE),
                                      sparekey_bytes_of(password));
    enum heard heard = size == 0 ? HEARD_NONSENSE : ask(options, session, size, &reply);
    bool kept = heard == HEARD_REPLY && reply.kind == SPAREKEY_DONE;
    if (!kept)
        log_failure(pamh, "kept", heard, &reply);
    agent_close(agent);
    return kept ? PAM_SUCCESS : PAM_AUTHINFO_UNAVAIL;
}
