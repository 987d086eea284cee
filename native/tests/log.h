/* The log of a program that contains libpam and the module: their lines come here, not to the log of the system. */
#ifndef SPAREKEY_TESTS_LOG_H
#define SPAREKEY_TESTS_LOG_H

/* Defined by the program. */
void take_log_line(const char *line);

#endif
