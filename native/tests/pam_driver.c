/*
 * An application with a scripted conversation: pam_driver DIRECTORY SERVICE USER STEP...
 *
 * DIRECTORY contains the PAM file SERVICE. USER is in hex, `-` is NULL. STEPs: authenticate, silent (without messages),
 * acct_mgmt, setcred, chauthtok; user=HEX sets the user; memory=HEX counts these bytes in the memory of this process;
 * inherited counts the open files that a started program would have. The answers to prompts come from standard input,
 * one a line: text HEX, null (success without an answer), fail, again. Every line of output is a word with its values,
 * texts in hex.
 */
#include <fcntl.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static void put(const char *word, const char *text)
{
    printf("%s ", word);
    for (; text != NULL && *text != '\0'; text++)
        printf("%02x", (unsigned)(unsigned char)*text);
    printf(text == NULL ? "-\n" : "\n");
    (void)fflush(stdout);
}

static char *from_hex(const char *hex)
{
    size_t length = strcspn(hex, "\r\n") / 2;
    char *text = calloc(1, length + 1);
    for (size_t i = 0; text != NULL && i < length; i++) {
        unsigned byte = 0;
        (void)sscanf(hex + 2 * i, "%2x", &byte);
        text[i] = (char)(unsigned char)byte;
    }
    return text;
}

void take_log_line(const char *line)
{
    put("log", line);
}

static int answer(char **text)
{
    static char line[65536];
    *text = NULL;
    if (fgets(line, sizeof line, stdin) == NULL || strncmp(line, "fail", 4) == 0)
        return PAM_CONV_ERR;
    if (strncmp(line, "again", 5) == 0)
        return PAM_CONV_AGAIN;
    if (strncmp(line, "text ", 5) == 0)
        *text = from_hex(line + 5);
    return PAM_SUCCESS;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    struct pam_response *made = calloc((size_t)count, sizeof *made);
    (void)data;
    if (made == NULL)
        return PAM_BUF_ERR;
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style, status = PAM_SUCCESS;
        put(style == PAM_PROMPT_ECHO_OFF  ? "prompt"
            : style == PAM_PROMPT_ECHO_ON ? "open-prompt"
            : style == PAM_ERROR_MSG      ? "error"
                                          : "info",
            messages[i]->msg);
        if (style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON)
            status = answer(&made[i].resp);
        if (status != PAM_SUCCESS) {
            free(made);
            return status;
        }
    }
    *responses = made;
    return PAM_SUCCESS;
}

static void set_item(pam_handle_t *pamh, int item, const char *hex)
{
    char *text = from_hex(hex);
    (void)pam_set_item(pamh, item, text);
    free(text);
}

/* Kept inverted, so that the search does not find its own pattern. */
static int count_in(const uint8_t *from, const uint8_t *to, const uint8_t *inverted, size_t length)
{
    int found = 0;
    for (; (size_t)(to - from) >= length; from++) {
        size_t same = 0;
        while (same < length && (from[same] ^ 0xFF) == inverted[same])
            same++;
        found += same == length;
    }
    return found;
}

static int count_in_memory(const char *hex)
{
    static char line[4096];
    uint8_t inverted[256];
    size_t length = 0;
    int found = 0;
    for (unsigned byte = 0; length < sizeof inverted && sscanf(hex + 2 * length, "%2x", &byte) == 1; length++)
        inverted[length] = (uint8_t)~byte;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from = 0, to = 0;
        char mode[5] = "";
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 && strncmp(mode, "rw", 2) == 0)
            found += count_in((const uint8_t *)from, (const uint8_t *)to, inverted, length);
    }
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}

static int count_inherited(void)
{
    int count = 0;
    for (int fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        count += flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}

static int step(pam_handle_t *pamh, const char *name)
{
    if (strncmp(name, "user=", 5) == 0)
        set_item(pamh, PAM_USER, name + 5);
    else if (strncmp(name, "host=", 5) == 0)
        set_item(pamh, PAM_RHOST, name + 5);
    else if (strcmp(name, "authenticate") == 0)
        return pam_authenticate(pamh, 0);
    else if (strcmp(name, "silent") == 0)
        return pam_authenticate(pamh, PAM_SILENT);
    else if (strcmp(name, "acct_mgmt") == 0)
        return pam_acct_mgmt(pamh, 0);
    else if (strcmp(name, "setcred") == 0)
        return pam_setcred(pamh, PAM_ESTABLISH_CRED);
    else if (strcmp(name, "chauthtok") == 0)
        return pam_chauthtok(pamh, 0);
    else if (strncmp(name, "memory=", 7) == 0)
        return count_in_memory(name + 7);
    else if (strcmp(name, "inherited") == 0)
        return count_inherited();
    return 0;
}

int main(int argc, char **argv)
{
    struct pam_conv conversation = {converse, NULL};
    pam_handle_t *pamh = NULL;
    int status = PAM_SYSTEM_ERR;

    if (argc < 4)
        return 2;
    char *user = strcmp(argv[3], "-") == 0 ? NULL : from_hex(argv[3]);
    if (pam_start_confdir(argv[2], user, &conversation, argv[1], &pamh) != PAM_SUCCESS)
        return 2;
    free(user);
    for (int i = 4; i < argc; i++) {
        status = step(pamh, argv[i]);
        printf("status %s %d\n", argv[i], status);
        (void)fflush(stdout);
    }
    return pam_end(pamh, status) == PAM_SUCCESS ? 0 : 2;
}
