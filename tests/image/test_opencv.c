/* Resizing as OpenCV does: against its own results (scripts/golden/make_opencv_vectors.py), and against its
 * rule written down plainly. Nothing is tolerated. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "image/opencv.h"
#include "vectors.h"

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

/* Into rows `stride` bytes apart, with exactly the scratch that is asked for; bytes between stay 0xA5. */
static uint8_t *resized(const rb_image *src, int width, int height, bool mirror, size_t stride) {
    rb_opencv_resize r = rb_opencv_resize_whole(width, height, mirror);
    uint8_t *dst = malloc(stride * (size_t)height);
    void *scratch = rb_alloc(rb_opencv_resize_scratch(&r));
    assert_true(dst && scratch);
    memset(dst, 0xA5, stride * (size_t)height);
    rb_opencv_resize_run(&r, src, dst, stride, scratch);
    rb_free(scratch);
    return dst;
}

static void check_fnv(const json_t *entry, const char *key, const uint8_t *bytes, size_t size) {
    char hash[17];
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001B3u;
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)h);
    const char *want = json_string_value(json_object_get(entry, key));
    assert_non_null(want);
    if (strcmp(hash, want))
        fail_msg("case of seed %d: %s differ", (int)vectors_number(entry, "seed", -1), key);
}

static void check_nearest(const json_t *entry, const char *key, int n, int m) {
    uint8_t *bytes = malloc((size_t)m * 4);
    assert_non_null(bytes);
    for (int i = 0; i < m; i++) {
        int from = rb_opencv_nearest(n, m, i);
        assert_in_range(from, 0, n - 1);
        for (int k = 0; k < 4; k++) bytes[4 * i + k] = (uint8_t)(from >> 8 * k);
    }
    check_fnv(entry, key, bytes, (size_t)m * 4);
    free(bytes);
}

static void equals_opencv(void **state) {
    (void)state;
    json_t *root = vectors_open("opencv_vectors.json"), *entry;
    size_t i;
    json_array_foreach(json_object_get(root, "cases"), i, entry) {
        double *src = vectors_numbers(entry, "src", 2), *dst = vectors_numbers(entry, "dst", 2);
        int w = (int)src[0], h = (int)src[1], width = (int)dst[0], height = (int)dst[1];
        rb_image image = noise(w, h, (uint32_t)vectors_number(entry, "seed", -1));
        uint8_t *got = resized(&image, width, height, false, (size_t)width * 3);
        check_fnv(entry, "fnv1a", got, (size_t)width * (size_t)height * 3);
        check_nearest(entry, "columns", w, width);
        check_nearest(entry, "rows", h, height);
        free(got), free(src), free(dst);
        rb_image_free(&image);
    }
    assert_int_equal(i, 126);
    json_decref(root);
}

/* ---- the rule, plainly ---- */

static long rne(double v) { return lrint(v); }

/* Source and fraction of result x. */
static int source_of(int n, int m, int x, float *fraction) {
    float f = (float)((x + 0.5) * (1 / ((double)m / n)) - 0.5);
    *fraction = f - floorf(f);
    return (int)floorf(f);
}

/* The sum over columns of channel c at result x, in row y, which is clamped. */
static long sum_at(const rb_image *s, int y, int width, int x, int c) {
    float a;
    int i = source_of(s->width, width, x, &a), last = s->width - 1;
    y = y < 0 ? 0 : y >= s->height ? s->height - 1 : y;
    if (i < 0) i = 0, a = 0;
    if (i >= last) i = last, a = 0;
    const uint8_t *row = s->pixels + (size_t)y * (size_t)s->width * 3 + c;
    return row[3 * i] * rne(2048 * (1 - (double)a)) + (a > 0 ? row[3 * i + 3] * rne(2048 * (double)a) : 0);
}

