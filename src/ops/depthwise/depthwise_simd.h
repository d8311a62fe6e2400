/* Depthwise convolution. Tasks are blocks of rows times blocks of channels. The map that a task reads is
 * formed once, by the prologue, into planes of one channel vector each ([vector][row][column][VL]) with a
 * border of zeros; then every product is the same loop: neighbouring results, in registers, over a list of
 * taps.
 *
 * Forward: one list, result (y, x) reads at (y·s + ky, x·s + kx) of the bordered input.
 * Data gradient: d_src[s·Y + ry, s·X + rx] reads d_dst at (Y + (ry + pad − ky)/s, X + (rx + pad − kx)/s)
 * where both divide: one list of taps for each residue class (ry, rx), k² taps in all, neighbours X
 * contiguous in d_dst. Weight gradient: the same lists: d_wgt[tap] = Σ src[s·Y + ry, s·X + rx]·d_dst[Y + …, X
 * + …]. */
#include "ops/ops_simd.h"
#include "ops/simd/sums.h"

enum {
    PLANES = 64 / VL,       /* at most so many vectors a block of channels */
    FORWARD_FLOATS = 65536, /* what the planes of a task should fit in */
    BACKWARD_FLOATS = 65536,
    TILE = VL,  /* results in registers at most */
    GROUP = 9,  /* taps in registers, weight gradient */
    SPLITS = 16 /* of the weight gradient's sum over blocks of rows */
};

typedef struct plan {
    size_t n, h, w, c, oh, ow, k, s, pad, taps;
    size_t vectors, planes, cblocks; /* channel vectors; of a block at most; blocks */
    size_t rows, rblocks, items;     /* output rows of a block; blocks a sample; n·rblocks */
    size_t low, high;                /* border of d_dst, before and after */
    size_t columns, plane;           /* of the bordered map; floats of a plane */
    size_t src_plane, thread_floats; /* backward: floats of a plane of src; of all planes of a thread */
    size_t splits;
    size_t packed, offsets, order, starts, buffers, moments[3], slots, partials, total;
} plan;

static plan plan_common(const rb_depthwise *p) {
    rb_shape in = p->src.shape, out = rb_depthwise_shape(p);
    plan x = {.n = (size_t)in.n,
              .h = (size_t)in.h,
              .w = (size_t)in.w,
              .c = (size_t)in.c,
              .oh = (size_t)out.h,
              .ow = (size_t)out.w,
              .k = (size_t)p->kernel,
              .s = (size_t)p->stride};
    x.pad = (x.k - 1) / 2, x.taps = x.k * x.k;
    x.vectors = ceil_div(x.c, VL), x.planes = size_min(x.vectors, PLANES);
    return x;
}

/* Blocks of `rows` output rows, evenly, and not so large that there are few tasks. */
static void plan_blocks(plan *x, size_t rows) {
    rows = size_clamp(rows, 1, x->oh);
    while (rows > 1 && x->n * ceil_div(x->oh, rows) * x->cblocks < SPLITS) rows = (rows + 1) / 2;
    x->rblocks = ceil_div(x->oh, rows), x->rows = ceil_div(x->oh, x->rblocks);
    x->rblocks = ceil_div(x->oh, x->rows), x->items = x->n * x->rblocks;
}

static void plan_shared(plan *x, int threads) {
    x->packed = take(&x->total, x->vectors * x->taps * VL * sizeof(float));
    x->offsets = take(&x->total, x->taps * sizeof(size_t));
    x->order = take(&x->total, x->taps * sizeof(size_t));
    x->starts = take(&x->total, (x->s * x->s + 1) * sizeof(size_t));
    x->buffers = take(&x->total, (size_t)threads * x->thread_floats * sizeof(float));
}

static plan plan_forward(const rb_depthwise *p, int threads) {
    plan x = plan_common(p);
    x.columns = (x.ow - 1) * x.s + x.k;
    while (x.planes > 1 && x.k * x.columns * x.planes * VL > FORWARD_FLOATS) x.planes--;
    x.cblocks = ceil_div(x.vectors, x.planes), x.planes = ceil_div(x.vectors, x.cblocks);
    size_t fit = FORWARD_FLOATS / (x.columns * x.planes * VL);
    plan_blocks(&x, fit > x.k ? (fit - x.k) / x.s + 1 : 1);
    x.plane = ((x.rows - 1) * x.s + x.k) * x.columns * VL;
    x.thread_floats = x.plane * x.planes;
    plan_shared(&x, threads);
    take_moments(&x.total, x.items, x.vectors * VL, x.moments);
    return x;
}

