/* Resize, crop and flip against Pillow and torchvision: the typed golden values (spec 14.1) and the vectors
 * that scripts/golden/make_resize_vectors.py made with Pillow. Nothing is tolerated: bytes are equal or the
 * test fails. */
#include "check.h"

#include <jansson.h>

#include "base/memory.h"
#include "base/rng.h"
#include "image/image.h"

/* Resizes `src` into a buffer of exactly the right size, with exactly the scratch that is asked for. */
static uint8_t *resized(const rb_image *src, const int box[4], rb_filter filter, int width, int height) {
    uint8_t *dst = malloc((size_t)width * (size_t)height * 3);
    rb_resize r = rb_resize_whole(box[0], box[1], box[2], box[3], width, height, filter);
    void *scratch = rb_alloc(rb_resize_scratch(&r));
    assert_non_null(dst);
    assert_non_null(scratch);
    rb_resize_run(&r, src, dst, scratch);
    rb_free(scratch);
    return dst;
}

static rb_image grey(const uint8_t *values, int width, int height) {
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    for (int i = 0; i < width * height * 3; i++) image.pixels[i] = values[i / 3];
    return image;
}

static void check_grey(const uint8_t *src, int sw, int sh, rb_filter filter, const uint8_t *want, int dw,
                       int dh) {
    rb_image image = grey(src, sw, sh), expected = grey(want, dw, dh);
    uint8_t *got = resized(&image, (int[4]){0, 0, sw, sh}, filter, dw, dh);
    assert_memory_equal(got, expected.pixels, (size_t)dw * (size_t)dh * 3);
    free(got);
    rb_image_free(&image);
    rb_image_free(&expected);
}

static void golden_row(void **state) {
    (void)state;
    static const uint8_t r[8] = {0, 10, 50, 255, 3, 128, 200, 77};
    check_grey(r, 8, 1, RB_FILTER_BICUBIC, (uint8_t[]){30, 119, 131}, 3, 1);
    check_grey(r, 8, 1, RB_FILTER_BILINEAR, (uint8_t[]){36, 115, 132}, 3, 1);
    check_grey(r, 8, 1, RB_FILTER_BICUBIC, (uint8_t[]){0, 81, 129, 122, 130}, 5, 1);
    check_grey(r, 8, 1, RB_FILTER_BILINEAR, (uint8_t[]){4, 78, 126, 124, 127}, 5, 1);
    check_grey(r, 8, 1, RB_FILTER_BICUBIC, (uint8_t[]){0, 3, 15, 56, 236, 134, 7, 123, 193, 154, 70}, 11, 1);
    check_grey(r, 8, 1, RB_FILTER_BILINEAR, (uint8_t[]){0, 6, 23, 59, 208, 129, 31, 122, 177, 150, 77}, 11,
               1);
    /* the same down a column */
    check_grey(r, 1, 8, RB_FILTER_BICUBIC, (uint8_t[]){30, 119, 131}, 1, 3);
    check_grey(r, 1, 8, RB_FILTER_BILINEAR, (uint8_t[]){0, 6, 23, 59, 208, 129, 31, 122, 177, 150, 77}, 1,
               11);
}

static void golden_image(void **state) {
    (void)state;
    uint8_t a[6 * 7];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 7; j++) a[i * 7 + j] = (uint8_t)(37 * i * i + 91 * j + 13 * i * j);
    static const uint8_t cubic[20] = {34,  174, 82,  142, 94,  90,  120, 184, 149, 125,
                                      125, 140, 189, 128, 130, 123, 154, 151, 79,  112};
    static const uint8_t linear[20] = {46,  163, 93,  141, 98,  94,  123, 174, 146, 124,
                                       121, 138, 182, 127, 128, 126, 150, 148, 85,  110};
    check_grey(a, 7, 6, RB_FILTER_BICUBIC, cubic, 5, 4);
    check_grey(a, 7, 6, RB_FILTER_BILINEAR, linear, 5, 4);
}

