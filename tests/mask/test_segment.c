/* Outlines as COCO's files have them: what is read, drawn, and refused with its place. */
#include "check.h"

#include "base/file.h"
#include "data/root.h"
#include "mask/segment.h"

static rb_text block;
static rb_segment_room room;

/* Reads one outline from a file of just that. */
static revbifpn_status read_one(const char *json_text, rb_segment *out, rb_error *err) {
    rb_json *json;
    const char *path = inside("segment.json");
    CHECK_OK(rb_file_replace(path, json_text, strlen(json_text), err), err);
    CHECK_OK(rb_json_open(&json, path, err), err);
    rb_text_clear(&block);
    *out = rb_segment_read(json, &block);
    revbifpn_status status = rb_json_finish(json, err);
    rb_json_close(&json);
    return status;
}

static void check_string(const char *json_text, const char *runs) {
    rb_segment s;
    rb_error err = {0};
    rb_mask mask;
    rb_text text = {0};
    CHECK_OK(read_one(json_text, &s, &err), &err);
    CHECK_OK(rb_segment_draw(&s, block.bytes, 8, 9, &room, &mask, &err), &err);
    assert_int_equal(mask.height, 8);
    assert_int_equal(mask.width, 9);
    rb_runs_encode(mask, &text);
    assert_string_equal(text.bytes, runs);
    rb_text_close(&text);
}

static void every_form_is_read(void **state) {
    (void)state;
    check_string("null", "X2");
    check_string("[]", "X2");
    check_string("[[2, 2, 6, 2, 6, 5, 2, 5]]", "b03500000f0");
    check_string("[[2, 2, 4, 3]]", "b03500000f0");
    check_string("{\"size\": [8, 9], \"counts\": \"b03500000f0\"}", "b03500000f0");
    check_string("{\"counts\": [18, 3, 5, 3, 5, 3, 5, 3, 27], \"size\": [8, 9], \"other\": {\"a\": [1]}}",
                 "b03500000f0");
    check_string("{\"size\": [8, 9], \"counts\": [18, 3, 5, 0, 0, 3, 5, 3, 5, 3, 27]}", "b03500000f0");
    /* two parts that overlap; with more digits than hundredths */
    check_string("[[2, 2, 4.000001, 2, 4.000001, 5, 2, 5], [3, 2, 6, 2, 6, 5, 3, 5], [4, 4, 4, 4, 4, 4]]",
                 "b03500000f0");
    check_string("[[2, 2, 3, 3], [3, 2, 3, 3]]", "b03500000f0");
}

static void coordinates_keep_their_bits(void **state) {
    (void)state;
    rb_segment s;
    rb_error err = {0};
    uint32_t mark;
    CHECK_OK(read_one("[[0.01, 214.29, 33.33, 639.99, 1.1, 100.07]]", &s, &err), &err);
    assert_int_equal(s.size, 4 + 6 * 4); /* hundredths: 0.29 is 29 / 100 to the last bit */
    memcpy(&mark, block.bytes, 4);
    assert_int_equal(mark, 0x80000006u);
    CHECK_OK(read_one("[[0.01, 214.29, 33.33, 639.991, 1.1, 100.07]]", &s, &err), &err);
    assert_int_equal(s.size, 4 + 6 * 8);
    double last;
    memcpy(&last, block.bytes + 4 + 5 * 8, sizeof last);
    assert_true(last == 100.07);
}

static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"5", "line 1, byte 1: segmentation: polygons or run lengths are expected"},
        {"[1, 2, 3, 4, 5, 6]", "line 1, byte 2: segmentation: a list of lists of numbers is expected"},
        {"[[1, 2]]", "byte 8: segmentation: a polygon of 2 numbers"},
        {"[[]]", "segmentation: a polygon of 0 numbers"},
        {"[[1, 2, 3, 4, 5, 6, 7]]", "segmentation: a polygon of 7 numbers, which are no pairs"},
        {"[[1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]", "segmentation: 6 numbers after a box of 4"},
        {"[[1, 2, 3, 4, 5, 1e9]]", "coordinate 1e+09 is beyond"},
        {"[[1, 2,\n 3, NaN, 5, 6]]", "line 2, byte 13: NaN and Infinity are no JSON"},
        {"{\"size\": [8, 9]}", "run lengths need size and counts"},
        {"{\"counts\": \"X2\"}", "run lengths need size and counts"},
        {"{\"size\": [8], \"counts\": \"X2\"}", "a size is [height, width]"},
        {"{\"size\": [0, 9], \"counts\": \"\"}", "a size is [height, width]"},
        {"{\"size\": [65536, 65536], \"counts\": \"X2\"}", "a size is [height, width]"},
        {"{\"size\": [8.5, 9], \"counts\": \"X2\"}", "a size is [height, width]"},
        {"{\"size\": [8, 9], \"counts\": [72, -1]}", "a run of -1 pixels"},
        {"{\"size\": [8, 9], \"counts\": [4294967368]}", "a run of 4294967368 pixels"},
        {"{\"size\": [8, 9], \"counts\": [1.5]}", "1.5 where a whole number is expected"},
        {"{\"size\": [8, 9], \"counts\": {}}", "'{' where a string is expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_segment s;
        rb_error err = {0};
        assert_int_equal(read_one(cases[i].text, &s, &err), REVBIFPN_BAD_FILE);
        if (!strstr(err.text, cases[i].reason))
            fail_msg("%s: '%s', wanted '%s'", cases[i].text, err.text, cases[i].reason);
    }
}

static void what_cannot_be_drawn_is_refused(void **state) {
    (void)state;
    rb_segment s;
    rb_error err = {0};
    rb_mask mask;
    CHECK_OK(read_one("{\"size\": [8, 9], \"counts\": [70]}", &s, &err), &err);
    assert_int_equal(rb_segment_draw(&s, block.bytes, 8, 9, &room, &mask, &err), REVBIFPN_BAD_FILE);
    assert_string_equal(err.text, "run lengths of 70 pixels where 8 × 9 has 72");
    CHECK_OK(read_one("{\"size\": [8, 9], \"counts\": [2147483647, 2147483647, 2147483647]}", &s, &err),
             &err);
    assert_int_equal(rb_segment_draw(&s, block.bytes, 8, 9, &room, &mask, &err), REVBIFPN_BAD_FILE);
    CHECK_OK(read_one("[[1, 2, 3, 4, 5, 6]]", &s, &err), &err);
    assert_int_equal(rb_segment_draw(&s, block.bytes, 0, 9, &room, &mask, &err), REVBIFPN_BAD_FILE);
    assert_string_equal(err.text, "the picture's size of 0 × 9 holds no mask");
}

static int close_all(void **state) {
    rb_text_close(&block);
    rb_segment_room_close(&room);
    return remove_root(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(coordinates_keep_their_bits),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
    };
    return cmocka_run_group_tests(tests, make_root, close_all);
}
