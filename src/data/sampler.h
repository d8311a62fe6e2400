/* In which order an epoch visits the samples, and how many batches that makes. */
#ifndef RB_DATA_SAMPLER_H
#define RB_DATA_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

/* order: count numbers 0 … count − 1; with `shuffle` the permutation of (seed, epoch), by Fisher and Yates
 * with the stream (seed, RB_PURPOSE_SHUFFLE, epoch); without, as they come. */
void rb_sampler_order(uint64_t seed, uint64_t epoch, bool shuffle, int count, uint32_t *order);
/* Batches of an epoch: training drops an incomplete last batch, validation keeps it. */
int rb_sampler_batches(int count, int batch, bool drop_last);
/* Repeated augmentation (spec 3): an epoch is the beginning of the list in which every sample of the order
 * comes `repeats` times in a row. How many entries: `count` rounded down to whole 256s, or all of a smaller
 * `count`; with 1 repeat `count`. Entry i is sample order[i / repeats], drawn for the (i mod repeats)th time.
 */
int rb_sampler_entries(int count, int repeats);

#endif
