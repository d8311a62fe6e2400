/* Pointwise convolution: a matrix product over pixels whose left side is formed by the prologue.
 *
 * Tasks are chunks of pixels. A chunk is loaded, a sub-tile of rows at a time, into a dense tile of floats in
 * the cache; the weights lie packed in panels of up to NV vectors of columns; the product works on MR rows by
 * one panel. The backward product forms d_dst once per sub-tile and uses it for both gradients where the
 * weight gradient is small; else the weight gradient is a pass of its own over groups of output channels. */
#include "ops/ops_simd.h"
#include "ops/simd/sums.h"

/* Splits of the weight gradient's sum over pixels, and its size (floats) up to which a cache holds a partial.
 */
enum { SPLITS = 16, CACHED_WEIGHTS = 65536 };

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
    size_t groups;          /* of panels, where chunks alone are too few */
    size_t splits, oblocks; /* of the weight gradient */
    size_t packed, tiles, moments[3], slots, partials, total;
} plan;

static plan plan_common(const rb_pointwise *p, panels columns) {
    rb_shape s = p->src.shape;
    plan x = {.pixels = rb_pixels(s), .per_sample = (size_t)s.h * (size_t)s.w, .columns = columns};
    x.ic = (size_t)s.c, x.oc = (size_t)p->oc;
    x.icp = round_up(x.ic, VL), x.ocp = round_up(x.oc, VL);
    x.chunk = flat_chunk(x.pixels), x.chunks = ceil_div(x.pixels, x.chunk);
    x.groups = size_clamp(SPLITS / x.chunks, 1, columns.count);
    return x;
}

static plan plan_forward(const rb_pointwise *p, int threads) {
    plan x = plan_common(p, panels_of((size_t)p->oc));
    x.rows = size_clamp(8192 / x.icp / MR * MR, MR, x.chunk);
    x.tile_floats = x.rows * x.icp;
    x.packed = take(&x.total, x.ic * x.ocp * sizeof(float));
    x.tiles = take(&x.total, (size_t)threads * x.tile_floats * sizeof(float));
    take_moments(&x.total, x.chunks, x.ocp, x.moments);
    return x;
}

static plan plan_backward(const rb_pointwise *p, int threads) {
    plan x = plan_common(p, panels_of((size_t)p->src.shape.c));
    x.rows = size_clamp(8192 / (x.icp + x.ocp) / MR * MR, 4 * MR, x.chunk);
    if (x.rows * (x.icp + x.ocp) > 65536) x.rows = size_max(65536 / (x.icp + x.ocp) / MR * MR, MR);
    x.tile_floats = x.rows * (x.icp + x.ocp);
    x.oblocks = size_clamp(x.oc * x.ic / CACHED_WEIGHTS, 1, SPLITS);
    x.splits = size_clamp(SPLITS / x.oblocks, 1, x.chunks);
    x.packed = take(&x.total, x.oc * x.icp * sizeof(float));
    x.tiles = take(&x.total, (size_t)threads * x.tile_floats * sizeof(float));
    x.slots = take(&x.total, flat_slots(x.pixels, (size_t)p->src.shape.n, x.chunk) * RB_ACT_SUMS * x.icp *
                                 sizeof(double));
    x.partials = take(&x.total, x.splits * x.oc * x.icp * sizeof(float));
    return x;
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
    bool data, weights; /* what this round of a backward pass forms */
} job;

/* ---- the product */

/* rows ≤ MR rows of dst (ld; n columns) = or += a (rows of lda floats, k of them) · panel (k, nv vectors).
 * All MR rows of `a` must be readable. */
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
            for (size_t v = 0; v < nv; v++) sum[r][v] = vf_fma(value, b[v], sum[r][v]);
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

RB_TARGET static void product(size_t k, const float *a, size_t lda, const float *panel, size_t nv, float *dst,
                              size_t ld, size_t rows, size_t n, bool accumulate) {
    switch (nv) {
    case 1: product_nv(k, a, lda, panel, 1, dst, ld, rows, n, accumulate); break;
    case 2: product_nv(k, a, lda, panel, 2, dst, ld, rows, n, accumulate); break;
    default: product_nv(k, a, lda, panel, 3, dst, ld, rows, n, accumulate); break;
    }
}

