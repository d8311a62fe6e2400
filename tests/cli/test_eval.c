/* revbifpn eval as people call it: what it prints, and its exit status for wrong files and options. */
#include "check.h"
#include "command.h"

#include "base/file.h"
#include "data/root.h"

#define TRUTH                                                                                                \
    "{\"images\": [{\"id\": 1, \"width\": 20, \"height\": 10}], \"categories\": [{\"id\": 3, \"name\": \"a " \
    "\\\"b\\\"\"}], "                                                                                        \
    "\"annotations\": [{\"id\": 5, \"image_id\": 1, \"category_id\": 3, \"bbox\": [2, 2, 6, 6], \"area\": "  \
    "36, "                                                                                                   \
    "\"segmentation\": [[2, 2, 6, 6]]}]}"
#define RESULTS                                                                                              \
    "[{\"image_id\": 1, \"category_id\": 3, \"bbox\": [2, 2, 6, 6], \"score\": 0.5, \"segmentation\": [[2, " \
    "2, 6, 6]]}, "                                                                                           \
    "{\"image_id\": 1, \"category_id\": 4, \"bbox\": [2, 2, 6, 6], \"score\": 0.5, \"segmentation\": [[2, "  \
    "2, 6, 6]]}]"

static void write_text(const char *name, const char *text) {
    rb_error err = {0};
    CHECK_OK(rb_file_replace(inside(name), text, strlen(text), &err), &err);
}

static command_result eval(const char *dt, const char *more) {
    char line[9000];
    snprintf(line, sizeof line, "eval --gt %s --dt %s %s", inside("gt.json"), inside(dt), more);
    return command_run(line);
}

static void prints_what_coco_prints(void **state) {
    (void)state;
    static const char want[] =
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000\n"
        " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 1.000\n"
        " Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 1.000\n"
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 1.000\n"
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = -1.000\n"
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = -1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000\n";
    for (int masks = 0; masks < 2; masks++) {
        command_result r = eval("dt.json", masks ? "--type segm" : "");
        assert_int_equal(r.code, 0);
        assert_string_equal(r.out, want);
        assert_string_equal(
            r.err, "revbifpn eval: 1 results of categories that the annotations do not list are left out\n");
        command_forget(&r);
    }
    command_result r = eval("dt.json", "--per-class");
    assert_memory_equal(r.out, want, sizeof want - 1);
    assert_non_null(strstr(r.out, "        3         1      1.000   1.000   1.000   1.000  a \"b\"\n"));
    command_forget(&r);
}

static void json_has_every_digit(void **state) {
    (void)state;
    command_result r = eval("dt.json", "--json --per-class --type segm");
    assert_int_equal(r.code, 0);
    json_t *said = json_loads(r.out, 0, NULL);
    assert_non_null(said);
    assert_int_equal(json_array_size(json_object_get(said, "stats")), 12);
    double ap = json_number_value(json_array_get(json_object_get(said, "stats"), 0));
    assert_true(ap > 0.999999999999 && ap < 1); /* the reference's 1/(1 + 2^-52), not rounded */
    const json_t *one = json_array_get(json_object_get(said, "per_class"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "name")), "a \"b\"");
    assert_int_equal(json_integer_value(json_object_get(one, "objects")), 1);
    assert_int_equal(json_integer_value(json_object_get(said, "detections_left_out")), 1);
    json_decref(said);
    command_forget(&r);
}

static void wrong_input_has_one_line_and_its_status(void **state) {
    (void)state;
    static const struct {
        const char *dt, *more, *reason;
        int code;
    } cases[] = {{"missing.json", "", "missing.json: cannot open: No such file", 1},
                 {"gt.json", "", "gt.json: line 1, byte 1: '{' where an array is expected", 1},
                 {"other.json", "", "result 1: the annotations have no image 2", 1},
                 {"dt.json", "--type mask", "segm", 2},
                 {"dt.json", "--iou 0.5", "iou", 2}};
    write_text("other.json",
               "[{\"image_id\": 2, \"category_id\": 3, \"bbox\": [2, 2, 6, 6], \"score\": 0.5}]");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_result r = eval(cases[i].dt, cases[i].more);
        const char *end = strchr(r.err, '\n');
        if (r.code != cases[i].code || !strstr(r.err, cases[i].reason) || !end || end[1] || r.out[0])
            fail_msg("case %zu: exit status %d, '%s', '%s'", i, r.code, r.err, r.out);
        command_forget(&r);
    }
    command_result r = command_run("eval --gt x.json");
    assert_int_equal(r.code, 2);
    command_forget(&r);
}

static int write_files(void **state) {
    if (make_root(state)) return -1;
    write_text("gt.json", TRUTH);
    write_text("dt.json", RESULTS);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_coco_prints),
        cmocka_unit_test(json_has_every_digit),
        cmocka_unit_test(wrong_input_has_one_line_and_its_status),
    };
    if (command_is_missing()) return 1;
    return cmocka_run_group_tests(tests, write_files, remove_root);
}