static uint8_t plain(const rb_image *s, int width, int height, int x, int y, int c) {
    float b;
    int j = source_of(s->height, height, y, &b);
    if (s->width == width && s->height == height)
        return s->pixels[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)c];
    if (s->width == 2 * width && s->height == 2 * height) {
        int sum = 2;
        for (int k = 0; k < 4; k++)
            sum += s->pixels[((size_t)(2 * y + k / 2) * (size_t)s->width + (size_t)(2 * x + k % 2)) * 3 +
                             (size_t)c];
        return (uint8_t)(sum >> 2);
    }
    long v = ((sum_at(s, j, width, x, c) >> 4) * rne(2048 * (1 - (double)b))) >> 16;
    v += ((sum_at(s, j + 1, width, x, c) >> 4) * rne(2048 * (double)b)) >> 16;
    return (uint8_t)((v + 2) >> 2);
}

static void check_plain(const rb_image *src, int width, int height, bool mirror) {
    size_t stride = (size_t)width * 3 + 7;
    uint8_t *got = resized(src, width, height, mirror, stride);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                int at = mirror ? width - 1 - x : x;
                uint8_t want = plain(src, width, height, x, y, c),
                        have = got[(size_t)y * stride + (size_t)(3 * at + c)];
                if (want != have)
                    fail_msg("%d x %d → %d x %d: pixel %d, %d is %d, not %d", src->width, src->height, width,
                             height, x, y, have, want);
            }
        for (size_t k = (size_t)width * 3; k < stride; k++)
            assert_int_equal(got[(size_t)y * stride + k], 0xA5);
    }
    free(got);
}

static void equals_the_plain_rule(void **state) {
    (void)state;
    rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < 400; i++) {
        int side = i < 300 ? 24 : 150;
        int w = 1 + (int)rb_rng_below(&rng, (uint32_t)side), h = 1 + (int)rb_rng_below(&rng, (uint32_t)side);
        int width = 1 + (int)rb_rng_below(&rng, (uint32_t)side),
            height = 1 + (int)rb_rng_below(&rng, (uint32_t)side);
        if (i % 10 == 0) w = 2 * width, h = 2 * height;
        if (i % 10 == 1) w = width, h = height;
        if (i % 10 == 2) w = 2 * width, h = height;
        rb_image image = noise(w, h, (uint32_t)i + 1);
        if (i % 4 == 3) /* all bright: the largest sums */
            memset(image.pixels, 255, (size_t)w * (size_t)h * 3);
        check_plain(&image, width, height, i % 2);
        rb_image_free(&image);
    }
}

/* A part has the bytes of the whole; mirrored it is the part that is turned. */
static void parts_equal_the_whole(void **state) {
    (void)state;
    rb_rng rng = rb_rng_open(4, RB_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < 300; i++) {
        int s[4];
        for (int k = 0; k < 4; k++) s[k] = 1 + (int)rb_rng_below(&rng, 40);
        if (i % 5 == 0) s[0] = 2 * s[2], s[1] = 2 * s[3];
        if (i % 5 == 1) s[0] = s[2], s[1] = s[3];
        rb_image image = noise(s[0], s[1], (uint32_t)i + 1);
        uint8_t *whole = resized(&image, s[2], s[3], false, (size_t)s[2] * 3);
        rb_opencv_resize r = rb_opencv_resize_whole(s[2], s[3], i % 2);
        r.left = (int)rb_rng_below(&rng, (uint32_t)s[2]);
        r.top = (int)rb_rng_below(&rng, (uint32_t)s[3]);
        r.part_width = 1 + (int)rb_rng_below(&rng, (uint32_t)(s[2] - r.left));
        r.part_height = 1 + (int)rb_rng_below(&rng, (uint32_t)(s[3] - r.top));
        size_t row = (size_t)r.part_width * 3;
        uint8_t *part = malloc(row * (size_t)r.part_height), *want = malloc(row);
        void *scratch = rb_alloc(rb_opencv_resize_scratch(&r));
        assert_true(part && want && scratch);
        rb_opencv_resize_run(&r, &image, part, row, scratch);
        for (int y = 0; y < r.part_height; y++) {
            memcpy(want, whole + ((size_t)(r.top + y) * (size_t)s[2] + (size_t)r.left) * 3, row);
            if (r.mirror) rb_image_flip(want, r.part_width, 1);
            assert_memory_equal(part + (size_t)y * row, want, row);
        }
        rb_free(scratch);
        free(part), free(want), free(whole);
        rb_image_free(&image);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_opencv),
        cmocka_unit_test(equals_the_plain_rule),
        cmocka_unit_test(parts_equal_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
