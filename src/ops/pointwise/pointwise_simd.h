/* Pointwise convolution: a matrix product over pixels whose left side is formed by the prologue.
 *
 * Tasks are chunks of pixels. A chunk is loaded, a sub-tile of rows at a time, into a dense tile of floats in
 * the cache; the weights lie packed in panels of up to NV vectors of columns; the product works on MR rows by
 * one panel. Where the weights are wide, that is larger than a core's cache, tasks are groups of panels
 * instead: each packs its panels for itself and walks all pixels, so that weights come from memory once. The
 * backward product forms d_dst once per sub-tile and uses it for both gradients where the weight gradient is
 * small; else the weight gradient is a pass of its own over groups of output channels. */
#include "ops/ops_simd.h"
#include "ops/pointwise/terms.h"
#include "ops/simd/sums.h"

enum {
    SPLITS = 16,             /* of the weight gradient's sum over pixels */
    OBLOCKS = 64,            /* at most, of the weight gradient's output channels */
    CACHED_WEIGHTS = 131072, /* floats of the weight gradient that a task adds to */
    WIDE = 1 << 18,          /* floats from which weights are wide, */
    GROUP = 1 << 17,         /* and those of a group of their panels */
    TILE = 8192,             /* floats of a tile beside weights that stay in the cache, */
    LARGE_TILE = 65536,      /* and beside wide ones, which many rows should share */
    TERMS =
        2048,    /* terms of the data gradient a tile holds, unless a block of the weight gradient has more */
    PANEL = 6144 /* floats of a panel that should stay in the first cache */
};

/* Columns `n` as vectors, the vectors as panels of nearly equal width. */
typedef struct panels {
    size_t n, vectors, count;
} panels;

static panels panels_of(size_t n) {
    size_t vectors = ceil_div(n, VL);
    return (panels){n, vectors, ceil_div(vectors, NV)};
}
static size_t panel_vector(panels p, size_t i) {
    return p.vectors * i / p.count;
} /* first vector of panel i */
static size_t panel_width(panels p, size_t i) { return panel_vector(p, i + 1) - panel_vector(p, i); }

typedef struct plan {
    size_t pixels, per_sample, ic, oc, icp, ocp; /* p: rounded up to vectors */
    size_t chunk, chunks, rows, tile_floats;     /* rows of a sub-tile; floats of the tiles of a thread */
    panels columns;
    size_t groups; /* of panels: where the weights are wide, or chunks alone too few */
    bool wide;
    size_t k;               /* words of a column of the packed weights */
    size_t terms;           /* of the product, in one tile: whole words */
    size_t splits, oblocks; /* of the weight gradient; one split adds to it without a partial of its own */
    size_t weight_rows;     /* of a sub-tile, where it is a pass of its own */
    size_t packed, packed_floats, tiles, moments[3], slots, partials, total;
} plan;

static size_t tile_rows(size_t floats, size_t width, size_t least, size_t chunk) {
    return size_clamp(floats / width / MR * MR, least, chunk);
}

/* The packed weights: all of them, or a group for each thread. */
static void plan_weights(plan *x, size_t terms, bool wide, int threads) {
    size_t k = words(terms), whole = k * x->columns.vectors * VL;
    x->k = k;
    x->wide = wide;
    x->groups = size_clamp(SPLITS / x->chunks, 1, x->columns.count);
    if (wide) x->groups = size_clamp(round_up(ceil_div(whole, GROUP), 4), 1, x->columns.count);
    x->packed_floats = wide ? ceil_div(x->columns.count, x->groups) * NV * VL * k : whole;
    x->packed = take(&x->total, (wide ? (size_t)threads : 1) * x->packed_floats * sizeof(float));
    x->tiles = take(&x->total, (size_t)threads * x->tile_floats * sizeof(float));
}

