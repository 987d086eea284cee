/*
 * The frames of a login shim (spec/local-socket.md, version 1): requests to bytes, replies from bytes.
 *
 * - No I/O, no allocation, no state: every byte is in a buffer of the caller.
 * - A reply is refused as a whole if the document refuses any part of it. Then nothing in it may be used.
 * - The texts of a reply are views into the caller's buffer: not terminated, and valid as long as the buffer.
 *
 * src/sparekey/wire/local_socket.py is the codec of the agent. A property test compares the two.
 */
#ifndef SPAREKEY_FRAMES_H
#define SPAREKEY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPAREKEY_HEAD = 4,               /* bytes with the number of those that follow */
    SPAREKEY_LONGEST_REQUEST = 4096, /* bytes after the head */
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

/* A missing field is empty, or 0. All but `misread` and `secret` are UTF-8. */
struct sparekey_reply {
    enum sparekey_kind kind;
    struct sparekey_bytes result, mode, method, message, reason, misread, reply_to, ask, secret;
    uint64_t days_left, emergency_expires, done;
};

/* Write a complete request to `to` and return its size. Return 0 and write nothing if there is no room, if it is longer
 * than the agent reads, or if a text is not UTF-8. */
size_t sparekey_login_frame(uint8_t *to, size_t room, struct sparekey_bytes user, struct sparekey_bytes passcode,
                            struct sparekey_bytes reply_to, bool remote);
size_t sparekey_keep_frame(uint8_t *to, size_t room, struct sparekey_bytes purpose, struct sparekey_bytes secret);
size_t sparekey_open_frame(uint8_t *to, size_t room, struct sparekey_bytes purpose);

/* Return the number of bytes of the reply after this head; 0 if no reply begins like this. */
size_t sparekey_reply_length(const uint8_t head[SPAREKEY_HEAD]);

/* Read the reply from all bytes after its head. Return false if it is refused; then `*reply` is empty. */
bool sparekey_read_reply(const uint8_t *rest, size_t length, struct sparekey_reply *reply);

/* Return true if the text is exactly this word. */
bool sparekey_is(struct sparekey_bytes text, const char *word);

struct sparekey_bytes sparekey_bytes_of(const char *text);

bool sparekey_is_utf8(struct sparekey_bytes text);

#endif
