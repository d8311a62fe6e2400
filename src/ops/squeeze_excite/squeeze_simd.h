/* Squeeze: the mean over the pixels of the activated map. */
#include "ops/ops_simd.h"
#include "ops/simd/sums.h"

enum { CHAINS = 4 }; /* of a sum in float */

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

/* `count` neighbouring channel vectors (n lanes of the last) over `rows` pixels. */
RB_INLINE void pool_vectors(const float *z, size_t ld, size_t rows, size_t count, size_t n, rb_affine affine,
                            double *slot) {
    vf scale[AT_ONCE], shift[AT_ONCE], sum[AT_ONCE][CHAINS];
    RB_UNROLL
    for (size_t v = 0; v < count; v++) {
        size_t lane = v + 1 < count ? VL : n;
        scale[v] = vf_load_n(affine.scale + v * VL, lane), shift[v] = vf_load_n(affine.shift + v * VL, lane);
        for (int i = 0; i < CHAINS; i++) sum[v][i] = vf_zero();
    }
    for (size_t r = 0; r < rows; r += CHAINS) {
        RB_UNROLL
        for (size_t i = 0; i < CHAINS; i++) {
            if (r + i == rows) break;
            fetch(z + (r + i) * ld, FETCH_READ, count * VL);
            RB_UNROLL
            for (size_t v = 0; v < count; v++) {
                vf value = vf_load_n(z + (r + i) * ld + v * VL, v + 1 < count ? VL : n);
                sum[v][i] = vf_add(sum[v][i], vf_hswish(vf_fma(scale[v], value, shift[v])));
            }
        }
    }
    RB_UNROLL
    for (size_t v = 0; v < count; v++) {
        vf all = sum[v][0];
        for (int i = 1; i < CHAINS; i++) all = vf_add(all, sum[v][i]);
        vf_add_to(slot + v * VL, all);
    }
}

RB_INLINE void pool_group(const float *z, size_t ld, size_t rows, size_t channels, rb_affine affine,
                          double *slot) {
    size_t count = ceil_div(channels, VL), n = channels - (count - 1) * VL;
    if (count == 1)
        pool_vectors(z, ld, rows, 1, n, affine, slot);
    else if (count == 2)
        pool_vectors(z, ld, rows, 2, n, affine, slot);
    else if (count == AT_ONCE - 1)
        pool_vectors(z, ld, rows, AT_ONCE - 1, n, affine, slot);
    else
        pool_vectors(z, ld, rows, AT_ONCE, n, affine, slot);
}

RB_TARGET static void pool_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    size_t first = (size_t)task * j->chunk, rows = size_min(j->chunk, j->pixels - first);
    size_t width = (size_t)j->shape.c, group = channel_group(width);
    flat_open(j->slots, first, rows, j->per_sample, j->chunk, j->stride);
    while (rows) {
        size_t n = first / j->per_sample, run = size_min(rows, (n + 1) * j->per_sample - first);
        double *slot = j->slots + ((size_t)task + n) * j->stride;
        for (size_t c = 0; c < width; c += group)
            pool_group(j->z + first * width + c, width, run, size_min(group, width - c),
                       (rb_affine){j->affine.scale + c, j->affine.shift + c}, slot + c);
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
