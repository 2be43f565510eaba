#include "filter_arena.h"

#include <stdint.h>
#include <stdlib.h>

#define PIECE_MIN 1024 /* bytes */
#define ALIGNED 16

struct arena_piece {
    struct arena_piece *next;
    size_t size;
    _Alignas(ALIGNED) char bytes[];
};

static struct arena_piece *piece_new(size_t size)
{
    struct arena_piece *piece = malloc(sizeof *piece + size);

    if (piece != NULL)
        *piece = (struct arena_piece){.size = size};
    return piece;
}

void *arena_alloc(struct arena *arena, size_t n)
{
    struct arena_piece *piece = arena->pieces;
    void *p;

    if (n > SIZE_MAX / 4)
        return NULL;
    n = (n + ALIGNED - 1) & ~(size_t)(ALIGNED - 1);
    if (piece == NULL || piece->size - arena->used < n) {
        size_t size = piece == NULL ? PIECE_MIN : 2 * piece->size;

        piece = piece_new(size > n ? size : n);
        if (piece == NULL)
            return NULL;
        piece->next = arena->pieces;
        arena->pieces = piece;
        arena->used = 0;
    }
    p = piece->bytes + arena->used;
    arena->used += n;
    return p;
}

static void free_from(struct arena_piece *piece)
{
    while (piece != NULL) {
        struct arena_piece *next = piece->next;

        free(piece);
        piece = next;
    }
}

/* Pieces only grow: the first is the largest. */
void arena_reset(struct arena *arena)
{
    arena->used = 0;
    if (arena->pieces == NULL || arena->pieces->next == NULL)
        return;
    free_from(arena->pieces->next);
    arena->pieces->next = NULL;
}

void arena_done(struct arena *arena)
{
    free_from(arena->pieces);
    *arena = (struct arena){0};
}
