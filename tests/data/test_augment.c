/* Sampler and transforms: order, distributions, worked crops, and the parts of torchvision they are made of.
 */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "data/augment.h"
#include "data/sampler.h"

static void sampler_permutes(void **state) {
    (void)state;
    enum { COUNT = 101 };
    uint32_t a[COUNT], b[COUNT], seen[COUNT] = {0};
    rb_sampler_order(1, 0, true, COUNT, a);
    rb_sampler_order(1, 0, true, COUNT, b);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < COUNT; i++) seen[a[i]]++;
    for (int i = 0; i < COUNT; i++) assert_int_equal(seen[i], 1);
    rb_sampler_order(1, 1, true, COUNT, b);
    assert_memory_not_equal(a, b, sizeof a);
    rb_sampler_order(2, 0, true, COUNT, b);
    assert_memory_not_equal(a, b, sizeof a);
    rb_sampler_order(2, 5, false, COUNT, b);
    for (uint32_t i = 0; i < COUNT; i++) assert_int_equal(b[i], i);
    /* all 24 orders of four come, each about 1000 times in 24000 (standard deviation 31) */
    int hits[256] = {0}, kinds = 0;
    for (uint64_t epoch = 0; epoch < 24000; epoch++) {
        rb_sampler_order(9, epoch, true, 4, a);
        hits[a[0] | a[1] << 2 | a[2] << 4 | a[3] << 6]++;
    }
    for (int i = 0; i < 256; i++) {
        kinds += hits[i] > 0;
        if (hits[i]) assert_in_range(hits[i], 850, 1150);
    }
    assert_int_equal(kinds, 24);
    assert_int_equal(rb_sampler_batches(10, 4, true), 2);
    assert_int_equal(rb_sampler_batches(10, 4, false), 3);
    assert_int_equal(rb_sampler_batches(8, 4, false), 2);
    assert_int_equal(rb_sampler_batches(3, 4, true), 0);
}

static void repeated_epochs_end_at_whole_256s(void **state) {
    (void)state;
    assert_int_equal(rb_sampler_entries(1000, 1), 1000);
    assert_int_equal(rb_sampler_entries(1000, 3), 768);
    assert_int_equal(rb_sampler_entries(256, 3), 256);
    assert_int_equal(rb_sampler_entries(255, 3), 255);
    assert_int_equal(rb_sampler_entries(1281167, 3), 1281024);
}

static void draws_follow_the_formula(void **state) {
    (void)state;
    /* the same stream drawn by hand: u1 → area, u2 → ratio, then top, left, filter, flip */
    rb_train_transform t = rb_train_transform_default(64, 64);
    int accepted = 0;
    for (uint64_t i = 0; i < 200; i++) {
        rb_rng ours = rb_rng_open(5, RB_PURPOSE_AUGMENT, 3, i), hand = ours;
        rb_train_draw d = rb_train_transform_draw(&t, 500, 375, &ours);
        double area = (0.08 + 0.92 * rb_rng_uniform(&hand)) * 500 * 375;
        double ratio = exp(log(0.75) + (log(4.0 / 3) - log(0.75)) * rb_rng_uniform(&hand));
        int w = (int)rint(sqrt(area * ratio)), h = (int)rint(sqrt(area / ratio));
        if (w > 500 || h > 375) continue;
        accepted++;
        assert_true(d.w == w && d.h == h);
        assert_int_equal(d.y, rb_rng_below(&hand, (uint32_t)(375 - h + 1)));
        assert_int_equal(d.x, rb_rng_below(&hand, (uint32_t)(500 - w + 1)));
        assert_int_equal(d.filter, rb_rng_below(&hand, 2) ? RB_FILTER_BICUBIC : RB_FILTER_BILINEAR);
        assert_int_equal(d.flip, rb_rng_uniform(&hand) < 0.5);
        assert_true(!d.flip_rows && !d.change_count);
    }
    assert_true(accepted > 120);
}

