/* What the kernel tests share: random operands, and one comparer of a table entry on all levels.
 *
 * compare_levels() runs the reference, then every level that the processor has with 1, 2, 3 and 7 threads and
 * once more. Outputs have guard bytes on both sides, scratch is exactly as large as the table says, guarded,
 * and filled with NaN; inputs are allocated to the byte, so that AddressSanitizer sees a read beyond them. */
#ifndef RB_TESTS_OPS_KERNELS_H
#define RB_TESTS_OPS_KERNELS_H

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "check.h"
#include "ops/operand.h"
#include "ops/ops.h"

enum { GUARD = 192, MAX_OUTPUTS = 4, MAX_INPUTS = 64, POOLS = 4 };
/* One rounding of a float operation, relative. */
#define EPS ((double)FLT_EPSILON / 2)

/* ---- one trial: a random stream, and the memory of its inputs */

typedef struct trial {
    rb_rng rng;
    int number;
    char repro[512]; /* printed on failure */
    void *inputs[MAX_INPUTS];
    int count;
} trial;

static inline uint64_t test_seed(void) {
    const char *given = getenv("REVBIFPN_SEED");
    return given ? strtoull(given, NULL, 10) : 20240607;
}
static inline trial trial_open(int entry, int number) {
    return (trial){.rng = rb_rng_open(test_seed(), RB_PURPOSE_TEST, (uint64_t)entry, (uint64_t)number),
                   .number = number};
}
static inline void trial_close(trial *t) {
    for (int i = 0; i < t->count; i++) free(t->inputs[i]);
}
static inline int below(trial *t, int n) { return (int)rb_rng_below(&t->rng, (uint32_t)n); }
static inline int between(trial *t, int low, int high) { return low + below(t, high - low + 1); }
static inline bool coin(trial *t) { return below(t, 2); }
static inline int one_of(trial *t, const int *list, int count) { return list[below(t, count)]; }
#define ONE_OF(t, ...)                                                                                       \
    one_of(t, (const int[]){__VA_ARGS__}, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)))

static inline void *input(trial *t, size_t bytes) {
    assert_true(t->count < MAX_INPUTS);
    void *p = malloc(bytes ? bytes : 1);
    assert_non_null(p);
    return t->inputs[t->count++] = p;
}
/* Uniform in ±range. */
static inline float *random_floats(trial *t, size_t count, double range) {
    float *p = input(t, count * sizeof *p);
    for (size_t i = 0; i < count; i++) p[i] = (float)(range * (2 * rb_rng_uniform(&t->rng) - 1));
    return p;
}
/* Multiples of 1/steps up to ±range: products of two and their sums are exact, so that both sides see the
 * same u and take the same branch of the activation, its corners at ±3 included. */
static inline float *grid_floats(trial *t, size_t count, int range, int steps) {
    float *p = input(t, count * sizeof *p);
    for (size_t i = 0; i < count; i++) p[i] = (float)between(t, -range * steps, range * steps) / (float)steps;
    return p;
}
static inline double *zeros(trial *t, size_t count) {
    double *p = input(t, count * sizeof *p);
    memset(p, 0, count * sizeof *p);
    return p;
}
static inline rb_affine random_affine(trial *t, int c) {
    return (rb_affine){grid_floats(t, (size_t)c, 2, 8), grid_floats(t, (size_t)c, 1, 16)};
}
/* Channel counts as the networks have them, and odd ones. */
static inline int random_channels(trial *t, int most) {
    int c = coin(t) ? 8 * between(t, 1, most / 8) : between(t, 1, most);
    return below(t, 8) ? c : ONE_OF(t, 1, 15, 16, 17, 31, 32, 33, 48, 49);
}
/* Elements of a map whose last pixel ends where its channels do. */
static inline size_t slice_elements(rb_shape s, int ld) {
    return (rb_pixels(s) - 1) * (size_t)ld + (size_t)s.c;
}

