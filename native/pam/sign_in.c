#include "sign_in.h"

#include <errno.h>
#include <security/pam_ext.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "talk.h"

#define NOT_NOW "This computer cannot check passcodes right now. Ask your administrator."
#define BROKEN_OFF                                                                                                     \
    "The sign-in was interrupted, or took too long. Start again with your passcode. If you have just confirmed a "     \
    "new PIN, it may already be in use."

enum {
    MISREAD_AGAIN = 3,   /* retries of a misread emergency code */
    MOST_QUESTIONS = 16, /* of one attempt: new PINs that the policy rejects, and their confirmation */
    LONGEST_NAME = 256,  /* of a question */
    LONGEST_WORD = 64,   /* in the log */
};

struct attempt {
    pam_handle_t *pamh;
    const struct options *options;
    bool silent;
    bool remote;
    struct session *session;
    char *typed;
    char *passcode; /* the text typed first */
    uint8_t reply_to[LONGEST_NAME]; /* the question that `typed` answers */
    size_t reply_to_length;
    bool misread;
    char before[LONGEST_MESSAGE]; /* the next prompt */
};

static struct sparekey_bytes bytes_of(const char *text)
{
    return sparekey_bytes_of(text);
}

static void tell(const struct attempt *attempt, int style, struct sparekey_bytes text)
{
    if (!attempt->silent)
        show(attempt->pamh, style, text);
}

/* The text that the user needs for the next answer. Without messages (the default of sudo) the prompt shows it. */
static void tell_first(struct attempt *attempt, int style, struct sparekey_bytes text)
{
    tell(attempt, style, text);
    if (attempt->silent)
        printable(attempt->before, sizeof attempt->before, text, true);
}

static int ask(struct attempt *attempt, const char *prompt)
{
    int status = ask_secretly(attempt->pamh, attempt->before, prompt, &attempt->typed);
    attempt->before[0] = '\0';
    return status;
}

static int unheard(const struct attempt *attempt, enum heard heard)
{
    pam_syslog(attempt->pamh, LOG_ERR, "refused: %s: %s%s%s", attempt->options->socket, agent_words(heard),
               heard == HEARD_NOT_THERE ? " " : "", heard == HEARD_NOT_THERE ? strerror(errno) : "");
    tell(attempt, PAM_ERROR_MSG, bytes_of(attempt->reply_to_length > 0 ? BROKEN_OFF : NOT_NOW));
    return PAM_AUTHINFO_UNAVAIL;
}

/* Log the agent's reason, but never the user: the text typed as a name may be a PIN. */
static void log_refusal(const struct attempt *attempt, const struct sparekey_reply *reply)
{
    char result[LONGEST_WORD], reason[LONGEST_WORD];
    printable(result, sizeof result, reply->result, false);
    printable(reason, sizeof reason, reply->reason, false);
    pam_syslog(attempt->pamh, LOG_NOTICE, "refused: %s %s", result, reason);
}

static int granted(const struct attempt *attempt, const struct sparekey_reply *reply)
{
    char user[LONGEST_USER + 1], mode[LONGEST_WORD], method[LONGEST_WORD];
    printable(user, sizeof user, bytes_of(attempt->session->user), false);
    printable(mode, sizeof mode, reply->mode, false);
    printable(method, sizeof method, reply->method, false);
    pam_syslog(attempt->pamh, LOG_INFO, "granted to %s: %s, %s", user, mode, method);
    attempt->session->granted = true;
    if (!attempt->options->quiet)
        tell(attempt, PAM_TEXT_INFO, reply->message);
    return PAM_SUCCESS;
}

