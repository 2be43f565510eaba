#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 32 /* bytes of the words that are compared; nobody mistypes longer ones */

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that make one word the other. */
static size_t distance(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];

    if (n_a > WORD_MAX || n_b > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= n_a; i++)
        for (size_t k = 0; k <= n_b; k++) {
            if (i == 0 || k == 0) {
                rows[i][k] = i + k;
                continue;
            }
            rows[i][k] = min(rows[i - 1][k - 1] + (a[i - 1] != b[k - 1]),
                             1 + min(rows[i - 1][k], rows[i][k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                rows[i][k] = min(rows[i][k], rows[i - 2][k - 2] + 1);
        }
    return rows[n_a][n_b];
}

struct nearest nearest_to(const char *word)
{
    return (struct nearest){.word = word, .limit = 2 + strlen(word) / 5};
}

/* The beginning of a word is as near as one wrong letter; another letter is no near word. */
bool nearest_offer(struct nearest *nearest, const char *word)
{
    size_t n = distance(nearest->word, word), typed = strlen(nearest->word);

    if (typed >= 2 && strncmp(nearest->word, word, typed) == 0)
        n = min(n, 1);
    if (n >= nearest->limit || (n > 0 && n >= typed))
        return false;
    nearest->limit = n;
    return true;
}