/* A source of any kind: fixed, map or act with and without gate; half of them slices. */
static inline rb_source random_source(trial *t, rb_shape shape) {
    rb_source s = {.shape = shape, .ld = shape.c + (coin(t) ? between(t, 1, 20) : 0)};
    size_t count = slice_elements(shape, s.ld);
    s.load = (rb_load)below(t, 3);
    if (s.load == RB_LOAD_FIXED) {
        int32_t *data = input(t, count * sizeof *data);
        for (size_t i = 0; i < count; i++) data[i] = between(t, -(1 << 20), 1 << 20);
        s.data = data, s.step = ldexpf(1, -19);
        return s;
    }
    s.data = grid_floats(t, count, 4, 32);
    if (s.load == RB_LOAD_MAP) return s;
    s.affine = random_affine(t, shape.c);
    if (coin(t)) s.gate = random_floats(t, (size_t)(shape.n * shape.c), 1);
    return s;
}
static inline const char *source_name(const rb_source *s) {
    return s->load == RB_LOAD_FIXED ? "fixed" : s->load == RB_LOAD_MAP ? "map" : s->gate ? "gated" : "act";
}

/* A gradient of any kind: identity, norm only (with and without sample), activation with gate, pool, without
 * d. */
static inline rb_gradient random_gradient(trial *t, rb_shape shape, bool identity) {
    rb_gradient g = {.shape = shape, .ld = shape.c + (coin(t) ? between(t, 1, 20) : 0)};
    g.d = random_floats(t, slice_elements(shape, g.ld), 1);
    if (identity && !below(t, 5)) return g;
    size_t c = (size_t)shape.c, per_sample = (size_t)shape.n * c;
    g.z = grid_floats(t, rb_elements(shape), 4, 32);
    g.affine = random_affine(t, shape.c);
    g.mean = random_floats(t, c, 1), g.mean_d = random_floats(t, c, 0.2), g.slope = random_floats(t, c, 0.2);
    g.act = coin(t);
    if (!g.act) {
        if (coin(t)) g.sample = random_floats(t, (size_t)shape.n, 1);
        return g;
    }
    if (coin(t)) g.gate = random_floats(t, per_sample, 1);
    if (coin(t)) g.pool = random_floats(t, per_sample, 0.3);
    if (!below(t, 6)) g.d = NULL;
    return g;
}
static inline void gradient_name(const rb_gradient *g, char text[64]) {
    snprintf(text, 64, "%s%s%s%s%s ld %d",
             !g->affine.scale ? "identity"
             : g->act         ? "act"
                              : "norm",
             g->sample ? "+sample" : "", g->gate ? "+gate" : "", g->pool ? "+pool" : "",
             g->d ? "" : " without d", g->ld);
}

/* Magnitudes for tolerances: |value| of a source, and of a gradient the sum of its terms' absolute values. */
static inline double source_size(const rb_source *s, int n, size_t p, int c) {
    return fabs(rb_source_at(s, n, p, c));
}
static inline double gradient_u_size(const rb_gradient *g, int n, size_t p, int c) {
    size_t pixel = (size_t)n * (size_t)g->shape.h * (size_t)g->shape.w + p, at = (size_t)(n * g->shape.c + c);
    double d = g->d ? fabs((double)g->d[pixel * (size_t)g->ld + (size_t)c]) : 0;
    if (!g->act) return g->sample ? d * fabs((double)g->sample[n]) : d;
    if (g->gate) d *= fabs((double)g->gate[at]);
    if (g->pool) d += fabs((double)g->pool[at]);
    return d * 1.5; /* the largest slope of hardswish */
}
static inline double gradient_size(const rb_gradient *g, int n, size_t p, int c) {
    size_t pixel = (size_t)n * (size_t)g->shape.h * (size_t)g->shape.w + p;
    if (!g->affine.scale) return fabs((double)g->d[pixel * (size_t)g->ld + (size_t)c]);
    double z = fabs((double)g->z[pixel * (size_t)g->shape.c + (size_t)c]) + fabs((double)g->mean[c]);
    return fabs((double)g->affine.scale[c]) *
           (gradient_u_size(g, n, p, c) + fabs((double)g->mean_d[c]) + z * fabs((double)g->slope[c]));
}

/* ---- the comparer */

typedef struct output {
    const char *name;
    size_t count;            /* elements */
    size_t size;             /* 4: floats, 8: doubles */
    const void *initial;     /* NULL: NaN, every element must be written */
    const double *tolerance; /* an element; NULL: the bits of the reference */
} output;

