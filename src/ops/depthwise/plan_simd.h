/* How a depthwise convolution is cut: blocks of rows and channels, the lists of taps, and what lies where in
 * scratch.
 *
 * Forward: result (y, x) reads tap (ky, kx) at (y·s + ky, x·s + kx) of the bordered input: for each ky and
 * each residue of kx modulo s one span.
 * Data gradient: d_src[s·Y + ry, s·X + rx] reads d_dst at (Y + (ry + pad − ky)/s, X + (rx + pad − kx)/s)
 * where both divide: one list of spans for each residue class (ry, rx), k² taps in all, neighbours X
 * contiguous in d_dst. Weight gradient: the same lists: d_wgt[tap] = Σ src[s·Y + ry, s·X + rx]·d_dst[Y + …, X
 * + …]. */
#ifndef RB_OPS_DEPTHWISE_PLAN_SIMD_H
#define RB_OPS_DEPTHWISE_PLAN_SIMD_H

#include "ops/depthwise/taps_simd.h"

enum {
    PLANES = 64 / VL,       /* vectors of a block of channels, at most */
    FEW_PLANES = 32 / VL,   /* … where rows of src are staged beyond the first cache and come from memory */
    WINDOW_FLOATS = 8192,   /* what the staged rows of a task should fit in: the first cache */
    STRIP_FLOATS = 65536,   /* … with the rows of src of a strided backward pass: the second */
    LARGE_BYTES = 24 << 20, /* operands of so many bytes come from memory: rows are asked for early */
    CHAIN = RUN / 2,        /* results of a run of moments, two chains of at most 64 */
    TASKS = 16,             /* at least, where there are so many rows */
    SPLITS = 16             /* of the weight gradient's sum, at most */
};

typedef struct plan {
    size_t n, h, w, c, oh, ow, k, s, pad, taps;
    size_t vectors, planes, cblocks; /* channel vectors; of a block at most; blocks */
    size_t rows, rblocks, items;     /* output rows of a block; blocks a sample; n·rblocks */
    size_t low, high;                /* backward: border of d_dst, before and after */
    size_t pitch, ring, plane;       /* floats of a bordered row; rows of a ring; floats of a plane */
    size_t strip;                    /* rows of dst, or of d_dst, that are formed at a time */
    size_t src_plane, thread_floats; /* backward: floats of a plane of src; of all planes of a thread */
    size_t splits;
    bool large; /* see LARGE_BYTES */
    size_t packed, spans, order, starts, buffers, moments[3], slots, partials, total;
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
    x.vectors = ceil_div(x.c, VL);
    return x;
}

static size_t map_bytes(const plan *x, const rb_source *src) {
    return sizeof(float) * x->n * (x->h * x->w * (size_t)src->ld + x->oh * x->ow * x->c);
}

/* Blocks of at most `planes` vectors of channels; then blocks of rows where tasks are few. */
static void plan_blocks(plan *x, size_t planes) {
    x->planes = size_min(x->vectors, size_clamp(planes, 1, PLANES));
    x->cblocks = ceil_div(x->vectors, x->planes), x->planes = ceil_div(x->vectors, x->cblocks);
    x->rows = x->oh;
    while (x->rows > 1 && x->n * ceil_div(x->oh, x->rows) * x->cblocks < TASKS) x->rows = (x->rows + 1) / 2;
    x->rblocks = ceil_div(x->oh, x->rows), x->items = x->n * x->rblocks;
}

static void plan_shared(plan *x, int threads) {
    x->packed = take(&x->total, x->vectors * x->taps * VL * sizeof(float));
    x->spans = take(&x->total, x->taps * sizeof(span));
    x->order = take(&x->total, x->taps * sizeof(uint32_t));
    x->starts = take(&x->total, (x->s * x->s + 1) * sizeof(uint32_t));
    x->buffers = take(&x->total, (size_t)threads * x->thread_floats * sizeof(float));
}

static plan plan_forward(const rb_depthwise *p, int threads) {
    plan x = plan_common(p);
    x.pitch = ((x.ow - 1) * x.s + x.k) * VL;
    x.large = map_bytes(&x, &p->src) > LARGE_BYTES;
    plan_blocks(&x, WINDOW_FLOATS / (x.k * x.pitch));
    size_t fit = WINDOW_FLOATS / (x.planes * x.pitch), most = size_clamp(CHAIN / x.ow, 1, x.rows);
    x.strip = fit > x.k ? size_clamp((fit - x.k) / x.s + 1, 1, most) : 1;
    x.ring = x.k + (x.strip - 1) * x.s, x.plane = x.ring * x.pitch;
    x.thread_floats = x.plane * x.planes;
    plan_shared(&x, threads);
    take_moments(&x.total, x.items, x.vectors * VL, x.moments);
    return x;
}