static plan plan_common(const rb_pointwise *p, panels columns) {
    rb_shape s = p->src.shape;
    plan x = {.pixels = rb_pixels(s), .per_sample = (size_t)s.h * (size_t)s.w, .columns = columns};
    x.ic = (size_t)s.c, x.oc = (size_t)p->oc;
    x.icp = round_up(x.ic, VL), x.ocp = round_up(x.oc, VL);
    x.chunk = flat_chunk(x.pixels), x.chunks = ceil_div(x.pixels, x.chunk);
    return x;
}

static plan plan_forward(const rb_pointwise *p, int threads) {
    plan x = plan_common(p, panels_of((size_t)p->oc));
    bool wide = x.ic * x.oc >= WIDE;
    x.terms = x.ic;
    x.rows = tile_rows(wide ? LARGE_TILE : TILE, x.icp, wide ? 4 * MR : MR, x.chunk);
    x.tile_floats = x.rows * x.icp;
    plan_weights(&x, x.ic, wide, threads);
    take_moments(&x.total, x.chunks, x.ocp, x.moments);
    return x;
}

/* The data gradient of square weights may be written over z (rb_pointwise_backward): one task reads a pixel
 * and writes it, so they are neither wide nor split into groups, in place or not: the same bits. */
static plan plan_backward(const rb_pointwise *p, int threads) {
    plan x = plan_common(p, panels_of((size_t)p->src.shape.c));
    bool large = x.ic * x.oc >= WIDE;
    x.oblocks = size_clamp(ceil_div(x.oc * x.ic, CACHED_WEIGHTS), 1, OBLOCKS);
    x.splits = size_clamp(SPLITS / x.oblocks, 1, x.chunks);
    x.terms = round_up(size_max(size_min(x.oc, TERMS), ceil_div(x.oc, x.oblocks)), PAIR);
    size_t width = x.icp + round_up(x.terms, VL) * PAIR; /* d_dst twice: words of channels and of rows */
    x.rows = tile_rows(large ? LARGE_TILE : TILE, width, 4 * MR, x.chunk);
    size_t block = x.icp + round_up(ceil_div(x.oc, x.oblocks), VL);
    x.weight_rows = tile_rows(LARGE_TILE, block, 4 * MR, RUN);
    x.tile_floats = size_max(x.rows * width, x.weight_rows * block);
    plan_weights(&x, x.oc, large && x.ic != x.oc, threads);
    if (x.ic == x.oc) x.groups = 1;
    x.slots = take(&x.total, flat_slots(x.pixels, (size_t)p->src.shape.n, x.chunk) * RB_ACT_SUMS * x.icp *
                                 sizeof(double));
    x.partials = take(&x.total, x.splits > 1 ? x.splits * x.oc * x.icp * sizeof(float) : 0);
    return x;
}

/* The panels first … last − 1 of a group. */
typedef struct span {
    size_t first, last;
} span;
static span group_of(const plan *x, size_t group) {
    return (span){x->columns.count * group / x->groups, x->columns.count * (group + 1) / x->groups};
}

typedef struct job {
    const rb_pointwise *p;
    plan x;
    void *scratch;
    float *dst;
    rb_moments moments;
    const rb_gradient *d_dst;
    float *d_wgt;
    const rb_sink *sink;
} job;

/* ---- the product */

/* rows ≤ MR rows of dst (ld; n columns) = or += a (rows of lda words, k of them) · panel (k, nv vectors of
 * words). All MR rows of `a` must be readable. */
RB_INLINE void product_nv(size_t k, const float *a, size_t lda, const float *panel, const size_t nv,
                          float *dst, size_t ld, size_t rows, size_t n, bool accumulate) {
    vf sum[MR][NV];
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) sum[r][v] = vf_zero();
    }
    for (size_t i = 0; i < k; i++, panel += nv * VL) {
        vf b[NV];
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) b[v] = vf_load(panel + v * VL);
        RB_UNROLL
        for (size_t r = 0; r < MR; r++) {
            vf value = vf_set1(a[r * lda + i]);
            RB_UNROLL
            for (size_t v = 0; v < nv; v++) sum[r][v] = vf_product(value, b[v], sum[r][v]);
        }
    }
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        if (r >= rows) break;
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) {
            float *to = dst + r * ld + v * VL;
            size_t left = n - v * VL;
            if (accumulate) sum[r][v] = vf_add(vf_load_n(to, left), sum[r][v]);
            vf_store_n(to, sum[r][v], left);
        }
    }
}

