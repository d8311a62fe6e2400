/* Pillow's operations: the typed golden values (spec 14.1, of Pillow 9.4) and what must hold without any. The
 * vectors made with Pillow 13 are in data/test_augment_vectors.c. */
#include "check.h"

#include "base/rng.h"
#include "image/pillow.h"

enum { W = 7, H = 6 };

/* Image A of the specification, in all channels. */
static uint8_t value_a(int i, int j) { return (uint8_t)(37 * i * i + 91 * j + 13 * i * j); }

static void fill_a(uint8_t pixels[W * H * 3]) {
    for (int i = 0; i < W * H * 3; i++) pixels[i] = value_a(i / 3 / W, i / 3 % W);
}

/* Image C: A, 3A + 7, 255 − A. */
static void fill_c(uint8_t pixels[W * H * 3]) {
    for (int i = 0; i < W * H; i++) {
        uint8_t a = value_a(i / W, i % W);
        pixels[3 * i] = a;
        pixels[3 * i + 1] = (uint8_t)(3 * a + 7);
        pixels[3 * i + 2] = (uint8_t)(255 - a);
    }
}

static void check_row(const uint8_t *pixels, int row, const uint8_t want[W]) {
    for (int x = 0; x < W * 3; x++) assert_int_equal(pixels[row * W * 3 + x], want[x / 3]);
}

static const uint8_t nine[3] = {9, 9, 9};

static void check_affine(const double m[6], rb_sampling sampling, const uint8_t first[W],
                         const uint8_t third[W]) {
    uint8_t a[W * H * 3], got[W * H * 3];
    fill_a(a);
    rb_image_affine(a, W, H, m, sampling, nine, got);
    check_row(got, 0, first);
    check_row(got, 2, third);
}

static void golden_affine(void **state) {
    (void)state;
    const double shear[6] = {1, 0.27, 0, 0, 1, 0}, shift[6] = {1, 0, 0.405 * 7, 0, 1, 0};
    check_affine(shear, RB_SAMPLING_BILINEAR, (uint8_t[]){12, 103, 159, 29, 120, 176, 34},
                 (uint8_t[]){54, 87, 204, 149, 182, 127, 9});
    check_affine(shear, RB_SAMPLING_BICUBIC, (uint8_t[]){10, 115, 167, 11, 132, 185, 17},
                 (uint8_t[]){36, 60, 233, 140, 193, 135, 9});
    check_affine(shift, RB_SAMPLING_BILINEAR, (uint8_t[]){44, 92, 183, 61, 9, 9, 9},
                 (uint8_t[]){223, 126, 201, 104, 9, 9, 9});
    check_affine(shift, RB_SAMPLING_BICUBIC, (uint8_t[]){35, 78, 205, 63, 9, 9, 9},
                 (uint8_t[]){242, 116, 214, 107, 9, 9, 9});
}

static void golden_rotation(void **state) {
    (void)state;
    uint8_t a[W * H * 3], got[W * H * 3];
    fill_a(a);
    rb_image_rotate(a, W, H, 27, RB_SAMPLING_BILINEAR, nine, got);
    check_row(got, 0, (uint8_t[]){9, 9, 39, 135, 87, 131, 9});
    check_row(got, 2, (uint8_t[]){81, 168, 176, 209, 108, 214, 124});
    rb_image_rotate(a, W, H, 27, RB_SAMPLING_BICUBIC, nine, got);
    check_row(got, 0, (uint8_t[]){9, 9, 0, 150, 60, 142, 9});
    check_row(got, 2, (uint8_t[]){71, 194, 214, 226, 85, 221, 132});
}

static void golden_points(void **state) {
    (void)state;
    uint8_t a[W * H * 3];
    fill_a(a);
    rb_image_posterize(a, W * H, 3);
    check_row(a, 1, (uint8_t[]){32, 128, 224, 64, 192, 32, 128});
    fill_a(a);
    rb_image_solarize(a, W * H, 230);
    check_row(a, 1, (uint8_t[]){37, 141, 10, 93, 197, 45, 149});
    fill_a(a);
    for (int i = 0; i < W * H * 3; i++) a[i] = a[i] < 40 ? 40 : a[i] > 200 ? 200 : a[i];
    rb_image_autocontrast(a, W * H);
    check_row(a, 0, (uint8_t[]){0, 81, 226, 0, 108, 253, 0});
    uint8_t same[W * H * 3];
    fill_a(a), fill_a(same);
    rb_image_equalize(a, W * H); /* fewer than 255 pixels: step 0 */
    assert_memory_equal(a, same, sizeof a);
}

static void golden_equalize(void **state) {
    (void)state;
    static const uint8_t first[40] = {0,   0,   3,   7,   10,  15,  22,  29,  38,  50,  61,  73, 87, 100,
                                      115, 132, 148, 166, 186, 205, 226, 248, 255, 255, 22,  51, 82, 111,
                                      142, 172, 205, 237, 255, 7,   47,  87,  126, 166, 206, 248};
    static uint8_t b[30 * 40 * 3];
    for (int i = 0; i < 30 * 40 * 3; i++) {
        int y = i / 3 / 40, x = i / 3 % 40;
        b[i] = (uint8_t)((x * x / 3 + 7 * y) % 180 + 20);
    }
    rb_image_equalize(b, 30 * 40);
    int sum = 0;
    for (int i = 0; i < 30 * 40 * 3; i += 3) sum += b[i];
    for (int i = 0; i < 40 * 3; i++) assert_int_equal(b[i], first[i / 3]);
    assert_int_equal(sum, 175120);
}

