#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

/* -D_FORTIFY_SOURCE replaces syslog by this function, and no header declares it. */
void __syslog_chk(int priority, int flag, const char *format, ...);

static void take(const char *format, va_list arguments)
{
    char line[4096];
    if (vsnprintf(line, sizeof line, format, arguments) < 0)
        abort();
    take_log_line(line);
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;
    (void)priority;
    va_start(arguments, format);
    take(format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    (void)priority;
    (void)flag;
    va_start(arguments, format);
    take(format, arguments);
    va_end(arguments);
}
