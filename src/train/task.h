/* What a run does that depends on what it trains: a classifier (classify.c) or a detector (detect.c). The
 * rest of src/train/ does not know which. Beside src/train/ only the api includes this. */
#ifndef RB_TRAIN_TASK_H
#define RB_TRAIN_TASK_H

#include "train/trainer.h"

enum { RB_METRICS_MOST = 32 };

typedef struct rb_run_task {
    /* In the order of a run. What is wrong with the arguments; BAD_ARGUMENT. */
    revbifpn_status (*check)(rb_trainer *t, rb_error *err);
    /* Opens the data: sets t->pictures, t->batches and t->image. */
    revbifpn_status (*open_data)(rb_trainer *t, rb_error *err);
    /* Builds the network: sets t->model. No weights yet. */
    revbifpn_status (*build)(rb_trainer *t, rb_error *err);
    /* The arenas of a step on such a batch, or of the validation. */
    rb_step_bytes (*measure)(rb_trainer *t, rb_shape image, bool training);
    /* With weights and optimizer allocated: what else is needed, and t->info. */
    revbifpn_status (*prepare)(rb_trainer *t, rb_error *err);
    /* Reads t->args.weights into a new run. */
    revbifpn_status (*read_weights)(rb_trainer *t, rb_error *err);
    /* Begins to load at the place of t->progress. */
    revbifpn_status (*begin)(rb_trainer *t, rb_error *err);
    /* Adds the gradients of the next batch, `batch` of `batches` of this step; *waited_ms += waiting for it.
     */
    revbifpn_status (*add_batch)(rb_trainer *t, int batch, int batches, rb_step_report *step,
                                 double *waited_ms, rb_error *err);
    /* Says what happened to files since the last step (rb_trainer_note). */
    void (*tell_files)(rb_trainer *t);
    revbifpn_status (*validate)(rb_trainer *t, revbifpn_metrics *out, rb_error *err);
    /* The pages of the report and the events that a validated epoch adds; files that cannot be written are
     * excused (record.h). */
    revbifpn_status (*record_epoch)(rb_trainer *t, const revbifpn_report *r, rb_error *err);
    void (*close)(rb_trainer *t);

    const char *parts; /* columns of results.csv for the parts of the loss (rb_progress); "": it has none */
    int part_count;
    const char *metrics; /* … and "val_loss,top1,top5"; and their values, in that order */
    int (*values)(const revbifpn_metrics *m, double *out);
    double (*score)(const revbifpn_metrics *m); /* by which the best is kept: larger is better, ≥ 0 */
} rb_run_task;

extern const rb_run_task rb_classify_task, rb_detect_task, rb_segment_task;

/* Batches of the run before batch `batch` of this step: names the random numbers. */
uint64_t rb_trainer_batch_index(const rb_trainer *t, int batch);
/* Time since `start`, which is never negative though a clock may be set back. */
double rb_milliseconds_since(double start);
double rb_milliseconds(void);

#endif
