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

/* One channel vector over `rows` pixels of one sample. */
RB_INLINE void norm_sums_vector(const rb_gradient *g, size_t sample, size_t first, size_t rows, size_t c,
                                size_t n, double *slot, size_t stride) {
    size_t width = (size_t)g->shape.c, ld = (size_t)g->ld;
    const float *d = g->d ? g->d + first * ld + c : NULL, *z = g->z + first * width + c;
    const gradient_constants k = gradient_at(g, sample, c, n);
    vf sum[2] = {vf_zero(), vf_zero()}, centred[2] = {vf_zero(), vf_zero()};
    for (size_t r = 0; r < rows; r += 2) {
        RB_UNROLL
        for (size_t half = 0; half < 2; half++) {
            if (half && r + 1 == rows) break;
            vf value = vf_load_n(z + (r + half) * width, n);
            vf u = gradient_u(g->act, &k, d ? d + (r + half) * ld : NULL, value, n);
            sum[half] = vf_add(sum[half], u);
            centred[half] = vf_fma(u, vf_sub(value, k.mean), centred[half]);
        }
    }
    vf_add_to(slot + c, vf_add(sum[0], sum[1]));
    vf_add_to(slot + stride + c, vf_add(centred[0], centred[1]));
}

RB_TARGET static void norm_sums_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t first = (size_t)task * j->chunk, rows = size_min(j->chunk, j->pixels - first);
    size_t width = (size_t)j->shape.c, per_sample = (size_t)j->shape.h * (size_t)j->shape.w;
    double *slot = j->slots + (size_t)task * NORM_SUMS * j->stride;
    memset(slot, 0, NORM_SUMS * j->stride * sizeof *slot);
    while (rows) {
        size_t n = first / per_sample, run = size_min(rows, (n + 1) * per_sample - first);
        for (size_t c = 0; c < width; c += VL)
            norm_sums_vector(j->g, n, first, run, c, width - c, slot, j->stride);
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

RB_INLINE void norm_store_vector(const job *j, bool accumulate, size_t first, size_t rows, size_t c) {
    size_t width = (size_t)j->shape.c, n = width - c;
    vf scale = vf_load_n(j->affine.scale + c, n), shift = vf_load_n(j->affine.shift + c, n);
    const float *z = j->z + first * width + c;
    float *dst = j->dst + first * width + c;
    for (size_t r = 0; r < rows; r++, z += width, dst += width) {
        vf u = vf_fma(scale, vf_load_n(z, n), shift);
        vf_store_n(dst, accumulate ? vf_add(vf_load_n(dst, n), u) : u, n);
    }
}

RB_TARGET static void norm_store_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t width = (size_t)j->shape.c, block = block_pixels(width);
    size_t first = (size_t)task * j->chunk, last = size_min(first + j->chunk, j->pixels);
    for (; first < last; first += block)
        for (size_t c = 0; c < width; c += VL) {
            if (j->accumulate)
                norm_store_vector(j, true, first, size_min(block, last - first), c);
            else
                norm_store_vector(j, false, first, size_min(block, last - first), c);
        }
}

void RB_LEVEL(rb_norm_store)(rb_shape shape, const float *z, rb_affine affine, bool accumulate, float *dst,
                             rb_pool *pool) {
    job j = job_of(shape);
    j.z = z, j.affine = affine, j.accumulate = accumulate, j.dst = dst;
    rb_pool_run(pool, (int)ceil_div(j.pixels, j.chunk), norm_store_task, &j);
}
