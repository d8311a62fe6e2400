/* The passes over pixels: act sums, norm sums, norm store, squeeze, state addition, upsampling's adjoint,
 * SGD. */
#include "kernels.h"
#include "ops/resample/bilinear.h"

enum { TRIALS = 120 };

static rb_shape random_shape(trial *t) {
    rb_shape s = {between(t, 1, 5), between(t, 1, 25), between(t, 1, 25), random_channels(t, 96)};
    if (!below(t, 5)) s.h = s.w = between(t, 1, 2);
    if (!below(t, 20)) s.n = 2, s.h = 75, s.w = 70, s.c = 5; /* many chunks */
    return s;
}
static void describe(trial *t, const char *what, rb_shape s, const char *more) {
    snprintf(t->repro, sizeof t->repro, "%s %d×%d×%d×%d %s", what, s.n, s.h, s.w, s.c, more);
}

/* ---- act sums */

typedef struct sums_op {
    rb_shape shape;
    const float *d;
    rb_act_sums act;
    rb_gradient g;
} sums_op;

static void run_act_sums(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const sums_op *s = op;
    rb_act_sums act = s->act;
    act.sums = out[0];
    ops->act_sums(s->shape, s->d, act, scratch, pool);
}
static size_t act_sums_scratch(const rb_ops *ops, const void *op, int threads) {
    return ops->act_sums_scratch(((const sums_op *)op)->shape, threads);
}

static void act_sums_match(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(10, i);
        sums_op op = {.shape = random_shape(&t)};
        op.act = random_act(&t, op.shape);
        if (below(&t, 4)) op.d = random_floats(&t, rb_elements(op.shape), 1);
        describe(&t, "act sums", op.shape, op.d ? "" : "without d");
        double *tolerance = act_tolerance(&t, op.shape, op.d, op.shape.c, NULL, &op.act);
        comparison c = {
            .t = &t,
            .op = &op,
            .run = run_act_sums,
            .scratch = act_sums_scratch,
            .outputs = 1,
            .out = {{"sums", (size_t)(op.shape.n * RB_ACT_SUMS * op.shape.c), 8, NULL, tolerance}}};
        compare_levels(&c);
        trial_close(&t);
    }
}

/* ---- norm sums */

static void run_norm_sums(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    ops->norm_sums(&((const sums_op *)op)->g, out[0], scratch, pool);
}
static size_t norm_sums_scratch(const rb_ops *ops, const void *op, int threads) {
    return ops->norm_sums_scratch(((const sums_op *)op)->g.shape, threads);
}

static void norm_sums_match(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(11, i);
        rb_shape s = random_shape(&t);
        sums_op op = {.g = random_gradient(&t, s, false)};
        char text[64];
        gradient_name(&op.g, text);
        describe(&t, "norm sums", s, text);
        size_t c = (size_t)s.c, pixels = (size_t)s.h * (size_t)s.w;
        double *tolerance = zeros(&t, 2 * c);
        /* a run of at most 256 pixels in float, two chains, a handful of roundings before; the rest in double
         */
        double relative = EPS * (fmin((double)rb_pixels(s), 128) + 10);
        for (size_t p = 0; p < rb_pixels(s); p++)
            for (size_t k = 0; k < c; k++) {
                double u = relative * gradient_u_size(&op.g, (int)(p / pixels), p % pixels, (int)k);
                tolerance[k] += u;
                tolerance[c + k] += u * (fabs((double)op.g.z[p * c + k]) + fabs((double)op.g.mean[k]));
            }
        comparison cmp = {.t = &t,
                          .op = &op,
                          .run = run_norm_sums,
                          .scratch = norm_sums_scratch,
                          .outputs = 1,
                          .out = {{"sums", 2 * c, 8, NULL, tolerance}}};
        compare_levels(&cmp);
        trial_close(&t);
    }
}

/* ---- norm store, squeeze */

typedef struct map_op {
    rb_shape shape;
    const float *z;
    rb_affine affine;
    bool accumulate;
} map_op;

