/* Times each kernel on the shapes of S0 at 224 pixels: bench_kernels [batch [threads [level [filter]]]].
 * A line each: microseconds (best of several), GFLOP/s where there is a product, and GB/s of the bytes that
 * the operation must move (each operand once). */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "ops/ops.h"

enum { REPEATS = 15 };

typedef struct bench {
    rb_ops ops;
    rb_pool *pool;
    int n;
    const char *filter;
    float *a, *b, *c, *d, *wgt, *d_wgt, *gate, *channel[6];
    double *sums;
    void *scratch;
    size_t elements, scratch_bytes;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *floats(size_t count, double range) {
    float *p = rb_alloc(count * sizeof *p);
    if (!p) exit(1);
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, count, 0);
    for (size_t i = 0; i < count; i++) p[i] = (float)(range * (2 * rb_rng_uniform(&rng) - 1));
    return p;
}

typedef void body(bench *x, const void *op);

static void measure(bench *x, const char *name, body *fn, const void *op, double flop, double bytes) {
    if (x->filter && !strstr(name, x->filter)) return;
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double start = now();
        fn(x, op);
        double t = now() - start;
        if (t < best) best = t;
    }
    printf("%-52s %9.1f us", name, best * 1e6);
    if (flop > 0) printf(" %8.1f GFLOP/s", flop / best * 1e-9);
    printf(" %7.1f GB/s\n", bytes / best * 1e-9);
}

static void *scratch(bench *x, size_t bytes) {
    if (bytes > x->scratch_bytes) {
        rb_free(x->scratch);
        x->scratch = rb_alloc(bytes);
        x->scratch_bytes = bytes;
        if (!x->scratch) exit(1);
    }
    return x->scratch;
}

static rb_affine affine(const bench *x) { return (rb_affine){x->channel[0], x->channel[1]}; }
static rb_source act_source(const bench *x, rb_shape s, bool gate) {
    return (rb_source){.shape = s,
                       .ld = s.c,
                       .load = RB_LOAD_ACT,
                       .data = x->a,
                       .affine = affine(x),
                       .gate = gate ? x->gate : NULL};
}
static rb_source fixed_source(const bench *x, rb_shape s) {
    return (rb_source){.shape = s, .ld = 2 * s.c, .load = RB_LOAD_FIXED, .data = x->a, .step = 1e-7f};
}
static rb_gradient gradient(const bench *x, rb_shape s, bool act) {
    return (rb_gradient){.shape = s,
                         .d = x->b,
                         .ld = s.c,
                         .z = x->c,
                         .act = act,
                         .gate = act ? x->gate : NULL,
                         .pool = act ? x->gate : NULL,
                         .affine = affine(x),
                         .mean = x->channel[2],
                         .mean_d = x->channel[3],
                         .slope = x->channel[4]};
}
static rb_moments moments(const bench *x) { return (rb_moments){x->channel[4], x->channel[5]}; }

static void pointwise_forward(bench *x, const void *op) {
    const rb_pointwise *p = op;
    void *s = scratch(x, x->ops.pointwise_forward_scratch(p, rb_pool_threads(x->pool)));
    x->ops.pointwise_forward(p, x->d, moments(x), s, x->pool);
}
static void pointwise_backward(bench *x, const void *op) {
    const rb_pointwise *p = op;
    rb_shape out = p->src.shape;
    out.c = p->oc;
    rb_gradient g = gradient(x, out, false);
    rb_sink sink = {.d = x->d,
                    .ld = p->src.shape.c,
                    .act = {.sums = x->sums, .z = x->a, .mean = x->channel[2], .affine = affine(x)}};
    void *s = scratch(x, x->ops.pointwise_backward_scratch(p, rb_pool_threads(x->pool)));
    x->ops.pointwise_backward(p, &g, x->d_wgt, &sink, s, x->pool);
}
static void depthwise_forward(bench *x, const void *op) {
    const rb_depthwise *p = op;
    void *s = scratch(x, x->ops.depthwise_forward_scratch(p, rb_pool_threads(x->pool)));
    x->ops.depthwise_forward(p, x->d, moments(x), s, x->pool);
}
static void depthwise_backward(bench *x, const void *op) {
    const rb_depthwise *p = op;
    rb_gradient g = gradient(x, rb_depthwise_shape(p), true);
    rb_sink sink = {.d = x->d, .ld = p->src.ld, .accumulate = true};
    void *s = scratch(x, x->ops.depthwise_backward_scratch(p, rb_pool_threads(x->pool)));
    x->ops.depthwise_backward(p, &g, x->d_wgt, &sink, s, x->pool);
}

