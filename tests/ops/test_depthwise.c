/* Depthwise convolution: every level against the reference. */
#include "kernels.h"

enum { TRIALS = 150 };

static void kernel_and_stride(trial *t, rb_depthwise *p) {
    /* (kernel, stride) as the networks use them, then odd ones */
    static const int pairs[][2] = {{3, 1},  {5, 1},  {7, 1},   {3, 2},   {5, 2},         {7, 4}, {15, 8},
                                   {9, 4},  {17, 8}, {1, 1},   {19, 4},  {1, 2},         {3, 4}, {9, 1},
                                   {11, 3}, {13, 5}, {31, 16}, {63, 32}, {2 * 31 + 1, 1}};
    size_t count = sizeof pairs / sizeof *pairs;
    size_t i = (size_t)below(t, 3) ? (size_t)below(t, 7) : (size_t)below(t, (int)count);
    p->kernel = pairs[i][0], p->stride = pairs[i][1];
}

static rb_shape random_shape(trial *t, int stride, int kernel) {
    int most = kernel > 15 ? 2 : 24 / stride + 1;
    rb_shape s = {between(t, 1, 3), stride * between(t, 1, most), stride * between(t, 1, most), 0};
    s.c = random_channels(t, kernel > 9 ? 40 : 96);
    if (!below(t, 12)) s.h += below(t, stride), s.w += below(t, stride); /* not a multiple of the stride */
    if (!below(t, 12) && kernel <= 7) s.n = 1, s.h = stride * 2, s.w = stride * 290, s.c = 7; /* long rows */
    if (!below(t, 12) && kernel <= 5)
        s.n = 5, s.h = 12 * stride, s.w = 9 * stride, s.c = 150; /* several blocks */
    if (!below(t, 15)) { /* the sides and widths of S0, batch of one */
        static const int maps[][2] = {{56, 24}, {56, 48}, {28, 32}, {28, 64}, {14, 80}, {7, 160}};
        const int *m = maps[below(t, 6)];
        if (m[0] % stride == 0 && kernel <= 15) s = (rb_shape){1, m[0], m[0], m[1]};
    }
    return s;
}

/* Σ|w||x| of every output */
static void forward_bounds(const rb_depthwise *p, float *z, double *tolerance) {
    rb_shape in = p->src.shape, out = rb_depthwise_shape(p);
    int k = p->kernel, pad = (k - 1) / 2;
    for (size_t q = 0; q < rb_pixels(out); q++)
        for (int c = 0; c < out.c; c++) {
            int ox = (int)(q % (size_t)out.w), oy = (int)(q / (size_t)out.w) % out.h;
            int n = (int)(q / (size_t)(out.w * out.h));
            double sum = 0, size = 0;
            for (int t = 0; t < k * k; t++) {
                int y = oy * p->stride + t / k - pad, x = ox * p->stride + t % k - pad;
                if (y < 0 || x < 0 || y >= in.h || x >= in.w) continue;
                double value =
                    (double)p->wgt[c * k * k + t] * rb_source_at(&p->src, n, (size_t)(y * in.w + x), c);
                sum += value, size += fabs(value);
            }
            z[q * (size_t)out.c + (size_t)c] = (float)sum;
            tolerance[q * (size_t)out.c + (size_t)c] = (k * k + 8) * EPS * size + 1e-30;
        }
}

typedef struct forward_op {
    rb_depthwise p;
    bool moments;
} forward_op;

static void run_forward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const forward_op *f = op;
    rb_moments moments = {0};
    if (f->moments) moments = (rb_moments){out[1], out[2]};
    ops->depthwise_forward(&f->p, out[0], moments, scratch, pool);
}
static size_t forward_scratch(const rb_ops *ops, const void *op, int threads) {
    return ops->depthwise_forward_scratch(&((const forward_op *)op)->p, threads);
}

static void forward_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(3, i);
        forward_op op = {.moments = below(&t, 4) != 0};
        kernel_and_stride(&t, &op.p);
        rb_shape s = random_shape(&t, op.p.stride, op.p.kernel);
        op.p.src = random_source(&t, s);
        op.p.wgt = random_floats(&t, (size_t)(s.c * op.p.kernel * op.p.kernel), 1);
        rb_shape out = rb_depthwise_shape(&op.p);
        float *z = input(&t, rb_elements(out) * sizeof *z);
        double *tolerance = zeros(&t, rb_elements(out));
        double *mean = zeros(&t, (size_t)out.c), *var = zeros(&t, (size_t)out.c);
        forward_bounds(&op.p, z, tolerance);
        moments_tolerance(out, z, tolerance, mean, var);
        snprintf(t.repro, sizeof t.repro, "depthwise forward %d×%d×%d×%d ld %d kernel %d stride %d %s%s", s.n,
                 s.h, s.w, s.c, op.p.src.ld, op.p.kernel, op.p.stride, source_name(&op.p.src),
                 op.moments ? " moments" : "");
        comparison c = {.t = &t,
                        .op = &op,
                        .run = run_forward,
                        .scratch = forward_scratch,
                        .outputs = op.moments ? 3 : 1,
                        .out = {{"dst", rb_elements(out), 4, NULL, tolerance},
                                {"mean", (size_t)out.c, 4, NULL, mean},
                                {"var", (size_t)out.c, 4, NULL, var}}};
        compare_levels(&c);
        trial_close(&t);
    }
}

typedef struct backward_op {
    rb_depthwise p;
    rb_gradient g;
    bool weights, data;
    rb_sink sink;
} backward_op;

