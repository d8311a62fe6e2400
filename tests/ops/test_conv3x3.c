/* THREAD-TEST. Dense 3×3 convolution: known values, the adjoint identity, and each level against the
 * reference, on all pixels and on lists of them. */
#include "with_exec.h"

#include "ops/conv3x3/conv3x3.h"

typedef struct conv_case {
    rb_conv3x3 c;
    const int32_t *at; /* NULL: all pixels */
    int count;
    const float *rows, *d_rows, *d_src;
    bool wgt, data, accumulate;
} conv_case;

static void run_forward(rb_exec *x, const void *op, void **out) {
    const conv_case *k = op;
    if (k->at)
        rb_conv3x3_forward_at(x, &k->c, k->at, k->count, out[0]);
    else
        rb_conv3x3_forward(x, &k->c, out[0]);
}
static void run_backward(rb_exec *x, const void *op, void **out) {
    const conv_case *k = op;
    float *d_wgt = k->wgt ? out[1] : NULL, *d_bias = k->wgt ? out[2] : NULL, *d_src = k->data ? out[3] : NULL;
    if (k->at)
        rb_conv3x3_backward_at(x, &k->c, k->at, k->count, k->rows, out[0], d_wgt, d_bias, d_src);
    else
        rb_conv3x3_backward(x, &k->c, k->rows, out[0], d_wgt, d_bias, d_src, k->accumulate);
}

static void call_forward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    with_exec(ops, pool, run_forward, op, out);
}
static void call_backward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    with_exec(ops, pool, run_backward, op, out);
}

static size_t weights(const rb_conv3x3 *c) { return (size_t)c->oc * (size_t)c->shape.c * 9; }
static size_t rows_of(const conv_case *k) { return k->at ? (size_t)k->count : rb_pixels(k->c.shape); }

/* Some pixels, rising. */
static const int32_t *random_pixels(trial *t, size_t pixels, int *count) {
    int32_t *at = input(t, pixels * sizeof *at);
    int one_in = between(t, 1, 9);
    *count = 0;
    for (size_t p = 0; p < pixels; p++)
        if (!below(t, one_in)) at[(*count)++] = (int32_t)p;
    return at;
}

static conv_case random_case(trial *t, bool list) {
    int side = ONE_OF(t, 1, 2, 7, 13);
    conv_case k = {.c.shape = {between(t, 1, 3), between(t, 1, side), between(t, 1, side), 0}};
    k.c.shape.c = random_channels(t, 70);
    k.c.oc = random_channels(t, 70);
    if (!below(t, 6)) k.c.shape.c = 131, k.c.oc = 230, k.c.shape.n = 2; /* wide, and several chunks */
    if (!below(t, 2)) k.c.shape.c = 16 * between(t, 2, 5), k.c.oc = 16 * between(t, 2, 5); /* Winograd's */
    k.c.relu = coin(t);
    k.c.src = random_floats(t, rb_elements(k.c.shape), 1);
    k.c.wgt = random_floats(t, weights(&k.c), 0.3);
    k.c.bias = random_floats(t, (size_t)k.c.oc, 1);
    if (list) k.at = random_pixels(t, rb_pixels(k.c.shape), &k.count);
    size_t out = rows_of(&k) * (size_t)k.c.oc;
    float *rows = random_floats(t, out, 1);
    for (size_t i = 0; i < out; i++)
        if (rows[i] < 0) rows[i] = 0;
    k.rows = k.c.relu ? rows : NULL;
    k.d_rows = random_floats(t, out, 1);
    k.d_src = random_floats(t, rb_elements(k.c.shape), 1);
    k.wgt = below(t, 4), k.data = below(t, 4), k.accumulate = list || coin(t);
    snprintf(t->repro, sizeof t->repro, "%d,%d,%d,%d -> %d, relu %d, list %d of %d, asked %d %d, add %d",
             k.c.shape.n, k.c.shape.h, k.c.shape.w, k.c.shape.c, k.c.oc, k.c.relu, list, k.count, k.wgt,
             k.data, k.accumulate);
    return k;
}

/* Everything positive: what the sums are made of. */
static float *magnitudes(trial *t, const float *from, size_t count) {
    float *to = input(t, count * sizeof *to);
    for (size_t i = 0; i < count; i++) to[i] = fabsf(from[i]);
    return to;
}
static conv_case sizes_of(trial *t, const conv_case *k) {
    conv_case a = *k;
    a.c.src = magnitudes(t, k->c.src, rb_elements(k->c.shape));
    a.c.wgt = magnitudes(t, k->c.wgt, weights(&k->c));
    a.c.bias = magnitudes(t, k->c.bias, (size_t)k->c.oc);
    return a;
}

