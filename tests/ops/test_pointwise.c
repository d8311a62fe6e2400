/* Pointwise convolution: every level against the reference. */
#include "kernels.h"

enum { TRIALS = 150 };

typedef struct forward_op {
    rb_pointwise p;
    bool moments;
} forward_op;

static void run_forward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const forward_op *f = op;
    rb_moments moments = {0};
    if (f->moments) moments = (rb_moments){out[1], out[2]};
    (f->p.bf16 ? ops->pointwise_forward_bf16 : ops->pointwise_forward)(&f->p, out[0], moments, scratch, pool);
}
static size_t forward_scratch(const rb_ops *ops, const void *op, int threads) {
    const rb_pointwise *p = &((const forward_op *)op)->p;
    return (p->bf16 ? ops->pointwise_forward_scratch_bf16 : ops->pointwise_forward_scratch)(p, threads);
}

static rb_shape random_shape(trial *t) {
    rb_shape s = {between(t, 1, 4), between(t, 1, 17), between(t, 1, 17), random_channels(t, 96)};
    if (!below(t, 6)) s.h = s.w = 1;                /* the linear layer, and maps at their smallest */
    if (!below(t, 20)) s.c = between(t, 600, 1100); /* several sub-tiles a chunk */
    if (!below(t, 20)) s.n = 2, s.h = 70, s.w = 61, s.c = 9; /* many chunks */
    return s;
}

/* One trial in fifteen: a layer of a published network (map side, channels in and out), batch of one. */
static void network_layer(trial *t, rb_shape *s, int *oc) {
    static const int layers[][3] = {{56, 24, 24}, {28, 32, 32},   {14, 40, 80}, {14, 80, 40},
                                    {7, 80, 160}, {7, 320, 1280}, {44, 48, 64}, {11, 264, 528}};
    if (below(t, 15)) return;
    const int *l = layers[below(t, (int)(sizeof layers / sizeof *layers))];
    *s = (rb_shape){1, l[0], l[0], l[1]};
    *oc = l[2];
}

/* The first two trials: so many operands and weights that they are formed and packed in several parts. */
static void large_layer(int i, rb_shape *s, int *oc) {
    if (i > 1) return;
    *s = (rb_shape){1, 25, 25, i ? 256 : 2048};
    *oc = i ? 2048 : 256;
}

/* A factor of a product, and what its rounding to bf16 can add to the error, relative: one unit in the last
 * of 8 bits, where the prologues of two levels differ in the last bit of a float; nothing where there is
 * none. */
static double factor(const rb_pointwise *p, double value) { return p->bf16 ? rb_bf16(value) : value; }
static double flips(const rb_pointwise *p, bool prologue) { return p->bf16 && prologue ? ldexp(1, -7) : 0; }

/* The reference's value and the bound of a float product over k terms: (k + 8)·eps·Σ|a||b|; 8 for the
 * prologue. */
static void forward_bounds(const rb_pointwise *p, float *z, double *tolerance) {
    rb_shape s = p->src.shape;
    size_t pixels = (size_t)s.h * (size_t)s.w, at = 0;
    for (size_t q = 0; q < rb_pixels(s); q++)
        for (int o = 0; o < p->oc; o++, at++) {
            double sum = 0, size = 0;
            for (int i = 0; i < s.c; i++) {
                double w = factor(p, (double)p->wgt[(size_t)o * (size_t)s.c + (size_t)i]);
                double value = factor(p, rb_source_at(&p->src, (int)(q / pixels), q % pixels, i));
                sum += w * value;
                size += fabs(w * value);
            }
            z[at] = (float)sum;
            tolerance[at] = ((s.c + 8) * EPS + flips(p, p->src.load == RB_LOAD_ACT)) * size + 1e-30;
        }
}

static void forward_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(1, i);
        rb_shape s = random_shape(&t);
        forward_op op = {.p = {.oc = random_channels(&t, 112), .bf16 = !below(&t, 3)}};
        network_layer(&t, &s, &op.p.oc);
        large_layer(i, &s, &op.p.oc);
        rb_shape out = s;
        op.p.src = random_source(&t, s);
        op.p.wgt = random_floats(&t, (size_t)(op.p.oc * s.c), 1);
        op.moments = below(&t, 4) != 0;
        out.c = op.p.oc;
        float *z = input(&t, rb_elements(out) * sizeof *z);
        double *tolerance = zeros(&t, rb_elements(out));
        double *mean = zeros(&t, (size_t)out.c), *var = zeros(&t, (size_t)out.c);
        forward_bounds(&op.p, z, tolerance);
        moments_tolerance(out, z, tolerance, mean, var);
        snprintf(t.repro, sizeof t.repro, "pointwise forward %d×%d×%d×%d ld %d → %d %s%s%s", s.n, s.h, s.w,
                 s.c, op.p.src.ld, op.p.oc, source_name(&op.p.src), op.moments ? " moments" : "",
                 op.p.bf16 ? " bf16" : "");
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
    rb_pointwise p;
    rb_gradient g;
    bool weights, data;
    rb_sink sink;
} backward_op;

