#include "detect/anchors.h"

#include <math.h>

static void place_base(rb_anchors *a, int level) {
    static const double ratios[RB_ANCHORS_PER_CELL] = {0.5, 1, 2};
    for (int i = 0; i < RB_ANCHORS_PER_CELL; i++) {
        double side = 8.0 * rb_level_stride(level), root = sqrt(ratios[i]);
        float w = (float)(side / root / 2), h = (float)(side * root / 2);
        float *base = a->base[level][i];
        base[0] = -w;
        base[1] = -h;
        base[2] = w;
        base[3] = h;
    }
}

rb_anchors rb_anchors_of(int height, int width) {
    rb_anchors a = {0};
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        a.h[l] = height / 4 >> l; /* average pooling drops incomplete windows of level 0 */
        a.w[l] = width / 4 >> l;
        a.first[l + 1] = a.first[l] + a.h[l] * a.w[l] * RB_ANCHORS_PER_CELL;
        place_base(&a, l);
    }
    return a;
}

int rb_anchor_level(const rb_anchors *a, int index) {
    int level = 0;
    while (index >= a->first[level + 1]) level++;
    return level;
}

static void place(const rb_anchors *a, int level, int cell, int which, float box[4]) {
    const float *base = a->base[level][which];
    float x = (float)(cell % a->w[level] * rb_level_stride(level));
    float y = (float)(cell / a->w[level] * rb_level_stride(level));
    box[0] = base[0] + x;
    box[1] = base[1] + y;
    box[2] = base[2] + x;
    box[3] = base[3] + y;
}

void rb_anchor_box(const rb_anchors *a, int index, float box[4]) {
    int level = rb_anchor_level(a, index), in_level = index - a->first[level];
    place(a, level, in_level / RB_ANCHORS_PER_CELL, in_level % RB_ANCHORS_PER_CELL, box);
}

void rb_anchors_fill(rb_exec *x, const rb_anchors *a, float *boxes) {
    if (x->dry) return;
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++)
        for (int cell = 0; cell < a->h[l] * a->w[l]; cell++)
            for (int i = 0; i < RB_ANCHORS_PER_CELL; i++, boxes += 4) place(a, l, cell, i, boxes);
}

void rb_anchors_valid(const rb_anchors *a, int height, int width, uint8_t *valid) {
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        int stride = rb_level_stride(l), h = (height + stride - 1) / stride,
            w = (width + stride - 1) / stride;
        for (int y = 0; y < a->h[l]; y++)
            for (int x = 0; x < a->w[l]; x++)
                for (int i = 0; i < RB_ANCHORS_PER_CELL; i++) *valid++ = y < h && x < w;
    }
}