static bool winograd(const conv_case *k) {
    return !k->at && k->c.shape.c % 16 == 0 && k->c.oc % 16 == 0 && k->c.shape.c >= 32 && k->c.oc >= 32;
}

/* Each of `terms` additions rounds by at most EPS of the sum of the terms' sizes. Winograd's method rounds
 * all values of a tile together: by what is largest there. */
static double *tolerance(trial *t, const conv_case *k, const float *sizes, size_t count, double terms) {
    double *to = zeros(t, count), largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, (double)sizes[i]);
    for (size_t i = 0; i < count; i++)
        to[i] = winograd(k) ? (terms + 64) * EPS * largest : (terms + 8) * EPS * (double)sizes[i] + 1e-12;
    return to;
}

static void forward_trial(int number, bool list) {
    trial t = trial_open(30 + list, number);
    conv_case k = random_case(&t, list), a = sizes_of(&t, &k);
    size_t count = rows_of(&k) * (size_t)k.c.oc;
    void *sizes = input(&t, count * sizeof(float));
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[1], run_forward, &a, &sizes);
    comparison c = {
        .t = &t,
        .out = {{"dst", count, sizeof(float), NULL, tolerance(&t, &k, sizes, count, 9 * k.c.shape.c)}},
        .outputs = 1,
        .op = &k,
        .run = call_forward};
    compare_levels(&c);
    trial_close(&t);
}

static void backward_trial(int number, bool list) {
    trial t = trial_open(32 + list, number);
    conv_case k = random_case(&t, list), a = sizes_of(&t, &k);
    size_t rows = rows_of(&k), out = rows * (size_t)k.c.oc, in = rb_elements(k.c.shape), w = weights(&k.c);
    size_t oc = (size_t)k.c.oc;
    float *d_wgt = random_floats(&t, w, 1), *d_bias = random_floats(&t, oc, 1);
    void *sizes[4] = {magnitudes(&t, k.d_rows, out), magnitudes(&t, d_wgt, w), magnitudes(&t, d_bias, oc),
                      magnitudes(&t, k.d_src, in)};
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[1], run_backward, &a, sizes);
    comparison c = {.t = &t,
                    .out = {{"d_dst", out, sizeof(float), out ? k.d_rows : NULL, NULL},
                            {"d_wgt", w, sizeof(float), d_wgt, tolerance(&t, &k, sizes[1], w, (double)rows)},
                            {"d_bias", oc, sizeof(float), d_bias,
                             tolerance(&t, &k, sizes[2], oc, 0)}, /* sums in double */
                            {"d_src", in, sizeof(float), k.data && !k.accumulate ? NULL : k.d_src,
                             tolerance(&t, &k, sizes[3], in, 9.0 * k.c.oc)}},
                    .outputs = 4,
                    .op = &k,
                    .run = call_backward};
    compare_levels(&c);
    trial_close(&t);
}

enum { TRIALS = 40 };
static void forward_is_the_reference(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) forward_trial(i, false);
    for (int i = 0; i < TRIALS; i++) forward_trial(i, true);
}
static void backward_is_the_reference(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) backward_trial(i, false);
    for (int i = 0; i < TRIALS; i++) backward_trial(i, true);
}

/* ---- the reference itself */

static void forward_of(const rb_conv3x3 *c, float *dst) {
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    conv_case k = {.c = *c};
    void *out = dst;
    with_exec(&ref, test_pools[0], run_forward, &k, &out);
}

