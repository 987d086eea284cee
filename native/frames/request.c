/* Requests to bytes. Safe because the size is known before the first byte is written, so none lies beyond the room. */
#include <string.h>

#include "frames.h"
#include "layout.h"

struct field {
    enum tag tag;
    struct sparekey_bytes value;
};

static size_t size_of(const struct field *fields, size_t count)
{
    size_t size = 2;
    for (size_t i = 0; i < count; i++) {
        /* Longer texts fit no request, so this sum cannot overflow. */
        if (fields[i].value.length > SPAREKEY_LONGEST_REQUEST)
            return 0;
        if (fields[i].value.length > 0)
            size += FIELD_HEAD + fields[i].value.length;
    }
    return size <= SPAREKEY_LONGEST_REQUEST ? size : 0;
}

static uint8_t *put_field(uint8_t *to, const struct field *field)
{
    size_t length = field->value.length;
    if (length == 0)
        return to;
    to[0] = (uint8_t)field->tag;
    to[1] = (uint8_t)(length >> 8);
    to[2] = (uint8_t)(length & 0xFF);
    memcpy(to + FIELD_HEAD, field->value.data, length);
    return to + FIELD_HEAD + length;
}

static size_t put_request(uint8_t *to, size_t room, enum request_type type, const struct field *fields, size_t count)
{
    size_t size = size_of(fields, count);
    if (size == 0 || room < SPAREKEY_HEAD + size)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (fields[i].tag != TAG_SECRET && !sparekey_is_utf8(fields[i].value))
            return 0;
    uint8_t head[SPAREKEY_HEAD + 2] = {0, 0, (uint8_t)(size >> 8), (uint8_t)(size & 0xFF), VERSION, (uint8_t)type};
    memcpy(to, head, sizeof head);
    uint8_t *end = to + sizeof head;
    for (size_t i = 0; i < count; i++)
        end = put_field(end, &fields[i]);
    return (size_t)(end - to);
}

size_t sparekey_login_frame(uint8_t *to, size_t room, struct sparekey_bytes user, struct sparekey_bytes passcode,
                            struct sparekey_bytes reply_to, bool remote)
{
    static const uint8_t ONE[NUMBER_BYTES] = {[NUMBER_BYTES - 1] = 1};
    const struct field fields[] = {{TAG_USER, user},
                                   {TAG_PASSCODE, passcode},
                                   {TAG_REPLY_TO, reply_to},
                                   {TAG_REMOTE, {ONE, remote ? sizeof ONE : 0}}};
    return put_request(to, room, LOGIN, fields, sizeof fields / sizeof *fields);
}

size_t sparekey_keep_frame(uint8_t *to, size_t room, struct sparekey_bytes purpose, struct sparekey_bytes secret)
{
    const struct field fields[] = {{TAG_PURPOSE, purpose}, {TAG_SECRET, secret}};
    return put_request(to, room, KEEP, fields, sizeof fields / sizeof *fields);
}

size_t sparekey_open_frame(uint8_t *to, size_t room, struct sparekey_bytes purpose)
{
    const struct field fields[] = {{TAG_PURPOSE, purpose}};
    return put_request(to, room, OPEN, fields, sizeof fields / sizeof *fields);
}
