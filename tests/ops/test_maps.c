/* THREAD-TEST. Passes over float maps against their formulas, by any number of threads, and the adjoints. */
#include "with_exec.h"

#include "ops/maps/maps.h"
#include "ops/resample/bilinear.h"

enum { TRIALS = 60 };

typedef struct map_case {
    rb_shape shape;
    int k; /* factor, or window */
    bool relu;
    const float *src, *bias;
} map_case;

/* Runs with all pools: guards whole, all bits the same; into `to`, which begins with `initial` (NULL: NaN).
 */
static void run_all(const trial *t, void (*run)(rb_exec *, const void *, void **), const map_case *k,
                    size_t count, const float *initial, float *to) {
    rb_ops ops;
    rb_ops_fill(&ops, RB_CPU_REF);
    for (int i = 0; i < POOLS; i++) {
        unsigned char *block = guarded(count * sizeof(float), 0xff);
        void *out = block + GUARD;
        if (initial) memcpy(out, initial, count * sizeof(float));
        with_exec(&ops, test_pools[i], run, k, &out);
        if (!guards_whole(block, count * sizeof(float)))
            fail_msg("guards, trial %d: %s", t->number, t->repro);
        if (i && memcmp(out, to, count * sizeof(float)))
            fail_msg("threads, trial %d: %s", t->number, t->repro);
        memcpy(to, out, count * sizeof(float));
        free(block);
    }
}

static map_case random_case(trial *t, int factor_most) {
    map_case k = {.k = between(t, 1, factor_most), .relu = coin(t)};
    k.shape = (rb_shape){between(t, 1, 3), between(t, 1, 9), between(t, 1, 9), random_channels(t, 40)};
    k.src = random_floats(t, rb_elements(k.shape), 1);
    k.bias = coin(t) ? random_floats(t, (size_t)k.shape.c, 1) : NULL;
    snprintf(t->repro, sizeof t->repro, "%d,%d,%d,%d by %d, bias %d, relu %d", k.shape.n, k.shape.h,
             k.shape.w, k.shape.c, k.k, k.bias != NULL, k.relu);
    return k;
}
static void near(const trial *t, size_t i, float got, double want, double size, double roundings) {
    if (!(fabs((double)got - want) <= roundings * EPS * size))
        fail_msg("trial %d: [%zu] = %.9g, wanted %.9g, %s", t->number, i, (double)got, want, t->repro);
}

/* ---- upsampling */

static void run_up(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_upsample_add(x, k->shape, k->k, k->src, k->bias, out[0]);
}
static rb_shape high_of(const map_case *k) {
    return (rb_shape){k->shape.n, k->shape.h * k->k, k->shape.w * k->k, k->shape.c};
}

/* By the weight of each source in each target: another way than the kernel's. */
static double upsampled(const map_case *k, int n, int y, int px, int c) {
    rb_shape s = k->shape;
    double sum = 0;
    for (int a = 0; a < s.h; a++)
        for (int b = 0; b < s.w; b++)
            sum += (double)rb_bilinear_weight(y, a, k->k, s.h) *
                   (double)rb_bilinear_weight(px, b, k->k, s.w) *
                   (double)k->src[((n * s.h + a) * s.w + b) * s.c + c];
    return sum;
}

static void upsampling_is_the_formula(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(50, i);
        map_case k = random_case(&t, 8);
        rb_shape high = high_of(&k);
        size_t count = rb_elements(high), at = 0;
        const float *initial = random_floats(&t, count, 1);
        float *got = random_floats(&t, count, 0);
        run_all(&t, run_up, &k, count, initial, got);
        for (int n = 0; n < high.n; n++)
            for (int y = 0; y < high.h; y++)
                for (int px = 0; px < high.w; px++)
                    for (int c = 0; c < high.c; c++, at++) {
                        double want = (double)initial[at] + upsampled(&k, n, y, px, c);
                        if (k.bias) want += (double)k.bias[c];
                        near(&t, at, got[at], want, 3,
                             10); /* three terms of at most 1, a handful of roundings */
                    }
        trial_close(&t);
    }
}

/* Known values: an edge of four targets for two sources, as PyTorch has them. */
static void upsampling_has_half_pixel_centres(void **state) {
    (void)state;
    trial t = trial_open(51, 0);
    const float src[2] = {0, 1}, zero[8] = {0}, want[8] = {0, 0.25f, 0.75f, 1, 0, 0.25f, 0.75f, 1};
    float got[8];
    map_case k = {.shape = {1, 1, 2, 1}, .k = 2, .src = src};
    run_all(&t, run_up, &k, 8, zero, got);
    assert_memory_equal(got, want, sizeof got);
}

/* ⟨up(src), d⟩ = ⟨src, rb_upsample_backward(d)⟩ */
static void run_up_back(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_upsample_backward(x, k->shape, k->k, k->bias, k->shape.c, out[0]); /* bias holds d */
}
static void upsampling_has_its_adjoint(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(52, i);
        map_case k = random_case(&t, 8), back = k;
        size_t low = rb_elements(k.shape), high = rb_elements(high_of(&k));
        float *up = random_floats(&t, high, 0), *d_src = random_floats(&t, low, 0);
        const float *d = random_floats(&t, high, 1);
        double sum = 0, size = 1;
        k.bias = NULL;
        back.bias = d;
        run_all(&t, run_up, &k, high, (float *)(void *)zeros(&t, high), up);
        run_all(&t, run_up_back, &back, low, NULL, d_src);
        for (size_t e = 0; e < high; e++) sum += (double)up[e] * (double)d[e], size += fabs((double)d[e]);
        for (size_t e = 0; e < low; e++) sum -= (double)k.src[e] * (double)d_src[e];
        near(&t, 0, (float)sum, 0, size, 20);
        trial_close(&t);
    }
}