static void pointwise(bench *x, int hw, int ic, int oc) {
    rb_shape s = {x->n, hw, hw, ic};
    rb_pointwise p = {.src = act_source(x, s, true), .oc = oc, .wgt = x->wgt};
    double pixels = (double)rb_pixels(s), flop = 2 * pixels * ic * oc;
    char name[96];
    snprintf(name, sizeof name, "pointwise forward %dx%d %d->%d", hw, hw, ic, oc);
    measure(x, name, pointwise_forward, &p, flop, 4 * pixels * (ic + oc));
    snprintf(name, sizeof name, "pointwise backward %dx%d %d->%d", hw, hw, ic, oc);
    measure(x, name, pointwise_backward, &p, 2 * flop, 4 * pixels * (2 * ic + 2 * oc));
}

static void depthwise(bench *x, int hw, int c, int kernel, int stride) {
    rb_shape s = {x->n, hw, hw, c};
    rb_depthwise p = {.src = fixed_source(x, s), .kernel = kernel, .stride = stride, .wgt = x->wgt};
    rb_shape out = rb_depthwise_shape(&p);
    double in_bytes = 4 * (double)rb_elements(s), out_bytes = 4 * (double)rb_elements(out);
    double flop = 2.0 * kernel * kernel * (double)rb_elements(out);
    char name[96];
    snprintf(name, sizeof name, "depthwise forward %dx%d %d kernel %d stride %d", hw, hw, c, kernel, stride);
    measure(x, name, depthwise_forward, &p, flop, in_bytes + out_bytes);
    snprintf(name, sizeof name, "depthwise backward %dx%d %d kernel %d stride %d", hw, hw, c, kernel, stride);
    measure(x, name, depthwise_backward, &p, 2 * flop, 3 * in_bytes + 2 * out_bytes);
}

static void act_sums(bench *x, const void *op) {
    rb_shape s = *(const rb_shape *)op;
    rb_act_sums act = {.sums = x->sums, .z = x->a, .mean = x->channel[2], .affine = affine(x)};
    x->ops.act_sums(s, x->b, act, scratch(x, x->ops.act_sums_scratch(s, rb_pool_threads(x->pool))), x->pool);
}
static void norm_sums(bench *x, const void *op) {
    rb_gradient g = gradient(x, *(const rb_shape *)op, false);
    x->ops.norm_sums(&g, x->sums, scratch(x, x->ops.norm_sums_scratch(g.shape, rb_pool_threads(x->pool))),
                     x->pool);
}
static void norm_store(bench *x, const void *op) {
    x->ops.norm_store(*(const rb_shape *)op, x->a, affine(x), true, x->d, x->pool);
}
static void squeeze_pool(bench *x, const void *op) {
    rb_shape s = *(const rb_shape *)op;
    void *memory = scratch(x, x->ops.squeeze_pool_scratch(s, rb_pool_threads(x->pool)));
    x->ops.squeeze_pool(s, x->a, affine(x), x->d, memory, x->pool);
}
static void state_add_factor(bench *x, rb_shape s, int factor) {
    s.h /= factor, s.w /= factor;
    rb_state_add a = {.shape = s,
                      .z = x->a,
                      .affine = affine(x),
                      .factor = factor,
                      .k = 22,
                      .sign = 1,
                      .state = (int32_t *)(void *)x->d,
                      .ld = 2 * s.c};
    rb_watch watch = {0};
    x->ops.state_add(&a, &watch, scratch(x, x->ops.state_add_scratch(&a, rb_pool_threads(x->pool))), x->pool);
}
static void state_add(bench *x, const void *op) { state_add_factor(x, *(const rb_shape *)op, 1); }
static void state_add_up(bench *x, const void *op) { state_add_factor(x, *(const rb_shape *)op, 4); }
static void upsample_backward(bench *x, const void *op) {
    rb_shape s = *(const rb_shape *)op;
    s.h /= 4, s.w /= 4;
    void *memory = scratch(x, x->ops.upsample_backward_scratch(s, 4, rb_pool_threads(x->pool)));
    x->ops.upsample_backward(s, 4, x->b, s.c, x->d, memory, x->pool);
}
static void sgd(bench *x, const void *op) {
    rb_sgd s = {.count = *(const size_t *)op,
                .lr = 1e-6f,
                .momentum = 0.9f,
                .decay = 1e-5f,
                .p = x->a,
                .b = x->b,
                .g = x->c};
    x->ops.sgd(&s, x->pool);
}