static void draws_have_the_right_distribution(void **state) {
    (void)state;
    rb_train_transform t = rb_train_transform_default(64, 64);
    t.scale[1] =
        0.5; /* always fits into a square: nothing is rejected, so the moments are those of the formula */
    enum { COUNT = 20000 };
    double area = 0, log_ratio = 0, square = 0, left = 0;
    int flips = 0, bicubic = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        rb_rng rng = rb_rng_open(6, RB_PURPOSE_AUGMENT, 0, i);
        rb_train_draw d = rb_train_transform_draw(&t, 4000, 4000, &rng);
        assert_true(d.x >= 0 && d.y >= 0 && d.w >= 1 && d.h >= 1 && d.x + d.w <= 4000 && d.y + d.h <= 4000);
        double r = log((double)d.w / d.h);
        area += (double)d.w * d.h / 16e6 / COUNT;
        log_ratio += r / COUNT;
        square += r * r / COUNT;
        left += d.x / (4000.0 - d.w) / COUNT;
        flips += d.flip;
        bicubic += d.filter == RB_FILTER_BICUBIC;
    }
    double half = log(4.0 / 3); /* bounds: four standard errors */
    assert_true(fabs(area - 0.29) < 0.0035);
    assert_true(fabs(log_ratio) < 0.005 && fabs(square - half * half / 3) < 0.001);
    assert_true(fabs(left - 0.5) < 0.0085);
    assert_in_range(flips, 9717, 10283);
    assert_in_range(bicubic, 9717, 10283);
}

static void fixed_choices_and_fallback(void **state) {
    (void)state;
    rb_train_transform t = rb_train_transform_default(64, 64);
    t.scale[0] = t.scale[1] = 1;
    t.ratio[0] = t.ratio[1] = 1;
    t.hflip = 0;
    t.interpolation = RB_INTERPOLATION_BICUBIC;
    t.rows_first = true;
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_AUGMENT, 0, 0);
    rb_train_draw d = rb_train_transform_draw(&t, 100, 100, &rng); /* exactly the whole picture */
    assert_true(d.x == 0 && d.y == 0 && d.w == 100 && d.h == 100 && !d.flip);
    assert_int_equal(d.filter, RB_FILTER_BICUBIC | RB_FILTER_ROWS_FIRST);
    d = rb_train_transform_draw(&t, 200, 101,
                                &rng); /* a square of the whole area never fits: the central one */
    assert_true(d.x == 49 && d.y == 0 && d.w == 101 && d.h == 101);
    d = rb_train_transform_draw(&t, 33, 100, &rng);
    assert_true(d.x == 0 && d.y == 33 && d.w == 33 && d.h == 33);
    t = rb_train_transform_default(64, 64);
    t.scale[0] = 1;
    d = rb_train_transform_draw(&t, 1000, 30, &rng); /* 30 · 4/3 = 40 */
    assert_true(d.w == 40 && d.h == 30 && d.x == 480 && d.y == 0);
    d = rb_train_transform_draw(&t, 30, 1000, &rng); /* 30 / ¾ = 40 */
    assert_true(d.w == 30 && d.h == 40 && d.x == 0 && d.y == 480);
    d = rb_train_transform_draw(&t, 1, 1, &rng);
    assert_true(d.w == 1 && d.h == 1);
}

static rb_image noise(int width, int height) {
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    rb_rng rng = rb_rng_open(8, RB_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++)
        image.pixels[i] = (uint8_t)rb_rng_u32(&rng);
    return image;
}

static void training_crop_is_resized_and_flipped(void **state) {
    (void)state;
    rb_error err;
    rb_image image = noise(50, 40);
    rb_scratch scratch = {0};
    rb_train_transform t = rb_train_transform_default(4, 3);
    uint8_t got[36];
    rb_train_draw d = {.x = 10, .y = 20, .w = 4, .h = 3, .flip = true}; /* no resize: the pixels themselves */
    CHECK_OK(rb_train_transform_apply(&t, &d, &image, got, &scratch, &err), &err);
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 4; x++)
            assert_memory_equal(got + (y * 4 + x) * 3, image.pixels + ((20 + y) * 50 + 13 - x) * 3, 3);
    rb_scratch_free(&scratch);
    rb_image_free(&image);
}

/* torchvision's two steps, one after the other. */
static void check_eval(int w, int h, int side, double crop_pct) {
    rb_error err;
    rb_image image = noise(w, h), whole;
    int width, height;
    rb_image_short_side(w, h, (int)floor(side / crop_pct), &width, &height);
    CHECK_OK(rb_image_alloc(&whole, width, height, &err), &err);
    rb_resize r = rb_resize_whole(0, 0, w, h, width, height, RB_FILTER_BICUBIC);
    void *memory = rb_alloc(rb_resize_scratch(&r));
    assert_non_null(memory);
    rb_resize_run(&r, &image, whole.pixels, memory);
    uint8_t *want = malloc((size_t)side * (size_t)side * 3), *got = malloc((size_t)side * (size_t)side * 3);
    assert_true(want && got);
    rb_image_center_crop(&whole, side, side, want);
    rb_eval_transform t = {.width = side, .height = side, .crop_pct = crop_pct, .filter = RB_FILTER_BICUBIC};
    rb_scratch scratch = {0};
    CHECK_OK(rb_eval_transform_apply(&t, &image, got, &scratch, &err), &err);
    assert_memory_equal(got, want, (size_t)side * (size_t)side * 3);
    rb_scratch_free(&scratch);
    rb_free(memory);
    free(want);
    free(got);
    rb_image_free(&image);
    rb_image_free(&whole);
}

