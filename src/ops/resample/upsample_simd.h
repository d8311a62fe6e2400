/* Adjoint of bilinear upsampling, gather form, one axis after the other: the target rows that read a low row
 * are summed into one row buffer, then the target columns. */
#include "ops/ops_simd.h"
#include "ops/resample/bilinear.h"
#include "ops/simd/sums.h"

typedef struct job {
    rb_shape low;
    int factor;
    size_t ld, stride;
    const float *d;
    float *d_low, *rows; /* rows: per thread w·factor, stride */
} job;

static size_t row_floats(rb_shape low, int factor) {
    return (size_t)low.w * (size_t)factor * round_up((size_t)low.c, VL);
}

size_t RB_LEVEL(rb_upsample_backward_scratch)(rb_shape low, int factor, int threads) {
    return rb_size_align((size_t)threads * row_floats(low, factor) * sizeof(float));
}

/* row += weight·d over `count` pixels of c channels */
RB_TARGET static void add_pixels(float *row, size_t stride, const float *d, size_t ld, size_t count, size_t c,
                                 float weight) {
    vf factor = vf_set1(weight);
    for (size_t x = 0; x < count; x++, row += stride, d += ld)
        for (size_t i = 0; i < c; i += VL)
            vf_store(row + i, vf_fma(factor, vf_load_n(d + i, c - i), vf_load(row + i)));
}

/* One low pixel from the target pixels first … last of the row buffer. */
RB_TARGET static void gather_pixel(const job *j, const float *row, size_t x, float *to) {
    int f = j->factor, w = j->low.w, last = rb_bilinear_last((int)x, f, w);
    size_t c = (size_t)j->low.c;
    for (size_t i = 0; i < c; i += VL) {
        vf sum = vf_zero();
        for (int tx = rb_bilinear_first((int)x, f); tx <= last; tx++)
            sum = vf_fma(vf_set1(rb_bilinear_weight(tx, (int)x, f, w)),
                         vf_load(row + (size_t)tx * j->stride + i), sum);
        vf_store_n(to + i, sum, c - i);
    }
}

static void row_task(void *arg, int task, int thread) {
    const job *j = arg;
    int f = j->factor, y = task % j->low.h, last = rb_bilinear_last(y, f, j->low.h);
    size_t w = (size_t)j->low.w, width = w * (size_t)f, floats = row_floats(j->low, f);
    size_t top = (size_t)(task / j->low.h) * (size_t)(j->low.h * f);
    float *row = j->rows + (size_t)thread * floats, *to = j->d_low + (size_t)task * w * (size_t)j->low.c;
    memset(row, 0, floats * sizeof *row);
    for (int ty = rb_bilinear_first(y, f); ty <= last; ty++) {
        float weight = rb_bilinear_weight(ty, y, f, j->low.h);
        if (weight != 0)
            add_pixels(row, j->stride, j->d + (top + (size_t)ty) * width * j->ld, j->ld, width,
                       (size_t)j->low.c, weight);
    }
    for (size_t x = 0; x < w; x++) gather_pixel(j, row, x, to + x * (size_t)j->low.c);
}

void RB_LEVEL(rb_upsample_backward)(rb_shape low, int factor, const float *d, int ld, float *d_low,
                                    void *scratch, rb_pool *pool) {
    job j = {low, factor, (size_t)ld, round_up((size_t)low.c, VL), d, d_low, scratch};
    rb_pool_run(pool, low.n * low.h, row_task, &j);
}
