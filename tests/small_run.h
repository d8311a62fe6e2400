/* A short training run on random pictures, for the tests of exactness: opened with a configuration, stepped,
 * compared. */
#ifndef RB_TESTS_SMALL_RUN_H
#define RB_TESTS_SMALL_RUN_H

#include "train/step.h"

typedef struct small_run {
    rb_model model;
    rb_pool *pool;
    rb_ops ops;
    rb_step step;
    rb_step_bytes bytes;
    rb_shape image;
    uint8_t *pictures;
    int32_t *labels;
    uint64_t done; /* steps */
    double loss;   /* of the last */
    int lowered;   /* times that the grid fell */
    rb_error err;
} small_run;

typedef struct small_run_options {
    revbifpn_model_config config;
    int batch, side, threads;
    bool stored;
    revbifpn_precision precision;
    rb_cpu_level level;
    rb_optimizer_options optimizer; /* sgd */
    rb_loss loss;                   /* smoothing 0.1 */
} small_run_options;

/* Network NAME with `classes` classes at 64 px, batch 4, 2 threads, reversible, the best level. */
small_run_options small_run_defaults(const char *name, int classes);
/* A network that nobody published: that many streams and input channels, odd widths, other kernels and
 * expansions; and a run of it at two strides a side, batch 3. */
revbifpn_model_config small_run_custom(int streams, int channels);
small_run_options small_run_custom_options(revbifpn_model_config config);
void small_run_open(small_run *run, const small_run_options *options);
void small_run_close(small_run *run);
/* One step on fresh random pictures that depend on the step's number alone. */
revbifpn_status small_run_step(small_run *run);
/* small_run_step `count` times; the test fails when one fails. */
void small_run_steps(small_run *run, int count);
/* Fails the test unless weights, running statistics, counters, momenta and grid are equal to the bit. */
void small_run_assert_equal(const small_run *a, const small_run *b);

#endif
