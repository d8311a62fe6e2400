/* What a detector's run has of its own. Only src/train/ includes this. */
#ifndef RB_TRAIN_DETECT_H
#define RB_TRAIN_DETECT_H

#include "data/detect_loader.h"
#include "detect/detector.h"
#include "eval/detections.h"
#include "report/detect_page.h"
#include "train/task.h"

typedef struct rb_detect_run {
    int given_classes; /* by the arguments; 0: whatever the data has */
    rb_objects data;
    rb_detect_loader *loader; /* of the training split */
    rb_detect_loader_options train_options, val_options;
    rb_detect_plan train_plan, val_plan;
    rb_detector detector;
    rb_patch *padding; /* of a batch */
    rb_truth *truth;   /* batch */
    size_t told;       /* unusable files already reported */
    bool validated;    /* in this process: its files have been reported */
    rb_shots shots; /* for the report: pictures of the last batch looked at and of the last validation, … */
    rb_precision box_precision, mask_precision; /* … and that validation's curves */
} rb_detect_run;

/* record_detect.c: what the report shows. Keeps some pictures of a batch that is about to be trained on. */
revbifpn_status rb_record_detect_batch(rb_trainer *t, const rb_detect_batch *batch, rb_error *err) RB_CHECKED;
/* Before a validation; each of its pictures (`trainer` is the rb_trainer); its scores, with curves. */
void rb_record_detect_start(rb_trainer *t);
revbifpn_status rb_record_detected(void *trainer, const rb_detected *one, rb_error *err) RB_CHECKED;
void rb_record_detect_scores(rb_trainer *t, const rb_detect_scores *scores);
/* Writes report.html. */
revbifpn_status rb_record_detect(rb_trainer *t, const revbifpn_report *r, rb_error *err) RB_CHECKED;

#endif