static rb_image noise(int width, int height, uint32_t x) {
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++) {
        x = 1664525u * x + 1013904223u;
        image.pixels[i] = (uint8_t)(x >> 24);
    }
    return image;
}

static void fnv1a(const uint8_t *bytes, size_t size, char text[17]) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001B3u;
    snprintf(text, 17, "%016llx", (unsigned long long)h);
}

static void check_vector(size_t index, const char *hash, const char *hex, const uint8_t *got, size_t size) {
    for (size_t i = 0; hex && i < size; i++) {
        unsigned want = 256;
        sscanf(hex + 2 * i, "%2x", &want);
        if (got[i] != want) fail_msg("case %zu: byte %zu is %d and not %u", index, i, got[i], want);
    }
    char text[17];
    fnv1a(got, size, text);
    if (strcmp(text, hash)) fail_msg("case %zu: hash %s and not %s", index, text, hash);
}

static void vectors_of_pillow(void **state) {
    (void)state;
    const char *path = source_path("tests/golden/resize_vectors.json");
    assert_non_null(path);
    json_t *root = json_load_file(path, 0, NULL), *entry;
    assert_non_null(root);
    size_t index;
    int orders_differ = 0;
    json_array_foreach(json_object_get(root, "cases"), index, entry) {
        int seed, sw, sh, box[4], dw, dh;
        const char *filter, *hash, *rows_first, *hex = NULL;
        assert_int_equal(json_unpack(entry, "{s:i, s:[ii], s:[iiii], s:[ii], s:s, s:s, s:s, s?s}", "seed",
                                     &seed, "src", &sw, &sh, "box", &box[0], &box[1], &box[2], &box[3], "dst",
                                     &dw, &dh, "filter", &filter, "fnv1a", &hash, "rows_first_fnv1a",
                                     &rows_first, "hex", &hex),
                         0);
        rb_image src = noise(sw, sh, (uint32_t)seed);
        rb_filter f = strcmp(filter, "bicubic") ? RB_FILTER_BILINEAR : RB_FILTER_BICUBIC;
        uint8_t *got = resized(&src, box, f, dw, dh);
        check_vector(index, hash, hex, got, (size_t)dw * (size_t)dh * 3);
        free(got);
        got = resized(&src, box, f | RB_FILTER_ROWS_FIRST, dw, dh);
        check_vector(index, rows_first, NULL, got, (size_t)dw * (size_t)dh * 3);
        free(got);
        got = resized(&src, box, f | RB_FILTER_PLAIN_CODE, dw, dh);
        check_vector(index, hash, hex, got, (size_t)dw * (size_t)dh * 3);
        free(got);
        orders_differ += strcmp(hash, rows_first) != 0;
        rb_image_free(&src);
    }
    assert_true(orders_differ > 20);
    assert_int_equal(index, 184);
    json_decref(root);
}

/* A part of a resize equals the same part of the whole. */
static void parts_equal_the_whole(void **state) {
    (void)state;
    rb_image src = noise(60, 50, 5);
    for (uint64_t i = 0; i < 300; i++) {
        rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, i, 0);
        int box[4] = {2, 1, 1 + (int)rb_rng_below(&rng, 57), 1 + (int)rb_rng_below(&rng, 48)};
        int width = i % 7 ? 1 + (int)rb_rng_below(&rng, 90) : box[2];
        int height = i % 5 ? 1 + (int)rb_rng_below(&rng, 90) : box[3];
        rb_filter filter = i % 2 ? RB_FILTER_BICUBIC : RB_FILTER_BILINEAR;
        uint8_t *whole = resized(&src, box, filter, width, height);
        rb_resize r = rb_resize_whole(box[0], box[1], box[2], box[3], width, height, filter);
        r.left = (int)rb_rng_below(&rng, (uint32_t)width);
        r.top = (int)rb_rng_below(&rng, (uint32_t)height);
        r.part_width = 1 + (int)rb_rng_below(&rng, (uint32_t)(width - r.left));
        r.part_height = 1 + (int)rb_rng_below(&rng, (uint32_t)(height - r.top));
        uint8_t *part = malloc((size_t)r.part_width * (size_t)r.part_height * 3);
        void *scratch = rb_alloc(rb_resize_scratch(&r));
        assert_true(part && scratch);
        rb_resize_run(&r, &src, part, scratch);
        for (int y = 0; y < r.part_height; y++)
            assert_memory_equal(part + (size_t)y * (size_t)r.part_width * 3,
                                whole + ((size_t)(r.top + y) * (size_t)width + (size_t)r.left) * 3,
                                (size_t)r.part_width * 3);
        rb_free(scratch);
        free(part);
        free(whole);
    }
    rb_image_free(&src);
}