/* Terms of a product that are summed in one chain. A chain of k rounds about as √k: the products of wide
 * layers are sums of short chains, which keeps whole-network gradients as near to float64 as those of PyTorch
 * or nearer. */
enum { CHAIN = 32 };

/* Asks for the lines of MR rows of results, some rows early: a store that misses the caches holds up those
 * behind it. */
RB_INLINE void fetch_results(const float *dst, size_t ld, size_t n) {
    size_t ahead = size_max(FETCH_WRITE / ld, MR) * ld;
    for (size_t r = 0; r < MR; r++) fetch(dst, ahead + r * ld, n);
}

/* The rows of a tile times one panel. */
RB_TARGET static void product_panel(const plan *x, size_t panel, size_t k, const float *tile, size_t lda,
                                    const float *packed, float *dst, size_t ld, size_t rows,
                                    bool accumulate) {
    size_t v = panel_vector(x->columns, panel), nv = panel_width(x->columns, panel);
    size_t chain = ceil_div(k, ceil_div(k, CHAIN)), n = size_min(nv * VL, x->columns.n - v * VL);
    for (size_t r = 0; r < rows; r += MR) {
        fetch_results(dst + r * ld + v * VL, ld, n);
        for (size_t i = 0; i < k; i += chain)
            product(size_min(chain, k - i), tile + r * lda + i, lda, packed + v * VL * k + i * nv * VL, nv,
                    dst + r * ld + v * VL, ld, rows - r, n, accumulate || i);
    }
}

/* Zeros below a tile of `rows` rows, up to whole blocks of MR. */
static void pad_rows(float *tile, size_t rows, size_t stride) {
    size_t padded = round_up(rows, MR);
    if (padded > rows) memset(tile + rows * stride, 0, (padded - rows) * stride * sizeof *tile);
}

/* ---- forward */

/* A panel of weights oc,ic: [ic][columns], zeros in the columns past the last. */
static void pack_forward_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    size_t v = panel_vector(x->columns, (size_t)task), width = panel_width(x->columns, (size_t)task) * VL;
    float *to = floats_at(j->scratch, x->packed) + v * VL * x->ic;
    enum { STRIP = 16 }; /* rows of the panel at a time: both sides of the transposition stay in the cache */
    for (size_t first = 0; first < x->ic; first += STRIP)
        for (size_t c = 0; c < width; c++) {
            size_t o = v * VL + c, last = size_min(first + STRIP, x->ic);
            for (size_t i = first; i < last; i++)
                to[i * width + c] = o < x->oc ? j->p->wgt[o * x->ic + i] : 0;
        }
}

static void forward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t chunk = (size_t)task / x->groups, group = (size_t)task % x->groups;
    size_t first_panel = x->columns.count * group / x->groups;
    size_t last_panel = x->columns.count * (group + 1) / x->groups;
    size_t begin = chunk * x->chunk, end = size_min(begin + x->chunk, x->pixels);
    float *tile = floats_at(j->scratch, x->tiles) + (size_t)thread * x->tile_floats;
    moment_slots m = moments_at(j->scratch, x->moments, x->ocp);
    for (size_t first = begin; first < end; first += x->rows) {
        size_t rows = size_min(x->rows, end - first);
        load_source(&j->p->src, first, rows, 0, x->ic, tile, x->icp, VL);
        pad_rows(tile, rows, x->icp);
        float *dst = j->dst + first * x->oc;
        for (size_t i = first_panel; i < last_panel; i++) {
            product_panel(x, i, x->ic, tile, x->icp, floats_at(j->scratch, x->packed), dst, x->oc, rows,
                          false);
            if (!j->moments.mean) continue;
            size_t c = panel_vector(x->columns, i) * VL;
            size_t cn = size_min(panel_width(x->columns, i) * VL, x->oc - c);
            if (first == begin) moments_open(m, chunk, c, cn, dst + c);
            moments_run(m, chunk, c, cn, dst + c, x->oc, rows);
        }
    }
}

size_t RB_LEVEL(rb_pointwise_forward_scratch)(const rb_pointwise *p, int threads) {
    return plan_forward(p, threads).total;
}