static plan plan_backward(const rb_depthwise *p, int threads) {
    plan x = plan_common(p);
    x.low = x.pad / x.s, x.high = (x.s - 1 + x.pad) / x.s;
    x.columns = x.ow + x.low + x.high;
    size_t row = (x.columns + x.s * x.w) * VL, border = (x.low + x.high) * x.columns * VL;
    while (x.planes > 1 && (row + border) * x.planes > BACKWARD_FLOATS) x.planes--;
    x.cblocks = ceil_div(x.vectors, x.planes), x.planes = ceil_div(x.vectors, x.cblocks);
    size_t fit = BACKWARD_FLOATS / x.planes;
    plan_blocks(&x, fit > border ? (fit - border) / row : 1);
    x.plane = (x.rows + x.low + x.high) * x.columns * VL;
    x.src_plane = x.rows * x.s * x.w * VL;
    x.thread_floats = (x.plane + x.src_plane) * x.planes;
    x.splits = size_min(SPLITS, x.items);
    plan_shared(&x, threads);
    x.slots = take(&x.total, x.items * RB_ACT_SUMS * x.vectors * VL * sizeof(double));
    x.partials = take(&x.total, x.splits * x.vectors * x.taps * VL * sizeof(float));
    return x;
}

typedef struct job {
    const rb_depthwise *p;
    plan x;
    void *scratch;
    float *dst;
    rb_moments moments;
    const rb_gradient *d_dst;
    float *d_wgt;
    const rb_sink *sink;
} job;

static size_t *sizes_at(void *scratch, size_t offset) {
    return (size_t *)(void *)((unsigned char *)scratch + offset);
}
static float *planes_of(const job *j, int thread) {
    return floats_at(j->scratch, j->x.buffers) + (size_t)thread * j->x.thread_floats;
}

/* Channels of a block of channels. */
typedef struct channels {
    size_t v, vectors, c, cn;
} channels;
static channels channels_of(const plan *x, size_t block) {
    channels b = {.v = x->vectors * block / x->cblocks};
    b.vectors = x->vectors * (block + 1) / x->cblocks - b.v;
    b.c = b.v * VL, b.cn = size_min(b.vectors * VL, x->c - b.c);
    return b;
}

/* ---- the tap lists: where each tap reads (offset into a plane), which tap it is, and its weights as
 * [vector][place in the list][VL] */

static void add_tap(const job *j, size_t at, size_t tap, size_t offset) {
    const plan *x = &j->x;
    sizes_at(j->scratch, x->offsets)[at] = offset;
    sizes_at(j->scratch, x->order)[at] = tap;
    float *to = floats_at(j->scratch, x->packed) + at * VL;
    for (size_t c = 0; c < x->vectors * VL; c++)
        to[c / VL * x->taps * VL + c % VL] = c < x->c ? j->p->wgt[c * x->taps + tap] : 0;
}

static void list_forward(const job *j) {
    const plan *x = &j->x;
    for (size_t tap = 0; tap < x->taps; tap++)
        add_tap(j, tap, tap, (tap / x->k * x->columns + tap % x->k) * VL);
}

/* Where tap k of residue r reads, in the bordered d_dst; SIZE_MAX where the stride does not divide. */
static size_t tap_reads(const plan *x, size_t r, size_t k) {
    size_t at = r + x->pad + x->low * x->s;
    return at >= k && (at - k) % x->s == 0 ? (at - k) / x->s : SIZE_MAX;
}

/* The lists of all residue classes, one after the other; starts[class] is where each begins. */
static void list_backward(const job *j) {
    const plan *x = &j->x;
    size_t *starts = sizes_at(j->scratch, x->starts), at = 0;
    for (size_t class = 0; class < x->s * x->s; class ++) {
        starts[class] = at;
        for (size_t ky = 0; ky < x->k; ky++) {
            size_t row = tap_reads(x, class / x->s, ky);
            for (size_t kx = 0; kx < x->k && row != SIZE_MAX; kx++) {
                size_t column = tap_reads(x, class % x->s, kx);
                if (column != SIZE_MAX) add_tap(j, at++, ky * x->k + kx, (row * x->columns + column) * VL);
            }
        }
    }
    starts[x->s * x->s] = at;
}