static plan plan_backward(const rb_depthwise *p, int threads) {
    plan x = plan_common(p);
    x.large = 2 * map_bytes(&x, &p->src) > LARGE_BYTES;
    x.low = x.pad / x.s, x.high = (x.s - 1 + x.pad) / x.s;
    x.pitch = (x.ow + x.low + x.high) * VL;
    size_t row = x.pitch + x.s * x.w * VL, border = (x.low + x.high) * x.pitch;
    size_t planes = (x.s == 1 ? WINDOW_FLOATS : STRIP_FLOATS) / (row + border);
    plan_blocks(&x, x.s > 1 && x.large ? size_min(planes, FEW_PLANES) : planes);
    size_t fit = (x.s > 1 ? STRIP_FLOATS : x.large ? WINDOW_FLOATS : 2 * WINDOW_FLOATS) / x.planes;
    x.strip = fit > border ? size_clamp((fit - border) / row, 1, size_clamp(RUN / x.ow, 1, x.rows)) : 1;
    x.ring = x.strip + x.low + x.high, x.plane = x.ring * x.pitch;
    x.src_plane = x.strip * x.s * x.w * VL;
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

static uint32_t *counts_at(void *scratch, size_t offset) {
    return (uint32_t *)(void *)((unsigned char *)scratch + offset);
}
static span *spans_at(const job *j) { return (span *)(void *)((unsigned char *)j->scratch + j->x.spans); }
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

/* ---- the lists: spans, which tap each place of the list is, and the weights as [vector][place][VL] */

typedef struct lister {
    span *spans;
    uint32_t *order;
    size_t count, taps;
} lister;
static lister lister_of(const job *j) {
    return (lister){.spans = spans_at(j), .order = counts_at(j->scratch, j->x.order)};
}

/* `taps` taps tap, tap + by … (by may wrap around) of neighbouring values, as few spans as they need. */
static void list_taps(lister *l, size_t offset, size_t taps, size_t tap, size_t by, size_t step) {
    for (size_t pieces = ceil_div(taps, SPAN), i = 0, done = 0; i < pieces; i++) {
        size_t n = taps * (i + 1) / pieces - done;
        l->spans[l->count++] = (span){(uint32_t)(offset + done * step), (uint32_t)n, (uint32_t)l->taps};
        for (size_t k = 0; k < n; k++, tap += by) l->order[l->taps++] = (uint32_t)tap;
        done += n;
    }
}

static size_t list_forward(const job *j) {
    const plan *x = &j->x;
    lister l = lister_of(j);
    for (size_t ky = 0; ky < x->k; ky++)
        for (size_t r = 0; r < x->s && r < x->k; r++)
            list_taps(&l, ky * x->pitch + r * VL, ceil_div(x->k - r, x->s), ky * x->k + r, x->s, x->s * VL);
    return l.count;
}

/* The taps of residue r: `count`, the last of them `tap` (the others by −s), which reads the first value, at
 * `at` in the bordered d_dst. */
typedef struct residue {
    size_t count, tap, at;
} residue;
static residue residue_of(const plan *x, size_t r) {
    size_t first = (r + x->pad) % x->s;
    if (first >= x->k) return (residue){0};
    residue taps = {.count = ceil_div(x->k - first, x->s)};
    taps.tap = first + (taps.count - 1) * x->s;
    taps.at = (r + x->pad + x->low * x->s - taps.tap) / x->s;
    return taps;
}

/* The lists of all residue classes, one after the other; starts[class] is where each begins. */
static void list_backward(const job *j) {
    const plan *x = &j->x;
    lister l = lister_of(j);
    uint32_t *starts = counts_at(j->scratch, x->starts);
    for (size_t class = 0; class < x->s * x->s; class ++) {
        residue y = residue_of(x, class / x->s), z = residue_of(x, class % x->s);
        starts[class] = (uint32_t)l.count;
        for (size_t done = 0; done < z.count; done += SPAN)
            for (size_t i = 0; i < y.count; i++)
                list_taps(&l, (y.at + i) * x->pitch + (z.at + done) * VL, size_min(SPAN, z.count - done),
                          (y.tap - i * x->s) * x->k + z.tap - done * x->s, 0 - x->s, VL);
    }
    starts[x->s * x->s] = (uint32_t)l.count;
}

static void pack_weights(const job *j) {
    const plan *x = &j->x;
    const uint32_t *order = counts_at(j->scratch, x->order);
    float *to = floats_at(j->scratch, x->packed);
    for (size_t c0 = 0; c0 < x->c; c0 += VL) {
        const float *from = j->p->wgt + c0 * x->taps;
        size_t n = size_min(VL, x->c - c0);
        for (size_t at = 0; at < x->taps; at++, to += VL)
            for (size_t c = 0; c < VL; c++) to[c] = c < n ? from[c * x->taps + order[at]] : 0;
    }
}

#endif
