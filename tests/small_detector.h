/* A small detector of a network that nobody published, with weights by the golden formula: norms with
 * statistics of their own, values of trained size. */
#ifndef RB_TESTS_SMALL_DETECTOR_H
#define RB_TESTS_SMALL_DETECTOR_H

#include "detect/detector.h"
#include "io/weights.h"

/* Limits 640 × 512: room for boxes of all four levels. */
revbifpn_detector_config small_detector_config(int classes, bool masks);
/* With weights; the test fails when that fails. Closed with rb_detector_close. Proposals are 2.7 times as
 * large as anchors, so that boxes are of all sizes. */
void small_detector_open(rb_detector *d, const revbifpn_detector_config *config);
/* What a weights file says of it, without names of classes. */
rb_weights_info small_detector_info(const rb_detector *d);
void small_detector_save(const char *path, const rb_detector *d);

#endif