typedef struct comparison {
    const trial *t;
    output out[MAX_OUTPUTS];
    int outputs;
    const void *op; /* for run and scratch */
    void (*run)(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool);
    size_t (*scratch)(const rb_ops *ops, const void *op, int threads);
} comparison;

static inline unsigned char *guarded(size_t bytes, int fill) {
    unsigned char *block = malloc(bytes + 2 * GUARD);
    assert_non_null(block);
    memset(block, 0xa5, bytes + 2 * GUARD);
    memset(block + GUARD, fill, bytes);
    return block;
}
static inline bool guards_whole(const unsigned char *block, size_t bytes) {
    for (size_t i = 0; i < GUARD; i++)
        if (block[i] != 0xa5 || block[GUARD + bytes + i] != 0xa5) return false;
    return true;
}

static inline void fail_trial(const comparison *c, const char *level, int threads, const char *what,
                              size_t at, double got, double want, double tolerance) {
    fail_msg(
        "REVBIFPN_SEED=%llu trial %d: %s, %d threads: %s[%zu] = %.9g, reference %.9g, tolerance %.3g\n    %s",
        (unsigned long long)test_seed(), c->t->number, level, threads, what, at, got, want, tolerance,
        c->t->repro);
}

static inline void run_once(const comparison *c, const rb_ops *ops, rb_pool *pool,
                            unsigned char *blocks[MAX_OUTPUTS]) {
    void *data[MAX_OUTPUTS];
    const char *level = rb_cpu_name(ops->level);
    int threads = rb_pool_threads(pool);
    for (int i = 0; i < c->outputs; i++) {
        const output *o = &c->out[i];
        blocks[i] = guarded(o->count * o->size, 0xff);
        data[i] = o->count ? blocks[i] + GUARD : NULL;
        if (o->initial) memcpy(data[i], o->initial, o->count * o->size);
    }
    size_t bytes = c->scratch ? c->scratch(ops, c->op, threads) : 0;
    unsigned char *scratch = guarded(bytes, 0xff);
    c->run(ops, c->op, data, scratch + GUARD, pool);
    if (!guards_whole(scratch, bytes)) fail_trial(c, level, threads, "guards of scratch", bytes, 0, 0, 0);
    free(scratch);
    for (int i = 0; i < c->outputs; i++)
        if (!guards_whole(blocks[i], c->out[i].count * c->out[i].size))
            fail_trial(c, level, threads, c->out[i].name, c->out[i].count, 0, 0, 0);
}

