/*
 * How far a long run has come: one line on a terminal (stderr), written over itself.
 *
 * Nothing is shown in the first second.  Whoever writes to the same terminal in between calls progress_hide() first; the
 * next progress_step() brings the line back.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "input.h"

#define PROGRESS_STEP_MS 200 /* between two looks of the line */

struct progress {
    bool on;
    bool shown; /* now */
    bool was_shown;
    uint64_t bytes; /* of the input from where it stands; 0: not known */
    uint64_t started_ns;
    uint64_t drawn_ns;
};

/* Begins a run that reads fd; only with `on` is anything ever shown. */
void progress_start(struct progress *progress, bool on, int fd);

/* Draws the line when it is time. */
void progress_step(struct progress *progress, const struct input_counts *counts);

/* Removes the line. */
void progress_hide(struct progress *progress);

/* Leaves a line that says what was done, if there was ever one. */
void progress_done(struct progress *progress, const struct input_counts *counts);

#endif
