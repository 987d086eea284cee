/* The texts of frames: bytes with a length, in UTF-8. */
#include <string.h>

#include "frames.h"

bool sparekey_is(struct sparekey_bytes text, const char *word)
{
    size_t length = strlen(word);
    return text.length == length && (length == 0 || memcmp(text.data, word, length) == 0);
}

struct sparekey_bytes sparekey_bytes_of(const char *text)
{
    return (struct sparekey_bytes){(const uint8_t *)text, strlen(text)};
}

/* Return the number of bytes after the first one of a character; -1 if it begins none. */
static int followers(uint8_t first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xC2 && first <= 0xDF)
        return 1;
    if (first >= 0xE0 && first <= 0xEF)
        return 2;
    return first >= 0xF0 && first <= 0xF4 ? 3 : -1;
}

/* Refuse forms that the first two bytes show to be wrong: overlong, surrogates, beyond U+10FFFF. */
static bool begins_well(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0;
    case 0xED:
        return second <= 0x9F;
    case 0xF0:
        return second >= 0x90;
    case 0xF4:
        return second <= 0x8F;
    default:
        return true;
    }
}

bool sparekey_is_utf8(struct sparekey_bytes text)
{
    size_t at = 0;
    while (at < text.length) {
        uint8_t first = text.data[at++];
        int more = followers(first);
        if (more < 0 || (size_t)more > text.length - at)
            return false;
        if (more > 0 && !begins_well(first, text.data[at]))
            return false;
        for (; more > 0; more--)
            if ((text.data[at++] & 0xC0) != 0x80)
                return false;
    }
    return true;
}