RB_TARGET static __attribute__((noinline)) void product(size_t k, const float *a, size_t lda,
                                                        const float *panel, size_t nv, float *dst, size_t ld,
                                                        size_t rows, size_t n, bool accumulate) {
    switch (nv) {
    case 1: product_nv(k, a, lda, panel, 1, dst, ld, rows, n, accumulate); break;
    case 2: product_nv(k, a, lda, panel, 2, dst, ld, rows, n, accumulate); break;
    default: product_nv(k, a, lda, panel, 3, dst, ld, rows, n, accumulate); break;
    }
}

/* Asks for the lines of MR rows of results, some rows early: a store that misses the caches holds up those
 * behind it. */
RB_INLINE void fetch_results(const float *dst, size_t ld, size_t n) {
    size_t ahead = size_max(FETCH_WRITE / ld, MR) * ld;
    for (size_t r = 0; r < MR; r++) fetch(dst, ahead + r * ld, n);
}

/* The rows of a tile times one panel (k words): as much of the panel at a time as stays in the first cache.
 */
RB_TARGET static void product_panel(const plan *x, size_t panel, size_t k, const float *tile, size_t lda,
                                    const float *packed, float *dst, size_t ld, size_t rows,
                                    bool accumulate) {
    size_t v = panel_vector(x->columns, panel), width = panel_width(x->columns, panel) * VL;
    size_t n = size_min(width, x->columns.n - v * VL), chain = ceil_div(k, ceil_div(k, CHAIN));
    size_t block = size_max(PANEL / width / chain, 1) * chain;
    for (size_t from = 0; from < k; from += block)
        for (size_t r = 0; r < rows; r += MR) {
            if (!from) fetch_results(dst + r * ld, ld, n);
            for (size_t i = from; i < size_min(from + block, k); i += chain)
                product(size_min(chain, k - i), tile + r * lda + i, lda, packed + i * width, width / VL,
                        dst + r * ld, ld, rows - r, n, accumulate || i);
        }
}

/* Zeros below a tile of `rows` rows, up to whole blocks of MR. */
static void pad_rows(float *tile, size_t rows, size_t stride) {
    size_t padded = round_up(rows, MR);
    if (padded > rows) memset(tile + rows * stride, 0, (padded - rows) * stride * sizeof *tile);
}

/* ---- forward */

/* A panel of weights oc,ic: [words of ic][columns], zeros in the columns past the last. Whole blocks are
 * transposed in registers. */
RB_TARGET static void pack_forward(const job *j, size_t panel, float *to) {
    const plan *x = &j->x;
    size_t first = panel_vector(x->columns, panel) * VL, width = panel_width(x->columns, panel) * VL;
    for (size_t c = 0; c < width; c += VL) {
        size_t rows = first + c < x->oc ? size_min(x->oc - first - c, VL) : 0, i = 0;
        const float *wgt = j->p->wgt + (first + c) * x->ic;
        for (; rows == VL && i + PAIR * VL <= x->ic; i += PAIR * VL)
            words_transposed(wgt + i, x->ic, to + i / PAIR * width + c, width);
        for (; i < x->ic; i += PAIR)
            for (size_t o = 0; o < VL; o++)
                to[i / PAIR * width + c + o] = o < rows ? word_at(wgt + o * x->ic + i, x->ic - i) : 0;
    }
}

/* One panel into its place among all, or the panels of a group into the thread's own. */
typedef void pack_panel(const job *j, size_t panel, float *to);
static float *pack_group(const job *j, pack_panel *pack, span s, int thread) {
    const plan *x = &j->x;
    float *packed = floats_at(j->scratch, x->packed) + (size_t)thread * x->packed_floats;
    size_t v = panel_vector(x->columns, s.first);
    for (size_t i = s.first; i < s.last; i++)
        pack(j, i, packed + (panel_vector(x->columns, i) - v) * VL * x->k);
    return packed;
}
static float *packed_at(const plan *x, void *scratch, size_t panel) {
    return floats_at(scratch, x->packed) + panel_vector(x->columns, panel) * VL * x->k;
}
static void pack_forward_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    pack_forward(j, (size_t)task, packed_at(&j->x, j->scratch, (size_t)task));
}

