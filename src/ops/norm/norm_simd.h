/* The passes of batch normalisation over pixels: bound by memory, one read each. */
#include "ops/ops_simd.h"
#include "ops/simd/sums.h"

enum { NORM_SUMS = 2 };

typedef struct job {
    rb_shape shape;
    size_t pixels, chunk, stride;
    const float *z, *d;
    rb_act_sums act;
    const rb_gradient *g;
    double *slots, *sums;
    rb_affine affine;
    bool accumulate;
    float *dst;
} job;

static job job_of(rb_shape shape) {
    job j = {.shape = shape, .pixels = rb_pixels(shape), .stride = round_up((size_t)shape.c, VL)};
    j.chunk = flat_chunk(j.pixels);
    return j;
}

/* ---- sums for activation, gate and norm, of a stored gradient */

size_t RB_LEVEL(rb_act_sums_scratch)(rb_shape shape, int threads) {
    (void)threads;
    job j = job_of(shape);
    return rb_size_align(flat_slots(j.pixels, (size_t)shape.n, j.chunk) * RB_ACT_SUMS * j.stride *
                         sizeof(double));
}

static void act_sums_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t first = (size_t)task * j->chunk, rows = size_min(j->chunk, j->pixels - first);
    size_t c = (size_t)j->shape.c, per_sample = (size_t)j->shape.h * (size_t)j->shape.w;
    flat_open(j->slots, first, rows, per_sample, j->chunk, RB_ACT_SUMS * j->stride);
    act_sums_flat(j->d ? j->d + first * c : NULL, c, j->shape, &j->act, first, rows, j->chunk, j->slots,
                  j->stride);
}

void RB_LEVEL(rb_act_sums)(rb_shape shape, const float *d, rb_act_sums act, void *scratch, rb_pool *pool) {
    job j = job_of(shape);
    j.d = d, j.act = act, j.slots = scratch;
    rb_pool_run(pool, (int)ceil_div(j.pixels, j.chunk), act_sums_task, &j);
    slots_job sums = {scratch, j.stride, RB_ACT_SUMS, (size_t)shape.c, (size_t)shape.h * (size_t)shape.w,
                      j.chunk, act.sums};
    slots_join(sums, (size_t)shape.n, flat_slots(j.pixels, (size_t)shape.n, j.chunk), pool);
}

/* ---- Σ d_u and Σ d_u·(z − mean) over all pixels */

size_t RB_LEVEL(rb_norm_sums_scratch)(rb_shape shape, int threads) {
    (void)threads;
    job j = job_of(shape);
    return rb_size_align(ceil_div(j.pixels, j.chunk) * NORM_SUMS * j.stride * sizeof(double));
}

/* `count` neighbouring channel vectors (n lanes of the last) over `rows` pixels of one sample. */
RB_INLINE void norm_sums_vectors(const rb_gradient *g, bool act, size_t sample, size_t first, size_t rows,
                                 size_t c, size_t count, size_t n, double *slot, size_t stride) {
    size_t width = (size_t)g->shape.c, ld = (size_t)g->ld;
    const float *d = g->d ? g->d + first * ld + c : NULL, *z = g->z + first * width + c;
    gradient_constants k[AT_ONCE];
    vf sum[AT_ONCE][2], centred[AT_ONCE][2];
    RB_UNROLL
    for (size_t v = 0; v < count; v++) {
        k[v] = gradient_at(g, sample, c + v * VL, v + 1 < count ? VL : n);
        sum[v][0] = sum[v][1] = centred[v][0] = centred[v][1] = vf_zero();
    }
    for (size_t r = 0; r < rows; r += 2) {
        RB_UNROLL
        for (size_t half = 0; half < 2; half++) {
            if (half && r + 1 == rows) break;
            const float *zs = z + (r + half) * width, *ds = d ? d + (r + half) * ld : NULL;
            RB_UNROLL
            for (size_t v = 0; v < count; v++) {
                size_t lane = v + 1 < count ? VL : n;
                vf value = vf_load_n(zs + v * VL, lane);
                vf u = gradient_u(act, &k[v], d ? ds + v * VL : NULL, value, lane);
                sum[v][half] = vf_add(sum[v][half], u);
                centred[v][half] = vf_fma(u, vf_sub(value, k[v].mean), centred[v][half]);
            }
        }
    }
    RB_UNROLL
    for (size_t v = 0; v < count; v++) {
        vf_add_to(slot + c + v * VL, vf_add(sum[v][0], sum[v][1]));
        vf_add_to(slot + stride + c + v * VL, vf_add(centred[v][0], centred[v][1]));
    }
}

