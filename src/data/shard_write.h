/* A data set written as shards: OUT/train/shard-000000.tar … and OUT/val/…, or OUT/shard-000000.tar … of one
 * that has no splits, and OUT/classes.txt.
 *
 * A picture's file goes in as it is, as 000000042.jpg, beside 000000042.cls with its label as a number: the
 * number in the name is its place in the data set, so that a reader that sorts by name (ours) has the order
 * of the data set, and with it the same training to the bit; while the order in the shards is drawn from a
 * seed, so that a reader that streams them meets the classes mixed. The same data set and options give the
 * same bytes. */
#ifndef RB_DATA_SHARD_WRITE_H
#define RB_DATA_SHARD_WRITE_H

#include "data/dataset.h"

typedef struct rb_shard_options {
    int shards;           /* of the larger split, the other gets its part of them; 0: by size */
    uint64_t shard_bytes; /* about so large: a shard is closed when the next picture would not fit */
    uint64_t seed;
    void (*progress)(void *user, int done, int all); /* may be NULL */
    void *user;
} rb_shard_options;

/* What was written. */
typedef struct rb_shard_report {
    int shards, pictures;
    uint64_t bytes;
} rb_shard_report;

/* `out` must be new or empty. BAD_ARGUMENT; BAD_DATA for pictures that are not files (CIFAR-10); IO_FAILED;
 * OUT_OF_MEMORY. A shard appears whole or not at all. */
revbifpn_status rb_shards_write(const rb_dataset *dataset, const char *out, const rb_shard_options *options,
                                rb_shard_report *report, rb_error *err) RB_CHECKED;

#endif
