#include "eval/hits.h"

#include <string.h>

/* Corners to x, y, width, height. */
static void to_box(const float corners[4], double box[4]) {
    for (int i = 0; i < 2; i++) {
        box[i] = (double)corners[i];
        box[2 + i] = (double)corners[2 + i] - (double)corners[i];
    }
}

/* The free object of the class that the box overlaps most; −1 when none by `least`. */
static int meet(const rb_truth *truth, const rb_detection *d, double least, const bool *taken) {
    double box[4], object[4];
    int met = -1;
    to_box(d->box, box);
    for (int i = 0; i < truth->count; i++) {
        if (taken[i] || truth->labels[i] != d->label) continue;
        to_box(truth->boxes + 4 * (size_t)i, object);
        double overlap = rb_box_iou(box, object, false);
        if (overlap < least) continue;
        least = overlap;
        met = i;
    }
    return met;
}

int rb_detect_hits(const rb_truth *truth, const rb_detections *detections, double least, double overlap,
                   bool *taken, int *found) {
    int hits = 0;
    *found = 0;
    memset(taken, 0, (size_t)truth->count * sizeof *taken);
    for (int i = 0; i < detections->count; i++) {
        if ((double)detections->at[i].score < least) continue;
        ++*found;
        int met = meet(truth, &detections->at[i], overlap, taken);
        if (met < 0) continue;
        taken[met] = true;
        hits++;
    }
    return hits;
}
