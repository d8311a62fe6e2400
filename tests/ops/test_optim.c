/* The optimizers' kernels: every level gives the bits of the reference, with any number of threads; so do the
 * passes that have one implementation. */
#include "kernels.h"

enum { TRIALS = 60 };

static size_t random_count(trial *t) {
    return below(t, 6) ? (size_t)between(t, 0, 300) : (size_t)between(t, 16000, 70000);
}

static void run_update(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    rb_update u = *(const rb_update *)op;
    u.p = out[0], u.g = out[1], u.slot[0] = out[2], u.slot[1] = out[3];
    ops->update(&u, pool);
}

static void updates_match(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(40, i);
        rb_update op = {.rule = (revbifpn_optimizer)(i % (REVBIFPN_LAMBC + 1)), .count = random_count(&t)};
        op.lr = 0.1, op.decay = coin(&t) ? 5e-5 : 0, op.momentum = 0.9,
        op.step = (uint64_t)between(&t, 1, 900);
        op.beta1 = 0.9, op.beta2 = 0.999, op.epsilon = coin(&t) ? 1e-3 : 1e-10;
        float *p = random_floats(&t, op.count, 1), *g = random_floats(&t, op.count, 1);
        float *a = random_floats(&t, op.count, 1), *b = random_floats(&t, op.count, 1);
        for (size_t k = 0; k < op.count; k++) /* averages of squares */
            a[k] = op.rule == REVBIFPN_RMSPROPTF ? fabsf(a[k]) : a[k], b[k] = fabsf(b[k]);
        snprintf(t.repro, sizeof t.repro, "rule %d, %zu", (int)op.rule, op.count);
        comparison cmp = {.t = &t, .op = &op, .run = run_update, .outputs = 4};
        const char *names[4] = {"p", "g", "slot 0", "slot 1"};
        float *initial[4] = {p, g, a, b};
        for (int k = 0; k < 4; k++) cmp.out[k] = (output){names[k], op.count, 4, initial[k], NULL};
        compare_levels(&cmp);
        trial_close(&t);
    }
}

typedef struct sum_op {
    size_t count;
    const float *data;
} sum_op;

static void run_sum(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    const sum_op *s = op;
    *(double *)out[0] = ops->sum_squares(s->count, s->data, pool);
}

static void sums_match_and_are_right(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(41, i);
        size_t count = i % 10 ? random_count(&t) : (size_t)between(&t, 300000, 500000);
        sum_op op = {count, random_floats(&t, count, i % 7 ? 1 : 1e30)};
        snprintf(t.repro, sizeof t.repro, "sum of %zu squares", count);
        comparison cmp = {
            .t = &t, .op = &op, .run = run_sum, .outputs = 1, .out = {{"sum", 1, 8, NULL, NULL}}};
        compare_levels(&cmp);
        long double sum = 0;
        for (size_t k = 0; k < count; k++) sum += (long double)op.data[k] * (long double)op.data[k];
        rb_ops ops;
        rb_ops_fill(&ops, RB_CPU_REF);
        double got = ops.sum_squares(count, op.data, test_pools[1]);
        /* chains of at most 500000/16/64 additions in double */
        assert_true(fabs(got - (double)sum) <= 1e-13 * (double)sum);
        trial_close(&t);
    }
}

/* The plain passes, against one loop here, at 1 and 7 threads. */
static void passes_do_what_they_say(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(42, i);
        size_t count = random_count(&t);
        float *src = random_floats(&t, count, 1), *dst = random_floats(&t, count, 1);
        float *got = random_floats(&t, count, 1);
        rb_ops ops;
        rb_ops_fill(&ops, rb_cpu_detect());
        rb_exec x = {.ops = &ops, .pool = test_pools[i % 2 ? 0 : 3]};
        for (int pass = 0; pass < 4; pass++) {
            memcpy(got, dst, count * sizeof *got);
            if (pass == 0) rb_scale(&x, count, 0.37, got);
            if (pass == 1) rb_clamp(&x, count, 0.25, got);
            if (pass == 2) rb_add_scaled(&x, count, -0.4, src, got);
            if (pass == 3) rb_average(&x, count, 0.9998, src, got);
            for (size_t k = 0; k < count; k++) {
                double d = (double)dst[k], s = (double)src[k];
                double wanted = pass == 0   ? d * 0.37
                                : pass == 1 ? fmax(fmin(d, 0.25), -0.25)
                                : pass == 2 ? d - 0.4 * s
                                            : 0.9998 * d + 0.0002 * s;
                /* values below 1.4; three roundings at most, and those of the factors */
                assert_true(fabs((double)got[k] - wanted) <= 6 * EPS);
            }
        }
        trial_close(&t);
    }
}

/* A unit whose gradient is too large for its weights ends with the norm that is allowed; others stay. */
static void units_are_clipped(void **state) {
    (void)state;
    int clipped = 0, left = 0;
    for (int i = 0; i < TRIALS; i++) {
        trial t = trial_open(43, i);
        size_t units = (size_t)between(&t, 1, 40), length = (size_t)between(&t, 1, i % 20 ? 300 : 20000);
        double limit = 0.2;
        float *p = random_floats(&t, units * length, 1), *g = random_floats(&t, units * length, 1);
        for (size_t u = 0; u < units;
             u++) { /* gradients from far below to far above the limit, weights of zero */
            float size = ldexpf(1, between(&t, -6, 3));
            for (size_t k = 0; k < length; k++) g[u * length + k] *= size;
            for (size_t k = 0; k < length && !(u % 5); k++) p[u * length + k] = 0;
        }
        float *got[2] = {input(&t, units * length * 4), input(&t, units * length * 4)};
        for (int k = 0; k < 2; k++) {
            rb_exec x = {.pool = test_pools[k ? 3 : 0]};
            memcpy(got[k], g, units * length * sizeof *g);
            rb_clip_units(&x, units, length, limit, p, got[k]);
        }
        assert_memory_equal(got[0], got[1], units * length * sizeof *g);
        for (size_t u = 0; u < units; u++) {
            double weight = 0, before = 0, after = 0;
            for (size_t k = u * length; k < (u + 1) * length; k++) {
                weight += (double)p[k] * (double)p[k];
                before += (double)g[k] * (double)g[k];
                after += (double)got[0][k] * (double)got[0][k];
            }
            double most = limit * fmax(sqrt(weight), 1e-3), norm = sqrt(before);
            if (norm < most * (1 - 1e-12)) {
                assert_memory_equal(got[0] + u * length, g + u * length, length * sizeof *g);
                left++;
            } else {
                assert_true(fabs(sqrt(after) - most) <= 4 * EPS * most); /* factor and product rounded */
                clipped++;
            }
        }
        trial_close(&t);
    }
    assert_true(clipped > 100 && left > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_match),
        cmocka_unit_test(sums_match_and_are_right),
        cmocka_unit_test(passes_do_what_they_say),
        cmocka_unit_test(units_are_clipped),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
