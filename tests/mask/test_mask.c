/* Masks: the figures of the reference library, and everything else against plain loops over pixels. */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "mask/mask.h"
#include "mask_case.h"
#include "vectors.h"

static rb_polygon_room room;

static rb_mask drawn(const double *points, size_t count, uint32_t height, uint32_t width, rb_spans *spans) {
    rb_error err = {0};
    CHECK_OK(rb_polygon_draw(points, count, height, width, &room, spans, &err), &err);
    return (rb_mask){height, width, spans->at, spans->count};
}

typedef struct golden {
    double points[8];
    size_t count;
    uint32_t height, width;
    const char *string;
    uint32_t area;
    double box[4];
} golden;

static void polygons_are_those_of_the_reference(void **state) {
    (void)state;
    static const golden cases[] = {
        {{1, 1, 8, 2, 3, 7}, 3, 9, 10, ":183M1OO2N1Oj0", 17, {1, 1, 6, 5}},
        {{2, 2, 6, 2, 6, 5, 2, 5}, 4, 8, 9, "b03500000f0", 12, {2, 2, 4, 3}},
        {{1.3, 2.7, 7.9, .4, 8.6, 6.1, 4.2, 8.8}, 4, 9, 10, "d0362N2M01O104K5", 35, {2, 1, 7, 8}},
        {{-3, -2, 5, -1, 12, 6, 4, 11}, 4, 8, 9, "0442Nj0OWO1O1O", 60, {0, 0, 9, 8}},
        {{2, 2, 6, 5}, 2, 8, 9, "X2", 0, {0, 0, 0, 0}},
        {{1, 1, 4, 4, 7, 7}, 3, 8, 9, "X2", 0, {0, 0, 0, 0}},
        {{3.1, 3.1, 3.3, 3.1, 3.2, 3.3}, 3, 8, 9, "X2", 0, {0, 0, 0, 0}},
        {{0, 0, 9, 0, 9, 8, 0, 8}, 4, 8, 9, "0X2", 72, {0, 0, 9, 8}},
    };
    rb_spans spans = {0}, back = {0};
    rb_text text = {0};
    rb_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const golden *c = &cases[i];
        double box[4];
        rb_mask mask = drawn(c->points, c->count, c->height, c->width, &spans);
        rb_text_clear(&text);
        rb_runs_encode(mask, &text);
        assert_string_equal(text.bytes, c->string);
        assert_int_equal(rb_mask_area(mask), c->area);
        rb_mask_box(mask, box);
        assert_memory_equal(box, c->box, sizeof box);
        CHECK_OK(rb_runs_decode(text.bytes, text.size, c->height, c->width, &back, &err), &err);
        assert_int_equal(back.count, mask.count);
        if (back.count) assert_memory_equal(back.at, mask.spans, back.count * sizeof *back.at);
    }
    rb_spans_close(&spans);
    rb_spans_close(&back);
    rb_text_close(&text);
}