static float *thread_tile(const job *j, int thread) {
    return floats_at(j->scratch, j->x.tiles) + (size_t)thread * j->x.tile_floats;
}

/* Some panels, packed one after the other, of a chunk. */
static void forward_chunk(const job *j, size_t chunk, span s, const float *packed, float *tile) {
    const plan *x = &j->x;
    size_t begin = chunk * x->chunk, end = size_min(begin + x->chunk, x->pixels);
    moment_slots m = moments_at(j->scratch, x->moments, x->ocp);
    for (size_t first = begin; first < end; first += x->rows) {
        size_t rows = size_min(x->rows, end - first);
        const float *panel = packed;
        load_source(&j->p->src, first, rows, 0, x->ic, tile, x->icp, VL);
        pad_rows(tile, rows, x->icp);
        words_of_channels(tile, rows, x->icp, tile, x->icp);
        for (size_t i = s.first; i < s.last; i++) {
            size_t c = panel_vector(x->columns, i) * VL, width = panel_width(x->columns, i) * VL;
            float *dst = j->dst + first * x->oc + c;
            product_panel(x, i, x->k, tile, x->icp, panel, dst, x->oc, rows, false);
            panel += width * x->k;
            if (!j->moments.mean) continue;
            if (first == begin) moments_open(m, chunk, c, size_min(width, x->oc - c), dst);
            moments_run(m, chunk, c, size_min(width, x->oc - c), dst, x->oc, rows);
        }
    }
}

static void forward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    span s = group_of(x, (size_t)task % x->groups);
    forward_chunk(j, (size_t)task / x->groups, s, packed_at(x, j->scratch, s.first), thread_tile(j, thread));
}

static void forward_wide_task(void *arg, int task, int thread) {
    const job *j = arg;
    span s = group_of(&j->x, (size_t)task);
    const float *packed = pack_group(j, pack_forward, s, thread);
    for (size_t chunk = 0; chunk < j->x.chunks; chunk++)
        forward_chunk(j, chunk, s, packed, thread_tile(j, thread));
}

size_t RB_KERNEL(rb_pointwise_forward_scratch)(const rb_pointwise *p, int threads) {
    return plan_forward(p, threads).total;
}

void RB_KERNEL(rb_pointwise_forward)(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                                     rb_pool *pool) {
    job j = {p, plan_forward(p, rb_pool_threads(pool)), scratch, .dst = dst, .moments = moments};
    const plan *x = &j.x;
    if (x->wide) {
        rb_pool_run(pool, (int)x->groups, forward_wide_task, &j);
    } else {
        run_tasks(pool, x->ic * x->oc, x->columns.count, pack_forward_task, &j);
        rb_pool_run(pool, (int)(x->chunks * x->groups), forward_task, &j);
    }
    if (moments.mean)
        moments_join((moment_job){moments_at(scratch, x->moments, x->ocp), x->oc, 1, x->chunks, x->chunk,
                                  x->pixels - (x->chunks - 1) * x->chunk, moments},
                     pool);
}

/* ---- backward */

/* A panel of weights oc,ic as they are: [words of oc][columns]. */
RB_TARGET static void pack_backward(const job *j, size_t panel, float *to) {
    const plan *x = &j->x;
    size_t first = panel_vector(x->columns, panel) * VL, width = panel_width(x->columns, panel) * VL;
    size_t count = size_min(width, x->ic - first);
    for (size_t o = 0; o < x->oc; o += PAIR, to += width) {
        const float *wgt = j->p->wgt + o * x->ic + first;
        for (size_t c = 0; c < width; c += VL)
            vf_store(to + c, c < count ? words_of_outputs(wgt + c, x->ic, x->oc - o, count - c) : vf_zero());
    }
}
static void pack_backward_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    pack_backward(j, (size_t)task, packed_at(&j->x, j->scratch, (size_t)task));
}

