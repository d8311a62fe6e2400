/* The pointwise backward writes its data gradient over z when it may (ops.h): the same bits for both
 * gradients as with a place of its own, on every level, shape and thread count. */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "ops/ops.h"

typedef struct problem {
    int n, h, w, c;
    float *src, *z, *d, *wgt, *scale, *shift, *mean, *mean_d, *slope;
    float *out, *d_wgt;
    double *sums;
} problem;

static float *random_floats(rb_rng *rng, size_t count) {
    float *data = rb_alloc(count * sizeof *data);
    for (size_t i = 0; i < count; i++) data[i] = (float)(2 * rb_rng_uniform(rng) - 1);
    return data;
}

static problem make_problem(rb_rng *rng) {
    problem p = {.n = 1 + (int)rb_rng_below(rng, 4), .h = 1 + (int)rb_rng_below(rng, 20)};
    p.w = 1 + (int)rb_rng_below(rng, 20);
    p.c = 1 + (int)rb_rng_below(rng, rb_rng_below(rng, 4) ? 60 : 500);
    size_t c = (size_t)p.c, count = (size_t)p.n * (size_t)p.h * (size_t)p.w * c;
    float **maps[3] = {&p.src, &p.z, &p.d}, **rows[5] = {&p.scale, &p.shift, &p.mean, &p.mean_d, &p.slope};
    for (int i = 0; i < 3; i++) *maps[i] = random_floats(rng, count);
    for (int i = 0; i < 5; i++) *rows[i] = random_floats(rng, c);
    p.wgt = random_floats(rng, c * c);
    p.out = rb_alloc(count * sizeof(float));
    p.d_wgt = rb_alloc(c * c * sizeof(float));
    p.sums = rb_alloc((size_t)p.n * RB_ACT_SUMS * c * sizeof(double));
    return p;
}

static void free_problem(problem *p) {
    float *all[] = {p->src,  p->z,      p->d,     p->wgt, p->scale, p->shift,
                    p->mean, p->mean_d, p->slope, p->out, p->d_wgt};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rb_free(all[i]);
    rb_free(p->sums);
}

/* Runs one backward with the data gradient at `to`, which is p->z or elsewhere. */
static void run(const problem *p, const rb_ops *ops, int threads, float *to, float *d_wgt, double *sums) {
    rb_pool *pool;
    rb_error err;
    rb_shape shape = {p->n, p->h, p->w, p->c};
    rb_affine affine = {p->scale, p->shift};
    rb_source src = {.shape = shape, .ld = p->c, .load = RB_LOAD_ACT, .data = p->src, .affine = affine};
    rb_pointwise op = {.src = src, .oc = p->c, .wgt = p->wgt};
    rb_gradient g = {.shape = shape, .d = p->d, .ld = p->c, .z = p->z, .affine = affine};
    g.mean = p->mean;
    g.mean_d = p->mean_d;
    g.slope = p->slope;
    rb_sink sink = {
        .d = to, .ld = p->c, .act = {.sums = sums, .z = p->src, .mean = p->mean, .affine = affine}};
    CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
    void *scratch = rb_alloc(ops->pointwise_backward_scratch(&op, threads));
    memset(d_wgt, 0, (size_t)p->c * (size_t)p->c * sizeof *d_wgt);
    ops->pointwise_backward(&op, &g, d_wgt, &sink, scratch, pool);
    rb_free(scratch);
    rb_pool_close(&pool);
}

static void compare(problem *p, const rb_ops *ops, int threads) {
    size_t c = (size_t)p->c, count = (size_t)p->n * (size_t)p->h * (size_t)p->w * c;
    size_t sum_count = (size_t)p->n * RB_ACT_SUMS * c;
    float *z = rb_alloc(count * sizeof *z), *d_wgt = rb_alloc(c * c * sizeof *d_wgt);
    double *sums = rb_alloc(sum_count * sizeof *sums);
    memcpy(z, p->z, count * sizeof *z);
    run(p, ops, 1, p->out, p->d_wgt, p->sums);
    run(p, ops, threads, p->z, d_wgt, sums);
    if (memcmp(p->z, p->out, count * sizeof *z) || memcmp(d_wgt, p->d_wgt, c * c * sizeof *d_wgt))
        fail_msg("level %d, %d threads, n %d h %d w %d c %d", (int)ops->level, threads, p->n, p->h, p->w,
                 p->c);
    for (size_t i = 0; i < sum_count;
         i++) /* another grouping of the same float runs: rounding of a few hundred terms */
        assert_true(fabs(sums[i] - p->sums[i]) <= 1e-4 * (1 + fabs(p->sums[i])));
    memcpy(p->z, z, count * sizeof *z);
    rb_free(z);
    rb_free(d_wgt);
    rb_free(sums);
}

static void in_place_equals_apart(void **state) {
    (void)state;
    rb_rng rng = rb_rng_open(21, RB_PURPOSE_TEST, 0, 0);
    for (int level = RB_CPU_REF; level <= (int)rb_cpu_detect(); level++) {
        rb_ops ops;
        rb_ops_fill(&ops, (rb_cpu_level)level);
        for (int i = 0; i < (level ? 60 : 6); i++) {
            problem p = make_problem(&rng);
            compare(&p, &ops, 1 + i % 4);
            free_problem(&p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_place_equals_apart)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
