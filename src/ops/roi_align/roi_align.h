/* RoIAlign (He et al. 2017), aligned, average, as many samples a bin as it has cells: what a box sees of the
 * pyramid. In mmcv's and torchvision's terms aligned = true, sampling_ratio = 0.
 *
 * With a box scaled by 1/stride and moved by −½, bins of height b = (y2 − y1)/P and g = ⌈b⌉ samples in each:
 *   dst[i,j] = 1/max(g_y·g_x, 1) · Σ_{a,b} f(y1 + i·b_y + (a + ½)·b_y/g_y, x1 + j·b_x + (b + ½)·b_x/g_x)
 * f is bilinear, 0 where y < −1, y > h, x < −1 or x > w, and clamped to the map otherwise. Positions are
 * formed in float32, in this order, as there. A box without area gives 0, and so does one that is no number.
 * No gradient goes to the boxes.
 *
 * f is a product of a factor of y and one of x, its zeros too. So the samples of a row of bins amount to one
 * weight for each row of the map, those of a column of bins to one for each column: the fast way sums columns
 * first, once for each row of the map, then rows. */
#ifndef RB_OPS_ROI_ALIGN_H
#define RB_OPS_ROI_ALIGN_H

#include "ops/ops.h"

enum { RB_ROI_LEVELS = 4 };

typedef struct rb_roi_align {
    int levels;                    /* 1 … 4 */
    rb_shape shape[RB_ROI_LEVELS]; /* n,h,w,c of each: equal n and c */
    const float *map[RB_ROI_LEVELS];
    float scale[RB_ROI_LEVELS]; /* 1/stride */
    int size;                   /* P: dst has P×P bins */
    int count;
    const float *rois;    /* count,4: x1,y1,x2,y2 in pixels of the input */
    const int32_t *image; /* count: sample */
} rb_roi_align;

/* Which level a box reads: ⌊log2(√(w·h)/56 + 1e-6)⌋, in 0 … 3; so 0 below 112 pixels, 3 from 448 on. Where
 * there are fewer levels, the last instead. */
int rb_roi_level(const float roi[4]);

/* dst: count,P,P,c */
void rb_roi_align_forward(rb_exec *x, const rb_roi_align *r, float *dst);
/* d_map: added to. Each row of a map is the work of one task, which takes the boxes in their order. r->map is
 * not read. */
void rb_roi_align_backward(rb_exec *x, const rb_roi_align *r, const float *d_dst, float *const d_map[]);

/* ---- samples along one axis */

/* The P bins of a box along an axis, in cells of the map. */
typedef struct rb_roi_line {
    float begin, bin;
    int grid; /* samples a bin */
} rb_roi_line;
rb_roi_line rb_roi_line_of(float low, float high, float scale, int bins);

static inline float rb_roi_sample(rb_roi_line line, int bin, int sample) {
    return line.begin + (float)bin * line.bin + ((float)sample + 0.5f) * line.bin / (float)line.grid;
}

/* The two cells that a sample reads, and their weights: both 0 outside. */
typedef struct rb_roi_tap {
    int low, high;
    float near, far;
} rb_roi_tap;
static inline rb_roi_tap rb_roi_tap_at(float at, int size) {
    if (!(at >= -1 && at <= (float)size)) return (rb_roi_tap){0};
    if (at < 0) at = 0;
    int low = (int)at;
    if (low >= size - 1) return (rb_roi_tap){size - 1, size - 1, 1, 0};
    return (rb_roi_tap){low, low + 1, 1 - (at - (float)low), at - (float)low};
}

/* A bin's weights for the cells low … low + count − 1: summed over its samples, not divided by their number,
 * so that those of a bin between whole numbers are exact. */
typedef struct rb_roi_bin {
    int low, count;
    const float *weight;
} rb_roi_bin;
/* Cells first … last − 1. */
typedef struct rb_roi_span {
    int first, last;
} rb_roi_span;
/* Fills `bins` of an axis of `size` cells, and says which cells they read. `room`: rb_roi_axis_room floats.
 */
rb_roi_span rb_roi_axis(rb_roi_line line, int bins, int size, rb_roi_bin *bin, float *room);
static inline size_t rb_roi_axis_room(int bins, int size) { return (size_t)size + 4 * (size_t)bins; }

/* ---- kernels */

void rb_roi_align_forward_ref(const rb_roi_align *r, float *dst, void *scratch, rb_pool *pool);
void rb_roi_align_backward_ref(const rb_roi_align *r, const float *d_dst, float *const d_map[], void *scratch,
                               rb_pool *pool);

/* What a box reads: its level, and rows among which are all it reads. */
typedef struct rb_roi_reach {
    int level;
    rb_roi_span rows;
} rb_roi_reach;
rb_roi_reach rb_roi_reach_of(const rb_roi_align *r, int roi);

#endif