/* MR rows of the weight gradient, n columns in nv vectors += Σ over the words of rows of both tiles. */
RB_INLINE void outer_nv(size_t rows, const float *dz, size_t ldz, const float *src, size_t lds,
                        const size_t nv, float *wgt, size_t ld, size_t outputs, size_t n) {
    vf sum[MR][NV];
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) sum[r][v] = vf_zero();
    }
    for (size_t i = 0; i < rows; i++, dz += ldz, src += lds) {
        vf b[NV];
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) b[v] = vf_load(src + v * VL);
        RB_UNROLL
        for (size_t r = 0; r < MR; r++) {
            vf value = vf_set1(dz[r]);
            RB_UNROLL
            for (size_t v = 0; v < nv; v++) sum[r][v] = vf_product(value, b[v], sum[r][v]);
        }
    }
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        if (r >= outputs) break;
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) {
            float *to = wgt + r * ld + v * VL;
            size_t left = n - v * VL;
            vf_store_n(to, vf_add(vf_load_n(to, left), sum[r][v]), left);
        }
    }
}

/* wgt[o, ic] += Σ dz[·, o]·src[·, ic] for `outputs` output channels. The tiles, padded to vectors, are
 * floats; they become words of rows here. */
RB_TARGET static void outer_product(const plan *x, size_t rows, float *dz, size_t ldz, size_t outputs,
                                    float *src, float *wgt, size_t ld) {
    words_of_rows(dz, rows, ldz);
    words_of_rows(src, rows, x->icp);
    rows = words(rows), ldz *= PAIR;
    size_t lds = x->icp * PAIR;
    for (size_t i = 0; i < x->columns.count; i++) {
        size_t c = panel_vector(x->columns, i) * VL, nv = panel_width(x->columns, i), n = ld - c;
        for (size_t o = 0; o < outputs; o += MR) {
            float *to = wgt + o * ld + c;
            size_t left = outputs - o;
            switch (nv) {
            case 1: outer_nv(rows, dz + o, ldz, src + c, lds, 1, to, ld, left, n); break;
            case 2: outer_nv(rows, dz + o, ldz, src + c, lds, 2, to, ld, left, n); break;
            default: outer_nv(rows, dz + o, ldz, src + c, lds, 3, to, ld, left, n); break;
            }
        }
    }
}

/* The data gradient of a sub-tile in some panels, from the gradients (words) of output channels o0 … o0 +
 * count − 1. */
static void data_product(const job *j, size_t first, size_t rows, span s, const float *packed,
                         const float *tile, size_t ldz, size_t o0, size_t count) {
    const plan *x = &j->x;
    size_t ld = (size_t)j->sink->ld;
    for (size_t i = s.first; i < s.last; i++) {
        size_t width = panel_width(x->columns, i) * VL;
        product_panel(x, i, words(count), tile, ldz, packed + o0 / PAIR * width,
                      j->sink->d + first * ld + panel_vector(x->columns, i) * VL, ld, rows,
                      j->sink->accumulate || o0);
        packed += width * x->k;
    }
}

/* Act sums: a chunk's slots, and a sub-tile's part once its data gradient is complete. */
static void open_slots(const job *j, size_t chunk) {
    const plan *x = &j->x;
    size_t first = chunk * x->chunk, rows = size_min(x->chunk, x->pixels - first);
    if (j->sink->act.sums)
        flat_open(doubles_at(j->scratch, x->slots), first, rows, x->per_sample, x->chunk,
                  RB_ACT_SUMS * x->icp);
}
static void act_rows(const job *j, size_t first, size_t rows) {
    const plan *x = &j->x;
    size_t ld = (size_t)j->sink->ld;
    if (j->sink->act.sums)
        act_sums_flat(j->sink->d + first * ld, ld, j->p->src.shape, &j->sink->act, first, rows, x->chunk,
                      doubles_at(j->scratch, x->slots), x->icp);
}

