/* Between masks of pictures and the 28 × 28 numbers of the mask head (He et al. 2017). */
#ifndef RB_OPS_MASK_HEAD_H
#define RB_OPS_MASK_HEAD_H

#include "mask/mask.h"
#include "ops/ops.h"

enum { RB_MASK_SIDE = 28 };

/* What boxes shall learn: each box, clipped to 0 … width and 0 … height, which are the sides of the picture
 * with its padding, is laid over the mask of its object by RoIAlign (roi_align/roi_align.h) at scale 1 into
 * 28 × 28 bins; 1 where a bin is ½ or more. Masks have the size of the picture without padding, or any up to
 * width × height, and are 0 beyond it. */
typedef struct rb_mask_targets {
    int count, width, height;
    const rb_mask *masks; /* count: the box's own */
    const float *rois;    /* count,4: x1, y1, x2, y2 */
} rb_mask_targets;
/* target: count,28,28. Scratch depends on width and height alone; masks and rois are not read in a dry run.
 */
void rb_mask_target(rb_exec *x, const rb_mask_targets *t, uint8_t *target);

/* The mask of a box in a picture of width × height (such that rb_mask_size_fits): 28 × 28 probabilities, row
 * by row, are spread over the box, so that the centre of pixel x has coordinate 28·(x + ½ − x1)/(x2 − x1) − ½
 * among them; bilinear, 0 outside the 28 × 28; set from ½ on. A box without area, or one that is no number,
 * gives an empty mask. Into `out`, which is cleared first; out->failed tells that memory ran out. */
void rb_mask_paste(const float *probabilities, const float box[4], int width, int height, rb_spans *out);

#endif
