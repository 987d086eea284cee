/* Replies from bytes. Every length is compared with the bytes left before it is used. */
#include <string.h>

#include "frames.h"
#include "layout.h"

struct reader {
    const uint8_t *next;
    size_t left;
};

/* The place of a field with this tag: a number or a view, and whether it must be UTF-8. Neither for an unknown tag. */
struct place {
    uint64_t *number;
    struct sparekey_bytes *view;
    bool is_text;
};

static const struct {
    uint8_t kind;
    uint32_t tags; /* a bit for each allowed tag */
} KINDS[] = {
    {SPAREKEY_ANSWER, 1U << TAG_RESULT | 1U << TAG_MODE | 1U << TAG_METHOD | 1U << TAG_DAYS_LEFT |
                          1U << TAG_EMERGENCY_EXPIRES | 1U << TAG_MESSAGE | 1U << TAG_REASON | 1U << TAG_MISREAD |
                          1U << TAG_REPLY_TO | 1U << TAG_ASK},
    {SPAREKEY_DONE, 1U << TAG_DONE | 1U << TAG_DAYS_LEFT | 1U << TAG_MESSAGE},
    {SPAREKEY_SECRET, 1U << TAG_SECRET},
    {SPAREKEY_FAILED, 1U << TAG_REASON | 1U << TAG_MESSAGE},
};

static bool find_kind(uint8_t kind, uint32_t *tags)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (KINDS[i].kind == kind) {
            *tags = KINDS[i].tags;
            return true;
        }
    return false;
}

static struct place place_of(struct sparekey_reply *reply, uint8_t tag)
{
    switch (tag) {
    case TAG_RESULT:
        return (struct place){.view = &reply->result, .is_text = true};
    case TAG_MODE:
        return (struct place){.view = &reply->mode, .is_text = true};
    case TAG_METHOD:
        return (struct place){.view = &reply->method, .is_text = true};
    case TAG_MESSAGE:
        return (struct place){.view = &reply->message, .is_text = true};
    case TAG_REASON:
        return (struct place){.view = &reply->reason, .is_text = true};
    case TAG_REPLY_TO:
        return (struct place){.view = &reply->reply_to, .is_text = true};
    case TAG_ASK:
        return (struct place){.view = &reply->ask, .is_text = true};
    case TAG_MISREAD:
        return (struct place){.view = &reply->misread};
    case TAG_SECRET:
        return (struct place){.view = &reply->secret};
    case TAG_DAYS_LEFT:
        return (struct place){.number = &reply->days_left};
    case TAG_EMERGENCY_EXPIRES:
        return (struct place){.number = &reply->emergency_expires};
    case TAG_DONE:
        return (struct place){.number = &reply->done};
    default:
        return (struct place){0};
    }
}

static bool take(struct reader *reader, size_t count, struct sparekey_bytes *taken)
{
    if (count > reader->left)
        return false;
    *taken = (struct sparekey_bytes){reader->next, count};
    reader->next += count;
    reader->left -= count;
    return true;
}

static uint64_t number_of(struct sparekey_bytes bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.length; i++)
        number = number << 8 | bytes.data[i];
    return number;
}

static bool put(struct place place, struct sparekey_bytes value)
{
    if (place.number != NULL) {
        if (value.length != NUMBER_BYTES)
            return false;
        *place.number = number_of(value);
        return true;
    }
    if (place.view == NULL || (place.is_text && !sparekey_is_utf8(value)))
        return false;
    *place.view = value;
    return true;
}

static bool read_fields(struct reader *reader, uint32_t allowed, struct sparekey_reply *reply)
{
    while (reader->left > 0) {
        struct sparekey_bytes head, value;
        if (!take(reader, FIELD_HEAD, &head))
            return false;
        uint8_t tag = head.data[0];
        if (!take(reader, (size_t)head.data[1] << 8 | head.data[2], &value))
            return false;
        if (tag >= 32 || (allowed & 1U << tag) == 0)
            return false;
        allowed &= ~(1U << tag); /* each tag at most once */
        if (!put(place_of(reply, tag), value))
            return false;
    }
    return true;
}

size_t sparekey_reply_length(const uint8_t head[SPAREKEY_HEAD])
{
    uint64_t length = number_of((struct sparekey_bytes){head, SPAREKEY_HEAD});
    return length >= 2 && length <= SPAREKEY_LONGEST_REPLY ? (size_t)length : 0;
}

bool sparekey_read_reply(const uint8_t *rest, size_t length, struct sparekey_reply *reply)
{
    struct reader reader = {rest, length};
    struct sparekey_bytes head;
    uint32_t allowed = 0;

    *reply = (struct sparekey_reply){0};
    if (length > SPAREKEY_LONGEST_REPLY || !take(&reader, 2, &head) || head.data[0] != VERSION ||
        !find_kind(head.data[1], &allowed))
        return false;
    reply->kind = (enum sparekey_kind)head.data[1];
    if (read_fields(&reader, allowed, reply))
        return true;
    *reply = (struct sparekey_reply){0};
    return false;
}
