/* A trained detector as an ONNX graph, for inference. */
#ifndef RB_ONNX_DETECTOR_H
#define RB_ONNX_DETECTOR_H

#include "detect/detector.h"
#include "io/weights.h"
#include "onnx/layers.h"

/* Writes the detector to PATH for inputs "input": n,3,height,width, normalised; sides are multiples of 32 and
 * at least 64. Without o->dynamic_size they are those of a wide picture within info->detector's limits,
 * padded. Errors as rb_onnx_write has them; BAD_ARGUMENT for limits below 64, and when a class name is not
 * UTF-8.
 *
 * With o->heads n is free, and the outputs are those of the proposal network and what the heads read, for
 * each level i = 2 … 6: "p<i>" n,c,h,w, "objectness_p<i>" n,3,h,w (logits), "codes_p<i>" n,12,h,w.
 *
 * Else n is 1, a second input "size" (2: height, width; float32) tells what the picture covers of the first
 * one, and the outputs are "boxes" k,4, "scores" k, "labels" k (int64), by falling score, k ≤ 100; with a
 * mask head "masks" k,28,28: probabilities. */
revbifpn_status rb_onnx_export_detector(const rb_detector *detector, const rb_weights_info *info,
                                        const revbifpn_onnx_options *o, const char *path,
                                        rb_error *err) RB_CHECKED;

/* ---- parts; only src/onnx/ uses these ---- */

typedef struct rb_detector_exporter {
    rb_exporter e;
    const rb_detector *d;
    rb_onnx_name features[RB_PYRAMID_LEVELS];                             /* n,c,h,w */
    rb_onnx_name objectness[RB_PYRAMID_LEVELS], codes[RB_PYRAMID_LEVELS]; /* n,3,h,w  n,12,h,w */
    rb_onnx_name limit;      /* 4: width, height, width, height of the picture */
    unsigned lists, scalars; /* small whole numbers that are constants already, as bits */
} rb_detector_exporter;

typedef struct rb_onnx_layer {
    rb_onnx_name wgt, bias;
} rb_onnx_layer;

/* boxes.c */

/* Whole number 0 … 31 as a list of one, and without sides. */
rb_onnx_name rb_onnx_list(rb_detector_exporter *x, int value);
rb_onnx_name rb_onnx_scalar(rb_detector_exporter *x, int value);
/* PREFIX.PART */
rb_onnx_name rb_onnx_at(rb_onnx_name prefix, const char *part);
rb_onnx_name rb_onnx_gather(rb_detector_exporter *x, rb_onnx_name n, rb_onnx_name src, rb_onnx_name index,
                            int axis);
/* The `most` largest of a list (all, if fewer), equal ones in their order; their places: `index`. */
void rb_onnx_best(rb_detector_exporter *x, rb_onnx_name values, rb_onnx_name index, rb_onnx_name src,
                  int most);
/* Boxes (…,4) that codes (…,4; already times their deviations) lead to, clipped to the picture. */
rb_onnx_name rb_onnx_decode(rb_detector_exporter *x, rb_onnx_name prefix, rb_onnx_name from,
                            rb_onnx_name codes);
/* Of `boxes` (g,k,4) with `scores` (g,1,k) those that stand, at most `most` of each group: m,3, of which
 * column 0 is the group, column 2 the box. `least`: NULL for all scores. */
rb_onnx_name rb_onnx_suppress(rb_detector_exporter *x, rb_onnx_name prefix, rb_onnx_name boxes,
                              rb_onnx_name scores, int most, float overlap, const float *least);
/* RoIAlign of `boxes` (k,4), each on its level: k,c,size,size. */
rb_onnx_name rb_onnx_pool(rb_detector_exporter *x, rb_onnx_name prefix, rb_onnx_name boxes, int size);

/* proposals.c: k,4, by falling score. */
rb_onnx_name rb_onnx_proposals(rb_detector_exporter *x);

/* heads.c: the outputs. */
rb_onnx_layer rb_onnx_layer_of(rb_detector_exporter *x, rb_layer layer);
void rb_onnx_add_detections(rb_detector_exporter *x, rb_onnx_name proposals);

#endif
