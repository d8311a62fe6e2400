/* What a run shows of itself: report.html, and event files for TensorBoard. Nothing of it is needed to go on:
 * a file that cannot be written costs a line in the log, not the run. Runs out of memory as anything else. */
#ifndef RB_TRAIN_RECORD_H
#define RB_TRAIN_RECORD_H

#include "data/loader.h"
#include "eval/evaluate.h"
#include "io/events.h"
#include "report/report.h"

typedef struct rb_record {
    rb_collection collection; /* of the last validation, and the last epoch's first batch */
    rb_events *events;        /* NULL: none are written */
    rb_speed *speeds;         /* of the epochs of this process */
    int speed_count, speed_room;
    double pictures, step_ms, wait_ms; /* of this epoch in this process */
} rb_record;

struct rb_trainer;
struct rb_facts;
/* When the place in the run is known. */
revbifpn_status rb_record_open(struct rb_trainer *t, rb_error *err) RB_CHECKED;
void rb_record_close(rb_record *record);
/* Keeps some pictures of a batch that is about to be trained on. */
revbifpn_status rb_record_batch(struct rb_trainer *t, const rb_batch *batch, const rb_images *images,
                                rb_error *err) RB_CHECKED;
/* A picture of the validation; `trainer` is the rb_trainer. */
revbifpn_status rb_record_judged(void *trainer, const rb_judgement *judgement, rb_error *err) RB_CHECKED;
/* After a step, before validation; and after validation, when results.csv has the epoch. */
revbifpn_status rb_record_step(struct rb_trainer *t, const revbifpn_report *r, rb_error *err) RB_CHECKED;
revbifpn_status rb_record_epoch(struct rb_trainer *t, const revbifpn_report *r, rb_error *err) RB_CHECKED;
/* What the pages of all runs begin with, for report.html; `arguments` and `environment` are closed by the
 * caller, also after a failure. */
revbifpn_status rb_record_page(struct rb_trainer *t, const char *summary, struct rb_facts *arguments,
                               struct rb_facts *environment, rb_page *out, rb_error *err) RB_CHECKED;
/* A classifier's part of that: report.html. */
revbifpn_status rb_record_classify(struct rb_trainer *t, const revbifpn_report *r, rb_error *err) RB_CHECKED;
/* A file that could not be written is told once, in the log, and then all is well. */
revbifpn_status rb_record_excuse(struct rb_trainer *t, revbifpn_status status,
                                 const rb_error *err) RB_CHECKED;

#endif
