/*
 * One connection to the agent on this computer.
 *
 * - Nothing is sent before the kernel has said that uid 0 listens.
 * - Whatever is not one whole good reply in time is no reply; no caller sees a byte of it.
 * - A request is wiped as soon as it is sent, a reply when the connection closes.
 */
#ifndef SPAREKEY_PAM_AGENT_H
#define SPAREKEY_PAM_AGENT_H

#include <stdint.h>

#include "../frames/frames.h"

struct agent {
    int socket;   /* -1: not connected */
    int64_t ends; /* when patience ends: milliseconds of the monotonic clock */
    uint8_t frame[SPAREKEY_HEAD + SPAREKEY_LONGEST_REPLY];
};

enum heard {
    HEARD_REPLY,
    HEARD_NOT_THERE, /* errno says why */
    HEARD_NOT_ROOT,
    HEARD_SILENCE,
    HEARD_CLOSED,
    HEARD_NONSENSE,
};

/* Connections and questions from here on may take so long together. */
void agent_allow(struct agent *agent, int seconds);

/* HEARD_REPLY: connected. */
enum heard agent_connect(struct agent *agent, const char *path);

/* Sends the `size` bytes of a request that stand in `frame`, and reads the reply into it. */
enum heard agent_ask(struct agent *agent, size_t size, struct sparekey_reply *reply);

/* Also where none is open. */
void agent_close(struct agent *agent);

/* What became of it and what to do, for the log. */
const char *agent_words(enum heard heard);

#endif
