/* A training run: data, network, steps, epochs, the run folder. */
#ifndef RB_TRAIN_TRAINER_H
#define RB_TRAIN_TRAINER_H

#include "data/loader.h"
#include "train/prepare.h"
#include "train/record.h"
#include "train/run_folder.h"
#include "train/schedule.h"
#include "train/step.h"
#include "train/trace.h"

/* What a classifier's run has of its own. */
typedef struct rb_classify_run {
    rb_dataset data;
    rb_loader *loader; /* of the training split */
    rb_loader_options train_options, val_options;
    rb_prepare_options prepare_options;
    rb_prepare prepare; /* between the loader and the network */
    rb_model model;
    size_t told;    /* unreadable files already reported */
    bool validated; /* in this process: its files have been reported */
} rb_classify_run;

struct rb_run_task;
struct rb_detect_run;
typedef struct rb_trainer {
    revbifpn_train_config args; /* as resolved; its strings live in `strings` */
    char *strings;
    const struct rb_ops *ops;
    rb_pool *pool;
    const struct rb_run_task *task;
    rb_model *model;              /* the task's; its list has all tensors */
    int pictures;                 /* of the training split */
    rb_shape image;               /* of a full batch; of a detector the largest kind */
    rb_classify_run classify;     /* of that task … */
    struct rb_detect_run *detect; /* … and of this one: NULL */
    rb_step step;
    rb_weights_info info;
    rb_run_folder run;
    rb_record record;
    revbifpn_memory memory; /* the plan; set by `check` (below), like … */
    const char *kernels;    /* … the name of those in use */
    rb_trace trace;
    rb_progress progress;
    double parts[RB_PARTS]; /* of the loss, means over the last epoch */
    int batches;            /* in an epoch */
    int steps;              /* in an epoch, of args.accumulate batches, the last maybe of fewer */
    int epochs;             /* of the run, cycles and cooldown included */
    rb_schedule schedule;
    rb_stop stop; /* asked between steps, in validation and while waiting for pictures */
    bool finished;
    char start_note[600]; /* for the first step to tell */
    char note[8192];      /* lines of the last step */
    size_t said;          /* their length, but for … */
    int unsaid;           /* lines that found no room */
} rb_trainer;

/* What the plan of a run needs to know before anything is allocated: the network is built. */
typedef revbifpn_status rb_plan_check(void *user, rb_trainer *t, rb_error *err);

/* Reads the folder and args (on resume those of the run), builds the network, asks `check` (which may
 * refuse), then allocates, starts or resumes. The trainer is zeroed first and must be closed also after a
 * failure. */
revbifpn_status rb_trainer_open(rb_trainer *t, const revbifpn_train_config *config, bool resume,
                                const struct rb_ops *ops, rb_pool *pool, rb_plan_check *check, void *user,
                                rb_error *err) RB_CHECKED;
void rb_trainer_close(rb_trainer *t);
/* Steps done so far, of the whole run. */
static inline int64_t rb_trainer_steps_done(const rb_trainer *t) {
    return (int64_t)t->progress.epoch * t->steps + t->progress.step;
}
/* STOPPED after the last step (then report->finished is set), or when `stop` asks for it: then the trainer
 * stands between two steps, or before the validation of its epoch, and may write a checkpoint or go on. */
revbifpn_status rb_trainer_step(rb_trainer *t, revbifpn_report *report, rb_error *err) RB_CHECKED;
/* Adds a line to what the step has to say, a warning; `trainer` is an rb_trainer. */
void rb_trainer_note(void *trainer, const char *line);
/* Writes checkpoint.safetensors. */
revbifpn_status rb_trainer_checkpoint(rb_trainer *t, rb_error *err) RB_CHECKED;

#endif
