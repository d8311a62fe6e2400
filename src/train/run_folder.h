/* The run folder: args.json, results.csv, weights/{last,best}.safetensors, checkpoint.safetensors. Each file
 * appears whole or not at all. At the end of an epoch they are written in an order in which a kill between
 * any two leaves a run that goes on from the checkpoint and writes the same bytes again: weights that are the
 * best so far are written under a name of their epoch, and become best.safetensors once the checkpoint of
 * that epoch is there. A run that goes on with more epochs may come to another one. */
#ifndef RB_TRAIN_RUN_FOLDER_H
#define RB_TRAIN_RUN_FOLDER_H

#include "io/weights.h"

enum { RB_PARTS = 5, RB_PROGRESS_TEXT = 320 };
enum { RB_RUN_PATH = 3600, RB_RUN_BEST_NAME = 32 };

typedef struct rb_run_folder {
    char path[RB_RUN_PATH];
    char *results;       /* text of results.csv so far; owned */
    const char *parts;   /* names of the columns of the loss's parts, "loss_cls,loss_bbox"; "": none */
    const char *metrics; /* … and of those that a validation fills, "val_loss,top1" */
    bool average;        /* its rows tell of the weights themselves, too */
} rb_run_folder;

typedef struct rb_epoch_result {
    int epoch, grid; /* 1-based */
    double lr, train_loss;
    int parts;                      /* of the loss, likewise … */
    const double *part;             /* … means over the epoch */
    int metrics;                    /* as many as the run folder has columns */
    const double *judged, *weights; /* of what is judged; with an average that, then of the weights, too */
} rb_epoch_result;

/* Where a run stands. Exact: doubles are written in hexadecimal. */
typedef struct rb_progress {
    int epoch, step;        /* epochs done, and steps of the next one */
    int pictures;           /* of the training split: another number would change every batch */
    double loss_sum;        /* over those steps */
    double parts[RB_PARTS]; /* of a detector's loss, likewise: rpn_cls, rpn_bbox, cls, bbox, mask */
    double best_score;      /* −1 before the first validation */
} rb_progress;

/* The file NAME inside the folder. */
const char *rb_run_file(const rb_run_folder *run, const char *name, char path[4096]);
/* A new run: makes the folders and writes args.json; refuses a folder that already holds a run. `parts`
 * and `metrics` stay the caller's; a reopened run is given them before its results are touched. */
revbifpn_status rb_run_create(rb_run_folder *run, const char *path, const revbifpn_train_config *args,
                              const char *parts, const char *metrics, rb_error *err) RB_CHECKED;
/* Reads the args.json of an existing run; touches nothing. */
revbifpn_status rb_run_read_args(rb_run_folder *run, const char *path, revbifpn_train_config *args,
                                 char **strings, rb_error *err) RB_CHECKED;
/* An existing run to go on with: reads its args.json (strings: see rb_args_from_json). */
revbifpn_status rb_run_reopen(rb_run_folder *run, const char *path, revbifpn_train_config *args,
                              char **strings, rb_error *err) RB_CHECKED;
/* Writes args.json again: what a resumed run was told to change holds for the next resume, too. */
revbifpn_status rb_run_save_args(const rb_run_folder *run, const revbifpn_train_config *args,
                                 rb_error *err) RB_CHECKED;
void rb_run_close(rb_run_folder *run);
/* Keeps the rows of results.csv for the first `epochs` epochs. */
revbifpn_status rb_run_rewind_results(rb_run_folder *run, int epochs, rb_error *err) RB_CHECKED;
revbifpn_status rb_run_add_result(rb_run_folder *run, const rb_epoch_result *row, rb_error *err) RB_CHECKED;

/* Name, in weights/, under which the best of epoch `epoch` (from 1) waits for its checkpoint. */
void rb_run_best_name(int epoch, char name[RB_RUN_BEST_NAME]);
/* With the checkpoint after `epochs` epochs in place: the best of the last of them, if it still waits,
 * becomes best.safetensors; one of the next epoch, which will be trained again, is removed. */
revbifpn_status rb_run_keep_best(const rb_run_folder *run, int epochs, rb_error *err) RB_CHECKED;

/* The "training" record of a checkpoint. */
void rb_progress_to_text(const rb_progress *progress, char text[RB_PROGRESS_TEXT]);
bool rb_progress_from_text(const char *text, rb_progress *progress);

#endif