static void passes(bench *x) {
    rb_shape s = {x->n, 56, 56, 24};
    double bytes = 4 * (double)rb_elements(s);
    measure(x, "act sums 56x56 24", act_sums, &s, 0, 2 * bytes);
    measure(x, "norm sums 56x56 24", norm_sums, &s, 0, 2 * bytes);
    measure(x, "norm store += 56x56 24", norm_store, &s, 0, 3 * bytes);
    measure(x, "squeeze pool 56x56 24", squeeze_pool, &s, 0, bytes);
    memset(x->d, 0, x->elements * sizeof *x->d);
    measure(x, "state add 56x56 24", state_add, &s, 0, 3 * bytes);
    memset(x->d, 0, x->elements * sizeof *x->d);
    measure(x, "state add, from 14x14, 24", state_add_up, &s, 0, 2 * bytes + bytes / 16);
    measure(x, "upsample backward 56x56 to 14x14, 24", upsample_backward, &s, 0, bytes + bytes / 16);
    size_t count = x->elements < 3400000 ? x->elements : 3400000;
    measure(x, "sgd 3.4 million", sgd, &count, 0, 20 * (double)count);
}

static void shapes(bench *x) {
    static const int pointwise_shapes[][3] = {{56, 24, 24},   {56, 48, 48},  {28, 32, 32},  {28, 64, 64},
                                              {14, 40, 80},   {14, 80, 40},  {14, 80, 80},  {7, 80, 160},
                                              {7, 160, 80},   {7, 160, 160}, {7, 320, 320}, {7, 320, 1280},
                                              {1, 1280, 1000}};
    static const int depthwise_shapes[][4] = {
        {56, 24, 3, 1}, {56, 48, 3, 1},  {28, 32, 5, 1}, {14, 80, 5, 1}, {7, 160, 3, 1},  {56, 48, 3, 2},
        {56, 48, 7, 4}, {56, 48, 15, 8}, {28, 64, 5, 2}, {28, 64, 9, 4}, {14, 160, 5, 2}, {7, 320, 5, 1}};
    for (size_t i = 0; i < sizeof pointwise_shapes / sizeof *pointwise_shapes; i++)
        pointwise(x, pointwise_shapes[i][0], pointwise_shapes[i][1], pointwise_shapes[i][2]);
    for (size_t i = 0; i < sizeof depthwise_shapes / sizeof *depthwise_shapes; i++)
        depthwise(x, depthwise_shapes[i][0], depthwise_shapes[i][1], depthwise_shapes[i][2],
                  depthwise_shapes[i][3]);
    passes(x);
}

int main(int count, char **word) {
    bench x = {.n = count > 1 ? atoi(word[1]) : 16, .filter = count > 4 ? word[4] : NULL};
    int threads = count > 2 ? atoi(word[2]) : rb_usable_processors();
    int level = count > 3 ? rb_cpu_from_name(word[3]) : (int)rb_cpu_detect();
    rb_error err;
    if (x.n < 1 || threads < 1 || level < 0 || level > (int)rb_cpu_detect() ||
        rb_pool_open(&x.pool, threads, &err)) {
        fprintf(stderr, "usage: bench_kernels [batch [threads [ref|avx2|avx512 [filter]]]]\n");
        return 2;
    }
    rb_ops_fill(&x.ops, (rb_cpu_level)level);
    x.elements = (size_t)x.n * 56 * 56 * 96;
    float **maps[] = {&x.a, &x.b, &x.c, &x.d};
    for (int i = 0; i < 4; i++) *maps[i] = floats(x.elements, 1);
    x.wgt = floats(1280 * 1280, 0.1), x.d_wgt = floats(1280 * 1280, 0.1);
    x.gate = floats((size_t)x.n * 1280, 1);
    for (int i = 0; i < 6; i++) x.channel[i] = floats(1280, 1);
    x.sums = rb_alloc((size_t)x.n * RB_ACT_SUMS * 1280 * sizeof(double));
    if (!x.sums) return 1;
    printf("level %s, %d threads, batch %d\n", rb_cpu_name((rb_cpu_level)level), threads, x.n);
    shapes(&x);
    rb_pool_close(&x.pool);
    return 0;
}
