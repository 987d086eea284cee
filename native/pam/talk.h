/* The conversation with the person at the screen. */
#ifndef SPAREKEY_PAM_TALK_H
#define SPAREKEY_PAM_TALK_H

#include <security/pam_modules.h>

#include "../frames/frames.h"

enum { LONGEST_MESSAGE = 2048 };

/* Asks without echo; the lines `before` the prompt may be empty. PAM_SUCCESS: `*typed` is a string, to be given to
 * `forget`; else it is NULL. */
int ask_secretly(pam_handle_t *pamh, const char *before, const char *prompt, char **typed);

/* Wipes and frees; also NULL. */
void forget(char *typed);

/* Shows a text in this style (PAM_TEXT_INFO, PAM_ERROR_MSG), unless it is empty. That it could not be shown changes no
 * answer. */
void show(pam_handle_t *pamh, int style, struct sparekey_bytes text);

/* The text as a string, cut where the room ends, without what a terminal obeys; no line ends for a log. */
void printable(char *to, size_t room, struct sparekey_bytes text, bool line_ends);

#endif
