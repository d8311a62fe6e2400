/* Masks of a picture that is resized and perhaps mirrored: every result pixel takes one source pixel, whole
 * columns and rows at a time, so the runs of a mask are moved and never drawn. */
#ifndef RB_MASK_SCALE_H
#define RB_MASK_SCALE_H

#include "mask/mask.h"

/* The sources of result columns and rows, which never fall. Memory is used again and again; zeroed at first.
 */
typedef struct rb_mask_scale {
    uint32_t height, width, to_height, to_width;
    bool mirror;      /* left and right exchanged, afterwards */
    uint32_t *column; /* to_width: its source */
    uint32_t *row;    /* height + 1: the first result row whose source is this row or a later one */
    size_t column_room, row_room;
} rb_mask_scale;

/* `source(n, m, i)`: which of n pixels result i of m takes. Sides as rb_mask_size_fits. OUT_OF_MEMORY. */
revbifpn_status rb_mask_scale_set(rb_mask_scale *s, uint32_t height, uint32_t width, uint32_t to_height,
                                  uint32_t to_width, bool mirror, int (*source)(int n, int m, int i),
                                  rb_error *err) RB_CHECKED;
/* `mask` has the size that was set; `out` is cleared first. out->failed when memory is out. */
void rb_mask_scale_run(const rb_mask_scale *s, rb_mask mask, rb_spans *out);
void rb_mask_scale_close(rb_mask_scale *s);

#endif
