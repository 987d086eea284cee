#include "options.h"

#include <security/pam_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#define DEFAULT_SOCKET "/run/sparekey-agent/agent.sock"
#define DEFAULT_PROMPT "Passcode: "

enum { DEFAULT_TIMEOUT = 120, LONGEST_TIMEOUT = 600 };

/* Return the text after `name=`; NULL if the word is another option. */
static const char *value_of(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static bool read_seconds(const char *value, int *seconds)
{
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 3 || value[digits] != '\0')
        return false;
    *seconds = atoi(value);
    return *seconds >= 1 && *seconds <= LONGEST_TIMEOUT;
}

static bool read_path(const char *value, const char **path)
{
    *path = value;
    return value[0] == '/' && strlen(value) < sizeof((struct sockaddr_un *)NULL)->sun_path;
}

/* Names of services with a comma between them. */
static bool read_services(const char *value, const char **services)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-,";
    size_t length = strspn(value, allowed);
    *services = value;
    return length > 0 && value[length] == '\0' && value[0] != ',' && value[length - 1] != ',' &&
           strstr(value, ",,") == NULL;
}

static bool read_flag(const char *word, struct options *options)
{
    if (strcmp(word, "use_first_pass") == 0)
        return options->use_first_pass = true;
    if (strcmp(word, "os_password") == 0)
        return options->os_password = true;
    if (strcmp(word, "ask_os_password") == 0)
        return options->ask_os_password = true;
    if (strcmp(word, "keep_os_password") == 0)
        return options->keep_os_password = true;
    if (strcmp(word, "remote") == 0)
        return options->remote = true;
    if (strcmp(word, "quiet") == 0)
        return options->quiet = true;
    return false;
}

static bool read_option(const char *word, struct options *options)
{
    const char *value;
    if ((value = value_of(word, "socket")) != NULL)
        return read_path(value, &options->socket);
    if ((value = value_of(word, "timeout")) != NULL)
        return read_seconds(value, &options->timeout);
    if ((value = value_of(word, "remote")) != NULL)
        return read_services(value, &options->remote_services);
    if ((value = value_of(word, "prompt")) != NULL) {
        options->prompt = value;
        return value[0] != '\0';
    }
    return read_flag(word, options);
}

bool read_options(pam_handle_t *pamh, int argc, const char **argv, struct options *options)
{
    *options = (struct options){.socket = DEFAULT_SOCKET, .prompt = DEFAULT_PROMPT, .timeout = DEFAULT_TIMEOUT};
    for (int i = 0; i < argc; i++)
        if (!read_option(argv[i], options)) {
            pam_syslog(pamh, LOG_ERR, "refused: \"%s\" is no option, or its value is wrong; correct this line of the "
                       "PAM file, see pam_sparekey(8)", argv[i]);
            return false;
        }
    if (options->os_password + options->ask_os_password + options->keep_os_password > 1) {
        pam_syslog(pamh, LOG_ERR, "refused: os_password, ask_os_password and keep_os_password need lines of their "
                   "own, see pam_sparekey(8)");
        return false;
    }
    return true;
}