/* Both gradients of a chunk. */
static void backward_chunk(const job *j, size_t chunk, float *wgt, size_t ldw, float *tile) {
    const plan *x = &j->x;
    size_t begin = chunk * x->chunk, end = size_min(begin + x->chunk, x->pixels);
    float *src = tile + x->rows * x->ocp, *dz = PAIR > 1 ? src + x->rows * x->icp : tile;
    open_slots(j, chunk);
    for (size_t first = begin; first < end; first += x->rows) {
        size_t rows = size_min(x->rows, end - first);
        load_gradient(j->d_dst, first, rows, 0, x->oc, tile, x->ocp, VL);
        pad_rows(tile, rows, x->ocp);
        words_of_channels(tile, round_up(rows, MR), x->ocp, dz, x->ocp);
        data_product(j, first, rows, (span){0, x->columns.count}, floats_at(j->scratch, x->packed), dz,
                     x->ocp, 0, x->oc);
        act_rows(j, first, rows);
        load_source(&j->p->src, first, rows, 0, x->ic, src, x->icp, VL);
        outer_product(x, rows, tile, x->ocp, x->oc, src, wgt, ldw);
    }
}

/* The data gradient of a chunk in some panels, from all output channels by tiles of `terms`. */
static void data_chunk(const job *j, size_t chunk, span s, const float *packed, float *tile) {
    const plan *x = &j->x;
    size_t begin = chunk * x->chunk, end = size_min(begin + x->chunk, x->pixels);
    if (x->groups == 1) open_slots(j, chunk);
    for (size_t first = begin; first < end; first += x->rows) {
        size_t rows = size_min(x->rows, end - first);
        for (size_t o = 0; o < x->oc; o += x->terms) {
            size_t count = size_min(x->terms, x->oc - o), ldz = round_up(count, VL);
            load_gradient(j->d_dst, first, rows, o, count, tile, ldz, VL);
            pad_rows(tile, rows, ldz);
            words_of_channels(tile, rows, ldz, tile, ldz);
            data_product(j, first, rows, s, packed, tile, ldz, o, count);
        }
        if (x->groups == 1) act_rows(j, first, rows);
    }
}

/* The weight gradient of pixels begin … end − 1, for output channels o0 … o1 − 1. */
static void weights_pixels(const job *j, size_t begin, size_t end, size_t o0, size_t o1, float *wgt,
                           size_t ldw, float *tile) {
    const plan *x = &j->x;
    size_t ldz = round_up(o1 - o0, VL);
    float *src = tile + x->weight_rows * ldz;
    for (size_t first = begin; first < end; first += x->weight_rows) {
        size_t rows = size_min(x->weight_rows, end - first);
        load_gradient(j->d_dst, first, rows, o0, o1 - o0, tile, ldz, VL);
        load_source(&j->p->src, first, rows, 0, x->ic, src, x->icp, VL);
        outer_product(x, rows, tile, ldz, o1 - o0, src, wgt, ldw);
    }
}

/* The act sums of a chunk, once all groups of panels are done. */
static void act_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    size_t first = (size_t)task * x->chunk;
    open_slots(j, (size_t)task);
    act_rows(j, first, size_min(x->chunk, x->pixels - first));
}

static void data_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    span s = group_of(x, (size_t)task % x->groups);
    data_chunk(j, (size_t)task / x->groups, s, packed_at(x, j->scratch, s.first), thread_tile(j, thread));
}

static void data_wide_task(void *arg, int task, int thread) {
    const job *j = arg;
    span s = group_of(&j->x, (size_t)task);
    const float *packed = pack_group(j, pack_backward, s, thread);
    for (size_t chunk = 0; chunk < j->x.chunks; chunk++)
        data_chunk(j, chunk, s, packed, thread_tile(j, thread));
}

