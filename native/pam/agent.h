/*
 * One connection to the agent on this computer.
 *
 * - Nothing is sent before the kernel has confirmed that uid 0 listens.
 * - Only a complete, valid reply in time is a reply. Callers see no byte of anything else.
 * - A request is wiped as soon as it is sent, a reply when the connection closes.
 */
#ifndef SPAREKEY_PAM_AGENT_H
#define SPAREKEY_PAM_AGENT_H

#include <stdint.h>

#include "../frames/frames.h"

struct agent {
    int socket;   /* -1: not connected */
    int64_t ends; /* the deadline, in milliseconds of the monotonic clock */
    uint8_t frame[SPAREKEY_HEAD + SPAREKEY_LONGEST_REPLY];
};

enum heard {
    HEARD_REPLY,
    HEARD_NOT_THERE, /* errno has the reason */
    HEARD_NOT_ROOT,
    HEARD_SILENCE,
    HEARD_CLOSED,
    HEARD_NONSENSE,
};

/* Limit the time of all connections and questions from here on together. */
void agent_allow(struct agent *agent, int seconds);

/* HEARD_REPLY: connected. */
enum heard agent_connect(struct agent *agent, const char *path);

/* Send the request, the first `size` bytes of `frame`, and read the reply into `frame`. */
enum heard agent_ask(struct agent *agent, size_t size, struct sparekey_reply *reply);

/* Close the connection, if one is open. */
void agent_close(struct agent *agent);

/* Return the result as text for the log, with what to do. */
const char *agent_words(enum heard heard);

#endif
