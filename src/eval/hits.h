/* How many of a picture's detections are right. */
#ifndef RB_EVAL_HITS_H
#define RB_EVAL_HITS_H

#include "detect/detector.h"

/* Of the detections with a score of `least` or more (*found of them), in falling order of score, each takes
 * of the objects of its class that are still free the one it overlaps most, by `overlap` or more. Gives how
 * many have one. Crowd regions are not among the objects of a picture, so what lies in one counts as wrong.
 * `taken`: room for a flag of each object. */
int rb_detect_hits(const rb_truth *truth, const rb_detections *detections, double least, double overlap,
                   bool *taken, int *found);

#endif