/* Ones count the neighbours inside; a single weight reads one neighbour. */
static void known_values(void **state) {
    (void)state;
    const float ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, bias = 0.5f;
    const float inside[9] = {4, 6, 4, 6, 9, 6, 4, 6, 4};
    const float map[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const float from_upper_right[9] = {0, 0, 0, 2, 3, 0, 5, 6, 0};
    const float upper_right[9] = {0, 0, 1, 0, 0, 0, 0, 0, 0}, minus = -4;
    float dst[9];
    rb_conv3x3 c = {.shape = {1, 3, 3, 1}, .src = ones, .oc = 1, .wgt = ones, .bias = &bias};
    forward_of(&c, dst);
    for (int i = 0; i < 9; i++) assert_true(dst[i] == inside[i] + 0.5f);
    c.src = map;
    c.wgt = upper_right;
    c.bias = &minus;
    c.relu = true;
    forward_of(&c, dst);
    for (int i = 0; i < 9; i++) assert_true(dst[i] == fmaxf(0, from_upper_right[i] - 4));
}

/* What is not a number stays so: a step must see it. */
static void nan_passes_relu(void **state) {
    (void)state;
    float src[4] = {1, 2, NAN, 4}, dst[4];
    const float wgt[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0}, bias = 0;
    rb_conv3x3 c = {.shape = {1, 2, 2, 1}, .src = src, .oc = 1, .wgt = wgt, .bias = &bias, .relu = true};
    for (rb_cpu_level level = RB_CPU_REF; level <= rb_cpu_detect(); level++) {
        rb_ops ops;
        rb_ops_fill(&ops, level);
        conv_case k = {.c = c};
        void *out = dst;
        with_exec(&ops, test_pools[0], run_forward, &k, &out);
        assert_true(isnan(dst[2]));
    }
}

/* ---- pieces */

typedef struct gathered {
    const conv_case *k;
    float *dst;
    size_t next;
    bool dry;
} gathered;

static void gather_piece(void *arg, size_t first, size_t count, const float *rows) {
    gathered *g = arg;
    size_t oc = (size_t)g->k->c.oc;
    assert_true(first == g->next && count > 0);
    if (!g->dry) memcpy(g->dst + first * oc, rows, count * oc * sizeof *rows);
    g->next = first + count;
}
static void run_pieces(rb_exec *x, const void *op, void **out) {
    gathered g = {op, out[0], 0, x->dry};
    rb_conv3x3_forward_pieces(x, &g.k->c, gather_piece, &g);
    assert_int_equal(g.next, rb_pixels(g.k->c.shape));
}

/* All pixels come, in order, with the bits that they have at once. */
static void pieces_are_the_whole(void **state) {
    (void)state;
    for (int i = 0; i < 2 * TRIALS; i++) {
        trial t = trial_open(36, i);
        conv_case k = random_case(&t, false);
        size_t count = rb_elements(k.c.shape) / (size_t)k.c.shape.c * (size_t)k.c.oc;
        float *whole = random_floats(&t, count, 1), *pieces = random_floats(&t, count, 1);
        for (rb_cpu_level level = RB_CPU_REF; level <= rb_cpu_detect(); level++) {
            rb_ops ops;
            rb_ops_fill(&ops, level);
            with_exec(&ops, test_pools[1], run_forward, &k, (void *[]){whole});
            with_exec(&ops, test_pools[1], run_pieces, &k, (void *[]){pieces});
            if (memcmp(whole, pieces, count * sizeof *whole)) fail_msg("%s", t.repro);
        }
        trial_close(&t);
    }
}

/* ---- maps of many tiles, for which the reference takes long */

static void assert_near(const float *got, const float *want, size_t count, const char *what) {
    double off = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)got[i] - (double)want[i];
        off += d * d, size += (double)want[i] * (double)want[i];
    }
    if (!(off <= 1e-10 * size)) fail_msg("%s: differs by %g", what, sqrt(off / size));
}

typedef struct answers {
    float *dst, *d_dst, *d_wgt, *d_bias, *d_src;
} answers;

static answers answers_of(trial *t, const rb_ops *ops, const conv_case *k, const float *d_dst) {
    size_t out = rows_of(k) * (size_t)k->c.oc, in = rb_elements(k->c.shape), w = weights(&k->c);
    answers a = {random_floats(t, out, 1), random_floats(t, out, 1), random_floats(t, w, 0),
                 random_floats(t, (size_t)k->c.oc, 0), random_floats(t, in, 1)};
    memcpy(a.d_dst, d_dst, out * sizeof *d_dst);
    with_exec(ops, test_pools[1], run_forward, k, (void *[]){a.dst});
    with_exec(ops, test_pools[1], run_backward, k, (void *[]){a.d_dst, a.d_wgt, a.d_bias, a.d_src});
    return a;
}