static void full_and_empty_masks_have_their_strings(void **state) {
    (void)state;
    const uint8_t zeros[12] = {0}, ones[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    rb_spans spans = {0};
    rb_text text = {0};
    double box[4];
    rb_mask_from_pixels(zeros, 3, 4, 4, &spans);
    rb_runs_encode((rb_mask){3, 4, spans.at, spans.count}, &text);
    assert_string_equal(text.bytes, "<");
    rb_text_clear(&text);
    rb_mask_from_pixels(ones, 3, 4, 4, &spans);
    rb_runs_encode((rb_mask){3, 4, spans.at, spans.count}, &text);
    assert_string_equal(text.bytes, "0<");
    rb_mask_box((rb_mask){3, 4, spans.at, spans.count}, box);
    assert_true(box[0] == 0 && box[1] == 0 && box[2] == 4 && box[3] == 3);
    rb_spans_close(&spans);
    rb_text_close(&text);
}

/* A mask of random blocks, so that spans join over columns now and then. */
static rb_mask random_mask(rb_rng *rng, uint32_t height, uint32_t width, uint8_t *pixels, rb_spans *spans) {
    memset(pixels, 0, (size_t)height * width);
    for (uint32_t n = rb_rng_below(rng, 4); n-- > 0;) {
        uint32_t x = rb_rng_below(rng, width), y = rb_rng_below(rng, height);
        uint32_t w = 1 + rb_rng_below(rng, width - x), h = 1 + rb_rng_below(rng, height - y);
        for (uint32_t i = 0; i < h; i++)
            for (uint32_t k = 0; k < w; k++) pixels[(y + i) * width + x + k] ^= 1;
    }
    rb_mask_from_pixels(pixels, height, width, width, spans);
    return (rb_mask){height, width, spans->at, spans->count};
}

static void check_box(rb_mask mask, const uint8_t *pixels) {
    double box[4], left = 1e9, top = 1e9, right = -1, bottom = -1;
    bool several = false; /* columns in one span: the box then has the full height */
    for (size_t i = 0; i < mask.count; i++)
        several |= mask.spans[i].begin / mask.height != (mask.spans[i].end - 1) / mask.height;
    for (uint32_t y = 0; y < mask.height; y++)
        for (uint32_t x = 0; x < mask.width; x++) {
            if (!pixels[y * mask.width + x]) continue;
            left = fmin(left, x), right = fmax(right, x), top = fmin(top, y), bottom = fmax(bottom, y);
        }
    if (several) top = 0, bottom = mask.height - 1;
    rb_mask_box(mask, box);
    const double expected[4] = {left, top, right - left + 1, bottom - top + 1}, none[4] = {0};
    assert_memory_equal(box, right < 0 ? none : expected, sizeof box);
}

static void operations_equal_loops_over_pixels(void **state) {
    (void)state;
    enum { MOST = 12 * 12 };
    uint8_t a[MOST], b[MOST], got[MOST];
    rb_spans sa = {0}, sb = {0}, out = {0};
    rb_text text = {0};
    rb_error err = {0};
    rb_rng rng = rb_rng_open(7, RB_PURPOSE_TEST, 0, 0);
    for (int round = 0; round < 4000; round++) {
        uint32_t height = 1 + rb_rng_below(&rng, 12), width = 1 + rb_rng_below(&rng, 12);
        size_t all = (size_t)height * width;
        rb_mask p = random_mask(&rng, height, width, a, &sa), q = random_mask(&rng, height, width, b, &sb);
        uint32_t area_a = 0, area_b = 0, both = 0;
        for (size_t i = 0; i < all; i++) area_a += a[i], area_b += b[i], both += a[i] & b[i];
        assert_int_equal(rb_mask_area(p), area_a);
        assert_int_equal(rb_mask_overlap(p, q), both);
        assert_true(rb_mask_iou(p, q, false) == (both ? (double)both / (double)(area_a + area_b - both) : 0));
        assert_true(rb_mask_iou(p, q, true) == (both ? (double)both / (double)area_a : 0));
        check_box(p, a);
        rb_mask_to_pixels(p, got, width);
        assert_memory_equal(got, a, all);
        rb_mask_union(p, q, &out);
        rb_mask_to_pixels((rb_mask){height, width, out.at, out.count}, got, width);
        for (size_t i = 0; i < all; i++) assert_int_equal(got[i], a[i] | b[i]);
        rb_mask_intersection(p, q, &out);
        rb_mask_to_pixels((rb_mask){height, width, out.at, out.count}, got, width);
        for (size_t i = 0; i < all; i++) assert_int_equal(got[i], a[i] & b[i]);
        rb_text_clear(&text);
        rb_runs_encode(p, &text);
        CHECK_OK(rb_runs_decode(text.bytes, text.size, height, width, &out, &err), &err);
        assert_int_equal(out.count, p.count);
        if (p.count) assert_memory_equal(out.at, p.spans, p.count * sizeof *p.spans);
    }
    rb_spans_close(&sa);
    rb_spans_close(&sb);
    rb_spans_close(&out);
    rb_text_close(&text);
}

static void polygons_equal_the_walk_point_by_point(void **state) {
    (void)state;
    enum { SIDE = 40 };
    uint8_t expected[SIDE * SIDE], got[SIDE * SIDE];
    rb_spans spans = {0};
    rb_rng rng = rb_rng_open(11, RB_PURPOSE_TEST, 0, 0);
    for (int round = 0; round < 6000; round++) {
        uint32_t height = 1 + rb_rng_below(&rng, SIDE), width = 1 + rb_rng_below(&rng, SIDE);
        size_t count = 1 + rb_rng_below(&rng, 9);
        double points[18], step = round % 3 == 0 ? 1 : round % 3 == 1 ? .5 : .01;
        for (size_t i = 0; i < 2 * count; i++) /* a fifth beyond each side */
            points[i] = floor((double)rb_rng_below(&rng, 5600) * SIDE / 4000 / step) * step - SIDE / 5.0;
        walk_polygon(points, count, height, width, expected);
        rb_mask mask = drawn(points, count, height, width, &spans);
        rb_mask_to_pixels(mask, got, width);
        assert_memory_equal(got, expected, (size_t)height * width);
    }
    rb_spans_close(&spans);
}

static void wrong_runs_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *string, *reason;
    } cases[] = {
        {"", "run lengths of 0 pixels where 3 × 4 has 12"},
        {"5", "run lengths of 5 pixels where 3 × 4 has 12"},
        {"5555", "run lengths of more than the 12 pixels of 3 × 4"},
        {"P", "the run lengths end inside a number"},
        {"<\"", "a character that run lengths do not have"},
        {"<p", "a character that run lengths do not have"},
        {"O", "a negative run length"},
        {"nnnnnnn1", "run lengths of more than the 12 pixels of 3 × 4"},
        {"PPPPPPPPPPPPPPPPPPPP1", "a run length of more than 40 bits"},
    };
    rb_spans spans = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_error err = {0};
        assert_int_equal(rb_runs_decode(cases[i].string, strlen(cases[i].string), 3, 4, &spans, &err),
                         REVBIFPN_BAD_FILE);
        assert_string_equal(err.text, cases[i].reason);
    }
    rb_spans_close(&spans);
}

