/*
 * The complete module, in real libpam, against an agent that answers anything and a user who types anything:
 * fuzz_sign_in DIRECTORY ROUNDS SEED SERVICE...
 *
 * This process is the agent: the functions below replace the module's system calls. Its replies are valid ones
 * with bytes changed, cut, inserted or repeated, and with wrong lengths; they come in pieces. A sign-in may succeed
 * only after a complete reply `granted`, PAM_IGNORE must never appear, and the sanitizers watch. SERVICE is a PAM file
 * in DIRECTORY, one for each set of options. Its name begins with `bad` for wrong options, and with `keep` if a second
 * line keeps the password. Run as root: the other end of a socket pair belongs to the user of this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

enum { MOST_BYTES = 70000, MOST_SERVICES = 16, LOGIN = 1 };

static uint64_t state;
static int agent_end = -1;
static uint8_t request[MOST_BYTES], reply[MOST_BYTES];
static size_t request_size, reply_size;
static bool says_granted, is_changed; /* of the last reply to a LOGIN */

static size_t below(size_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit == 0 ? 0 : (size_t)(state >> 32) % limit;
}

static bool one_in(size_t count)
{
    return below(count) == 0;
}

static void put_bytes(const void *bytes, size_t size)
{
    if (size > sizeof reply - reply_size)
        abort();
    memcpy(reply + reply_size, bytes, size);
    reply_size += size;
}

static void put_field(uint8_t tag, const char *value, size_t size)
{
    uint8_t head[3] = {tag, (uint8_t)(size >> 8), (uint8_t)size};
    put_bytes(head, sizeof head);
    put_bytes(value, size);
}

static void put_text(uint8_t tag, const char *value)
{
    put_field(tag, value, strlen(value));
}

static void begin(uint8_t kind)
{
    uint8_t head[6] = {0, 0, 0, 0, 1, kind};
    reply_size = 0;
    put_bytes(head, sizeof head);
}

static void end(void)
{
    size_t size = reply_size - 4;
    reply[1] = (uint8_t)(size >> 16);
    reply[2] = (uint8_t)(size >> 8);
    reply[3] = (uint8_t)size;
}

static void put_answer(void)
{
    static const char *const results[] = {"granted", "granted", "granted", "denied",   "ask",
                                          "ask",     "unavailable", "grante", "granted ", ""};
    static const char *const asks[] = {"new-pin", "confirm-pin", "next-tokencode", "mother's name", ""};
    static char long_text[60000];
    begin(64);
    put_text(16, results[below(10)]);
    put_text(17, "offline");
    put_text(18, "emergency-tokencode");
    put_field(19, "\0\0\0\0\0\0\0\2", 8);
    put_text(21, one_in(4) ? "Line\none \033[31m \302\233 \303\244" : "Signed in.");
    if (one_in(50)) {
        memset(long_text, 'x', sizeof long_text - 1);
        put_text(22, long_text);
    } else if (one_in(3))
        put_text(22, "misread");
    put_field(23, "\2\3", 2);
    put_text(3, "a question");
    put_text(29, asks[below(5)]);
    end();
}

static void put_other(void)
{
    static const uint8_t kinds[] = {66, 67, 69, 1, 65, 68, 255};
    uint8_t kind = kinds[below(7)];
    begin(kind);
    if (kind == 67)
        put_field(5, "os\0password", one_in(2) ? 2 : 11);
    if (kind == 69) {
        put_text(22, one_in(2) ? "not-allowed" : "stays-closed");
        put_text(21, "No.");
    }
    end();
}

/* Make one change; some make the reply longer or shorter than its length. */
static void change(void)
{
    size_t at = below(reply_size), count = 1 + below(16);
    if (count > reply_size - at)
        count = reply_size - at;
    switch (below(7)) {
    case 0:
        reply[at] = (uint8_t)(reply[at] ^ 1U << below(8));
        break;
    case 1:
        reply[at] = (uint8_t)below(256);
        break;
    case 2:
        reply[below(reply_size < 16 ? reply_size : 16)] = one_in(2) ? 0xFF : 0;
        break;
    case 3:
        reply_size = at;
        break;
    case 4:
        memmove(reply + at, reply + at + count, reply_size - at - count);
        reply_size -= count;
        if (one_in(2) && reply_size > 4)
            end();
        break;
    case 5:
        if (reply_size + count < sizeof reply) {
            memmove(reply + at + count, reply + at, reply_size - at);
            reply_size += count;
            if (one_in(2) && reply_size > 4)
                end();
        }
        break;
    default:
        while (count-- > 0)
            reply[at + count] = (uint8_t)below(256);
    }
}

/* Return true if the bytes of a result `granted` are anywhere in an answer of this version. */
static bool may_grant(void)
{
    static const char granted[] = "\20\0\7granted";
    return reply_size >= 6 && reply[4] == 1 && reply[5] == 64 &&
           memmem(reply, reply_size, granted, sizeof granted - 1) != NULL;
}

static void answer(void)
{
    bool is_login = request_size > 5 && request[5] == LOGIN;
    if (is_login || one_in(4))
        put_answer();
    else
        put_other();
    bool changed = one_in(2);
    for (size_t changes = changed ? 1 + below(3) : 0; changes > 0 && reply_size > 0; changes--)
        change();
    if (is_login) {
        says_granted = may_grant();
        is_changed = changed;
    }
    if (write(agent_end, reply, reply_size) != (ssize_t)reply_size)
        is_changed = changed = true;
    if (changed)
        (void)shutdown(agent_end, SHUT_WR);
}

