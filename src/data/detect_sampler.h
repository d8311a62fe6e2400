/* In which order training visits a detector's pictures (spec 3.4): wide ones and the others in batches of
 * their own, so that a batch needs little padding. */
#ifndef RB_DATA_DETECT_SAMPLER_H
#define RB_DATA_DETECT_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rb_detect_order {
    uint32_t *members; /* the samples of group 0 in the order of the epoch, then those of group 1 */
    uint32_t *first;   /* the same in rising order, to begin from */
    int size[2];       /* of the groups */
    int batch;
    uint32_t *batches; /* batch_count: which comes when; those of group 0 are numbered first */
    int batch_count;
} rb_detect_order;

/* Samples 0 … count − 1; group[i]: whether sample i is wide. OUT_OF_MEMORY. */
revbifpn_status rb_detect_order_open(rb_detect_order *order, const bool *group, int count, int batch,
                                     rb_error *err) RB_CHECKED;
void rb_detect_order_close(rb_detect_order *order);
/* The order of an epoch. Each group is permuted (stream SHUFFLE, epoch; 1 and 2), filled up from its
 * beginning to whole batches, and the batches of both are permuted (3): by Fisher and Yates, as
 * rb_sampler_order does. */
void rb_detect_order_shuffle(rb_detect_order *order, uint64_t seed, uint64_t epoch);
/* The samples of a batch, and for the how-manieth time each comes in the epoch, from 0. */
void rb_detect_order_batch(const rb_detect_order *order, int index, uint32_t *want, uint32_t *again);

#endif
