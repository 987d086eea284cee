/* The conversation with the user. */
#ifndef SPAREKEY_PAM_TALK_H
#define SPAREKEY_PAM_TALK_H

#include <security/pam_modules.h>

#include "../frames/frames.h"

enum { LONGEST_MESSAGE = 2048 };

/* Ask without echo; the lines `before` the prompt can be empty. After PAM_SUCCESS, `*typed` is a string that must be
 * passed to `forget`; otherwise it is NULL. */
int ask_secretly(pam_handle_t *pamh, const char *before, const char *prompt, char **typed);

/* Wipe and free the string; NULL is allowed. */
void forget(char *typed);

/* Show a text in this style (PAM_TEXT_INFO, PAM_ERROR_MSG), unless it is empty. A failure here changes no answer. */
void show(pam_handle_t *pamh, int style, struct sparekey_bytes text);

/* Copy the text as a string, cut to the room, without control characters; for a log also without line ends. */
void printable(char *to, size_t room, struct sparekey_bytes text, bool line_ends);

#endif