RB_INLINE void norm_sums_group(const rb_gradient *g, bool act, size_t sample, size_t first, size_t rows,
                               size_t c, size_t channels, double *slot, size_t stride) {
    size_t count = ceil_div(channels, VL), n = channels - (count - 1) * VL;
    if (count == 1)
        norm_sums_vectors(g, act, sample, first, rows, c, 1, n, slot, stride);
    else if (count == 2)
        norm_sums_vectors(g, act, sample, first, rows, c, 2, n, slot, stride);
    else if (count == AT_ONCE - 1)
        norm_sums_vectors(g, act, sample, first, rows, c, AT_ONCE - 1, n, slot, stride);
    else
        norm_sums_vectors(g, act, sample, first, rows, c, AT_ONCE, n, slot, stride);
}

RB_TARGET static void norm_sums_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t first = (size_t)task * j->chunk, rows = size_min(j->chunk, j->pixels - first);
    size_t width = (size_t)j->shape.c, per_sample = (size_t)j->shape.h * (size_t)j->shape.w;
    size_t group = channel_group(width);
    double *slot = j->slots + (size_t)task * NORM_SUMS * j->stride;
    memset(slot, 0, NORM_SUMS * j->stride * sizeof *slot);
    while (rows) {
        size_t n = first / per_sample, run = size_min(rows, (n + 1) * per_sample - first);
        for (size_t c = 0; c < width; c += group) {
            size_t channels = size_min(group, width - c);
            if (j->g->act)
                norm_sums_group(j->g, true, n, first, run, c, channels, slot, j->stride);
            else
                norm_sums_group(j->g, false, n, first, run, c, channels, slot, j->stride);
        }
        first += run, rows -= run;
    }
}

void RB_LEVEL(rb_norm_sums)(const rb_gradient *g, double *sums, void *scratch, rb_pool *pool) {
    job j = job_of(g->shape);
    j.g = g, j.slots = scratch;
    size_t chunks = ceil_div(j.pixels, j.chunk);
    rb_pool_run(pool, (int)chunks, norm_sums_task, &j);
    slots_job all = {scratch, j.stride, NORM_SUMS, (size_t)g->shape.c, chunks, 0, sums};
    slots_join(all, 1, chunks, pool);
}

/* ---- dst = or += scale·z + shift */

/* n lanes at channel c of a pixel */
RB_INLINE void norm_store_vector(const job *j, bool accumulate, size_t pixel, size_t c, size_t n) {
    size_t at = pixel * (size_t)j->shape.c + c;
    vf scale = vf_load_n(j->affine.scale + c, n), shift = vf_load_n(j->affine.shift + c, n);
    vf u = vf_fma(scale, vf_load_n(j->z + at, n), shift);
    vf_store_n(j->dst + at, accumulate ? vf_add(vf_load_n(j->dst + at, n), u) : u, n);
}

RB_INLINE void norm_store_rows(const job *j, bool accumulate, size_t first, size_t last) {
    size_t width = (size_t)j->shape.c, whole = width / VL * VL;
    for (size_t pixel = first; pixel < last; pixel++) {
        for (size_t c = 0; c < whole; c += VL) norm_store_vector(j, accumulate, pixel, c, VL);
        if (whole < width) norm_store_vector(j, accumulate, pixel, whole, width - whole);
    }
}

RB_TARGET static void norm_store_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t first = (size_t)task * j->chunk, last = size_min(first + j->chunk, j->pixels);
    if (j->accumulate)
        norm_store_rows(j, true, first, last);
    else
        norm_store_rows(j, false, first, last);
}

void RB_LEVEL(rb_norm_store)(rb_shape shape, const float *z, rb_affine affine, bool accumulate, float *dst,
                             rb_pool *pool) {
    job j = job_of(shape);
    j.z = z, j.affine = affine, j.accumulate = accumulate, j.dst = dst;
    rb_pool_run(pool, (int)ceil_div(j.pixels, j.chunk), norm_store_task, &j);
}