/* ---- the product over a list of taps */

typedef struct tap_list {
    const size_t *offset;
    const float *wgt; /* count, VL */
    size_t count;
} tap_list;

/* t neighbouring results of one channel vector; neighbours lie `step` floats apart in `in`, `pitch` in dst.
 */
RB_INLINE void taps_t(tap_list l, const float *in, const size_t step, float *dst, size_t pitch, size_t n,
                      bool accumulate, const size_t t) {
    vf sum[TILE];
    RB_UNROLL
    for (size_t i = 0; i < t; i++) sum[i] = vf_zero();
    for (size_t tap = 0; tap < l.count; tap++) {
        const float *from = in + l.offset[tap];
        vf wgt = vf_load(l.wgt + tap * VL);
        RB_UNROLL
        for (size_t i = 0; i < t; i++) sum[i] = vf_fma(vf_load(from + i * step), wgt, sum[i]);
    }
    RB_UNROLL
    for (size_t i = 0; i < t; i++) {
        float *to = dst + i * pitch;
        vf_store_n(to, accumulate ? vf_add(vf_load_n(to, n), sum[i]) : sum[i], n);
    }
}

#define RB_TAPS_CASE(t)                                                                                      \
    case t: taps_t(l, in, step, dst, pitch, n, accumulate, t); break
/* A row of `count` results, in tiles of nearly equal size. */
RB_INLINE void taps_row(tap_list l, const float *in, const size_t step, float *dst, size_t pitch, size_t n,
                        bool accumulate, size_t count) {
    size_t tiles = ceil_div(count, TILE);
    for (size_t i = 0, done = 0; i < tiles; i++) {
        size_t t = count * (i + 1) / tiles - done;
        switch (t) {
            RB_TAPS_CASE(1);
            RB_TAPS_CASE(2);
            RB_TAPS_CASE(3);
            RB_TAPS_CASE(4);
            RB_TAPS_CASE(5);
            RB_TAPS_CASE(6);
            RB_TAPS_CASE(7);
#if RB_WIDE
            RB_TAPS_CASE(8);
            RB_TAPS_CASE(9);
            RB_TAPS_CASE(10);
            RB_TAPS_CASE(11);
            RB_TAPS_CASE(12);
            RB_TAPS_CASE(13);
            RB_TAPS_CASE(14);
            RB_TAPS_CASE(15);
#endif
        default: taps_t(l, in, step, dst, pitch, n, accumulate, TILE); break;
        }
        done += t, in += t * step, dst += t * pitch;
    }
}
RB_TARGET static void taps_row_dense(tap_list l, const float *in, float *dst, size_t pitch, size_t n,
                                     bool accumulate, size_t count) {
    taps_row(l, in, VL, dst, pitch, n, accumulate, count);
}
RB_TARGET static void taps_row_strided(tap_list l, const float *in, size_t step, float *dst, size_t pitch,
                                       size_t n, size_t count) {
    taps_row(l, in, step, dst, pitch, n, false, count);
}

/* ---- forward */

/* Zeros in `count` pixels of a row of every plane. */
static void clear_pixels(const plan *x, channels b, float *to, size_t count) {
    for (size_t v = 0; v < b.vectors; v++) memset(to + v * x->plane, 0, count * VL * sizeof *to);
}

static void stage_forward(const job *j, size_t sample, size_t y0, size_t rows, channels b, float *planes) {
    const plan *x = &j->x;
    size_t count = size_min(x->w, x->columns - x->pad), last = (rows - 1) * x->s + x->k;
    for (size_t row = 0; row < last; row++) {
        float *to = planes + row * x->columns * VL;
        size_t y = y0 * x->s + row; /* in bordered rows */
        if (y < x->pad || y - x->pad >= x->h) {
            clear_pixels(x, b, to, x->columns);
            continue;
        }
        clear_pixels(x, b, to, x->pad);
        load_source(&j->p->src, (sample * x->h + y - x->pad) * x->w, count, b.c, b.cn, to + x->pad * VL, VL,
                    x->plane);
        clear_pixels(x, b, to + (x->pad + count) * VL, x->columns - x->pad - count);
    }
}

