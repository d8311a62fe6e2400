#include "base/rank.h"

#include <string.h>

enum { BLOCK = 16 };

static void insertion_sort(rb_rank *r, size_t count) {
    for (size_t i = 1; i < count; i++) {
        rb_rank one = r[i];
        size_t j = i;
        for (; j && r[j - 1].score < one.score; j--) r[j] = r[j - 1];
        r[j] = one;
    }
}

/* Both halves are sorted; on ties the first half's come first. */
static void merge(const rb_rank *from, size_t middle, size_t count, rb_rank *to) {
    for (size_t i = 0, j = middle, k = 0; k < count; k++)
        to[k] = j == count || (i < middle && from[i].score >= from[j].score) ? from[i++] : from[j++];
}

void rb_rank_sort(rb_rank *ranks, size_t count, rb_rank *spare) {
    rb_rank *from = ranks, *to = spare;
    for (size_t i = 0; i < count; i += BLOCK)
        insertion_sort(ranks + i, count - i < BLOCK ? count - i : BLOCK);
    for (size_t width = BLOCK; width < count; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            size_t all = count - i < 2 * width ? count - i : 2 * width;
            merge(from + i, all < width ? all : width, all, to + i);
        }
        rb_rank *swap = from;
        from = to;
        to = swap;
    }
    if (from != ranks) memcpy(ranks, from, count * sizeof *ranks);
}
