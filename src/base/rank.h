/* Sorting by falling score, equal ones in their order. */
#ifndef RB_BASE_RANK_H
#define RB_BASE_RANK_H

#include <stddef.h>
#include <stdint.h>

typedef struct rb_rank {
    double score;
    uint32_t index;
} rb_rank;

/* Sorts `ranks`; `spare` has as much room. */
void rb_rank_sort(rb_rank *ranks, size_t count, rb_rank *spare);

#endif
