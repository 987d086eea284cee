#include "talk.h"

#include <security/pam_ext.h>
#include <stdlib.h>
#include <string.h>

int ask_secretly(pam_handle_t *pamh, const char *before, const char *prompt, char **typed)
{
    *typed = NULL;
    int status = pam_prompt(pamh, PAM_PROMPT_ECHO_OFF, typed, "%s%s%s", before, before[0] == '\0' ? "" : "\n", prompt);
    if (status == PAM_SUCCESS && *typed != NULL)
        return PAM_SUCCESS;
    forget(*typed);
    *typed = NULL;
    if (status == PAM_CONV_AGAIN)
        return PAM_INCOMPLETE;
    return status == PAM_BUF_ERR ? PAM_BUF_ERR : PAM_CONV_ERR;
}

void forget(char *typed)
{
    if (typed == NULL)
        return;
    explicit_bzero(typed, strlen(typed));
    free(typed);
}

/* Return the number of bytes of a control character at this place; 0 if there is none. */
static size_t control_at(struct sparekey_bytes text, size_t at)
{
    uint8_t byte = text.data[at];
    if (byte < 0x20 || byte == 0x7F)
        return 1;
    return byte == 0xC2 && at + 1 < text.length && text.data[at + 1] < 0xA0 ? 2 : 0;
}

static bool is_within(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

void printable(char *to, size_t room, struct sparekey_bytes text, bool line_ends)
{
    size_t at = 0, end = 0;
    while (at < text.length && end + 1 < room) {
        size_t control = control_at(text, at);
        if (control == 0 || (line_ends && text.data[at] == '\n'))
            to[end++] = (char)text.data[at++];
        else {
            to[end++] = '?';
            at += control;
        }
    }
    /* Do not cut within a character: the rest would not be UTF-8. */
    if (at < text.length && is_within(text.data[at])) {
        while (end > 0 && is_within((uint8_t)to[end - 1]))
            end--;
        if (end > 0)
            end--;
    }
    to[end] = '\0';
}

void show(pam_handle_t *pamh, int style, struct sparekey_bytes text)
{
    char words[LONGEST_MESSAGE];
    if (text.length == 0)
        return;
    printable(words, sizeof words, text, true);
    (void)pam_prompt(pamh, style, NULL, "%s", words);
}
