/*
 * `follow --replay`: stored messages again, at the pace at which they came.
 *
 * What is selected is fixed when the watch is opened.  Replaying may take hours, in which writers go
 * on: up to REPLAY_AHEAD_BYTES are read ahead, so that of most pools nothing is lost by
 * overwriting.  Beyond that a lost message is told of as in any finite read.
 */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include "watch.h"

#define REPLAY_AHEAD_BYTES (64u << 20)

/* --replay: 2 is twice as fast, 0 without pauses.  -1 with cli->error. */
int replay_parse_speed(struct cli *cli, const char *text, double *ret);

/*
 * Prints what the watch, opened on a finite stream, has selected; speed > 0.  The exit code, or -1
 * with cli->error.
 */
int replay_run(struct watch *w, double speed);

#endif