static inline double element(const output *o, const unsigned char *block, size_t i) {
    const void *data = block + GUARD;
    return o->size == 8 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static inline void compare_output(const comparison *c, const rb_ops *ops, const output *o,
                                  const unsigned char *got, const unsigned char *want) {
    const char *level = rb_cpu_name(ops->level);
    if (!o->tolerance && memcmp(got, want, o->count * o->size + 2 * GUARD)) {
        size_t i = 0;
        while (!memcmp(got + GUARD + i * o->size, want + GUARD + i * o->size, o->size)) i++;
        fail_trial(c, level, 1, o->name, i, element(o, got, i), element(o, want, i), 0);
    }
    for (size_t i = 0; o->tolerance && i < o->count; i++) {
        double a = element(o, got, i), b = element(o, want, i);
        if (!(fabs(a - b) <= o->tolerance[i])) fail_trial(c, level, 1, o->name, i, a, b, o->tolerance[i]);
    }
}

static rb_pool *test_pools[POOLS];
static const int pool_threads[POOLS] = {1, 2, 3, 7};

static inline int open_pools(void **state) {
    (void)state;
    for (int i = 0; i < POOLS; i++) {
        rb_error err;
        CHECK_OK(rb_pool_open(&test_pools[i], pool_threads[i], &err), &err);
    }
    return 0;
}
static inline int close_pools(void **state) {
    (void)state;
    for (int i = 0; i < POOLS; i++) rb_pool_close(&test_pools[i]);
    return 0;
}

static inline void free_blocks(const comparison *c, unsigned char **blocks) {
    for (int i = 0; i < c->outputs; i++) free(blocks[i]);
}

static inline void compare_levels(const comparison *c) {
    rb_ops ops;
    rb_ops_fill(&ops, RB_CPU_REF);
    unsigned char *want[MAX_OUTPUTS], *got[MAX_OUTPUTS], *again[MAX_OUTPUTS];
    run_once(c, &ops, test_pools[1], want);
    for (rb_cpu_level level = RB_CPU_AVX2; level <= rb_cpu_detect(); level++) {
        rb_ops_fill(&ops, level);
        run_once(c, &ops, test_pools[0], got);
        for (int i = 0; i < c->outputs; i++) compare_output(c, &ops, &c->out[i], got[i], want[i]);
        for (int pool = 0; pool < POOLS; pool++) {
            run_once(c, &ops, test_pools[pool], again);
            for (int i = 0; i < c->outputs; i++)
                if (memcmp(got[i], again[i], c->out[i].count * c->out[i].size + 2 * GUARD))
                    fail_trial(c, rb_cpu_name(level), pool_threads[pool], c->out[i].name, SIZE_MAX, 0, 0, 0);
            free_blocks(c, again);
        }
        free_blocks(c, got);
    }
    free_blocks(c, want);
}

/* A reference needs nothing beside it where the processor has no vectors: say so instead of passing by not
 * running.
 */
static inline void need_levels(void) {
    if (rb_cpu_detect() == RB_CPU_REF) skip_all("this processor has the reference level only");
}

/* ---- tolerances that several entries share */

/* Batch statistics of outputs z (n·h·w, c) that differ from the reference's by at most `tolerance`: the mean
 * moves by no more, the variance by 2·tolerance·deviation + tolerance²; and both are rounded to float once,
 * from sums in runs of at most RUN/4 = 64 floats a chain. */
static inline void moments_tolerance(rb_shape s, const float *z, const double *tolerance, double *mean_tol,
                                     double *var_tol) {
    size_t m = rb_pixels(s), c = (size_t)s.c;
    for (size_t i = 0; i < c; i++) {
        double mean = 0, var = 0, most = 0, pivot = (double)z[i], spread = 0;
        for (size_t p = 0; p < m; p++) mean += (double)z[p * c + i] / (double)m;
        for (size_t p = 0; p < m; p++) {
            double d = (double)z[p * c + i] - mean;
            var += d * d / (double)m;
            most = fmax(most, tolerance[p * c + i]);
            spread += fabs((double)z[p * c + i] - pivot) / (double)m;
        }
        mean_tol[i] = most + 70 * EPS * spread + 2 * EPS * fabs(mean);
        var_tol[i] = 2 * most * sqrt(var) + most * most + 140 * EPS * (var + spread * spread);
    }
}

/* Act sums over gradients d that may differ by `d_tolerance` (an element, or NULL): n, RB_ACT_SUMS, c. */
static inline double *act_tolerance(trial *t, rb_shape s, const float *d, int ldd, const double *d_tolerance,
                                    const rb_act_sums *a) {
    size_t pixels = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
    double *tolerance = zeros(t, (size_t)s.n * RB_ACT_SUMS * c);
    /* a run of at most 256 pixels in float, two chains, a handful of roundings before; the rest in double */
    double relative = EPS * (fmin((double)pixels, 128) + 10);
    for (size_t p = 0; p < rb_pixels(s); p++)
        for (size_t i = 0; i < c; i++) {
            double z = (double)a->z[p * c + i], u = rb_affine_at(a->affine, z, (int)i);
            double size = d ? fabs((double)d[p * (size_t)ldd + i]) : 0,
                   slope = fabs(rb_hswish_slope(u)) + 1e-7;
            double centred = fabs(z) + fabs((double)a->mean[i]);
            double error = relative * size + (d_tolerance ? d_tolerance[p * (size_t)ldd + i] : 0);
            double *to = tolerance + (p / pixels * RB_ACT_SUMS) * c + i;
            to[0] += error * (fabs(rb_hswish(u)) + 1e-7);
            to[c] += error * slope;
            to[2 * c] += error * slope * centred;
            to[3 * c] += relative * slope;
            to[4 * c] += relative * slope * centred;
        }
    return tolerance;
}

static inline rb_act_sums random_act(trial *t, rb_shape s) {
    return (rb_act_sums){.z = grid_floats(t, rb_elements(s), 4, 32),
                         .mean = random_floats(t, (size_t)s.c, 1),
                         .affine = random_affine(t, s.c)};
}

#endif
