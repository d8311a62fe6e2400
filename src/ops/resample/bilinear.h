/* Bilinear upsampling by an integer factor with half-pixel centres (no corner alignment), one axis:
 * target t reads at (t + ½)/factor − ½, clamped at 0: rows `low`, `low`+1 (the last row repeats) with weights
 * 1 − part, part. Same arithmetic on every level. */
#ifndef RB_OPS_BILINEAR_H
#define RB_OPS_BILINEAR_H

#include <math.h>

typedef struct rb_bilinear_tap {
    int low, high;
    float part;
} rb_bilinear_tap;

static inline rb_bilinear_tap rb_bilinear_at(int target, int factor, int size) {
    float at = ((float)target + 0.5f) / (float)factor - 0.5f;
    if (at < 0) at = 0;
    int low = (int)at;
    if (low > size - 1) low = size - 1;
    return (rb_bilinear_tap){low, low + 1 < size ? low + 1 : low, at - (float)low};
}

/* The value between two neighbours. */
static inline float rb_bilinear_between(float low, float high, float part) {
    return fmaf(part, high - low, low);
}

/* Weight of source `source` in target `target`. */
static inline float rb_bilinear_weight(int target, int source, int factor, int size) {
    rb_bilinear_tap t = rb_bilinear_at(target, factor, size);
    return (t.low == source ? 1 - t.part : 0) + (t.high == source ? t.part : 0);
}

/* The targets that may read `source`: first … last inclusive. */
static inline int rb_bilinear_first(int source, int factor) {
    int first = (source - 1) * factor;
    return first < 0 ? 0 : first;
}
static inline int rb_bilinear_last(int source, int factor, int size) {
    int last = (source + 2) * factor - 1;
    return last < size * factor ? last : size * factor - 1;
}

#endif