static void large_polygons_cost_no_more_than_their_columns(void **state) {
    (void)state;
    const double far[] = {-1e8, -1e8, 1e8, -1e8, 1e8, 1e8, -1e8, 1e8};
    static double zigzag[2 * 20000];
    rb_spans spans = {0};
    rb_error err = {0};
    assert_int_equal(rb_mask_area(drawn(far, 4, 30, 40, &spans)), 30 * 40);
    for (size_t i = 0; i < 20000; i++) zigzag[2 * i] = i % 2 ? 1048576 : 0;
    assert_int_equal(rb_polygon_draw(zigzag, 20000, 1, 1048576, &room, &spans, &err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(err.text, "pixel columns"));
    for (size_t i = 0; i < 20000; i++)
        zigzag[2 * i] = i % 2 ? 3 : 0, zigzag[2 * i + 1] = (double)(i * 7919 % 60);
    uint8_t expected[5 * 60], got[5 * 60]; /* thousands of crossings in one column */
    walk_polygon(zigzag, 20000, 60, 5, expected);
    rb_mask_to_pixels(drawn(zigzag, 20000, 60, 5, &spans), got, 5);
    assert_memory_equal(got, expected, sizeof got);
    rb_spans_close(&spans);
}

/* tests/golden/mask_vectors.json, or the larger file that REVBIFPN_MASK_VECTORS names. */
static void polygons_equal_the_vectors(void **state) {
    (void)state;
    const char *path = getenv("REVBIFPN_MASK_VECTORS");
    json_t *file = path ? json_load_file(path, 0, NULL) : vectors_open("mask_vectors.json");
    const json_t *cases = json_object_get(file, "cases"), *c;
    rb_spans spans = {0};
    rb_text text = {0};
    size_t i;
    assert_true(json_array_size(cases) >= 300);
    json_array_foreach(cases, i, c) {
        size_t count = json_array_size(json_object_get(c, "polygon"));
        double *points = vectors_numbers(c, "polygon", count), *box = vectors_numbers(c, "box", 4), got[4];
        rb_mask mask = drawn(points, count / 2, (uint32_t)vectors_number(c, "height", 0),
                             (uint32_t)vectors_number(c, "width", 0), &spans);
        rb_text_clear(&text);
        rb_runs_encode(mask, &text);
        assert_string_equal(text.bytes, json_string_value(json_object_get(c, "counts")));
        assert_true(rb_mask_area(mask) == vectors_number(c, "area", -1));
        rb_mask_box(mask, got);
        assert_memory_equal(got, box, sizeof got);
        free(points);
        free(box);
    }
    rb_spans_close(&spans);
    rb_text_close(&text);
    json_decref(file);
}

static int close_room(void **state) {
    (void)state;
    rb_polygon_room_close(&room);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polygons_are_those_of_the_reference),
        cmocka_unit_test(full_and_empty_masks_have_their_strings),
        cmocka_unit_test(operations_equal_loops_over_pixels),
        cmocka_unit_test(polygons_equal_the_walk_point_by_point),
        cmocka_unit_test(polygons_equal_the_vectors),
        cmocka_unit_test(wrong_runs_are_refused),
        cmocka_unit_test(large_polygons_cost_no_more_than_their_columns),
    };
    return cmocka_run_group_tests(tests, NULL, close_room);
}
