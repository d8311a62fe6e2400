/* A dry run counts exactly the scratch that the real run takes, on every level and thread count. */
#include "kernels.h"

enum { C = 20, OC = 36, MOST = 4 * 16 * 16 * OC };

typedef struct memory {
    float *a, *b, *d, *wgt, *gate, *channel;
    double *sums;
} memory;

/* Every operator that takes scratch, once; in a dry run nothing of `m` is touched. */
static void run_all(rb_exec *x, const memory *m) {
    rb_shape s = {4, 8, 8, C}, out = {4, 8, 8, OC}, low = {4, 4, 4, C}, stem = {2, 32, 32, 3};
    rb_affine affine = {m->channel, m->channel};
    rb_source src = {
        .shape = s, .ld = C, .load = RB_LOAD_ACT, .data = m->a, .affine = affine, .gate = m->gate};
    rb_act_sums act = {m->sums, m->a, m->channel, affine};
    rb_sink sink = {.d = m->d, .ld = C, .act = act};
    rb_pointwise p = {.src = src, .oc = OC, .wgt = m->wgt};
    rb_gradient g = {.shape = out,
                     .d = m->b,
                     .ld = OC,
                     .z = m->b,
                     .affine = affine,
                     .mean = m->channel,
                     .mean_d = m->channel,
                     .slope = m->channel};
    rb_pointwise_forward(x, &p, m->d, (rb_moments){m->gate, m->gate + OC});
    rb_pointwise_backward(x, &p, &g, m->wgt, &sink);
    rb_depthwise w = {.src = src, .kernel = 3, .stride = 2, .wgt = m->wgt};
    rb_gradient gw = g;
    gw.shape = rb_depthwise_shape(&w), gw.ld = C;
    rb_depthwise_forward(x, &w, m->d, (rb_moments){m->gate, m->gate + C});
    rb_depthwise_backward(x, &w, &gw, m->wgt, &sink);
    rb_act_sums_pass(x, s, m->b, act);
    rb_norm_sums(x, &gw, m->sums);
    rb_squeeze_pool(x, s, m->a, affine, m->d);
    rb_squeeze q = {.n = 4, .c = C, .r = 5, .w1 = m->wgt, .b1 = m->wgt, .w2 = m->wgt, .b2 = m->wgt};
    rb_squeeze_gate(x, &q, m->a, m->d);
    rb_squeeze_backward(x, &q, 64, m->a, m->sums, m->d, m->d, m->d, m->d, m->d);
    rb_watch watch = {0};
    rb_state_add add = {.shape = low,
                        .z = m->a,
                        .affine = affine,
                        .factor = 2,
                        .k = 20,
                        .sign = 1,
                        .state = (int32_t *)(void *)m->d,
                        .ld = C};
    rb_state_add_run(x, &add, &watch);
    rb_upsample_backward(x, low, 2, m->a, C, m->d);
    rb_stem stem_op = {
        .image = stem, .repeated = 3, .floats = m->a, .k = 20, .state = (int32_t *)(void *)m->d};
    rb_stem_forward(x, &stem_op, &watch);
    rb_linear l = {.n = 4, .features = OC, .classes = 10, .src = m->a, .wgt = m->wgt, .bias = m->wgt};
    rb_linear_forward(x, &l, m->d);
    rb_linear_backward(x, &l, m->a, m->d, m->d, m->d);
}

static void dry_run_counts_the_same(void **state) {
    (void)state;
    trial t = trial_open(20, 0);
    memory m = {random_floats(&t, MOST, 1),
                random_floats(&t, MOST, 1),
                random_floats(&t, MOST, 1),
                random_floats(&t, MOST, 1),
                random_floats(&t, MOST, 1),
                random_floats(&t, MOST, 1),
                zeros(&t, MOST)};
    for (rb_cpu_level level = RB_CPU_REF; level <= rb_cpu_detect(); level++)
        for (int i = 0; i < POOLS; i++) {
            rb_ops ops;
            rb_error err;
            rb_ops_fill(&ops, level);
            rb_exec dry = {.ops = &ops, .pool = test_pools[i], .scratch = rb_arena_dry(), .dry = true};
            run_all(&dry, &(memory){0});
            rb_exec real = {.ops = &ops, .pool = test_pools[i]};
            /* one byte less would make the arena assert */
            CHECK_OK(rb_arena_open(&real.scratch, dry.scratch.high, "test", &err), &err);
            run_all(&real, &m);
            assert_int_equal(dry.scratch.high, real.scratch.high);
            assert_int_equal(real.scratch.top, 0);
            rb_arena_close(&real.scratch);
        }
    trial_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dry_run_counts_the_same)};
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
