#include "agent.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { AGENT_UID = 0, SECOND = 1000 };

static int64_t now(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec / 1000000;
}

/* Return the milliseconds until the deadline; 0 after it. */
static int left(const struct agent *agent)
{
    int64_t rest = agent->ends - now();
    return rest <= 0 ? 0 : rest > INT_MAX ? INT_MAX : (int)rest;
}

void agent_allow(struct agent *agent, int seconds)
{
    agent->ends = now() + (int64_t)seconds * SECOND;
}

/* The uid of the process that called listen(2), from the kernel. */
static bool is_root(int socket)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof peer &&
           peer.uid == AGENT_UID;
}

static enum heard refused(struct agent *agent, enum heard heard)
{
    int why = errno;
    agent_close(agent);
    errno = why;
    return heard;
}

/* If the queue is full, connect(2) waits, at most for the timeout of sending. */
static enum heard join(struct agent *agent, const struct sockaddr_un *address)
{
    do {
        int rest = left(agent);
        struct timeval time = {.tv_sec = rest / SECOND, .tv_usec = rest % SECOND * 1000};
        if (rest == 0)
            return HEARD_SILENCE;
        if (setsockopt(agent->socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) != 0)
            return HEARD_NOT_THERE;
        if (connect(agent->socket, (const struct sockaddr *)address, sizeof *address) == 0)
            return HEARD_REPLY;
    } while (errno == EINTR);
    return errno == EAGAIN ? HEARD_SILENCE : HEARD_NOT_THERE;
}

enum heard agent_connect(struct agent *agent, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    agent_close(agent);
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return HEARD_NOT_THERE;
    }
    memcpy(address.sun_path, path, length);
    agent->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (agent->socket < 0)
        return HEARD_NOT_THERE;
    enum heard heard = join(agent, &address);
    if (heard != HEARD_REPLY)
        return refused(agent, heard);
    return is_root(agent->socket) ? HEARD_REPLY : refused(agent, HEARD_NOT_ROOT);
}

void agent_close(struct agent *agent)
{
    if (agent->socket >= 0)
        (void)close(agent->socket);
    agent->socket = -1;
    explicit_bzero(agent->frame, sizeof agent->frame);
}

/* Wait until the socket is ready for this, or until the deadline. */
static enum heard wait_for(const struct agent *agent, short events)
{
    for (;;) {
        struct pollfd ready = {.fd = agent->socket, .events = events};
        int rest = left(agent);
        if (rest == 0)
            return HEARD_SILENCE;
        int count = poll(&ready, 1, rest);
        if (count > 0)
            return HEARD_REPLY;
        if (count < 0 && errno != EINTR)
            return HEARD_CLOSED;
    }
}

/* Return true if a failed send or recv must be repeated when the socket is ready. */
static bool is_passing(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static enum heard send_all(const struct agent *agent, size_t size)
{
    size_t at = 0;
    while (at < size) {
        enum heard heard = wait_for(agent, POLLOUT);
        if (heard != HEARD_REPLY)
            return heard;
        ssize_t count = send(agent->socket, agent->frame + at, size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0)
            at += (size_t)count;
        else if (count == 0 || !is_passing())
            return HEARD_CLOSED;
    }
    return HEARD_REPLY;
}

static enum heard receive(struct agent *agent, size_t at, size_t end)
{
    while (at < end) {
        enum heard heard = wait_for(agent, POLLIN);
        if (heard != HEARD_REPLY)
            return heard;
        ssize_t count = recv(agent->socket, agent->frame + at, end - at, MSG_DONTWAIT);
        if (count > 0)
            at += (size_t)count;
        else if (count == 0 || !is_passing())
            return HEARD_CLOSED;
    }
    return HEARD_REPLY;
}

/* Safe because bytes that came before the request are dropped: they cannot answer it. */
static enum heard is_waiting_for_us(const struct agent *agent)
{
    uint8_t byte;
    ssize_t count = recv(agent->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count > 0)
        return HEARD_NONSENSE;
    return count < 0 && is_passing() ? HEARD_REPLY : HEARD_CLOSED;
}

static enum heard read_reply(struct agent *agent, struct sparekey_reply *reply)
{
    enum heard heard = receive(agent, 0, SPAREKEY_HEAD);
    if (heard != HEARD_REPLY)
        return heard;
    size_t length = sparekey_reply_length(agent->frame);
    if (length == 0)
        return HEARD_NONSENSE;
    heard = receive(agent, SPAREKEY_HEAD, SPAREKEY_HEAD + length);
    if (heard != HEARD_REPLY)
        return heard;
    return sparekey_read_reply(agent->frame + SPAREKEY_HEAD, length, reply) ? HEARD_REPLY : HEARD_NONSENSE;
}

enum heard agent_ask(struct agent *agent, size_t size, struct sparekey_reply *reply)
{
    *reply = (struct sparekey_reply){0};
    enum heard heard = is_waiting_for_us(agent);
    if (heard == HEARD_REPLY)
        heard = send_all(agent, size);
    explicit_bzero(agent->frame, size);
    if (heard == HEARD_REPLY)
        heard = read_reply(agent, reply);
    if (heard == HEARD_REPLY)
        return heard;
    *reply = (struct sparekey_reply){0};
    return refused(agent, heard);
}

const char *agent_words(enum heard heard)
{
    switch (heard) {
    case HEARD_REPLY:
        return "it answered";
    case HEARD_NOT_THERE:
        return "no agent listens there: check that it runs (systemctl status sparekey-agent), and `socket=`";
    case HEARD_NOT_ROOT:
        return "the program that listens there is not root's, so nothing was sent: find out who started it";
    case HEARD_SILENCE:
        return "no answer in time: check the log of the agent, and `timeout=`";
    case HEARD_CLOSED:
        return "the agent closed the connection: check its log";
    case HEARD_NONSENSE:
        return "this module does not understand the reply: the agent and this module must be of the same release";
    }
    return "an unknown error";
}
