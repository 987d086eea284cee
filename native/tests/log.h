/* The log of a program that has libpam and the module within: their lines come to it, and not to the system's log. */
#ifndef SPAREKEY_TESTS_LOG_H
#define SPAREKEY_TESTS_LOG_H

/* Written by the program. */
void take_log_line(const char *line);

#endif
