/* One training step, all or nothing: forward, loss, backward, statistics, optimizer (DESIGN 2, 4). */
#ifndef RB_TRAIN_STEP_H
#define RB_TRAIN_STEP_H

#include "model/plan.h"

typedef struct rb_step {
    rb_model *model;
    rb_exec exec;
    float *momentum; /* the layout of params.weight; owned */
    bool stored, bn_update_double;
    double smoothing, weight_decay, momentum_factor;
    uint64_t seed;
    int k; /* the grid, 2^-k; only ever falls */
} rb_step;

typedef struct rb_step_report {
    double loss;
    int lowered; /* times that k fell in or after this step */
    char note[256];
} rb_step_report;

/* Opens arenas and momenta for the largest of the two plans; params must have been allocated with gradients.
 */
revbifpn_status rb_step_open(rb_step *step, const struct rb_ops *ops, rb_pool *pool,
                             const rb_step_bytes *bytes, rb_error *err) RB_CHECKED;
void rb_step_close(rb_step *step);

/* Trains on one batch with learning rate `lr`; `index` counts the steps of the run and names the random
 * numbers. When a state leaves the grid's range the step is repeated with k − 1, before anything has moved.
 * NOT_FINITE when a value, the loss or a gradient is not finite or k would fall below its floor: then no
 * weight or statistic has moved. */
revbifpn_status rb_step_run(rb_step *step, const rb_images *images, const int32_t *labels, double lr,
                            uint64_t index, rb_step_report *report, rb_error *err) RB_CHECKED;

#endif
