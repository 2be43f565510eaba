/*
 * The word that somebody may have meant.
 *
 *     struct nearest nearest = nearest_to(typed)
 *     if (nearest_offer(&nearest, word))      for each word that would be right
 *         best = word
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

struct nearest {
    const char *word; /* borrowed */
    size_t limit;     /* edits: as many or more are too far */
};

struct nearest nearest_to(const char *word);

/* Is `word` near, and nearer than all before it? */
bool nearest_offer(struct nearest *nearest, const char *word);

#endif
