/* The tables of spec/local-socket.md: version, types, tags. Only the two halves of the codec use them. */
#ifndef SPAREKEY_LAYOUT_H
#define SPAREKEY_LAYOUT_H

enum { VERSION = 1, FIELD_HEAD = 3, NUMBER_BYTES = 8 };

enum request_type { LOGIN = 1, KEEP = 2, OPEN = 3 };

enum tag {
    TAG_USER = 1,
    TAG_PASSCODE = 2,
    TAG_REPLY_TO = 3,
    TAG_PURPOSE = 4,
    TAG_SECRET = 5,
    TAG_REMOTE = 6,
    TAG_RESULT = 16,
    TAG_MODE = 17,
    TAG_METHOD = 18,
    TAG_DAYS_LEFT = 19,
    TAG_EMERGENCY_EXPIRES = 20,
    TAG_MESSAGE = 21,
    TAG_REASON = 22,
    TAG_MISREAD = 23,
    TAG_DONE = 24,
    TAG_ASK = 29,
};

#endif
