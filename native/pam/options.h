/* The options after the module's name in a PAM file. An unknown option or a wrong value refuses every sign-in. */
#ifndef SPAREKEY_PAM_OPTIONS_H
#define SPAREKEY_PAM_OPTIONS_H

#include <security/pam_modules.h>
#include <stdbool.h>

struct options {
    const char *socket;
    const char *prompt;
    const char *remote_services; /* with commas between them; NULL: none */
    int timeout; /* seconds */
    bool use_first_pass;
    bool os_password;
    bool ask_os_password;
    bool keep_os_password;
    bool quiet;
    bool remote; /* every user of this line comes over a network */
};

/* Return false for a wrong option; the log then names it and says what to do. */
bool read_options(pam_handle_t *pamh, int argc, const char **argv, struct options *options);

#endif
