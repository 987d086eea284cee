/*
 * The frames of a login shim (spec/local-socket.md, version 1): requests to bytes, replies from bytes.
 *
 * - No I/O, no memory of its own, no state: every byte lies in a buffer of the caller's.
 * - A reply is refused whole for everything that the document refuses; then nothing in it is to be used.
 * - What a reply says are views into the caller's buffer: not terminated, and they live as long as it does.
 *
 * src/sparekey/wire/local_socket.py is the same for the agent; a property test compares the two.
 */
#ifndef SPAREKEY_FRAMES_H
#define SPAREKEY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPAREKEY_HEAD = 4,               /* bytes that say how many follow */
    SPAREKEY_LONGEST_REQUEST = 4096, /* that follow the head */
    SPAREKEY_LONGEST_REPLY = 65536,
};

struct sparekey_bytes {
    const uint8_t *data;
    size_t length;
};

enum sparekey_kind {
    SPAREKEY_ANSWER = 64,
    SPAREKEY_DONE = 66,
    SPAREKEY_SECRET = 67,
    SPAREKEY_FAILED = 69,
};

/* A field that was not there is empty, or 0. All but `misread` and `secret` are UTF-8. */
struct sparekey_reply {
    enum sparekey_kind kind;
    struct sparekey_bytes result, mode, method, message, reason, misread, reply_to, ask, secret;
    uint64_t days_left, emergency_expires, done;
};

/* Each writes a whole request to `to` and returns its size; 0, with nothing written, if it has no room there, is longer
 * than the agent reads, or holds a text that is not UTF-8. */
size_t sparekey_login_frame(uint8_t *to, size_t room, struct sparekey_bytes user, struct sparekey_bytes passcode,
                            struct sparekey_bytes reply_to, bool remote);
size_t sparekey_keep_frame(uint8_t *to, size_t room, struct sparekey_bytes purpose, struct sparekey_bytes secret);
size_t sparekey_open_frame(uint8_t *to, size_t room, struct sparekey_bytes purpose);

/* How many bytes of a reply follow this head; 0 for what no reply begins with. */
size_t sparekey_reply_length(const uint8_t head[SPAREKEY_HEAD]);

/* The reply from all bytes after its head. False: refused, and `*reply` says nothing. */
bool sparekey_read_reply(const uint8_t *rest, size_t length, struct sparekey_reply *reply);

/* Whether a text is exactly this word; a byte more or less, and it is another. */
bool sparekey_is(struct sparekey_bytes text, const char *word);

struct sparekey_bytes sparekey_bytes_of(const char *text);

bool sparekey_is_utf8(struct sparekey_bytes text);

#endif