static void forward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t item = (size_t)task / x->cblocks, sample = item / x->rblocks;
    size_t y0 = item % x->rblocks * x->rows, rows = size_min(x->rows, x->oh - y0);
    channels b = channels_of(x, (size_t)task % x->cblocks);
    float *planes = planes_of(j, thread), *dst = j->dst + (sample * x->oh + y0) * x->ow * x->c + b.c;
    moment_slots m = moments_at(j->scratch, x->moments, x->vectors * VL);
    stage_forward(j, sample, y0, rows, b, planes);
    for (size_t y = 0; y < rows; y++, dst += x->ow * x->c) {
        for (size_t v = 0; v < b.vectors; v++) {
            const float *in = planes + v * x->plane + y * x->s * x->columns * VL;
            tap_list l = {sizes_at(j->scratch, x->offsets),
                          floats_at(j->scratch, x->packed) + (b.v + v) * x->taps * VL, x->taps};
            size_t n = b.cn - v * VL;
            if (x->s == 1)
                taps_row_dense(l, in, dst + v * VL, x->c, n, false, x->ow);
            else
                taps_row_strided(l, in, x->s * VL, dst + v * VL, x->c, n, x->ow);
        }
        if (!j->moments.mean) continue;
        if (!y) moments_open(m, item, b.c, b.cn, dst);
        for (size_t r = 0; r < x->ow; r += RUN)
            moments_run(m, item, b.c, b.cn, dst + r * x->c, x->c, size_min(RUN, x->ow - r));
    }
}

size_t RB_LEVEL(rb_depthwise_forward_scratch)(const rb_depthwise *p, int threads) {
    return plan_forward(p, threads).total;
}

void RB_LEVEL(rb_depthwise_forward)(const rb_depthwise *p, float *dst, rb_moments moments, void *scratch,
                                    rb_pool *pool) {
    job j = {p, plan_forward(p, rb_pool_threads(pool)), scratch, .dst = dst, .moments = moments};
    const plan *x = &j.x;
    list_forward(&j);
    rb_pool_run(pool, (int)(x->items * x->cblocks), forward_task, &j);
    if (!moments.mean) return;
    size_t last = x->oh - (x->rblocks - 1) * x->rows;
    moments_join((moment_job){moments_at(scratch, x->moments, x->vectors * VL), x->c, x->n, x->rblocks,
                              x->rows * x->ow, last * x->ow, moments},
                 pool);
}

/* ---- backward */

/* One item of a backward pass: a block of rows of one sample, a block of channels. */
typedef struct part {
    size_t item, sample, y0, rows; /* rows of d_dst */
    size_t sy0, src_rows;          /* rows of src */
    channels b;
    float *dz, *src; /* planes */
} part;

static part part_of(const job *j, size_t item, channels b, float *planes) {
    const plan *x = &j->x;
    part t = {
        .item = item, .sample = item / x->rblocks, .y0 = item % x->rblocks * x->rows, .b = b, .dz = planes};
    t.rows = size_min(x->rows, x->oh - t.y0);
    t.sy0 = t.y0 * x->s, t.src_rows = size_min(t.rows * x->s, x->h - t.sy0);
    t.src = planes + b.vectors * x->plane;
    return t;
}

static void stage_gradient(const job *j, const part *t) {
    const plan *x = &j->x;
    for (size_t row = 0; row < t->rows + x->low + x->high; row++) {
        float *to = t->dz + row * x->columns * VL;
        size_t y = t->y0 + row; /* in bordered rows */
        if (y < x->low || y - x->low >= x->oh) {
            clear_pixels(x, t->b, to, x->columns);
            continue;
        }
        clear_pixels(x, t->b, to, x->low);
        load_gradient(j->d_dst, (t->sample * x->oh + y - x->low) * x->ow, x->ow, t->b.c, t->b.cn,
                      to + x->low * VL, VL, x->plane);
        clear_pixels(x, t->b, to + (x->low + x->ow) * VL, x->high);
    }
}

static void stage_plain(const job *j, const part *t) {
    const plan *x = &j->x;
    load_source(&j->p->src, (t->sample * x->h + t->sy0) * x->w, t->src_rows * x->w, t->b.c, t->b.cn, t->src,
                VL, x->src_plane);
}