void RB_LEVEL(rb_pointwise_forward)(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                                    rb_pool *pool) {
    job j = {p, plan_forward(p, rb_pool_threads(pool)), scratch, .dst = dst, .moments = moments};
    const plan *x = &j.x;
    run_tasks(pool, x->ic * x->oc, x->columns.count, pack_forward_task, &j);
    rb_pool_run(pool, (int)(x->chunks * x->groups), forward_task, &j);
    if (moments.mean)
        moments_join((moment_job){moments_at(scratch, x->moments, x->ocp), x->oc, 1, x->chunks, x->chunk,
                                  x->pixels - (x->chunks - 1) * x->chunk, moments},
                     pool);
}

/* ---- backward */

/* A panel of weights oc,ic as they are: [oc][columns]. */
static void pack_backward_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    size_t v = panel_vector(x->columns, (size_t)task), width = panel_width(x->columns, (size_t)task) * VL;
    float *to = floats_at(j->scratch, x->packed) + v * VL * x->oc;
    size_t count = size_min(width, x->ic - v * VL);
    for (size_t o = 0; o < x->oc; o++, to += width) {
        memcpy(to, j->p->wgt + o * x->ic + v * VL, count * sizeof *to);
        memset(to + count, 0, (width - count) * sizeof *to);
    }
}

/* MR rows of the partial weight gradient, nv vectors of columns += Σ over the rows of both tiles. */
RB_INLINE void outer_nv(size_t rows, const float *dz, size_t ldz, const float *src, size_t lds,
                        const size_t nv, float *partial, size_t ld, size_t outputs) {
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
            for (size_t v = 0; v < nv; v++) sum[r][v] = vf_fma(value, b[v], sum[r][v]);
        }
    }
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        if (r >= outputs) break;
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) {
            float *to = partial + r * ld + v * VL;
            vf_store(to, vf_add(vf_load(to), sum[r][v]));
        }
    }
}

/* partial[o, ic] += Σ dz[·, o]·src[·, ic] for `outputs` output channels; both tiles are padded to vectors. */
RB_TARGET static void outer_product(const plan *x, size_t rows, const float *dz, size_t ldz, size_t outputs,
                                    const float *src, float *partial) {
    for (size_t i = 0; i < x->columns.count; i++) {
        size_t c = panel_vector(x->columns, i) * VL, nv = panel_width(x->columns, i);
        for (size_t o = 0; o < outputs; o += MR) {
            float *to = partial + o * x->icp + c;
            size_t left = outputs - o;
            switch (nv) {
            case 1: outer_nv(rows, dz + o, ldz, src + c, x->icp, 1, to, x->icp, left); break;
            case 2: outer_nv(rows, dz + o, ldz, src + c, x->icp, 2, to, x->icp, left); break;
            default: outer_nv(rows, dz + o, ldz, src + c, x->icp, 3, to, x->icp, left); break;
            }
        }
    }
}

/* One chunk: panels first_panel … of the data gradient (data), and the weight gradient of output channels o0
 * … o1 − 1 (weights). */
static void backward_chunk(const job *j, size_t chunk, size_t first_panel, size_t last_panel, size_t o0,
                           size_t o1, float *partial, float *tile) {
    const plan *x = &j->x;
    const rb_sink *sink = j->sink;
    size_t begin = chunk * x->chunk, end = size_min(begin + x->chunk, x->pixels), ld = (size_t)sink->ld;
    size_t ldz = round_up(o1 - o0, VL);
    float *src = tile + x->rows * x->ocp;
    double *slots = doubles_at(j->scratch, x->slots);
    for (size_t first = begin; first < end; first += x->rows) {
        size_t rows = size_min(x->rows, end - first);
        load_gradient(j->d_dst, first, rows, o0, o1 - o0, tile, ldz, VL);
        if (j->data) {
            float *d = sink->d + first * ld;
            pad_rows(tile, rows, ldz);
            for (size_t i = first_panel; i < last_panel; i++)
                product_panel(x, i, x->oc, tile, ldz, floats_at(j->scratch, x->packed), d, ld, rows,
                              sink->accumulate);
            if (sink->act.sums && x->groups == 1)
                act_sums_flat(d, ld, j->p->src.shape, &sink->act, first, rows, x->chunk, slots, x->icp);
        }
        if (!j->weights) continue;
        load_source(&j->p->src, first, rows, 0, x->ic, src, x->icp, VL);
        outer_product(x, rows, tile, ldz, o1 - o0, src, partial);
    }
}

