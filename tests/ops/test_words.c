/* The stem on 16-bit words of many channels: normalised, repeated and rounded as the formula says, with any
 * number of threads; and random erasing of as many channels. */
#include "kernels.h"

#include "model/plan.h"

enum { N = 2, SIDE = 16, CHANNELS = 12, REPEATED = 17, PIXELS = N * SIDE * SIDE, K = 20 };

static uint16_t words[PIXELS * CHANNELS];
static uint8_t bytes[PIXELS * CHANNELS];
static float mean[CHANNELS], deviation[CHANNELS];

static void run(int threads, bool wide, const rb_patch *patches, int count, int32_t *state) {
    rb_error err;
    rb_pool *pool;
    rb_ops ops;
    rb_step_bytes none = {.scratch = 1 << 20};
    rb_exec x;
    CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
    rb_ops_fill(&ops, RB_CPU_REF);
    CHECK_OK(rb_exec_open(&x, &ops, pool, &none, &err), &err);
    rb_stem s = {.image = {N, SIDE, SIDE, CHANNELS}, .repeated = REPEATED, .k = K, .state = state};
    s.mean = mean;
    s.std = deviation;
    if (wide)
        s.words = words;
    else
        s.bytes = bytes;
    rb_watch watch = {0};
    rb_stem_forward(&x, &s, &watch);
    assert_false(watch.out_of_range || watch.not_finite);
    rb_stem_erase(&x, &s, patches, count);
    rb_exec_close(&x);
    rb_pool_close(&pool);
}

static void make_pictures(void) {
    rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < PIXELS * CHANNELS; i++) words[i] = (uint16_t)rb_rng_u32(&rng);
    for (int c = 0; c < CHANNELS; c++) {
        mean[c] = 0.1f + 0.05f * (float)c;
        deviation[c] = 0.02f * (float)(c + 1);
    }
}

/* The state of repeated channel c of pixel (y, x) of picture n. */
static size_t place(int n, int y, int x, int c) {
    int cell = (n * (SIDE / 4) + y / 4) * (SIDE / 4) + x / 4;
    return (size_t)((cell * 16 + y % 4 * 4 + x % 4) * REPEATED + c);
}

static void the_state_is_the_formula(void **state) {
    (void)state;
    static int32_t one[PIXELS * REPEATED], three[PIXELS * REPEATED];
    make_pictures();
    run(1, true, NULL, 0, one);
    run(3, true, NULL, 0, three);
    assert_memory_equal(one, three, sizeof one);
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < REPEATED; c++) {
            int ch = c % CHANNELS;
            double value = words[i * CHANNELS + ch] / 65535.0 - (double)mean[ch];
            double want = value / (double)deviation[ch] * (1 << K);
            int32_t got = one[place(i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE, c)];
            /* half for the rounding; float32 has 24 bits: 65535·mean, its difference, the quotient */
            double most = 0.5 + (1 << K) * 3e-7 / (double)deviation[ch] + fabs(want) * 2e-7;
            if (!(fabs(got - want) <= most)) fail_msg("pixel %d channel %d: %d, wanted %g", i, c, got, want);
        }
}

static void bytes_count_257_times(void **state) {
    (void)state;
    static int32_t narrow[PIXELS * REPEATED], wide[PIXELS * REPEATED];
    make_pictures();
    for (int i = 0; i < PIXELS * CHANNELS; i++) {
        bytes[i] = (uint8_t)(words[i] >> 8);
        words[i] = (uint16_t)(bytes[i] * 257);
    }
    run(2, false, NULL, 0, narrow);
    run(2, true, NULL, 0, wide);
    for (int i = 0; i < PIXELS * REPEATED; i++) {
        double most = 1.5 + (1 << K) * 6e-7 / 0.02 + fabs((double)narrow[i]) * 4e-7;
        if (!(fabs((double)narrow[i] - wide[i]) <= most)) fail_msg("%d: %d and %d", i, narrow[i], wide[i]);
    }
}

static void boxes_have_all_channels(void **state) {
    (void)state;
    static int32_t got[PIXELS * REPEATED];
    rb_patch patch = {.image = 1, .x = 3, .y = 2, .w = 6, .h = 5, .fill = RB_PATCH_COLOR};
    patch.values = rb_rng_open(1, RB_PURPOSE_TEST, 0, 0);
    make_pictures();
    run(2, true, &patch, 1, got);
    rb_rng rng = patch.values;
    int32_t want[CHANNELS];
    for (int c = 0; c < CHANNELS; c++) want[c] = (int32_t)lrintf((float)rb_rng_normal(&rng) * (1 << K));
    for (int y = 2; y < 7; y++)
        for (int x = 3; x < 9; x++)
            for (int c = 0; c < REPEATED; c++) assert_int_equal(got[place(1, y, x, c)], want[c % CHANNELS]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_state_is_the_formula),
                                       cmocka_unit_test(bytes_count_257_times),
                                       cmocka_unit_test(boxes_have_all_channels)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