static void run_backward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const backward_op *b = op;
    rb_sink sink = b->sink;
    sink.d = b->data ? out[1] : NULL;
    sink.act.sums = sink.act.z ? out[2] : NULL;
    (b->p.bf16 ? ops->pointwise_backward_bf16
               : ops->pointwise_backward)(&b->p, &b->g, b->weights ? out[0] : NULL, &sink, scratch, pool);
}
static size_t backward_scratch(const rb_ops *ops, const void *op, int threads) {
    const rb_pointwise *p = &((const backward_op *)op)->p;
    return (p->bf16 ? ops->pointwise_backward_scratch_bf16 : ops->pointwise_backward_scratch)(p, threads);
}

/* Σ_p: runs of at most 256 pixels in float, then a few additions of runs: (min(m, 256) + 40)·eps·Σ|a||b|. */
static void weight_bounds(const backward_op *b, const float *initial, double *tolerance) {
    rb_shape s = b->p.src.shape;
    size_t pixels = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
    double relative = EPS * (fmin((double)rb_pixels(s), 256) + 40);
    relative += flips(&b->p, b->p.src.load == RB_LOAD_ACT) + flips(&b->p, b->g.affine.scale);
    for (size_t q = 0; q < rb_pixels(s); q++)
        for (int o = 0; o < b->p.oc; o++) {
            double g = gradient_size(&b->g, (int)(q / pixels), q % pixels, o);
            for (int i = 0; i < s.c; i++)
                tolerance[(size_t)o * c + (size_t)i] +=
                    relative * g * source_size(&b->p.src, (int)(q / pixels), q % pixels, i);
        }
    for (size_t i = 0; i < (size_t)b->p.oc * c; i++)
        tolerance[i] += 2 * EPS * fabs((double)initial[i]) + 1e-30;
}

/* Σ_oc as in the forward product; elements between the channels of a slice: 0. */
static void data_bounds(const backward_op *b, const float *initial, float *d, double *tolerance) {
    rb_shape s = b->p.src.shape;
    size_t pixels = (size_t)s.h * (size_t)s.w;
    for (size_t q = 0; q < rb_pixels(s); q++)
        for (int i = 0; i < s.c; i++) {
            double size = 0, sum = 0;
            for (int o = 0; o < b->p.oc; o++) {
                double w = factor(&b->p, (double)b->p.wgt[(size_t)o * (size_t)s.c + (size_t)i]);
                size += fabs(w) * gradient_size(&b->g, (int)(q / pixels), q % pixels, o);
                sum += w * factor(&b->p, rb_gradient_z(&b->g, (int)(q / pixels), q % pixels, o));
            }
            size_t at = q * (size_t)b->sink.ld + (size_t)i;
            double before = b->sink.accumulate ? fabs((double)initial[at]) : 0;
            d[at] = (float)sum;
            tolerance[at] = ((b->p.oc + 12) * EPS + flips(&b->p, b->g.affine.scale)) * size +
                            2 * EPS * (before + fabs(sum)) + 1e-30;
        }
}

static backward_op random_backward(trial *t, int i) {
    rb_shape s = random_shape(t);
    backward_op b = {.p = {.oc = random_channels(t, 112), .bf16 = !below(t, 3)}};
    if (s.c > 600) s.n = 1, s.c = 600, b.p.oc = 240; /* blocks of output channels */
    network_layer(t, &s, &b.p.oc);
    large_layer(i, &s, &b.p.oc);
    b.p.src = random_source(t, s);
    rb_shape out = s;
    out.c = b.p.oc;
    b.p.wgt = random_floats(t, (size_t)b.p.oc * (size_t)s.c, 1);
    b.g = random_gradient(t, out, true);
    b.data = below(t, 5) || i < 2, b.weights = !b.data || below(t, 5) || i < 2;
    b.sink.accumulate = coin(t);
    b.sink.ld = s.c + (coin(t) ? between(t, 1, 20) : 0);
    if (b.data && !b.sink.accumulate && below(t, 4)) {
        b.sink.ld = s.c; /* sums are only asked of a dense map */
        b.sink.act = random_act(t, b.p.src.shape);
    }
    return b;
}

static void backward_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(2, i);
        backward_op b = random_backward(&t, i);
        rb_shape s = b.p.src.shape;
        size_t weights = (size_t)(b.p.oc * s.c), count = slice_elements(s, b.sink.ld);
        float *d_wgt = random_floats(&t, weights, 1), *d_src = random_floats(&t, count, 1);
        double *wgt_tol = zeros(&t, weights), *src_tol = zeros(&t, count), *act_tol = NULL;
        float *d = input(&t, count * sizeof *d);
        weight_bounds(&b, d_wgt, wgt_tol);
        data_bounds(&b, d_src, d, src_tol);
        if (b.sink.act.z) act_tol = act_tolerance(&t, s, d, b.sink.ld, src_tol, &b.sink.act);
        char gradient[64];
        gradient_name(&b.g, gradient);
        snprintf(t.repro, sizeof t.repro,
                 "pointwise backward %d×%d×%d×%d ld %d → %d %s; %s;%s%s %s ld %d%s%s", s.n, s.h, s.w, s.c,
                 b.p.src.ld, b.p.oc, source_name(&b.p.src), gradient, b.weights ? " d_wgt" : "",
                 b.data ? " d_src" : "", b.sink.accumulate ? "+=" : "=", b.sink.ld,
                 b.sink.act.z ? " act" : "", b.p.bf16 ? " bf16" : "");
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
