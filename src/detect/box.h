/* Boxes: corners x1, y1, x2, y2 in pixels of the network's input, from the corner of its first pixel. In
 * float32 as the references count them (spec 7.1, 8), so that equal overlaps are equal here, too. */
#ifndef RB_DETECT_BOX_H
#define RB_DETECT_BOX_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Area of what both cover. */
static inline float rb_box_shared(const float a[4], const float b[4]) {
    float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    return w > 0 && h > 0 ? w * h : 0.0f;
}

static inline float rb_box_area(const float b[4]) { return (b[2] - b[0]) * (b[3] - b[1]); }

/* Intersection over union: I / max(A + B − I, 1e-6). */
static inline float rb_box_overlap(const float a[4], const float b[4]) {
    float shared = rb_box_shared(a, b), all = rb_box_area(a) + rb_box_area(b) - shared;
    return shared / fmaxf(all, 1e-6f);
}

/* The regression target of `from` towards `to`: the offset of the centres in sizes of `from`, the logarithms
 * of the sizes' ratios, each divided by its deviation. Sizes are positive. */
void rb_box_encode(const float from[4], const float to[4], const float deviation[4], float code[4]);
/* The box that a code leads to, clipped to width × height. Sizes change by a factor of 1000/16 at most. */
void rb_box_decode(const float from[4], const float code[4], const float deviation[4], float width,
                   float height, float box[4]);

/* Greedy suppression of `count` boxes by falling score: keep[i] tells whether no box before i that was kept
 * shares more than `threshold` of their union with it. Gives the number kept. */
int rb_box_suppress(const float *boxes, int count, float threshold, uint8_t *keep);

extern const float rb_deviation_rpn[4], rb_deviation_roi[4];
/* The logarithm of the largest change of a size that a code may ask for. */
extern const float rb_most_growth;

#endif
