/* The boxes that the region proposal network starts from (spec 6): at each cell of each level of the feature
 * pyramid three of them, of 8 strides' size and height to width ½, 1, 2, around the cell's first corner. */
#ifndef RB_DETECT_ANCHORS_H
#define RB_DETECT_ANCHORS_H

#include "ops/ops.h"

enum { RB_PYRAMID_LEVELS = 5, RB_ANCHORS_PER_CELL = 3 };

typedef struct rb_anchors {
    int h[RB_PYRAMID_LEVELS], w[RB_PYRAMID_LEVELS];
    int first[RB_PYRAMID_LEVELS + 1]; /* index of a level's first anchor; the last one: how many there are */
    float base[RB_PYRAMID_LEVELS][RB_ANCHORS_PER_CELL][4];
} rb_anchors;

/* Pixels of the input per cell: 4, 8, 16, 32, 64. */
static inline int rb_level_stride(int level) { return 4 << level; }

/* For an input of that size: level 0 has a quarter of its side, each next the half of the one before, rounded
 * down from level 0. */
rb_anchors rb_anchors_of(int height, int width);
/* Anchor `index`; cells row after row, then ½, 1, 2. */
void rb_anchor_box(const rb_anchors *anchors, int index, float box[4]);
/* All of them, count,4. */
void rb_anchors_fill(rb_exec *x, const rb_anchors *anchors, float *boxes);
/* The level that an anchor belongs to. */
int rb_anchor_level(const rb_anchors *anchors, int index);
/* valid[i]: whether the anchor's cell lies on a picture that covers height × width of the input, with
 * padding of its own but without that of its batch. */
void rb_anchors_valid(const rb_anchors *anchors, int height, int width, uint8_t *valid);

#endif
