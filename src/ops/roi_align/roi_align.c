/* The calls, and the geometry of boxes. */
#include "ops/roi_align/roi_align.h"

#include <assert.h>
#include <math.h>

#include "ops/profile.h"

int rb_roi_level(const float roi[4]) {
    float level = floorf(log2f(sqrtf((roi[2] - roi[0]) * (roi[3] - roi[1])) / 56 + 1e-6f));
    return level >= 3 ? 3 : level > 0 ? (int)level : 0; /* 0 for what is not a number, too */
}

/* More samples a bin than any box has that was clipped to its picture. */
enum { MOST_SAMPLES = 1 << 12 };

rb_roi_line rb_roi_line_of(float low, float high, float scale, int bins) {
    rb_roi_line line = {.begin = low * scale - 0.5f};
    line.bin = ((high * scale - 0.5f) - line.begin) / (float)bins;
    if (line.bin > 0) line.grid = line.bin < MOST_SAMPLES ? (int)ceilf(line.bin) : MOST_SAMPLES;
    return line;
}

/* The cells of one bin: `weight` has room for what is left. */
static rb_roi_bin bin_of(rb_roi_line line, int bin, int size, float *weight) {
    int low = size, high = -1;
    for (int a = 0; a < line.grid; a++) {
        rb_roi_tap t = rb_roi_tap_at(rb_roi_sample(line, bin, a), size);
        if (t.near + t.far == 0) continue;
        if (t.low < low) low = t.low;
        if (t.high > high) high = t.high;
    }
    if (high < low) return (rb_roi_bin){0};
    for (int i = low; i <= high; i++) weight[i - low] = 0;
    for (int a = 0; a < line.grid; a++) {
        rb_roi_tap t = rb_roi_tap_at(rb_roi_sample(line, bin, a), size);
        if (t.near + t.far == 0) continue;
        weight[t.low - low] += t.near;
        weight[t.high - low] += t.far;
    }
    return (rb_roi_bin){low, high - low + 1, weight};
}

/* The cells of neighbouring bins overlap by two, or by one more where positions were rounded. */
rb_roi_span rb_roi_axis(rb_roi_line line, int bins, int size, rb_roi_bin *bin, float *room) {
    rb_roi_span span = {size, 0};
    size_t used = 0;
    for (int i = 0; i < bins; i++) {
        bin[i] = bin_of(line, i, size, room + used);
        if (!bin[i].count) continue;
        used += (size_t)bin[i].count;
        if (bin[i].low < span.first) span.first = bin[i].low;
        if (bin[i].low + bin[i].count > span.last) span.last = bin[i].low + bin[i].count;
    }
    assert(used <= rb_roi_axis_room(bins, size));
    return span;
}

static int whole(float at, int least, int most) {
    return at > (float)least ? at < (float)most ? (int)at : most : least;
}

rb_roi_reach rb_roi_reach_of(const rb_roi_align *r, int roi) {
    const float *box = r->rois + 4 * (size_t)roi;
    rb_roi_reach reach = {.level = rb_roi_level(box)};
    if (reach.level >= r->levels) reach.level = r->levels - 1;
    int h = r->shape[reach.level].h;
    rb_roi_line line = rb_roi_line_of(box[1], box[3], r->scale[reach.level], r->size);
    if (!line.grid) return reach;
    reach.rows.first = whole(floorf(line.begin) - 1, 0, h);
    reach.rows.last = whole(floorf(line.begin + line.bin * (float)r->size) + 3, 0, h);
    return reach;
}

static double bytes_of(const rb_roi_align *r) {
    return 8.0 * r->count * r->size * r->size * r->shape[0].c; /* as many cells as bins, about */
}

void rb_roi_align_forward(rb_exec *x, const rb_roi_align *r, float *dst) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = rb_arena_push(&x->scratch, x->ops->roi_align_scratch(r, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_ROI_ALIGN_FORWARD, 0, bytes_of(r),
           x->ops->roi_align_forward(r, dst, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_roi_align_backward(rb_exec *x, const rb_roi_align *r, const float *d_dst, float *const d_map[]) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = rb_arena_push(&x->scratch, x->ops->roi_align_scratch(r, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_ROI_ALIGN_BACKWARD, 0, 2 * bytes_of(r),
           x->ops->roi_align_backward(r, d_dst, d_map, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}