/* The data gradient of one row of src. */
static void data_row(const job *j, const part *t, size_t row, float *d) {
    const plan *x = &j->x;
    const size_t *starts = sizes_at(j->scratch, x->starts), *offsets = sizes_at(j->scratch, x->offsets);
    size_t ld = (size_t)j->sink->ld, ry = row % x->s;
    for (size_t v = 0; v < t->b.vectors; v++)
        for (size_t rx = 0; rx < x->s && rx < x->w; rx++) {
            size_t start = starts[ry * x->s + rx], count = starts[ry * x->s + rx + 1] - start;
            tap_list l = {offsets + start,
                          floats_at(j->scratch, x->packed) + ((t->b.v + v) * x->taps + start) * VL, count};
            taps_row_dense(l, t->dz + v * x->plane + row / x->s * x->columns * VL, d + rx * ld + v * VL,
                           x->s * ld, t->b.cn - v * VL, j->sink->accumulate, ceil_div(x->w - rx, x->s));
        }
}

static void data_part(const job *j, const part *t) {
    const plan *x = &j->x;
    size_t first = (t->sample * x->h + t->sy0) * x->w, ld = (size_t)j->sink->ld, stride = x->vectors * VL;
    float *d = j->sink->d + first * ld + t->b.c;
    for (size_t row = 0; row < t->src_rows; row++) data_row(j, t, row, d + row * x->w * ld);
    const rb_act_sums *act = &j->sink->act;
    if (!act->sums) return;
    double *slot = doubles_at(j->scratch, x->slots) + t->item * RB_ACT_SUMS * stride;
    for (size_t i = 0; i < RB_ACT_SUMS; i++)
        memset(slot + i * stride + t->b.c, 0, t->b.vectors * VL * sizeof *slot);
    for (size_t p = 0; p < t->src_rows * x->w; p += RUN)
        act_sums_run(d + p * ld, ld, act->z + (first + p) * x->c + t->b.c, x->c,
                     size_min(RUN, t->src_rows * x->w - p), act, t->b.c, t->b.cn, slot, stride);
}

/* g taps of one class: partial[tap] += Σ src·d_dst over `rows` rows (of the class) of `count` pixels. With
 * few taps two neighbours are summed apart, or the chains of additions would wait for themselves. */
RB_INLINE void weights_g(const float *src, size_t step, size_t src_row, const float *dz, size_t dz_row,
                         size_t rows, size_t count, const size_t *offset, float *partial, const size_t g) {
    vf sum[GROUP], twin[GROUP];
    RB_UNROLL
    for (size_t i = 0; i < g; i++) sum[i] = twin[i] = vf_zero();
    for (size_t r = 0; r < rows; r++, src += src_row, dz += dz_row) {
        const float *a = src, *b = dz;
        size_t left = count;
        for (; g <= 4 && left >= 2; left -= 2, a += 2 * step, b += 2 * VL) {
            vf first = vf_load(a), second = vf_load(a + step);
            RB_UNROLL
            for (size_t i = 0; i < g; i++) {
                sum[i] = vf_fma(first, vf_load(b + offset[i]), sum[i]);
                twin[i] = vf_fma(second, vf_load(b + offset[i] + VL), twin[i]);
            }
        }
        for (; left; left--, a += step, b += VL) {
            vf value = vf_load(a);
            RB_UNROLL
            for (size_t i = 0; i < g; i++) sum[i] = vf_fma(value, vf_load(b + offset[i]), sum[i]);
        }
    }
    RB_UNROLL
    for (size_t i = 0; i < g; i++) {
        vf total = g <= 4 ? vf_add(sum[i], twin[i]) : sum[i];
        vf_store(partial + i * VL, vf_add(vf_load(partial + i * VL), total));
    }
}

#define RB_WEIGHTS_CASE(g)                                                                                   \
    case g: weights_g(src, step, src_row, dz, dz_row, rows, count, offset + i, partial + i * VL, g); break
/* All taps of a class, in groups of nearly equal size. */
RB_TARGET static void weights_class(const float *src, size_t step, size_t src_row, const float *dz,
                                    size_t dz_row, size_t rows, size_t count, const size_t *offset,
                                    size_t taps, float *partial) {
    size_t groups = ceil_div(taps, GROUP);
    for (size_t group = 0, i = 0; group < groups; group++) {
        size_t g = taps * (group + 1) / groups - i;
        switch (g) {
            RB_WEIGHTS_CASE(1);
            RB_WEIGHTS_CASE(2);
            RB_WEIGHTS_CASE(3);
            RB_WEIGHTS_CASE(4);
            RB_WEIGHTS_CASE(5);
            RB_WEIGHTS_CASE(6);
            RB_WEIGHTS_CASE(7);
            RB_WEIGHTS_CASE(8);
            RB_WEIGHTS_CASE(9);
        }
        i += g;
    }
}

