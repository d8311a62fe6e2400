/* A bench that is open. Only src/api/bench*.c include this. */
#ifndef RB_API_BENCH_H
#define RB_API_BENCH_H

#include "api/context.h"
#include "ops/profile.h"
#include "train/step.h"

typedef struct rb_bench {
    revbifpn *ctx;
    const revbifpn_bench_options *options;
    rb_model *network; /* the classifier, or the backbone of the detector, whose list has all tensors */
    rb_model classifier;
    rb_detector detector;
    struct rb_bench_objects *objects; /* what its pictures hold; NULL without a detector */
    rb_step step;
    rb_step_bytes bytes;
    rb_shape image;
    uint8_t *pictures;
    int32_t *labels;
    double *seconds;    /* steps: each step on the random batch */
    double cpu_seconds; /* all of them, all threads */
    rb_profile profile;
    size_t allocations;
    uint64_t resident; /* peak RSS of a profile, before the arrays that measure the peaks */
    uint64_t index;    /* steps run so far */
} rb_bench;

/* bench_detector.c: builds it, and makes up its objects; the bytes of a step; a step, or an inference. */
revbifpn_status rb_bench_open_detector(rb_bench *b) RB_CHECKED;
rb_step_bytes rb_bench_detector_bytes(rb_bench *b, rb_shape image);
revbifpn_status rb_bench_detector_step(rb_bench *b, const rb_images *images) RB_CHECKED;
void rb_bench_close_detector(rb_bench *b);

/* One step, or one forward pass. */
revbifpn_status rb_bench_step(rb_bench *b, const uint8_t *pictures, const int32_t *labels) RB_CHECKED;
/* Steps on the random batch: fills seconds[from …]. */
revbifpn_status rb_bench_steps(rb_bench *b, int from, int count) RB_CHECKED;
/* Orders doubles, for qsort. */
int rb_bench_by_size(const void *a, const void *b);
/* Sorts `seconds` and gives pictures a second of the best and of the median step. */
void rb_bench_rates(double *seconds, int steps, int batch, double *best, double *median);

/* The steps in blocks, each followed by a block of steps fed from options->data. */
revbifpn_status rb_bench_with_data(rb_bench *b, revbifpn_bench_result *out) RB_CHECKED;

#endif
