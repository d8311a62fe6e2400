/* Squeeze: the mean over the pixels of the activated map. */
#include "ops/ops_simd.h"
#include "ops/simd/sums.h"

typedef struct job {
    rb_shape shape;
    size_t pixels, per_sample, chunk, stride;
    const float *z;
    rb_affine affine;
    double *slots;
    float *pooled;
} job;

static job job_of(rb_shape shape) {
    job j = {.shape = shape, .pixels = rb_pixels(shape), .stride = round_up((size_t)shape.c, VL)};
    j.per_sample = (size_t)shape.h * (size_t)shape.w;
    j.chunk = flat_chunk(j.pixels);
    return j;
}

size_t RB_LEVEL(rb_squeeze_pool_scratch)(rb_shape shape, int threads) {
    (void)threads;
    job j = job_of(shape);
    return rb_size_align(flat_slots(j.pixels, (size_t)shape.n, j.chunk) * j.stride * sizeof(double));
}

RB_INLINE void pool_vector(const float *z, size_t ld, size_t rows, size_t n, vf scale, vf shift,
                           double *slot) {
    vf sum[4];
    for (int i = 0; i < 4; i++) sum[i] = vf_zero();
    size_t r = 0;
    for (; r + 4 <= rows; r += 4, z += 4 * ld) {
        RB_UNROLL
        for (size_t i = 0; i < 4; i++)
            sum[i] = vf_add(sum[i], vf_hswish(vf_fma(scale, vf_load_n(z + i * ld, n), shift)));
    }
    for (; r < rows; r++, z += ld) sum[0] = vf_add(sum[0], vf_hswish(vf_fma(scale, vf_load_n(z, n), shift)));
    vf_add_to(slot, vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

RB_TARGET static void pool_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t first = (size_t)task * j->chunk, rows = size_min(j->chunk, j->pixels - first);
    size_t width = (size_t)j->shape.c;
    flat_open(j->slots, first, rows, j->per_sample, j->chunk, j->stride);
    while (rows) {
        size_t n = first / j->per_sample, run = size_min(rows, (n + 1) * j->per_sample - first);
        double *slot = j->slots + ((size_t)task + n) * j->stride;
        for (size_t c = 0; c < width; c += VL)
            pool_vector(j->z + first * width + c, width, run, width - c,
                        vf_load_n(j->affine.scale + c, width - c), vf_load_n(j->affine.shift + c, width - c),
                        slot + c);
        first += run, rows -= run;
    }
}

/* The mean of one sample: its slots in order. */
static void mean_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t n = (size_t)task, last = flat_last(n, j->per_sample, j->chunk);
    for (size_t c = 0; c < (size_t)j->shape.c; c++) {
        double sum = 0;
        for (size_t i = flat_first(n, j->per_sample, j->chunk); i <= last; i++)
            sum += j->slots[i * j->stride + c];
        j->pooled[n * (size_t)j->shape.c + c] = (float)(sum / (double)j->per_sample);
    }
}

void RB_LEVEL(rb_squeeze_pool)(rb_shape shape, const float *z, rb_affine affine, float *pooled, void *scratch,
                               rb_pool *pool) {
    job j = job_of(shape);
    j.z = z, j.affine = affine, j.slots = scratch, j.pooled = pooled;
    rb_pool_run(pool, (int)ceil_div(j.pixels, j.chunk), pool_task, &j);
    size_t samples = (size_t)shape.n;
    run_tasks(pool, flat_slots(j.pixels, samples, j.chunk) * j.stride, samples, mean_task, &j);
}