/* Where a task adds its part of the weight gradient, from output channel o0 on. */
static float *weights_of(const job *j, size_t split, size_t o0, size_t o1, size_t *ld) {
    const plan *x = &j->x;
    *ld = x->splits > 1 ? x->icp : x->ic;
    if (x->splits == 1) return j->d_wgt + o0 * x->ic;
    float *partial = floats_at(j->scratch, x->partials) + (split * x->oc + o0) * x->icp;
    memset(partial, 0, (o1 - o0) * x->icp * sizeof *partial);
    return partial;
}

/* One split of the pixels, one block of output channels. */
static void weights_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t split = (size_t)task / x->oblocks, block = (size_t)task % x->oblocks, ld;
    size_t o0 = x->oc * block / x->oblocks, o1 = x->oc * (block + 1) / x->oblocks;
    float *wgt = weights_of(j, split, o0, o1, &ld);
    size_t first = x->chunks * split / x->splits, last = x->chunks * (split + 1) / x->splits;
    weights_pixels(j, first * x->chunk, size_min(last * x->chunk, x->pixels), o0, o1, wgt, ld,
                   thread_tile(j, thread));
}

/* One split of the pixels, both gradients. */
static void both_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t split = (size_t)task, last = x->chunks * (split + 1) / x->splits, ld;
    float *wgt = weights_of(j, split, 0, x->oc, &ld);
    for (size_t chunk = x->chunks * split / x->splits; chunk < last; chunk++)
        backward_chunk(j, chunk, wgt, ld, thread_tile(j, thread));
}

/* d_wgt += the splits, in order. */
RB_TARGET static void partials_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    const float *from = floats_at(j->scratch, x->partials) + (size_t)task * x->icp;
    float *to = j->d_wgt + (size_t)task * x->ic;
    for (size_t i = 0; i < x->ic; i += VL) {
        double sum[VL] = {0};
        for (size_t s = 0; s < x->splits; s++) vf_add_to(sum, vf_load(from + s * x->oc * x->icp + i));
        for (size_t c = i; c < size_min(i + VL, x->ic); c++) to[c] += (float)sum[c - i];
    }
}

size_t RB_KERNEL(rb_pointwise_backward_scratch)(const rb_pointwise *p, int threads) {
    return plan_backward(p, threads).total;
}

/* The weight gradient first: the data gradient may be written over z. */
static void backward_apart(job *j, rb_pool *pool) {
    const plan *x = &j->x;
    if (j->d_wgt) rb_pool_run(pool, (int)(x->splits * x->oblocks), weights_task, j);
    if (!j->sink->d) return;
    if (x->wide) {
        rb_pool_run(pool, (int)x->groups, data_wide_task, j);
    } else {
        run_tasks(pool, x->ic * x->oc, x->columns.count, pack_backward_task, j);
        rb_pool_run(pool, (int)(x->chunks * x->groups), data_task, j);
    }
    if (j->sink->act.sums && x->groups > 1) rb_pool_run(pool, (int)x->chunks, act_task, j);
}

void RB_KERNEL(rb_pointwise_backward)(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                                      const rb_sink *sink, void *scratch, rb_pool *pool) {
    job j = {p,           plan_backward(p, rb_pool_threads(pool)), scratch, .d_dst = d_dst, .d_wgt = d_wgt,
             .sink = sink};
    const plan *x = &j.x;
    if (sink->d && d_wgt && x->oblocks == 1 && x->groups == 1) {
        run_tasks(pool, x->ic * x->oc, x->columns.count, pack_backward_task, &j);
        rb_pool_run(pool, (int)x->splits, both_task, &j);
    } else {
        backward_apart(&j, pool);
    }
    if (d_wgt && x->splits > 1) run_tasks(pool, x->splits * x->oc * x->icp, x->oc, partials_task, &j);
    if (!sink->d || !sink->act.sums) return;
    slots_job sums = {
        doubles_at(scratch, x->slots), x->icp, RB_ACT_SUMS, x->ic, x->per_sample, x->chunk, sink->act.sums};
    slots_join(sums, (size_t)p->src.shape.n, flat_slots(x->pixels, (size_t)p->src.shape.n, x->chunk), pool);
}