static void evaluation_equals_resize_and_center_crop(void **state) {
    (void)state;
    check_eval(500, 375, 224, 0.875);
    check_eval(375, 500, 96, 0.875);
    check_eval(64, 64, 64, 1);
    check_eval(73, 55, 64, 0.95);
    check_eval(20, 301, 32, 0.9);
    check_eval(3, 2, 32, 0.875);
    check_eval(256, 300, 224, 0.875); /* the short side stays */
}

static void evaluation_of_oblong_targets(void **state) {
    (void)state;
    rb_error err;
    /* 100 x 50 to cover 64 x 48: 64/100 < 48/50, so the height becomes 48, the width 96, of which 16 … 79 are
     * kept */
    rb_image image = noise(100, 50);
    static uint8_t got[64 * 48 * 3], want[64 * 48 * 3];
    rb_scratch scratch = {0};
    rb_eval_transform t = {.width = 64, .height = 48, .crop_pct = 1, .filter = RB_FILTER_BILINEAR};
    CHECK_OK(rb_eval_transform_apply(&t, &image, got, &scratch, &err), &err);
    rb_resize r = rb_resize_whole(0, 0, 100, 50, 96, 48, RB_FILTER_BILINEAR);
    r.left = 16;
    r.part_width = 64;
    void *memory = rb_alloc(rb_resize_scratch(&r));
    rb_resize_run(&r, &image, want, memory);
    assert_memory_equal(got, want, sizeof want);
    rb_free(memory);
    rb_image_free(&image);
    image = noise(1, 1); /* scaled up to cover */
    CHECK_OK(rb_eval_transform_apply(&t, &image, got, &scratch, &err), &err);
    for (int i = 0; i < 64 * 48 * 3; i++) assert_int_equal(got[i], image.pixels[i % 3]);
    rb_image_free(&image);
    image = noise(100000, 1); /* 48 · 100000 wide, were it made whole: only the centre is */
    CHECK_OK(rb_eval_transform_apply(&t, &image, got, &scratch, &err), &err);
    assert_true(scratch.size < 1 << 20);
    rb_image_free(&image);
    rb_scratch_free(&scratch);
}

static void options_are_checked(void **state) {
    (void)state;
    rb_error err;
    rb_train_transform t = rb_train_transform_default(64, 64);
    CHECK_OK(rb_train_transform_check(&t, &err), &err);
    t.scale[0] = 0;
    assert_int_equal(rb_train_transform_check(&t, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "--scale"));
    t = rb_train_transform_default(64, 64);
    t.ratio[0] = NAN;
    assert_int_equal(rb_train_transform_check(&t, &err), REVBIFPN_BAD_ARGUMENT);
    t = rb_train_transform_default(64, 64);
    t.hflip = 1.5;
    assert_int_equal(rb_train_transform_check(&t, &err), REVBIFPN_BAD_ARGUMENT);
    t = rb_train_transform_default(64, 64);
    t.vflip = -1;
    assert_int_equal(rb_train_transform_check(&t, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "--vflip"));
    t = rb_train_transform_default(64, 0);
    assert_int_equal(rb_train_transform_check(&t, &err), REVBIFPN_BAD_ARGUMENT);
    rb_eval_transform e = {.width = 64, .height = 64, .crop_pct = 0.875};
    CHECK_OK(rb_eval_transform_check(&e, &err), &err);
    e.crop_pct = 0;
    assert_int_equal(rb_eval_transform_check(&e, &err), REVBIFPN_BAD_ARGUMENT);
    e.crop_pct = 1.01;
    assert_int_equal(rb_eval_transform_check(&e, &err), REVBIFPN_BAD_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampler_permutes),
        cmocka_unit_test(repeated_epochs_end_at_whole_256s),
        cmocka_unit_test(draws_follow_the_formula),
        cmocka_unit_test(draws_have_the_right_distribution),
        cmocka_unit_test(fixed_choices_and_fallback),
        cmocka_unit_test(training_crop_is_resized_and_flipped),
        cmocka_unit_test(evaluation_equals_resize_and_center_crop),
        cmocka_unit_test(evaluation_of_oblong_targets),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
