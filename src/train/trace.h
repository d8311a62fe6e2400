/* What a run leaves behind of every step, so that two runs can be compared: steps.jsonl, and on demand
 * tensors.hash (io/steps.h). The hash of a step's gradients is that of the hashes of the trained tensors, in
 * their order; of its weights that of all tensors after the update, running statistics and counters included.
 */
#ifndef RB_TRAIN_TRACE_H
#define RB_TRAIN_TRACE_H

#include "base/append.h"
#include "blocks/params.h"
#include "io/steps.h"
#include "train/run_folder.h"

typedef struct rb_trace {
    revbifpn_hash mode;
    const rb_params *params;
    int steps_of_epoch;
    int gradients, tensors; /* hashes of gradients, and of these and weights together */
    uint64_t *hashes;       /* tensors; NULL: none are taken */
    int *trained;           /* gradients: index of each in the list */
    unsigned char *record;  /* of tensors.hash */
    rb_appender steps, tensor_file;
} rb_trace;

/* Takes memory; nothing is written yet. Zero the struct first; close it also after a failure. */
revbifpn_status rb_trace_open(rb_trace *t, const rb_params *params, revbifpn_hash mode,
                              rb_error *err) RB_CHECKED;
void rb_trace_close(rb_trace *t);
/* Opens the files of the run, cut to the steps before the place where the run stands. A file that is missing
 * is begun there; BAD_FILE for one that holds something else, or not the step before. */
revbifpn_status rb_trace_begin(rb_trace *t, const rb_run_folder *run, const rb_progress *place,
                               int steps_of_epoch, rb_error *err) RB_CHECKED;
/* Once the gradients of a step are complete, and before the update uses them up. */
void rb_trace_gradients(rb_trace *t, rb_pool *pool);
/* After the update: the weights, and the step is written down. The record's hashes are filled in. */
revbifpn_status rb_trace_step(rb_trace *t, rb_pool *pool, rb_step_record *record, rb_error *err) RB_CHECKED;
/* Before a checkpoint: what it follows from must not be lost. */
revbifpn_status rb_trace_sync(rb_trace *t, rb_error *err) RB_CHECKED;

#endif
