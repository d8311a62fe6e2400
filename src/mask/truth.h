/* What a detector learns from one picture: its objects, in the pixels of the network's input. */
#ifndef RB_MASK_TRUTH_H
#define RB_MASK_TRUTH_H

#include "mask/mask.h"

/* Borrows all of it. Boxes are corners x1, y1, x2, y2, clipped to the picture, of positive width and height;
 * masks have the size of the picture, without its padding. */
typedef struct rb_truth {
    int width, height; /* of the picture, without padding */
    int count;
    const float *boxes;    /* count,4 */
    const int32_t *labels; /* count: 0 … classes − 1 */
    const rb_mask *masks;  /* count; NULL when no masks are wanted */
} rb_truth;

#endif