/* Both ways of the vector levels; the packed one meets the reference above. */
static void many_tiles_are_the_packed_way(void **state) {
    (void)state;
    const rb_shape shapes[] = {{2, 40, 30, 512}, {1, 7, 458, 512}}; /* chunks of several rows, of one row */
    for (int i = 0; i < 2; i++)
        for (rb_cpu_level level = RB_CPU_AVX2; level <= rb_cpu_detect(); level++) {
            trial t = trial_open(37, i);
            conv_case k = {.c.shape = shapes[i], .c.oc = 32, .wgt = true, .data = true};
            size_t out = rb_pixels(shapes[i]) * 32, in = rb_elements(shapes[i]), w = weights(&k.c);
            k.c.src = random_floats(&t, in, 1), k.c.wgt = random_floats(&t, w, 0.1);
            k.c.bias = random_floats(&t, 32, 1);
            const float *d_dst = random_floats(&t, out, 1);
            rb_ops ops, packed;
            rb_ops_fill(&ops, level);
            packed = ops;
            packed.conv3x3_forward = rb_conv3x3_forward_packed;
            packed.conv3x3_backward = rb_conv3x3_backward_packed;
            answers got = answers_of(&t, &ops, &k, d_dst), want = answers_of(&t, &packed, &k, d_dst);
            assert_near(got.dst, want.dst, out, "dst");
            assert_near(got.d_wgt, want.d_wgt, w, "d_wgt");
            assert_near(got.d_src, want.d_src, in, "d_src");
            trial_close(&t);
        }
}

static double dot(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* ⟨conv(src) − bias, y⟩ = ⟨src, d_src⟩ = ⟨wgt, d_wgt⟩ for any y, and ⟨bias, d_bias⟩ is the bias's part. */
static void adjoint_trial(int number, bool list) {
    trial t = trial_open(34 + list, number);
    conv_case k = random_case(&t, list);
    k.c.relu = false;
    k.wgt = k.data = true;
    size_t out = rows_of(&k) * (size_t)k.c.oc, in = rb_elements(k.c.shape), w = weights(&k.c);
    float *dst = random_floats(&t, out, 1), *d_dst = random_floats(&t, out, 1),
          *d_src = random_floats(&t, in, 1);
    float *d_wgt = random_floats(&t, w, 0), *d_bias = random_floats(&t, (size_t)k.c.oc, 0);
    memset(d_src, 0, in * sizeof *d_src);
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[2], run_forward, &k, (void *[]){dst});
    with_exec(&ref, test_pools[2], run_backward, &k, (void *[]){d_dst, d_wgt, d_bias, d_src});
    double whole = dot(dst, d_dst, out), bias = dot(k.c.bias, d_bias, (size_t)k.c.oc);
    /* every output and gradient is rounded to float once: random signs, but allow them all to add up a bit */
    double most = 64 * EPS * sqrt((double)(out + in + w)) * (1 + fabs(whole));
    if (!(fabs(whole - bias - dot(k.c.src, d_src, in)) <= most)) fail_msg("source: %s", t.repro);
    if (!(fabs(whole - bias - dot(k.c.wgt, d_wgt, w)) <= most)) fail_msg("weights: %s", t.repro);
    trial_close(&t);
}

static void reference_is_adjoint(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) adjoint_trial(i, i % 2);
}

/* ReLU lets no gradient through where its result is 0, and gradients are added to what is there. */
static void mask_and_sums(void **state) {
    (void)state;
    const float zeros_of[9] = {0}, rows[6] = {0, 1, 2, 0, -0.0f, 3};
    float d[6] = {1, 2, 3, 4, 5, 6}, d_wgt[18] = {0}, d_bias[2] = {10, 20};
    const float masked[6] = {0, 2, 3, 0, 0, 6};
    conv_case k = {.c = {.shape = {1, 1, 3, 1}, .src = zeros_of, .oc = 2, .wgt = zeros_of, .relu = true}};
    k.rows = rows;
    k.wgt = true;
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[0], run_backward, &k, (void *[]){d, d_wgt, d_bias, NULL});
    assert_memory_equal(d, masked, sizeof d);
    assert_true(d_bias[0] == 10 + 3 && d_bias[1] == 20 + 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_values),
                                       cmocka_unit_test(nan_passes_relu),
                                       cmocka_unit_test(mask_and_sums),
                                       cmocka_unit_test(reference_is_adjoint),
                                       cmocka_unit_test(forward_is_the_reference),
                                       cmocka_unit_test(pieces_are_the_whole),
                                       cmocka_unit_test(many_tiles_are_the_packed_way),
                                       cmocka_unit_test(backward_is_the_reference)};
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
