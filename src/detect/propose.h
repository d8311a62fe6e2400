/* From the region proposal network's maps to the boxes that the heads look at (spec 9.2). No gradient. */
#ifndef RB_DETECT_PROPOSE_H
#define RB_DETECT_PROPOSE_H

#include "detect/anchors.h"

/* What the network says of one picture: per level h,w,3 and h,w,3·4. */
typedef struct rb_rpn_maps {
    const float *scores[RB_PYRAMID_LEVELS], *codes[RB_PYRAMID_LEVELS];
} rb_rpn_maps;

typedef struct rb_propose {
    const rb_anchors *anchors;
    int per_level, most; /* boxes with the best scores taken from a level, and given in the end */
    float threshold;     /* of suppression, by level */
} rb_propose;

/* boxes: most,4, by falling score; gives their number. The picture covers width × height of the input: boxes
 * are clipped to it, those without area left out. In a dry run only scratch is counted. */
int rb_propose_run(rb_exec *x, const rb_propose *p, const rb_rpn_maps *maps, int width, int height,
                   float *boxes);

/* Indices of the `most` largest of `count` scores (of all, if fewer), rising, into `out`; of equal ones the
 * first. Not-a-numbers are left out. `counts` is 2^16 of scratch. Gives their number. */
int rb_select_best(const float *scores, int count, int most, uint32_t *counts, int32_t *out);

#endif
