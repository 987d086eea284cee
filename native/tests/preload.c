/*
 * A library for LD_PRELOAD, to test the module in an application.
 *
 * SPAREKEY_PAM_DIRECTORY replaces /etc/pam.d. The log goes to standard error. The allocations number
 * SPAREKEY_FAIL_FROM to SPAREKEY_FAIL_TO of each sign-in, counted from 1, fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <security/pam_appl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define SEEN __attribute__((visibility("default")))

/* The functions of the C library, under their internal names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __syslog_chk(int priority, int flag, const char *format, ...);

static long allocations = -1, fail_from, fail_to; /* -1: not counted */

static bool has_no_memory(void)
{
    if (allocations < 0)
        return false;
    allocations++;
    if (allocations < fail_from || allocations > fail_to)
        return false;
    errno = ENOMEM;
    return true;
}

SEEN void *malloc(size_t size)
{
    return has_no_memory() ? NULL : __libc_malloc(size);
}

SEEN void *calloc(size_t count, size_t size)
{
    return has_no_memory() ? NULL : __libc_calloc(count, size);
}

SEEN void *realloc(void *block, size_t size)
{
    return has_no_memory() ? NULL : __libc_realloc(block, size);
}

static long number_of(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? 0 : strtol(value, NULL, 10);
}

SEEN int pam_authenticate(pam_handle_t *pamh, int flags)
{
    int (*next)(pam_handle_t *, int);
    *(void **)&next = dlsym(RTLD_NEXT, "pam_authenticate");
    fail_from = number_of("SPAREKEY_FAIL_FROM");
    fail_to = number_of("SPAREKEY_FAIL_TO");
    allocations = 0;
    int status = next(pamh, flags);
    long counted = allocations;
    allocations = -1;
    (void)fprintf(stderr, "allocations: %ld\n", counted);
    return status;
}

SEEN int pam_start(const char *service, const char *user, const struct pam_conv *conversation, pam_handle_t **pamh)
{
    return pam_start_confdir(service, user, conversation, getenv("SPAREKEY_PAM_DIRECTORY"), pamh);
}

static void log_line(const char *format, va_list arguments)
{
    long counted = allocations;
    allocations = -1;
    (void)fprintf(stderr, "log: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    allocations = counted;
}

SEEN void syslog(int priority, const char *format, ...)
{
    va_list arguments;
    (void)priority;
    va_start(arguments, format);
    log_line(format, arguments);
    va_end(arguments);
}

SEEN void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    (void)priority;
    (void)flag;
    va_start(arguments, format);
    log_line(format, arguments);
    va_end(arguments);
}