/* Rows y … of one class: those whose row of src is still inside the map. */
static void weights_rows(const job *j, const part *t, size_t v, size_t y, size_t rows, float *partial) {
    const plan *x = &j->x;
    const size_t *starts = sizes_at(j->scratch, x->starts), *offsets = sizes_at(j->scratch, x->offsets);
    for (size_t class = 0; class < x->s * x->s; class ++) {
        size_t ry = class / x->s, rx = class % x->s, inside = rows;
        if (rx >= x->w || y * x->s + ry >= t->src_rows) continue;
        inside = size_min(rows, ceil_div(t->src_rows - ry, x->s) - y);
        weights_class(t->src + v * x->src_plane + ((y * x->s + ry) * x->w + rx) * VL, x->s * VL,
                      x->s * x->w * VL, t->dz + v * x->plane + y * x->columns * VL, x->columns * VL, inside,
                      ceil_div(x->w - rx, x->s), offsets + starts[class], starts[class + 1] - starts[class],
                      partial + starts[class] * VL);
    }
}

/* In runs of about RUN pixels: what a run reads stays in the first cache, and its sums in float stay short.
 */
static void weights_part(const job *j, const part *t, float *partial) {
    const plan *x = &j->x;
    size_t run = size_max(1, RUN / x->ow);
    for (size_t v = 0; v < t->b.vectors; v++)
        for (size_t y = 0; y < t->rows; y += run)
            weights_rows(j, t, v, y, size_min(run, t->rows - y), partial + v * x->taps * VL);
}

static void backward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t split = (size_t)task / x->cblocks;
    channels b = channels_of(x, (size_t)task % x->cblocks);
    float *partial = floats_at(j->scratch, x->partials) + (split * x->vectors + b.v) * x->taps * VL;
    memset(partial, 0, b.vectors * x->taps * VL * sizeof *partial);
    size_t last = x->items * (split + 1) / x->splits;
    for (size_t item = x->items * split / x->splits; item < last; item++) {
        part t = part_of(j, item, b, planes_of(j, thread));
        stage_gradient(j, &t);
        if (j->sink->d) data_part(j, &t);
        if (!j->d_wgt) continue;
        stage_plain(j, &t);
        weights_part(j, &t, partial);
    }
}

/* d_wgt += the splits of one channel vector, in order. */
static void partials_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    const size_t *order = sizes_at(j->scratch, x->order);
    const float *from = floats_at(j->scratch, x->partials) + (size_t)task * x->taps * VL;
    size_t first = (size_t)task * VL, count = size_min(VL, x->c - first);
    for (size_t c = 0; c < count; c++)
        for (size_t at = 0; at < x->taps; at++) {
            double sum = 0;
            for (size_t s = 0; s < x->splits; s++)
                sum += (double)from[s * x->vectors * x->taps * VL + at * VL + c];
            j->d_wgt[(first + c) * x->taps + order[at]] += (float)sum;
        }
}

size_t RB_LEVEL(rb_depthwise_backward_scratch)(const rb_depthwise *p, int threads) {
    return plan_backward(p, threads).total;
}

void RB_LEVEL(rb_depthwise_backward)(const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                                     const rb_sink *sink, void *scratch, rb_pool *pool) {
    job j = {p,           plan_backward(p, rb_pool_threads(pool)), scratch, .d_dst = d_dst, .d_wgt = d_wgt,
             .sink = sink};
    const plan *x = &j.x;
    list_backward(&j);
    rb_pool_run(pool, (int)(x->splits * x->cblocks), backward_task, &j);
    if (d_wgt) run_tasks(pool, x->splits * x->taps * x->c, x->vectors, partials_task, &j);
    if (!sink->d || !sink->act.sums) return;
    slots_job sums = {
        doubles_at(scratch, x->slots), x->vectors * VL, RB_ACT_SUMS, x->c, x->rblocks, 0, sink->act.sums};
    slots_join(sums, x->n, x->items, pool);
}
