/* Masks of resized and mirrored pictures, as runs, against the same done to pixels. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "mask/scale.h"

static int nearest(int n, int m, int i) {
    int from = (int)floor(i * (1.0 / ((double)m / n)));
    return from < n ? from : n - 1;
}

/* Some runs, of all lengths, some over several columns. */
static void draw_runs(rb_rng *rng, uint32_t pixels, rb_spans *out) {
    rb_spans_clear(out);
    uint32_t longest = rb_rng_below(rng, 3) ? 7 : pixels;
    for (uint32_t at = rb_rng_below(rng, longest); at < pixels;) {
        uint32_t end = at + 1 + rb_rng_below(rng, longest);
        rb_spans_add(out, at, end < pixels ? end : pixels);
        at = end + 1 + rb_rng_below(rng, longest);
    }
}

static void check_case(rb_rng *rng, rb_mask_scale *scale, uint32_t h, uint32_t w, uint32_t to_h,
                       uint32_t to_w, bool mirror) {
    uint8_t *from = malloc(h * w), *to = malloc(to_h * to_w);
    rb_spans spans = {0}, want = {0}, got = {0};
    rb_error err;
    assert_true(from && to);
    draw_runs(rng, h * w, &spans);
    rb_mask mask = {h, w, spans.at, spans.count};
    rb_mask_to_pixels(mask, from, w);
    for (uint32_t y = 0; y < to_h; y++)
        for (uint32_t x = 0; x < to_w; x++) {
            uint32_t at = mirror ? to_w - 1 - x : x;
            to[y * to_w + at] = from[(uint32_t)nearest((int)h, (int)to_h, (int)y) * w +
                                     (uint32_t)nearest((int)w, (int)to_w, (int)x)];
        }
    rb_mask_from_pixels(to, to_h, to_w, to_w, &want);
    CHECK_OK(rb_mask_scale_set(scale, h, w, to_h, to_w, mirror, nearest, &err), &err);
    rb_mask_scale_run(scale, mask, &got);
    assert_int_equal(got.count, want.count);
    if (want.count) assert_memory_equal(got.at, want.at, want.count * sizeof *want.at);
    rb_spans_close(&spans);
    rb_spans_close(&want);
    rb_spans_close(&got);
    free(from);
    free(to);
}

static void equals_pixels(void **state) {
    (void)state;
    rb_rng rng = rb_rng_open(8, RB_PURPOSE_TEST, 0, 0);
    rb_mask_scale scale = {0};
    for (int i = 0; i < 4000; i++) {
        uint32_t side = i % 2 ? 6 : 40, s[4];
        for (int k = 0; k < 4; k++) s[k] = 1 + rb_rng_below(&rng, side);
        if (i % 7 == 0) s[2] = s[0], s[3] = s[1];
        check_case(&rng, &scale, s[0], s[1], s[2], s[3], i % 3 == 0);
    }
    rb_mask_scale_close(&scale);
}

static void lack_of_memory_is_told(void **state) {
    (void)state;
    rb_error err = {0};
    for (long n = 0; n < 2; n++) {
        rb_mask_scale scale = {0};
        rb_alloc_fail_after(n);
        assert_int_equal(rb_mask_scale_set(&scale, 9, 9, 5, 5, false, nearest, &err), REVBIFPN_OUT_OF_MEMORY);
        rb_alloc_fail_after(-1);
        rb_mask_scale_close(&scale);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pixels),
        cmocka_unit_test(lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
