/* Adjoint of bilinear upsampling: a task takes the target rows that read its low rows, pixel after pixel as
 * they lie in memory. The targets between two low columns are summed in registers, once for each of the two;
 * a low column is whole when its right neighbours are summed, and goes into the two low rows that the target
 * row reads. Each low row is thus a sum over its target rows in order, whatever the tasks are. */
#include "ops/ops_simd.h"
#include "ops/resample/bilinear.h"
#include "ops/simd/tile.h"

enum { PARTS = 16 }; /* tasks, about; at their common border target rows are read twice */

typedef struct plan {
    size_t stride; /* floats of a pixel: the channels, filled up to whole vectors */
    size_t block;  /* low rows a task has, at most */
    size_t blocks; /* tasks a sample */
    size_t local;  /* floats a thread: the sums that wait for their right neighbours, and a row for nobody */
    size_t taps, locals, total;
} plan;

static plan plan_of(rb_shape low, int factor, int threads) {
    plan x = {.stride = round_up((size_t)low.c, VL)};
    x.block =
        size_clamp(ceil_div((size_t)low.n * (size_t)low.h, PARTS), size_min(4, (size_t)low.h), (size_t)low.h);
    x.blocks = ceil_div((size_t)low.h, x.block);
    x.local = x.stride + (size_t)low.w * (size_t)low.c;
    x.taps = take(&x.total, (size_t)low.w * (size_t)factor * sizeof(rb_bilinear_tap));
    x.locals = take(&x.total, (size_t)threads * x.local * sizeof(float));
    return x;
}

size_t RB_LEVEL(rb_upsample_backward_scratch)(rb_shape low, int factor, int threads) {
    return plan_of(low, factor, threads).total;
}

typedef struct job {
    rb_shape low;
    size_t factor, ld;
    plan x;
    const float *d;
    float *d_low, *locals;
    const rb_bilinear_tap *taps; /* one a target column */
} job;

/* The two low rows that a target row is added to, and the weight of the second. */
typedef struct low_rows {
    float *above, *below;
    float part;
} low_rows;

/* One channel vector of low column x: `count` targets between it and its right neighbour. `carry`: what the
 * targets on its left gave it; then what these give the neighbour. */
RB_INLINE void add_column(const float *d, size_t ld, const rb_bilinear_tap *taps, size_t count, bool last,
                          float *carry, float *above, float *below, float part, size_t n) {
    vf left = vf_load(carry), right = vf_zero();
    for (size_t i = 0; i < count; i++, d += ld) {
        vf value = vf_load_n(d, n), weight = vf_set1(taps[i].part);
        left = vf_fma(vf_sub(vf_set1(1), weight), value, left);
        right = vf_fma(weight, value, right);
    }
    if (last) left = vf_add(left, right);
    vf_store(carry, right);
    vf_store_n(above, vf_fma(vf_set1(1 - part), left, vf_load_n(above, n)), n);
    vf_store_n(below, vf_fma(vf_set1(part), left, vf_load_n(below, n)), n);
}

/* Adds a target row (d) to its low rows. */
RB_TARGET static void add_row(const job *j, const float *d, low_rows to, float *carry) {
    size_t w = (size_t)j->low.w, channels = (size_t)j->low.c, whole = channels / VL * VL, from = 0;
    memset(carry, 0, j->x.stride * sizeof *carry);
    for (size_t x = 0; x < w; x++, to.above += channels, to.below += channels) {
        size_t past = from;
        while (past < w * j->factor && (size_t)j->taps[past].low == x) past++;
        const float *at = d + from * j->ld;
        const rb_bilinear_tap *taps = j->taps + from;
        fetch(at, FETCH_READ, (past - from) * j->ld);
        for (size_t c = 0; c < whole; c += VL)
            add_column(at + c, j->ld, taps, past - from, x + 1 == w, carry + c, to.above + c, to.below + c,
                       to.part, VL);
        if (whole < channels)
            add_column(at + whole, j->ld, taps, past - from, x + 1 == w, carry + whole, to.above + whole,
                       to.below + whole, to.part, channels - whole);
        from = past;
    }
}

static void block_task(void *arg, int task, int thread) {
    const job *j = arg;
    int f = (int)j->factor, h = j->low.h, first = task % (int)j->x.blocks * (int)j->x.block;
    int rows = (int)size_min(j->x.block, (size_t)(h - first)), sample = task / (int)j->x.blocks;
    size_t low_row = (size_t)j->low.w * (size_t)j->low.c, row = (size_t)j->low.w * j->factor * j->ld;
    float *carry = j->locals + (size_t)thread * j->x.local, *nobody = carry + j->x.stride;
    float *to = j->d_low + (size_t)(sample * h + first) * low_row;
    memset(to, 0, (size_t)rows * low_row * sizeof *to);
    memset(nobody, 0, low_row * sizeof *nobody);
    int last = rb_bilinear_last(first + rows - 1, f, h);
    for (int ty = rb_bilinear_first(first, f); ty <= last; ty++) {
        rb_bilinear_tap t = rb_bilinear_at(ty, f, h);
        bool above = t.low >= first && t.low < first + rows, below = t.high >= first && t.high < first + rows;
        if (!above && !below) continue;
        low_rows pair = {above ? to + (size_t)(t.low - first) * low_row : nobody,
                         below ? to + (size_t)(t.high - first) * low_row : nobody, t.part};
        add_row(j, j->d + (size_t)(sample * h * f + ty) * row, pair, carry);
    }
}

void RB_LEVEL(rb_upsample_backward)(rb_shape low, int factor, const float *d, int ld, float *d_low,
                                    void *scratch, rb_pool *pool) {
    plan x = plan_of(low, factor, rb_pool_threads(pool));
    rb_bilinear_tap *taps = (rb_bilinear_tap *)(void *)((unsigned char *)scratch + x.taps);
    for (int i = 0; i < low.w * factor; i++) taps[i] = rb_bilinear_at(i, factor, low.w);
    job j = {low, (size_t)factor, (size_t)ld, x, d, d_low, floats_at(scratch, x.locals), taps};
    rb_pool_run(pool, low.n * (int)x.blocks, block_task, &j);
}