/* Every result but `granted` is an error, also an unknown one. */
static int judge(struct attempt *attempt, const struct sparekey_reply *reply)
{
    if (reply->kind == SPAREKEY_ANSWER && sparekey_is(reply->result, "granted"))
        return granted(attempt, reply);
    bool denied = reply->kind == SPAREKEY_ANSWER && sparekey_is(reply->result, "denied");
    attempt->misread = denied && sparekey_is(reply->reason, "misread");
    log_refusal(attempt, reply);
    if (attempt->misread)
        tell_first(attempt, PAM_ERROR_MSG, reply->message);
    else
        tell(attempt, PAM_ERROR_MSG, reply->message);
    if (denied)
        return PAM_AUTH_ERR;
    return reply->kind == SPAREKEY_FAILED && sparekey_is(reply->reason, "not-allowed") ? PAM_CRED_INSUFFICIENT
                                                                                       : PAM_AUTHINFO_UNAVAIL;
}

static const char *prompt_for(struct sparekey_bytes ask)
{
    if (sparekey_is(ask, "new-pin"))
        return "New PIN: ";
    if (sparekey_is(ask, "confirm-pin"))
        return "New PIN again: ";
    return sparekey_is(ask, "next-tokencode") ? "Next tokencode: " : "Answer: ";
}

static int read_answer(struct attempt *attempt, const struct sparekey_reply *question)
{
    size_t length = question->reply_to.length;
    if (length == 0 || length > sizeof attempt->reply_to)
        return unheard(attempt, HEARD_NONSENSE);
    memcpy(attempt->reply_to, question->reply_to.data, length);
    attempt->reply_to_length = length;
    tell_first(attempt, PAM_TEXT_INFO, question->message);
    int status = ask(attempt, prompt_for(question->ask));
    if (status != PAM_SUCCESS || strcmp(attempt->typed, attempt->passcode) != 0)
        return status;
    pam_syslog(attempt->pamh, LOG_NOTICE, "refused: the application answers every prompt with the passcode, so that "
               "no PIN can be chosen; for sshd, use KbdInteractiveAuthentication, not PasswordAuthentication");
    return PAM_AUTH_ERR;
}

/* Put the typed text as a request into the agent's buffer. Return its size; 0 if it does not fit. */
static size_t request(const struct attempt *attempt)
{
    struct agent *agent = &attempt->session->agent;
    struct sparekey_bytes reply_to = {attempt->reply_to, attempt->reply_to_length};
    return sparekey_login_frame(agent->frame, sizeof agent->frame, bytes_of(attempt->session->user),
                                bytes_of(attempt->typed), reply_to, attempt->remote);
}

/* Forward the typed text. Text that is empty, too long or not UTF-8 is refused here and not counted. */
static int forward(struct attempt *attempt, struct sparekey_reply *reply)
{
    struct agent *agent = &attempt->session->agent;
    enum heard heard = HEARD_REPLY;

    if (attempt->typed[0] == '\0')
        return PAM_AUTH_ERR;
    agent_allow(agent, attempt->options->timeout);
    if (agent->socket < 0)
        heard = agent_connect(agent, attempt->options->socket);
    if (heard != HEARD_REPLY)
        return unheard(attempt, heard);
    size_t size = request(attempt);
    if (size == 0)
        return PAM_AUTH_ERR;
    heard = agent_ask(agent, size, reply);
    return heard == HEARD_REPLY ? PAM_SUCCESS : unheard(attempt, heard);
}

/* Keep the passcode, to compare answers with it. Wipe an answer. */
static void put_away(struct attempt *attempt)
{
    if (attempt->passcode == NULL)
        attempt->passcode = attempt->typed;
    else
        forget(attempt->typed);
    attempt->typed = NULL;
}

/* Forward a passcode, and the answers to the questions that follow, on the same connection. */
static int follow(struct attempt *attempt)
{
    for (int questions = 0; questions <= MOST_QUESTIONS; questions++) {
        struct sparekey_reply reply;
        int status = forward(attempt, &reply);
        put_away(attempt);
        if (status != PAM_SUCCESS)
            return status;
        if (reply.kind != SPAREKEY_ANSWER || !sparekey_is(reply.result, "ask"))
            return judge(attempt, &reply);
        status = read_answer(attempt, &reply);
        if (status != PAM_SUCCESS)
            return status;
    }
    pam_syslog(attempt->pamh, LOG_ERR, "refused: the agent asked %d questions and did not decide", MOST_QUESTIONS);
    return PAM_AUTHINFO_UNAVAIL;
}

