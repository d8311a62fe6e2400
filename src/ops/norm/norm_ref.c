/* Batch normalisation, the specification of its passes over pixels. Statistics in two passes, in double. */
#include "ops/ops_ref.h"

typedef struct job {
    rb_shape shape;
    const float *z, *d;
    rb_moments moments;
    rb_act_sums act;
    const rb_gradient *g;
    double *sums;
    rb_affine affine;
    bool accumulate;
    float *dst;
} job;

static void moments_task(void *arg, int c, int thread) {
    (void)thread;
    const job *j = arg;
    size_t m = rb_pixels(j->shape), step = (size_t)j->shape.c;
    double mean = 0, var = 0;
    for (size_t p = 0; p < m; p++) mean += (double)j->z[p * step + (size_t)c];
    mean /= (double)m;
    for (size_t p = 0; p < m; p++) {
        double d = (double)j->z[p * step + (size_t)c] - mean;
        var += d * d;
    }
    j->moments.mean[c] = (float)mean;
    j->moments.var[c] = (float)(var / (double)m);
}

void rb_moments_ref(rb_shape shape, const float *z, rb_moments moments, rb_pool *pool) {
    job j = {.shape = shape, .z = z, .moments = moments};
    rb_pool_run(pool, shape.c, moments_task, &j);
}

static void act_sums_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    int n = task / j->shape.c, c = task % j->shape.c;
    size_t pixels = (size_t)j->shape.h * (size_t)j->shape.w, step = (size_t)j->shape.c;
    size_t at = (size_t)n * pixels * step + (size_t)c;
    double sum[RB_ACT_SUMS] = {0};
    for (size_t p = 0; p < pixels; p++, at += step) {
        double z = (double)j->act.z[at], u = rb_affine_at(j->act.affine, z, c);
        double d = j->d ? (double)j->d[at] : 0, slope = rb_hswish_slope(u),
               centred = z - (double)j->act.mean[c];
        sum[0] += d * rb_hswish(u);
        sum[1] += d * slope;
        sum[2] += d * slope * centred;
        sum[3] += slope;
        sum[4] += slope * centred;
    }
    for (int i = 0; i < RB_ACT_SUMS; i++)
        j->act.sums[((size_t)n * RB_ACT_SUMS + (size_t)i) * step + (size_t)c] = sum[i];
}

void rb_act_sums_ref(rb_shape shape, const float *d, rb_act_sums act, void *scratch, rb_pool *pool) {
    (void)scratch;
    job j = {.shape = shape, .d = d, .act = act};
    rb_pool_run(pool, shape.n * shape.c, act_sums_task, &j);
}

static void norm_sums_task(void *arg, int c, int thread) {
    (void)thread;
    const job *j = arg;
    rb_shape s = j->g->shape;
    size_t pixels = (size_t)s.h * (size_t)s.w;
    double sum = 0, sum_centred = 0;
    for (int n = 0; n < s.n; n++)
        for (size_t p = 0; p < pixels; p++) {
            double d = rb_gradient_u(j->g, n, p, c);
            sum += d;
            sum_centred += d * ((double)j->g->z[((size_t)n * pixels + p) * (size_t)s.c + (size_t)c] -
                                (double)j->g->mean[c]);
        }
    j->sums[c] = sum;
    j->sums[s.c + c] = sum_centred;
}

void rb_norm_sums_ref(const rb_gradient *g, double *sums, void *scratch, rb_pool *pool) {
    (void)scratch;
    job j = {.g = g, .sums = sums};
    rb_pool_run(pool, g->shape.c, norm_sums_task, &j);
}

static void norm_store_task(void *arg, int row, int thread) {
    (void)thread;
    const job *j = arg;
    size_t count = (size_t)j->shape.w * (size_t)j->shape.c, first = (size_t)row * count;
    for (size_t i = 0; i < count; i++) {
        int c = (int)(i % (size_t)j->shape.c);
        float value = (float)rb_affine_at(j->affine, (double)j->z[first + i], c);
        j->dst[first + i] = j->accumulate ? j->dst[first + i] + value : value;
    }
}

void rb_norm_store_ref(rb_shape shape, const float *z, rb_affine affine, bool accumulate, float *dst,
                       rb_pool *pool) {
    job j = {.shape = shape, .z = z, .affine = affine, .accumulate = accumulate, .dst = dst};
    rb_pool_run(pool, shape.n * shape.h, norm_store_task, &j);
}
