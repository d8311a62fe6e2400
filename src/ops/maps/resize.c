/* Upsampling into a sum, and average pooling. */
#include "ops/maps/maps.h"

#include "ops/profile.h"
#include "ops/resample/bilinear.h"

static double bytes_of(rb_shape s) { return 4.0 * (double)rb_elements(s); }
static size_t floats_of_row(rb_shape s) { return (size_t)s.w * (size_t)s.c; }

/* to = a + part·(b − a) */
static void blend(size_t n, const float *a, const float *b, float part, float *restrict to) {
    for (size_t i = 0; i < n; i++) to[i] = a[i] + part * (b[i] - a[i]);
}
/* to += bias + a + part·(b − a) */
static void blend_add(size_t n, const float *a, const float *b, float part, const float *bias,
                      float *restrict to) {
    if (bias)
        for (size_t i = 0; i < n; i++) to[i] += bias[i] + (a[i] + part * (b[i] - a[i]));
    else
        for (size_t i = 0; i < n; i++) to[i] += a[i] + part * (b[i] - a[i]);
}
static void add(size_t n, const float *a, const float *bias, float *restrict to) {
    if (bias)
        for (size_t i = 0; i < n; i++) to[i] += bias[i] + a[i];
    else
        for (size_t i = 0; i < n; i++) to[i] += a[i];
}

typedef struct up_job {
    rb_shape low;
    int factor;
    const float *src, *bias;
    float *dst, *rows; /* rows: one of low, for each thread */
} up_job;

/* One row of dst: the two rows of src that it reads first, then its columns. */
static void up_task(void *arg, int row, int thread) {
    const up_job *j = arg;
    rb_shape s = j->low;
    size_t c = (size_t)s.c, floats = floats_of_row(s);
    int high = s.h * j->factor, width = s.w * j->factor;
    const float *src = j->src + (size_t)(row / high) * (size_t)s.h * floats;
    rb_bilinear_tap y = rb_bilinear_at(row % high, j->factor, s.h);
    float *dst = j->dst + (size_t)row * (size_t)width * c, *between = j->rows + (size_t)thread * floats;
    blend(floats, src + (size_t)y.low * floats, src + (size_t)y.high * floats, y.part, between);
    for (int px = 0; px < width; px++) {
        rb_bilinear_tap t = rb_bilinear_at(px, j->factor, s.w);
        blend_add(c, between + (size_t)t.low * c, between + (size_t)t.high * c, t.part, j->bias,
                  dst + (size_t)px * c);
    }
}

static void add_task(void *arg, int row, int thread) {
    (void)thread;
    const up_job *j = arg;
    size_t c = (size_t)j->low.c, at = (size_t)row * floats_of_row(j->low);
    for (size_t i = 0; i < floats_of_row(j->low); i += c) add(c, j->src + at + i, j->bias, j->dst + at + i);
}

void rb_upsample_add(rb_exec *x, rb_shape low, int factor, const float *src, const float *bias, float *dst) {
    size_t mark = rb_arena_mark(&x->scratch), threads = (size_t)rb_pool_threads(x->pool);
    up_job j = {low, factor, src, bias, dst, NULL};
    if (factor > 1) j.rows = rb_arena_push(&x->scratch, threads * floats_of_row(low) * sizeof *j.rows);
    RB_RUN(x, RB_PROFILE_MAPS, 0, (1 + 2.0 * factor * factor) * bytes_of(low),
           rb_pool_run(x->pool, low.n * low.h * factor, factor > 1 ? up_task : add_task, &j));
    rb_arena_release(&x->scratch, mark);
}

rb_shape rb_average_pool_shape(rb_shape shape, int k) {
    return (rb_shape){shape.n, shape.h / k, shape.w / k, shape.c};
}

typedef struct pool_job {
    rb_shape shape, low;
    int k;
    const float *from;
    float *to;
} pool_job;

/* Where row `row` of low begins in the map. */
static size_t window_row(const pool_job *j, int row) {
    size_t high = (size_t)(row / j->low.h) * (size_t)j->shape.h + (size_t)(row % j->low.h * j->k);
    return high * floats_of_row(j->shape);
}

static void pool_task(void *arg, int row, int thread) {
    (void)thread;
    const pool_job *j = arg;
    size_t c = (size_t)j->shape.c, width = (size_t)j->low.w, k = (size_t)j->k;
    float area = (float)(j->k * j->k);
    for (size_t px = 0; px < width; px++) {
        float *restrict to = j->to + ((size_t)row * width + px) * c;
        for (size_t i = 0; i < c; i++) to[i] = 0;
        for (size_t a = 0; a < k * k; a++) {
            const float *from =
                j->from + window_row(j, row) + a / k * floats_of_row(j->shape) + (px * k + a % k) * c;
            for (size_t i = 0; i < c; i++) to[i] += from[i];
        }
        for (size_t i = 0; i < c; i++) to[i] /= area;
    }
}

static void pool_back_task(void *arg, int row, int thread) {
    (void)thread;
    const pool_job *j = arg;
    size_t c = (size_t)j->shape.c, width = (size_t)j->low.w, k = (size_t)j->k;
    float area = (float)(j->k * j->k);
    for (size_t px = 0; px < width; px++) {
        const float *from = j->from + ((size_t)row * width + px) * c;
        for (size_t a = 0; a < k * k; a++) {
            float *restrict to =
                j->to + window_row(j, row) + a / k * floats_of_row(j->shape) + (px * k + a % k) * c;
            for (size_t i = 0; i < c; i++) to[i] += from[i] / area;
        }
    }
}

static void run_pool(rb_exec *x, rb_task *task, rb_shape shape, int k, const float *from, float *to) {
    pool_job j = {shape, rb_average_pool_shape(shape, k), k, from, to};
    if (rb_elements(j.low))
        RB_RUN(x, RB_PROFILE_MAPS, 0, bytes_of(shape) + bytes_of(j.low),
               rb_pool_run(x->pool, j.low.n * j.low.h, task, &j));
}

void rb_average_pool(rb_exec *x, rb_shape shape, int k, const float *src, float *dst) {
    run_pool(x, pool_task, shape, k, src, dst);
}

void rb_average_pool_backward(rb_exec *x, rb_shape shape, int k, const float *d_dst, float *d_src) {
    run_pool(x, pool_back_task, shape, k, d_dst, d_src);
}
