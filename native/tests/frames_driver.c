/*
 * The codec for a test in another language: one line in, one line out, bytes in hex, `-` for none.
 *
 *     login USER PASSCODE REPLY-TO REMOTE | keep PURPOSE SECRET | open PURPOSE | room BYTES USER     the frame, or refused
 *     reply FRAME                                                                              its fields, or refused
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../frames/frames.h"

enum { LONGEST_LINE = 400000, MOST_WORDS = 4 };

static char line[LONGEST_LINE];

/* Each text is in a block of its exact size, so that the sanitizer sees a read beyond it. */
static struct sparekey_bytes from_hex(const char *hex)
{
    size_t length = hex == NULL || *hex == '-' ? 0 : strlen(hex) / 2;
    uint8_t *bytes = malloc(length);
    for (size_t i = 0; i < length; i++) {
        unsigned byte = 0;
        (void)sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (uint8_t)byte;
    }
    return (struct sparekey_bytes){bytes, length};
}

static void put(const char *before, struct sparekey_bytes bytes)
{
    printf("%s", before);
    for (size_t i = 0; i < bytes.length; i++)
        printf("%02x", (unsigned)bytes.data[i]);
    if (bytes.length == 0)
        printf("-");
}

static void put_reply(struct sparekey_bytes frame)
{
    struct sparekey_reply reply;
    size_t length = frame.length < SPAREKEY_HEAD ? 0 : sparekey_reply_length(frame.data);
    if (length == 0 || length != frame.length - SPAREKEY_HEAD ||
        !sparekey_read_reply(frame.data + SPAREKEY_HEAD, length, &reply)) {
        printf("refused\n");
        return;
    }
    printf("%d %llu %llu %llu", (int)reply.kind, (unsigned long long)reply.days_left,
           (unsigned long long)reply.emergency_expires, (unsigned long long)reply.done);
    const struct sparekey_bytes texts[] = {reply.result,  reply.mode,     reply.method, reply.message, reply.reason,
                                           reply.misread, reply.reply_to, reply.ask,    reply.secret};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put(" ", texts[i]);
    printf("\n");
}

static void put_request(const char *name, const struct sparekey_bytes *words, size_t room)
{
    uint8_t *frame = malloc(room);
    size_t size = strcmp(name, "keep") == 0   ? sparekey_keep_frame(frame, room, words[0], words[1])
                  : strcmp(name, "open") == 0 ? sparekey_open_frame(frame, room, words[0])
                                              : sparekey_login_frame(frame, room, words[0], words[1], words[2],
                                                                     words[3].length > 0);
    if (size == 0)
        printf("refused");
    else
        put("", (struct sparekey_bytes){frame, size});
    printf("\n");
    free(frame);
}

int main(void)
{
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct sparekey_bytes words[MOST_WORDS];
        size_t room = SPAREKEY_HEAD + SPAREKEY_LONGEST_REQUEST;
        const char *name = strtok(line, " \n");
        if (name == NULL)
            return 2;
        if (strcmp(name, "room") == 0)
            room = (size_t)strtoul(strtok(NULL, " \n"), NULL, 10);
        for (size_t i = 0; i < MOST_WORDS; i++)
            words[i] = from_hex(strtok(NULL, " \n"));
        if (strcmp(name, "reply") == 0)
            put_reply(words[0]);
        else
            put_request(name, words, room);
        for (size_t i = 0; i < MOST_WORDS; i++)
            free((void *)(uintptr_t)words[i].data);
        (void)fflush(stdout);
    }
    return 0;
}