static void short_side_as_torchvision(void **state) {
    (void)state;
    static const int cases[][5] = {/* width, height, side → width, height; trunc(side·long/short) */
                                   {500, 375, 256, 341, 256}, {375, 500, 256, 256, 341},
                                   {100, 100, 64, 64, 64},    {64, 999, 64, 64, 999},
                                   {3, 7, 100, 100, 233},     {1, 178000000, 2, 2, 356000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int width, height;
        rb_image_short_side(cases[i][0], cases[i][1], cases[i][2], &width, &height);
        assert_int_equal(width, cases[i][3]);
        assert_int_equal(height, cases[i][4]);
    }
}

/* Pixel (x, y) holds x + 1, y + 1, 77: padding (zeros) cannot be mistaken for a pixel. */
static rb_image ramp(int width, int height) {
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *p = image.pixels + (y * width + x) * 3;
            p[0] = (uint8_t)(x + 1), p[1] = (uint8_t)(y + 1), p[2] = 77;
        }
    return image;
}

static void check_crop(int sw, int sh, int width, int height, int left, int top) {
    rb_image src = ramp(sw, sh);
    uint8_t *got = malloc((size_t)width * (size_t)height * 3);
    assert_non_null(got);
    memset(got, 9, (size_t)width * (size_t)height * 3);
    rb_image_center_crop(&src, width, height, got);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int sx = x + left, sy = y + top;
            bool inside = sx >= 0 && sx < sw && sy >= 0 && sy < sh;
            const uint8_t *p = got + (y * width + x) * 3;
            assert_int_equal(p[0], inside ? sx + 1 : 0);
            assert_int_equal(p[1], inside ? sy + 1 : 0);
            assert_int_equal(p[2], inside ? 77 : 0);
        }
    free(got);
    rb_image_free(&src);
}

static void center_crop_as_torchvision(void **state) {
    (void)state;
    check_crop(10, 10, 4, 4, 3, 3);
    check_crop(11, 9, 4, 4, 4, 2);  /* 3.5 → 4, 2.5 → 2: half to even */
    check_crop(7, 5, 4, 4, 2, 0);   /* 1.5 → 2, 0.5 → 0 */
    check_crop(3, 10, 6, 4, -1, 3); /* pad 1 left, 2 right */
    check_crop(3, 2, 8, 7, -2, -2); /* pad 2 and 3; 2 and 3 */
    check_crop(5, 5, 5, 5, 0, 0);
    check_crop(9, 3, 4, 8, 2, -2);
}

static void flip_mirrors_rows(void **state) {
    (void)state;
    for (int width = 1; width < 6; width++) {
        rb_image image = ramp(width, 3);
        rb_image_flip(image.pixels, width, 3);
        for (int i = 0; i < width * 3; i++) {
            assert_int_equal(image.pixels[i * 3], width - i % width);
            assert_int_equal(image.pixels[i * 3 + 1], i / width + 1);
        }
        rb_image_free(&image);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_row),
        cmocka_unit_test(golden_image),
        cmocka_unit_test(vectors_of_pillow),
        cmocka_unit_test(parts_equal_the_whole),
        cmocka_unit_test(short_side_as_torchvision),
        cmocka_unit_test(center_crop_as_torchvision),
        cmocka_unit_test(flip_mirrors_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
