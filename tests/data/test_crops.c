/* The evaluation transform against timm's, as Pillow computes it (scripts/golden/make_eval_vectors.py): sizes
 * of the specification's table, and every byte of the result. */
#include "check.h"

#include <jansson.h>

#include "data/augment.h"

/* The CRC of zip and PNG. */
static uint32_t crc32_of(const uint8_t *bytes, size_t size) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static rb_image picture(int width, int height) {
    rb_error err;
    rb_image image;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                image.pixels[(y * width + x) * 3 + c] = (uint8_t)(x * 7 + y * 13 + c * 29 + x * y % 31);
    return image;
}

static void crops_equal_those_of_timm(void **state) {
    (void)state;
    json_t *root = json_load_file(source_path("tests/golden/eval_vectors.json"), 0, NULL), *item;
    size_t i;
    rb_scratch scratch = {0};
    json_array_foreach(json_object_get(root, "cases"), i, item) {
        int width, height, size;
        double crop_pct;
        json_int_t crc;
        assert_int_equal(json_unpack(item, "{s:i, s:i, s:i, s:F, s:I}", "width", &width, "height", &height,
                                     "size", &size, "crop_pct", &crop_pct, "crc32", &crc),
                         0);
        rb_error err;
        rb_image image = picture(width, height);
        size_t bytes = (size_t)size * (size_t)size * 3;
        uint8_t *got = malloc(bytes);
        assert_non_null(got);
        rb_eval_transform t = {
            .width = size, .height = size, .crop_pct = crop_pct, .filter = RB_FILTER_BICUBIC};
        CHECK_OK(rb_eval_transform_apply(&t, &image, got, &scratch, &err), &err);
        if (crc32_of(got, bytes) != (uint32_t)crc)
            fail_msg("%d x %d to %d at %g: not timm's pixels", width, height, size, crop_pct);
        free(got);
        rb_image_free(&image);
    }
    assert_int_equal(i, 40);
    rb_scratch_free(&scratch);
    json_decref(root);
}

/* ⌊S / crop⌋ of the table in the specification, section 12. */
static void the_vectors_have_the_sizes_of_the_table(void **state) {
    (void)state;
    static const int table[5][5] = {{224, 256, 248, 235, 224},
                                    {256, 292, 284, 269, 256},
                                    {288, 329, 320, 303, 288},
                                    {320, 365, 355, 336, 320},
                                    {352, 402, 391, 370, 352}};
    json_t *root = json_load_file(source_path("tests/golden/eval_vectors.json"), 0, NULL), *item;
    size_t i;
    json_array_foreach(json_object_get(root, "cases"), i, item) {
        const int *row = table[i / 4 % 5];
        assert_int_equal(json_integer_value(json_object_get(item, "size")), row[0]);
        assert_int_equal(json_integer_value(json_object_get(item, "short")), row[1 + i % 4]);
    }
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_equal_those_of_timm),
        cmocka_unit_test(the_vectors_have_the_sizes_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
