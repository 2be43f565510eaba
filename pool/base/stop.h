/*
 * SIGINT, SIGTERM and SIGHUP become a flag and a descriptor: for programs that run until told to stop.
 *
 *     stop_install()                     -- first thing, before threads
 *     poll() on stop_fd() beside other descriptors, or ask stop_asked() in a loop
 *
 * A second signal finds the default action: a program that does not stop can still be stopped.
 */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <stdbool.h>

/* 0, or -1 with errno. */
int stop_install(void);

bool stop_asked(void);

/* The signal that asked, 0 when none did. */
int stop_signal(void);

/* Becomes readable when stop is asked for, and stays so; never read it. */
int stop_fd(void);

/* Asks from inside, as a signal would.  Safe in a signal handler and in any thread. */
void stop_ask(void);

#endif