typedef void enhancer(uint8_t *pixels, size_t count, double factor);

static void sharpness_in_place(uint8_t *pixels, size_t count, double factor) {
    uint8_t src[W * H * 3];
    assert_int_equal(count, W * H);
    memcpy(src, pixels, sizeof src);
    rb_image_sharpness(src, W, H, factor, pixels);
}

static void check_enhanced(enhancer *run, double factor, const uint8_t want[9]) {
    uint8_t c[W * H * 3];
    fill_c(c);
    run(c, W * H, factor);
    assert_memory_equal(c + 2 * W * 3, want, 9);
}

static void golden_enhancers(void **state) {
    (void)state;
    check_enhanced(rb_image_color, .19, (uint8_t[]){166, 175, 158, 43, 47, 88, 127, 128, 128});
    check_enhanced(rb_image_color, 1.72, (uint8_t[]){131, 212, 60, 0, 21, 255, 124, 129, 129});
    check_enhanced(rb_image_contrast, .19, (uint8_t[]){129, 138, 121, 102, 107, 147, 125, 125, 125});
    check_enhanced(rb_image_contrast, 1.72, (uint8_t[]){164, 245, 94, 0, 0, 255, 126, 131, 131});
    check_enhanced(rb_image_brightness, .19, (uint8_t[]){28, 37, 20, 1, 6, 46, 23, 24, 24});
    check_enhanced(rb_image_brightness, 1.72, (uint8_t[]){254, 255, 184, 15, 58, 255, 216, 221, 221});
    check_enhanced(sharpness_in_place, .19, (uint8_t[]){148, 195, 107, 70, 107, 184, 139, 138, 115});
    check_enhanced(sharpness_in_place, 1.72, (uint8_t[]){148, 195, 107, 0, 0, 255, 113, 120, 141});
}

static void random_picture(uint8_t *pixels, size_t bytes, uint64_t which) {
    rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, which, 0);
    for (size_t i = 0; i < bytes; i++) pixels[i] = (uint8_t)rb_rng_u32(&rng);
}

/* Moving by whole pixels and turning by quarters only permutes, with every filter. */
static void exact_moves(void **state) {
    (void)state;
    uint8_t src[W * W * 3], once[W * W * 3], twice[W * W * 3];
    random_picture(src, sizeof src, 0);
    for (int s = 0; s < 3; s++) {
        const double right[6] = {1, 0, -2, 0, 1, 0};
        rb_image_affine(src, W, W, right, (rb_sampling)s, nine, once);
        for (int i = 0; i < W * W * 3; i++) assert_int_equal(once[i], i / 3 % W < 2 ? 9 : src[i - 6]);
        memcpy(twice, src, sizeof src);
        for (int turn = 0; turn < 4; turn++) {
            rb_image_rotate(twice, W, W, 90, (rb_sampling)s, nine, once);
            memcpy(twice, once, sizeof once);
        }
        assert_memory_equal(twice, src, sizeof src);
        rb_image_rotate(src, W, W, 450, (rb_sampling)s, nine, once);
        rb_image_rotate(once, W, W, -90, (rb_sampling)s, nine, twice);
        assert_memory_equal(twice, src, sizeof src);
        rb_image_rotate(src, W, H, 180, (rb_sampling)s, nine, once); /* not square */
        rb_image_flip_rows(once, W, H);
        for (int i = 0; i < W * H * 3; i++)
            assert_int_equal(once[i], src[(i / 3 / W * W + W - 1 - i / 3 % W) * 3 + i % 3]);
    }
}

static void what_is_no_change(void **state) {
    (void)state;
    uint8_t src[W * H * 3], got[W * H * 3];
    random_picture(src, sizeof src, 1);
    memcpy(got, src, sizeof src);
    rb_image_invert(got, W * H);
    rb_image_invert(got, W * H);
    rb_image_posterize(got, W * H, 8);
    rb_image_solarize(got, W * H, 256);
    rb_image_solarize_add(got, W * H, 0);
    rb_image_color(got, W * H, 1);
    rb_image_contrast(got, W * H, 1);
    rb_image_brightness(got, W * H, 1);
    sharpness_in_place(got, W * H, 1);
    assert_memory_equal(got, src, sizeof src);
    rb_image_posterize(got, W * H, 0);
    for (int i = 0; i < W * H * 3; i++) assert_int_equal(got[i], 0);
    memset(got, 77, sizeof got); /* one value: nothing to stretch, and no colour */
    rb_image_autocontrast(got, W * H);
    rb_image_equalize(got, W * H);
    rb_image_shift_hue(got, W * H, 0.3);
    for (int i = 0; i < W * H * 3; i++) assert_int_equal(got[i], 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_affine),     cmocka_unit_test(golden_rotation),
        cmocka_unit_test(golden_points),     cmocka_unit_test(golden_equalize),
        cmocka_unit_test(golden_enhancers),  cmocka_unit_test(exact_moves),
        cmocka_unit_test(what_is_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
