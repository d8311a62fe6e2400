/* What a detector's run has of its own. Only src/train/ includes this. */
#ifndef RB_TRAIN_DETECT_H
#define RB_TRAIN_DETECT_H

#include "data/detect_loader.h"
#include "detect/detector.h"
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
} rb_detect_run;

#endif