/* From here on: the functions that the module calls. */

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int ends[2];
    (void)address;
    (void)size;
    if (one_in(50)) {
        errno = one_in(2) ? EINTR : ECONNREFUSED;
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || dup2(ends[0], fd) < 0)
        abort();
    (void)close(ends[0]);
    if (agent_end >= 0)
        (void)close(agent_end);
    agent_end = ends[1];
    (void)fcntl(agent_end, F_SETFL, O_NONBLOCK);
    request_size = 0;
    return 0;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    size_t taken = one_in(4) ? 1 + below(size) : size;
    (void)fd;
    if ((flags & MSG_NOSIGNAL) == 0)
        abort();
    if (one_in(20)) {
        errno = one_in(2) ? EINTR : EAGAIN;
        return -1;
    }
    if (request_size + taken > 4 + 4096)
        abort(); /* longer than the agent reads */
    memcpy(request + request_size, bytes, taken);
    request_size += taken;
    if (request_size >= 6 && request_size == 4 + ((size_t)request[2] << 8 | request[3])) {
        answer();
        request_size = 0;
    }
    return (ssize_t)taken;
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    if (one_in(20)) {
        errno = EINTR;
        return -1;
    }
    if (size > 1 && one_in(4))
        size = 1 + below(size);
    return (ssize_t)syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
}

/* The log lines are formatted and read, and not kept. */
void take_log_line(const char *line)
{
    if (strstr(line, "S3cret") != NULL)
        abort();
}

static char *typed(void)
{
    static const char *const usual[] = {"S3cret2468123456", "S3cret13579", "", "S3cret\xFF", "S3cret\r\n", "\302\233"};
    if (!one_in(8))
        return strdup(usual[below(6)]);
    char *text = malloc(10241);
    if (text == NULL)
        abort();
    memset(text, 'x', 10240);
    text[10240] = '\0';
    text[one_in(2) ? 10240 : 4060 + below(40)] = '\0';
    return text;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    (void)data;
    *responses = NULL;
    for (int i = 0; i < count; i++)
        if (strlen(messages[i]->msg) > 4096)
            abort();
    if (one_in(40))
        return one_in(2) ? PAM_CONV_ERR : PAM_CONV_AGAIN;
    if (one_in(40))
        return PAM_SUCCESS;
    *responses = calloc((size_t)count, sizeof **responses);
    if (*responses != NULL && messages[0]->msg_style == PAM_PROMPT_ECHO_OFF && !one_in(40))
        (*responses)[0].resp = typed();
    return PAM_SUCCESS;
}

static void check(bool holds, const char *rule, int status, const char *service)
{
    if (holds)
        return;
    (void)fprintf(stderr, "%s: status %d, service %s\n", rule, status, service);
    abort();
}

static void try_one(pam_handle_t *pamh, const char *service, unsigned long *granted)
{
    static const char *const users[] = {"alice", "", "\xFF", "a\nb", "-rf"};
    bool bad = strncmp(service, "bad", 3) == 0, keeps = strncmp(service, "keep", 4) == 0;
    (void)pam_set_item(pamh, PAM_USER, one_in(2) ? "alice" : users[below(5)]);
    says_granted = is_changed = false;
    int status = pam_authenticate(pamh, one_in(4) ? PAM_SILENT : 0);
    int account = pam_acct_mgmt(pamh, 0);
    check(status != PAM_IGNORE && account != PAM_IGNORE, "ignored", status, service);
    check(status != PAM_SUCCESS || (says_granted && !bad), "a sign-in succeeded", status, service);
    check(account != PAM_SUCCESS || (says_granted && !bad), "an account without a sign-in", account, service);
    if (!keeps) {
        check((account == PAM_SUCCESS) == (status == PAM_SUCCESS), "the account is of another mind", account, service);
        check(status == PAM_SUCCESS || !says_granted || is_changed || bad, "who was granted did not get in", status,
              service);
    }
    *granted += status == PAM_SUCCESS;
}

int main(int argc, char **argv)
{
    struct pam_conv conversation = {converse, NULL};
    pam_handle_t *handles[MOST_SERVICES];
    int services = argc - 4;
    unsigned long granted = 0;

    if (services < 1 || services > MOST_SERVICES)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN); /* this agent writes to closed connections */
    unsigned long rounds = strtoul(argv[2], NULL, 10);
    state = strtoul(argv[3], NULL, 10) * 0x9E3779B97F4A7C15U + 1;
    for (int i = 0; i < services; i++)
        if (pam_start_confdir(argv[4 + i], "alice", &conversation, argv[1], &handles[i]) != PAM_SUCCESS)
            return 2;
    for (unsigned long round = 0; round < rounds; round++) {
        size_t which = below((size_t)services);
        try_one(handles[which], argv[4 + which], &granted);
    }
    for (int i = 0; i < services; i++)
        (void)pam_end(handles[i], PAM_SUCCESS);
    if (agent_end >= 0)
        (void)close(agent_end);
    printf("%lu of %lu granted\n", granted, rounds);
    return 0;
}
