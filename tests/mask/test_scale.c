/* Masks of resized, cut and mirrored pictures, as runs, against the same done to pixels. */
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

/* A change of that size, of all of it or (with `cut`) of a part that lies somewhere in a larger mask. */
static rb_mask_change draw_change(rb_rng *rng, uint32_t h, uint32_t w, bool mirror, bool cut) {
    rb_mask_change c = {h, w, 0, 0, h, w, mirror, 0, 0, h, w};
    if (!cut) return c;
    c.top = rb_rng_below(rng, h);
    c.left = rb_rng_below(rng, w);
    c.part_height = 1 + rb_rng_below(rng, h - c.top);
    c.part_width = 1 + rb_rng_below(rng, w - c.left);
    c.y = rb_rng_below(rng, 3);
    c.x = rb_rng_below(rng, 3);
    c.to_height = c.y + c.part_height + rb_rng_below(rng, 3);
    c.to_width = c.x + c.part_width + rb_rng_below(rng, 3);
    return c;
}

static void check_case(rb_rng *rng, rb_mask_scale *scale, uint32_t h, uint32_t w, const rb_mask_change *c) {
    uint8_t *from = malloc(h * w), *to = calloc(c->to_height, c->to_width);
    rb_spans spans = {0}, want = {0}, got = {0};
    rb_error err;
    assert_true(from && to);
    draw_runs(rng, h * w, &spans);
    rb_mask mask = {h, w, spans.at, spans.count};
    rb_mask_to_pixels(mask, from, w);
    for (uint32_t y = 0; y < c->part_height; y++)
        for (uint32_t x = 0; x < c->part_width; x++) {
            uint32_t at = c->mirror ? c->part_width - 1 - x : x;
            to[(c->y + y) * c->to_width + c->x + at] =
                from[(uint32_t)nearest((int)h, (int)c->height, (int)(c->top + y)) * w +
                     (uint32_t)nearest((int)w, (int)c->width, (int)(c->left + x))];
        }
    rb_mask_from_pixels(to, c->to_height, c->to_width, c->to_width, &want);
    CHECK_OK(rb_mask_scale_set(scale, h, w, c, nearest, &err), &err);
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
        rb_mask_change change = draw_change(&rng, s[2], s[3], i % 3 == 0, i % 5 < 2);
        check_case(&rng, &scale, s[0], s[1], &change);
    }
    rb_mask_scale_close(&scale);
}

static void lack_of_memory_is_told(void **state) {
    (void)state;
    rb_error err = {0};
    rb_rng rng = rb_rng_open(8, RB_PURPOSE_TEST, 0, 0);
    rb_mask_change change = draw_change(&rng, 5, 5, false, false);
    for (long n = 0; n < 2; n++) {
        rb_mask_scale scale = {0};
        rb_alloc_fail_after(n);
        assert_int_equal(rb_mask_scale_set(&scale, 9, 9, &change, nearest, &err), REVBIFPN_OUT_OF_MEMORY);
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