static void run_backward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const backward_op *b = op;
    rb_sink sink = b->sink;
    sink.d = b->data ? out[1] : NULL;
    sink.act.sums = sink.act.z ? out[2] : NULL;
    ops->depthwise_backward(&b->p, &b->g, b->weights ? out[0] : NULL, &sink, scratch, pool);
}
static size_t backward_scratch(const rb_ops *ops, const void *op, int threads) {
    return ops->depthwise_backward_scratch(&((const backward_op *)op)->p, threads);
}

/* Of both gradients the sums of absolute values, and of the data gradient its value; the bounds as in
 * test_pointwise.c: float runs of about 256 pixels (at least one row) for the weights, k² taps for the data.
 */
static void backward_bounds(const backward_op *b, const float *wgt0, const float *src0, double *wgt_tol,
                            float *d, double *src_tol) {
    rb_shape in = b->p.src.shape, out = rb_depthwise_shape(&b->p);
    int k = b->p.kernel, pad = (k - 1) / 2, c = in.c;
    double *sum = calloc(rb_elements(in), sizeof *sum), *size = calloc(rb_elements(in), sizeof *size);
    assert_true(sum && size);
    double relative = EPS * (fmin((double)rb_pixels(out), fmax(256, out.w)) + 40);
    for (size_t q = 0; q < rb_pixels(out); q++)
        for (int i = 0; i < c; i++) {
            int ox = (int)(q % (size_t)out.w), oy = (int)(q / (size_t)out.w) % out.h;
            int n = (int)(q / (size_t)(out.w * out.h));
            size_t pixel = q % (size_t)(out.w * out.h);
            double g = rb_gradient_z(&b->g, n, pixel, i), g_size = gradient_size(&b->g, n, pixel, i);
            for (int t = 0; t < k * k; t++) {
                int y = oy * b->p.stride + t / k - pad, x = ox * b->p.stride + t % k - pad;
                if (y < 0 || x < 0 || y >= in.h || x >= in.w) continue;
                double w = (double)b->p.wgt[i * k * k + t];
                size_t at = ((size_t)(n * in.h + y) * (size_t)in.w + (size_t)x) * (size_t)c + (size_t)i;
                sum[at] += w * g, size[at] += fabs(w) * g_size;
                wgt_tol[i * k * k + t] +=
                    relative * g_size * source_size(&b->p.src, n, (size_t)(y * in.w + x), i);
            }
        }
    for (size_t i = 0; i < (size_t)(c * k * k); i++) wgt_tol[i] += 2 * EPS * fabs((double)wgt0[i]) + 1e-30;
    for (size_t i = 0; i < rb_elements(in); i++) {
        size_t at = i / (size_t)c * (size_t)b->sink.ld + i % (size_t)c;
        double before = b->sink.accumulate ? fabs((double)src0[at]) : 0;
        d[at] = (float)sum[i];
        src_tol[at] = (k * k + 12) * EPS * size[i] + 2 * EPS * (before + fabs(sum[i])) + 1e-30;
    }
    free(sum);
    free(size);
}

static backward_op random_backward(trial *t) {
    backward_op b = {0};
    kernel_and_stride(t, &b.p);
    rb_shape s = random_shape(t, b.p.stride, b.p.kernel);
    b.p.src = random_source(t, s);
    b.p.wgt = random_floats(t, (size_t)(s.c * b.p.kernel * b.p.kernel), 1);
    b.g = random_gradient(t, rb_depthwise_shape(&b.p), true);
    b.data = below(t, 5), b.weights = !b.data || below(t, 5);
    b.sink.accumulate = coin(t);
    b.sink.ld = s.c + (coin(t) ? between(t, 1, 20) : 0);
    if (b.data && !b.sink.accumulate && below(t, 4)) {
        b.sink.ld = s.c; /* sums are only asked of a dense map */
        b.sink.act = random_act(t, s);
    }
    return b;
}

static void backward_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(4, i);
        backward_op b = random_backward(&t);
        rb_shape s = b.p.src.shape;
        size_t weights = (size_t)(s.c * b.p.kernel * b.p.kernel), count = slice_elements(s, b.sink.ld);
        float *d_wgt = random_floats(&t, weights, 1), *d_src = random_floats(&t, count, 1);
        double *wgt_tol = zeros(&t, weights), *src_tol = zeros(&t, count), *act_tol = NULL;
        float *d = input(&t, count * sizeof *d);
        backward_bounds(&b, d_wgt, d_src, wgt_tol, d, src_tol);
        if (b.sink.act.z) act_tol = act_tolerance(&t, s, d, b.sink.ld, src_tol, &b.sink.act);
        char gradient[64];
        gradient_name(&b.g, gradient);
        snprintf(t.repro, sizeof t.repro,
                 "depthwise backward %d×%d×%d×%d ld %d kernel %d stride %d %s; %s;%s%s %s ld %d%s", s.n, s.h,
                 s.w, s.c, b.p.src.ld, b.p.kernel, b.p.stride, source_name(&b.p.src), gradient,
                 b.weights ? " d_wgt" : "", b.data ? " d_src" : "", b.sink.accumulate ? "+=" : "=", b.sink.ld,
                 b.sink.act.z ? " act" : "");
        comparison c = {.t = &t,
                        .op = &b,
                        .run = run_backward,
                        .scratch = backward_scratch,
                        .outputs = act_tol ? 3 : 2,
                        .out = {{"d_wgt", weights, 4, d_wgt, wgt_tol},
                                {"d_src", count, 4, d_src, src_tol},
                                {"act sums", (size_t)s.n * RB_ACT_SUMS * (size_t)s.c, 8, NULL, act_tol}}};
        compare_levels(&c);
        trial_close(&t);
    }
}

int main(void) {
    need_levels();
    const struct CMUnitTest tests[] = {cmocka_unit_test(forward_matches), cmocka_unit_test(backward_matches)};
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
