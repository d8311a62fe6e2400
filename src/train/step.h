/* One training step, all or nothing: forward, loss, backward, statistics, optimizer (DESIGN 2, 4). */
#ifndef RB_TRAIN_STEP_H
#define RB_TRAIN_STEP_H

#include "model/plan.h"
#include "train/optimizer.h"

typedef struct rb_step {
    rb_model *model;
    rb_exec exec;
    rb_optimizer optimizer;
    bool stored, bn_update_double;
    rb_loss loss; /* smoothing and kind; the rest is filled in by the step */
    uint64_t seed;
    int k; /* the grid, 2^-k; only ever falls */
} rb_step;

/* What a batch should be: labels, n; or soft targets, n,classes, which then count alone. */
typedef struct rb_targets {
    const int32_t *labels;
    const float *soft;
} rb_targets;

typedef struct rb_step_report {
    double loss; /* mean over the batches of the step */
    int lowered; /* times that k fell in or after this step */
    char note[256];
} rb_step_report;

/* Opens arenas for the largest of the two plans, and the optimizer; params must have been allocated with
 * gradients. */
revbifpn_status rb_step_open(rb_step *step, const struct rb_ops *ops, rb_pool *pool,
                             const rb_step_bytes *bytes, const rb_optimizer_options *options,
                             rb_error *err) RB_CHECKED;
void rb_step_close(rb_step *step);

/* One batch forward and backward on `pass`: adds to the gradients those of *loss / batches. */
typedef revbifpn_status rb_step_body(void *user, rb_pass *pass, int batches, double *loss);

/* A step is one or more batches, then the update. rb_step_add runs batch `batch` (from 0) of `batches`
 * forward and backward and adds its gradients, those of its mean loss / batches; the running statistics move
 * with each batch. `index` counts the batches of the run and names the random numbers. When a state leaves
 * the grid's range the batch is repeated with k − 1, before anything has moved. NOT_FINITE when a value, the
 * loss or a gradient is not finite or k would fall below its floor: then the batch has moved no weight or
 * statistic, and the step is lost. */
revbifpn_status rb_step_add(rb_step *step, const rb_images *images, rb_targets targets, uint64_t index,
                            int batch, int batches, rb_step_report *report, rb_error *err) RB_CHECKED;
/* The same for any network on this backbone: what `body` does takes the place of forward, loss and backward.
 */
revbifpn_status rb_step_add_body(rb_step *step, rb_step_body *body, void *user, uint64_t index, int batch,
                                 int batches, rb_step_report *report, rb_error *err) RB_CHECKED;
/* Moves the weights by the gradients added, with learning rate `lr`. */
void rb_step_update(rb_step *step, double lr);
/* A step of one batch, all or nothing: when it fails no weight or statistic has moved. */
revbifpn_status rb_step_run(rb_step *step, const rb_images *images, rb_targets targets, double lr,
                            uint64_t index, rb_step_report *report, rb_error *err) RB_CHECKED;

#endif