static int read_passcode(struct attempt *attempt)
{
    const void *passed_on = NULL;
    if (!attempt->options->use_first_pass)
        return ask(attempt, attempt->options->prompt);
    if (pam_get_item(attempt->pamh, PAM_AUTHTOK, &passed_on) != PAM_SUCCESS || passed_on == NULL)
        return PAM_AUTH_ERR;
    attempt->typed = strdup(passed_on);
    return attempt->typed == NULL ? PAM_BUF_ERR : PAM_SUCCESS;
}

/* Use a new connection: the agent may have closed one that waited for the user. */
static int try_once(struct attempt *attempt)
{
    attempt->misread = false;
    attempt->reply_to_length = 0;
    agent_close(&attempt->session->agent);
    int status = read_passcode(attempt);
    if (status == PAM_SUCCESS)
        status = follow(attempt);
    forget(attempt->typed);
    forget(attempt->passcode);
    attempt->typed = attempt->passcode = NULL;
    return status;
}

static int name_user(pam_handle_t *pamh, struct session *session)
{
    const char *user = NULL;
    int status = pam_get_user(pamh, &user, NULL);
    if (status == PAM_CONV_AGAIN)
        return PAM_INCOMPLETE;
    if (status != PAM_SUCCESS)
        return status == PAM_BUF_ERR ? PAM_BUF_ERR : PAM_CONV_ERR;
    if (user == NULL || user[0] == '\0' || strlen(user) > LONGEST_USER)
        return PAM_AUTH_ERR;
    memcpy(session->user, user, strlen(user) + 1);
    return PAM_SUCCESS;
}

/* Return true if the service is one of these. libpam has made its name lower-case. */
static bool is_among(const char *service, const char *services)
{
    size_t length = strlen(service);
    for (const char *rest = services; rest != NULL; rest = strchr(rest, ',')) {
        rest += *rest == ',';
        if (strncasecmp(rest, service, length) == 0 && (rest[length] == ',' || rest[length] == '\0'))
            return true;
    }
    return false;
}

/* Return true if the options call the user remote: some applications do not report it. */
static bool is_called_remote(pam_handle_t *pamh, const struct options *options)
{
    const void *service = NULL;
    if (options->remote || options->remote_services == NULL)
        return options->remote;
    /* Safe because a service without a name gets the stricter limits. */
    return pam_get_item(pamh, PAM_SERVICE, &service) != PAM_SUCCESS || service == NULL ||
           is_among(service, options->remote_services);
}

/* Return true if the user is remote: the agent has separate limits and messages for the network. */
static bool is_remote(pam_handle_t *pamh, const struct options *options)
{
    const void *host = NULL;
    if (is_called_remote(pamh, options))
        return true;
    if (pam_get_item(pamh, PAM_RHOST, &host) != PAM_SUCCESS || host == NULL)
        return false;
    return *(const char *)host != '\0' && strcmp(host, "localhost") != 0;
}

int sign_in(pam_handle_t *pamh, const struct options *options, bool silent, struct session *session)
{
    struct attempt attempt = {.pamh = pamh, .options = options, .silent = silent, .remote = is_remote(pamh, options),
                              .session = session};
    int status = name_user(pamh, session);
    if (status != PAM_SUCCESS)
        return status;
    status = try_once(&attempt);
    /* The agent counted nothing: the code was misread, and can be read again. */
    for (int again = 0; attempt.misread && again < MISREAD_AGAIN && !options->use_first_pass; again++)
        status = try_once(&attempt);
    if (status != PAM_SUCCESS)
        agent_close(&session->agent);
    return status;
}
