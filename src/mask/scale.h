/* Masks of a picture that is resized, cut and perhaps mirrored: every result pixel takes one source pixel,
 * whole columns and rows at a time, so the runs of a mask are moved and never drawn. */
#ifndef RB_MASK_SCALE_H
#define RB_MASK_SCALE_H

#include "mask/mask.h"

/* What is done: the mask is resized to width × height, of that a part is taken, perhaps mirrored, and put
 * into a mask of to_width × to_height, which is larger or as large. */
typedef struct rb_mask_change {
    uint32_t height, width;
    uint32_t top, left, part_height, part_width; /* the part */
    bool mirror;                                 /* its left and right exchanged */
    uint32_t y, x;                               /* where its first row and column come to lie … */
    uint32_t to_height, to_width;                /* … in a mask of that size */
} rb_mask_change;

/* The sources of result columns and rows, which never fall. Memory is used again and again; zeroed at first.
 */
typedef struct rb_mask_scale {
    uint32_t height, width; /* of masks that are changed */
    rb_mask_change change;
    uint32_t *column; /* part_width: its source */
    uint32_t *row;    /* height + 1: the first row of the part whose source is this row or a later one */
    size_t column_room, row_room;
} rb_mask_scale;

/* `source(n, m, i)`: which of n pixels result i of m takes. Sides as rb_mask_size_fits. OUT_OF_MEMORY. */
revbifpn_status rb_mask_scale_set(rb_mask_scale *s, uint32_t height, uint32_t width,
                                  const rb_mask_change *change, int (*source)(int n, int m, int i),
                                  rb_error *err) RB_CHECKED;
/* `mask` has the size that was set; `out` is cleared first. out->failed when memory is out. */
void rb_mask_scale_run(const rb_mask_scale *s, rb_mask mask, rb_spans *out);
void rb_mask_scale_close(rb_mask_scale *s);

#endif
