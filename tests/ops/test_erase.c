/* Random erasing in the state: what lies outside the boxes stays, what lies inside is what the box asks for,
 * on every grid and with any number of threads. */
#include "kernels.h"

#include "model/plan.h"

enum { N = 3, SIDE = 32, CHANNELS = 3, REPEATED = 5, PIXELS = N * SIDE * SIDE };

static uint8_t bytes[PIXELS * CHANNELS];
static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

static void erased(int threads, int k, const rb_patch *patches, int count, int32_t *state) {
    rb_error err;
    rb_pool *pool;
    rb_ops ops;
    rb_step_bytes none = {.scratch = 1 << 20};
    rb_exec x;
    CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
    rb_ops_fill(&ops, RB_CPU_REF);
    CHECK_OK(rb_exec_open(&x, &ops, pool, &none, &err), &err);
    rb_stem s = {.image = {N, SIDE, SIDE, CHANNELS},
                 .repeated = REPEATED,
                 .bytes = bytes,
                 .mean = mean,
                 .std = deviation,
                 .k = k,
                 .state = state};
    rb_watch watch = {0};
    rb_stem_forward(&x, &s, &watch);
    rb_stem_erase(&x, &s, patches, count);
    rb_exec_close(&x);
    rb_pool_close(&pool);
}

/* Repeated channel c of pixel (y, x) of picture n. */
static size_t place(int n, int y, int x, int c) {
    int cell = (n * (SIDE / 4) + y / 4) * (SIDE / 4) + x / 4;
    return (size_t)((cell * 16 + y % 4 * 4 + x % 4) * REPEATED + c);
}

static rb_patch patch(int image, int x, int y, int w, int h, rb_patch_fill fill) {
    rb_patch p = {.image = image, .x = x, .y = y, .w = w, .h = h, .fill = fill};
    p.values = rb_rng_open(1, RB_PURPOSE_TEST, (uint64_t)image, (uint64_t)x);
    return p;
}

static bool inside(const rb_patch *p, int n, int y, int x) {
    return n == p->image && x >= p->x && x < p->x + p->w && y >= p->y && y < p->y + p->h;
}

static void boxes_are_filled(void **state) {
    (void)state;
    static int32_t plain[PIXELS * REPEATED], got[PIXELS * REPEATED], more[PIXELS * REPEATED];
    rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)rb_rng_u32(&rng);
    rb_patch patches[] = {patch(2, 3, 5, 7, 9, RB_PATCH_ZERO), patch(0, 0, 0, 31, 30, RB_PATCH_NOISE),
                          patch(2, 20, 11, 12, 21, RB_PATCH_COLOR)};
    erased(1, 20, NULL, 0, plain);
    erased(1, 20, patches, 3, got);
    erased(3, 20, patches, 3, more);
    assert_memory_equal(got, more, sizeof got);
    double sum = 0, square = 0;
    int count = 0;
    for (int n = 0; n < N; n++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int c = 0; c < REPEATED; c++) {
                    int32_t v = got[place(n, y, x, c)];
                    if (inside(&patches[0], n, y, x))
                        assert_int_equal(v, 0);
                    else if (inside(&patches[2], n, y, x))
                        assert_int_equal(v, got[place(n, 11, 20, c)]);
                    else if (!inside(&patches[1], n, y, x))
                        assert_int_equal(v, plain[place(n, y, x, c)]);
                    assert_int_equal(v, got[place(n, y, x, c % CHANNELS)]);
                    if (!inside(&patches[1], n, y, x) || c >= CHANNELS) continue;
                    double value = ldexp(v, -20);
                    sum += value, square += value * value, count++;
                }
    assert_int_equal(count, 31 * 30 * CHANNELS); /* mean 0, variance 1: four deviations of 1/√n and √(2/n) */
    assert_true(fabs(sum / count) < 4 / sqrt(count) && fabs(square / count - 1) < 4 * sqrt(2.0 / count));
    assert_true(got[place(2, 11, 20, 0)] != got[place(2, 11, 20, 1)]);
}

/* The values are those of the stream, whatever the grid rounds them to; a later box covers an earlier one. */
static void values_do_not_depend_on_the_grid(void **state) {
    (void)state;
    static int32_t fine[PIXELS * REPEATED], coarse[PIXELS * REPEATED];
    rb_patch patches[] = {patch(1, 4, 4, 20, 20, RB_PATCH_NOISE), patch(1, 8, 8, 3, 3, RB_PATCH_ZERO)};
    erased(2, 22, patches, 2, fine);
    erased(2, 12, patches, 2, coarse);
    rb_rng rng = patches[0].values;
    for (int y = 4; y < 24; y++)
        for (int x = 4; x < 24; x++)
            for (int c = 0; c < CHANNELS; c++) {
                float v = (float)rb_rng_normal(&rng);
                if (inside(&patches[1], 1, y, x)) v = 0;
                assert_int_equal(fine[place(1, y, x, c)], lrintf(ldexpf(v, 22)));
                assert_int_equal(coarse[place(1, y, x, c)], lrintf(ldexpf(v, 12)));
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(boxes_are_filled),
                                       cmocka_unit_test(values_do_not_depend_on_the_grid)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
