/*
 * What keeps plasmite-jq to its work: no files, no other processes, no core dumps, and limits of memory
 * and time.
 *
 * jail_enter() first; from then on nothing can be opened.  Around each piece of work of n bytes
 * jail_begin() and jail_end(); if it takes too long in between, late() is called in a signal handler.  What it
 * takes is time on a processor: a program that was stopped, or has to wait for others, is not late.
 * Memory beyond the limit cannot be allocated.
 */
#ifndef JQ_JAIL_H
#define JQ_JAIL_H

#include <stddef.h>

void jail_enter(void (*late)(void));
void jail_begin(size_t n);
void jail_end(void);

#endif