static void run_norm_store(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    const map_op *m = op;
    ops->norm_store(m->shape, m->z, m->affine, m->accumulate, out[0], pool);
}
static void run_squeeze(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const map_op *m = op;
    ops->squeeze_pool(m->shape, m->z, m->affine, out[0], scratch, pool);
}
static size_t squeeze_scratch(const rb_ops *ops, const void *op, int threads) {
    return ops->squeeze_pool_scratch(((const map_op *)op)->shape, threads);
}

static void norm_store_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(12, i);
        map_op op = {.shape = random_shape(&t), .accumulate = coin(&t)};
        size_t count = rb_elements(op.shape), c = (size_t)op.shape.c;
        op.z = random_floats(&t, count, 3);
        op.affine = (rb_affine){random_floats(&t, c, 2), random_floats(&t, c, 2)};
        float *dst = random_floats(&t, count, 1);
        describe(&t, "norm store", op.shape, op.accumulate ? "+=" : "=");
        double *tolerance = zeros(&t, count);
        for (size_t k = 0; k < count; k++) /* two roundings against one, and one of the sum */
            tolerance[k] = 4 * EPS *
                           (fabs((double)op.affine.scale[k % c] * (double)op.z[k]) +
                            fabs((double)op.affine.shift[k % c]) + fabs((double)dst[k]));
        comparison cmp = {.t = &t,
                          .op = &op,
                          .run = run_norm_store,
                          .outputs = 1,
                          .out = {{"dst", count, 4, op.accumulate ? dst : NULL, tolerance}}};
        compare_levels(&cmp);
        trial_close(&t);
    }
}

static void squeeze_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(13, i);
        map_op op = {.shape = random_shape(&t)};
        size_t c = (size_t)op.shape.c, pixels = (size_t)op.shape.h * (size_t)op.shape.w;
        op.z = grid_floats(&t, rb_elements(op.shape), 4, 32);
        op.affine = random_affine(&t, op.shape.c);
        describe(&t, "squeeze", op.shape, "");
        double *tolerance = zeros(&t, (size_t)op.shape.n * c);
        double relative = EPS * (fmin((double)pixels, 64) + 8); /* four chains of at most 64 */
        for (size_t p = 0; p < rb_pixels(op.shape); p++)
            for (size_t k = 0; k < c; k++)
                tolerance[p / pixels * c + k] +=
                    relative * fabs(rb_hswish(rb_affine_at(op.affine, (double)op.z[p * c + k], (int)k))) /
                    (double)pixels;
        comparison cmp = {.t = &t,
                          .op = &op,
                          .run = run_squeeze,
                          .scratch = squeeze_scratch,
                          .outputs = 1,
                          .out = {{"pooled", (size_t)op.shape.n * c, 4, NULL, tolerance}}};
        compare_levels(&cmp);
        trial_close(&t);
    }
}

/* ---- state addition: the bits of the reference, also what the watch says */

typedef struct state_op {
    rb_state_add a;
    bool watched;
} state_op;

static void run_state(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const state_op *s = op;
    rb_state_add a = s->a;
    a.state = out[0];
    rb_watch watch = {0};
    ops->state_add(&a, s->watched ? &watch : NULL, scratch, pool);
    uint32_t *seen = out[1];
    seen[0] = watch.largest, seen[1] = watch.out_of_range, seen[2] = watch.not_finite;
    memcpy(&seen[3], &watch.value, sizeof watch.value);
}
static size_t state_scratch(const rb_ops *ops, const void *op, int threads) {
    return ops->state_add_scratch(&((const state_op *)op)->a, threads);
}

/* Puts values that leave the range, or are not finite, into z. */
static void spoil(trial *t, float *z, size_t count) {
    static const float bad[] = {INFINITY, -INFINITY, NAN, 3e38f, 70000, -70000, 1025, -1023};
    for (int i = between(t, 1, 4); i > 0; i--)
        z[rb_rng_below(&t->rng, (uint32_t)count)] = bad[below(t, (int)(sizeof bad / sizeof *bad))];
}