/* Act sums open their slots here; with panel groups they wait for all groups (act_task). */
static void open_slots(const job *j, size_t chunk) {
    const plan *x = &j->x;
    size_t first = chunk * x->chunk, rows = size_min(x->chunk, x->pixels - first);
    if (j->data && j->sink->act.sums)
        flat_open(doubles_at(j->scratch, x->slots), first, rows, x->per_sample, x->chunk,
                  RB_ACT_SUMS * x->icp);
}

static float *thread_tile(const job *j, int thread) {
    return floats_at(j->scratch, j->x.tiles) + (size_t)thread * j->x.tile_floats;
}

static void data_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t chunk = (size_t)task / x->groups, group = (size_t)task % x->groups;
    if (x->groups == 1) open_slots(j, chunk);
    backward_chunk(j, chunk, x->columns.count * group / x->groups, x->columns.count * (group + 1) / x->groups,
                   0, x->oc, NULL, thread_tile(j, thread));
}

static void act_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    size_t first = (size_t)task * x->chunk, ld = (size_t)j->sink->ld;
    open_slots(j, (size_t)task);
    act_sums_flat(j->sink->d + first * ld, ld, j->p->src.shape, &j->sink->act, first,
                  size_min(x->chunk, x->pixels - first), x->chunk, doubles_at(j->scratch, x->slots), x->icp);
}

/* One split of the pixels, one block of output channels; with one block the data gradient comes along. */
static void split_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t split = (size_t)task / x->oblocks, block = (size_t)task % x->oblocks;
    size_t o0 = x->oc * block / x->oblocks, o1 = x->oc * (block + 1) / x->oblocks;
    float *partial = floats_at(j->scratch, x->partials) + (split * x->oc + o0) * x->icp;
    memset(partial, 0, (o1 - o0) * x->icp * sizeof *partial);
    size_t last = x->chunks * (split + 1) / x->splits;
    for (size_t chunk = x->chunks * split / x->splits; chunk < last; chunk++) {
        open_slots(j, chunk);
        backward_chunk(j, chunk, 0, x->columns.count, o0, o1, partial, thread_tile(j, thread));
    }
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

size_t RB_LEVEL(rb_pointwise_backward_scratch)(const rb_pointwise *p, int threads) {
    return plan_backward(p, threads).total;
}

/* The weight gradient first: the data gradient may be written over z. */
static void backward_apart(job *j, rb_pool *pool) {
    const plan *x = &j->x;
    j->data = false, j->weights = j->d_wgt != NULL;
    if (j->weights) rb_pool_run(pool, (int)(x->splits * x->oblocks), split_task, j);
    j->data = j->sink->d != NULL, j->weights = false;
    if (j->data) rb_pool_run(pool, (int)(x->chunks * x->groups), data_task, j);
    if (j->data && j->sink->act.sums && x->groups > 1) rb_pool_run(pool, (int)x->chunks, act_task, j);
}

void RB_LEVEL(rb_pointwise_backward)(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                                     const rb_sink *sink, void *scratch, rb_pool *pool) {
    job j = {p,           plan_backward(p, rb_pool_threads(pool)), scratch, .d_dst = d_dst, .d_wgt = d_wgt,
             .sink = sink};
    const plan *x = &j.x;
    if (sink->d == d_dst->z) j.x.groups = 1; /* in place: one task reads a pixel and writes it */
    if (sink->d) run_tasks(pool, x->ic * x->oc, x->columns.count, pack_backward_task, &j);
    if (sink->d && d_wgt && x->oblocks == 1 && x->groups == 1) {
        j.data = j.weights = true;
        rb_pool_run(pool, (int)x->splits, split_task, &j);
    } else {
        backward_apart(&j, pool);
    }
    if (d_wgt) run_tasks(pool, x->splits * x->oc * x->icp, x->oc, partials_task, &j);
    if (!sink->d || !sink->act.sums) return;
    slots_job sums = {
        doubles_at(scratch, x->slots), x->icp, RB_ACT_SUMS, x->ic, x->per_sample, x->chunk, sink->act.sums};
    slots_join(sums, (size_t)p->src.shape.n, flat_slots(x->pixels, (size_t)p->src.shape.n, x->chunk), pool);
}
