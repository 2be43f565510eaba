/*
 * What happens to pools, as a stream of JSON lines: .plasmite/live/events.
 *
 *     {"event":"create","pool":"ci","time":"2026-03-04T05:06:07.000000005Z"}
 *
 * "create" and "delete", whoever did it; a pool that takes the place of another of its name is a "create".  "lost" (without a
 * pool) when so much happened at once that not all of it is known.
 */
#ifndef FS_EVENTS_H
#define FS_EVENTS_H

#include "handle.h"

struct events;

struct events *events_new(struct mount *m); /* NULL when memory is gone */
void events_free(struct events *events);

/* `pool` may be NULL.  From the watching thread. */
void events_add(struct events *events, const char *event, const char *pool);

/* `live/events`: what happens from now on.  0, or an errno. */
int events_open(struct opening *o);

#endif