static void state_matches(void **state) {
    (void)state;
    for (int i = 0; i < 2 * TRIALS; i++) {
        trial t = trial_open(14, i);
        rb_shape s = {between(&t, 1, 4), between(&t, 1, 12), between(&t, 1, 12), random_channels(&t, 80)};
        state_op op = {.a = {.shape = s,
                             .factor = ONE_OF(&t, 1, 1, 2, 4, 8, 3, 5),
                             .k = ONE_OF(&t, 22, 20, 10),
                             .sign = coin(&t) ? 1 : -1},
                       .watched = below(&t, 4) != 0};
        size_t c = (size_t)s.c;
        float *z = random_floats(&t, rb_elements(s), 4);
        if (coin(&t)) spoil(&t, z, rb_elements(s));
        op.a.z = z;
        op.a.affine = (rb_affine){random_floats(&t, c, 2), random_floats(&t, c, 2)};
        if (coin(&t)) op.a.sample = random_floats(&t, (size_t)s.n, 2);
        op.a.ld = s.c + (coin(&t) ? between(&t, 1, 20) : 0);
        rb_shape high = {s.n, s.h * op.a.factor, s.w * op.a.factor, s.c};
        size_t count = slice_elements(high, op.a.ld);
        int32_t *values = input(&t, count * sizeof *values);
        int32_t most = below(&t, 3) ? 1 << 24 : INT32_MAX; /* a third of the trials: sums wrap around */
        for (size_t k = 0; k < count; k++) values[k] = between(&t, -(most / 2), most / 2) * 2;
        char text[96];
        snprintf(text, sizeof text, "factor %d k %d sign %d ld %d%s", op.a.factor, op.a.k, op.a.sign, op.a.ld,
                 op.a.sample ? " sample" : "");
        describe(&t, "state add", s, text);
        comparison cmp = {.t = &t,
                          .op = &op,
                          .run = run_state,
                          .scratch = state_scratch,
                          .outputs = 2,
                          .out = {{"state", count, 4, values, NULL}, {"watch", 4, 4, NULL, NULL}}};
        compare_levels(&cmp);
        trial_close(&t);
    }
}

/* ---- adjoint of upsampling */

typedef struct upsample_op {
    rb_shape low;
    int factor, ld;
    const float *d;
} upsample_op;

static void run_upsample(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    const upsample_op *u = op;
    ops->upsample_backward(u->low, u->factor, u->d, u->ld, out[0], scratch, pool);
}
static size_t upsample_scratch(const rb_ops *ops, const void *op, int threads) {
    const upsample_op *u = op;
    return ops->upsample_backward_scratch(u->low, u->factor, threads);
}

static void upsample_matches(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(15, i);
        rb_shape s = {between(&t, 1, 3), between(&t, 1, 9), between(&t, 1, 9), random_channels(&t, 72)};
        upsample_op op = {.low = s, .factor = ONE_OF(&t, 1, 2, 2, 4, 8, 3, 5)};
        op.ld = s.c + (coin(&t) ? between(&t, 1, 20) : 0);
        rb_shape high = {s.n, s.h * op.factor, s.w * op.factor, s.c};
        op.d = random_floats(&t, slice_elements(high, op.ld), 1);
        char text[64];
        snprintf(text, sizeof text, "factor %d ld %d", op.factor, op.ld);
        describe(&t, "upsample backward", s, text);
        /* weights sum to at most 3·factor an axis; 3·factor additions twice, in float, of values up to 1 */
        double *tolerance = zeros(&t, rb_elements(s)), axis = 3 * op.factor;
        for (size_t k = 0; k < rb_elements(s); k++)
            tolerance[k] = EPS * (2 * axis + 6) * op.factor * op.factor;
        comparison cmp = {.t = &t,
                          .op = &op,
                          .run = run_upsample,
                          .scratch = upsample_scratch,
                          .outputs = 1,
                          .out = {{"d_low", rb_elements(s), 4, NULL, tolerance}}};
        compare_levels(&cmp);
        trial_close(&t);
    }
}

int main(void) {
    need_levels();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(act_sums_match),     cmocka_unit_test(norm_sums_match),
        cmocka_unit_test(norm_store_matches), cmocka_unit_test(squeeze_matches),
        cmocka_unit_test(state_matches),      cmocka_unit_test(upsample_matches),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