/* ---- average pooling */

static void run_pool(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_average_pool(x, k->shape, k->k, k->src, out[0]);
}
static void run_pool_back(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_average_pool_backward(x, k->shape, k->k, k->src, out[0]); /* src holds d_dst */
}

static void pooling_is_the_mean(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(53, i);
        map_case k = random_case(&t, 4);
        rb_shape s = k.shape, low = rb_average_pool_shape(s, k.k);
        size_t count = rb_elements(low), at = 0;
        assert_true(low.h == s.h / k.k && low.w == s.w / k.k && low.n == s.n && low.c == s.c);
        float *got = random_floats(&t, count, 0);
        run_all(&t, run_pool, &k, count, NULL, got);
        for (int n = 0; n < low.n; n++)
            for (int y = 0; y < low.h; y++)
                for (int px = 0; px < low.w; px++)
                    for (int c = 0; c < low.c; c++, at++) {
                        double sum = 0;
                        for (int a = 0; a < k.k * k.k; a++) {
                            int from = (n * s.h + y * k.k + a / k.k) * s.w + px * k.k + a % k.k;
                            sum += (double)k.src[from * s.c + c];
                        }
                        near(&t, at, got[at], sum / (k.k * k.k), 1, k.k * k.k + 2);
                    }
        trial_close(&t);
    }
}

/* What is there plus 1/k² of the window that a pixel lies in; outside of all windows nothing. */
static void pooling_spreads_its_gradient(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(54, i);
        map_case k = random_case(&t, 4);
        rb_shape s = k.shape, low = rb_average_pool_shape(s, k.k);
        size_t count = rb_elements(s), at = 0;
        const float *initial = random_floats(&t, count, 1);
        k.src = random_floats(&t, rb_elements(low), 1);
        float *got = random_floats(&t, count, 0);
        run_all(&t, run_pool_back, &k, count, initial, got);
        for (int n = 0; n < s.n; n++)
            for (int y = 0; y < s.h; y++)
                for (int px = 0; px < s.w; px++)
                    for (int c = 0; c < s.c; c++, at++) {
                        double want = (double)initial[at];
                        if (y / k.k < low.h && px / k.k < low.w) {
                            int from = (n * low.h + y / k.k) * low.w + px / k.k;
                            want += (double)k.src[from * s.c + c] / (k.k * k.k);
                        }
                        near(&t, at, got[at], want, 2, 3);
                    }
        trial_close(&t);
    }
}

/* ---- bias and ReLU */

static void run_bias(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_bias_relu(x, rb_pixels(k->shape), k->shape.c, k->bias, k->relu, out[0]);
}
static void run_relu_back(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_relu_backward(x, rb_elements(k->shape), k->src, out[0]);
}
static void run_sums(rb_exec *x, const void *op, void **out) {
    const map_case *k = op;
    rb_channel_sums(x, rb_pixels(k->shape), k->shape.c, k->src, out[0]);
}

static void bias_and_relu(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(55, i);
        map_case k = random_case(&t, 1);
        size_t c = (size_t)k.shape.c, count = rb_elements(k.shape);
        float *got = random_floats(&t, count, 0), *d = random_floats(&t, count, 0);
        const float *d_dst = random_floats(&t, count, 1), *initial = random_floats(&t, c, 1);
        run_all(&t, run_bias, &k, count, k.src, got);
        for (size_t e = 0; e < count; e++) {
            float want = k.bias ? k.src[e] + k.bias[e % c] : k.src[e];
            assert_true(got[e] == (k.relu ? fmaxf(0, want) : want));
        }
        k.src = got;
        run_all(&t, run_relu_back, &k, count, d_dst, d);
        for (size_t e = 0; e < count; e++) assert_true(d[e] == (got[e] == 0 ? 0 : d_dst[e]));
        k.src = d_dst;
        run_all(&t, run_sums, &k, c, initial, got);
        for (size_t o = 0; o < c; o++) {
            double sum = 0, size = fabs((double)initial[o]);
            for (size_t e = o; e < count; e += c) sum += (double)d_dst[e];
            near(&t, o, got[o], (double)initial[o] + sum, size + fabs(sum) + 1e-3, 3); /* sums in double */
        }
        trial_close(&t);
    }
}

static void nan_passes_relu(void **state) {
    (void)state;
    float data[3] = {-1, NAN, 2};
    trial t = trial_open(56, 0);
    map_case k = {.shape = {1, 1, 3, 1}, .relu = true};
    float got[3];
    run_all(&t, run_bias, &k, 3, data, got);
    assert_true(got[0] == 0 && isnan(got[1]) && got[2] == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(upsampling_is_the_formula),
                                       cmocka_unit_test(upsampling_has_half_pixel_centres),
                                       cmocka_unit_test(upsampling_has_its_adjoint),
                                       cmocka_unit_test(pooling_is_the_mean),
                                       cmocka_unit_test(pooling_spreads_its_gradient),
                                       cmocka_unit_test(bias_and_relu),
                                       cmocka_unit_test(nan_passes_relu)};
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
