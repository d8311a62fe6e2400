/* revbifpn check and convert on data sets of objects: what is printed and written, exit statuses, options
 * that do not go together. */
#include "check.h"
#include "command.h"

#include "base/file.h"
#include "data/objects_case.h"

#define HEAD                                                                                                 \
    "{\"categories\": [{\"id\": 4, \"name\": \"a b\"}], \"images\": [{\"id\": 1, \"width\": 40, "            \
    "\"height\": 30, "                                                                                       \
    "\"file_name\": \"x.png\"}], \"annotations\": [{\"id\": 7, \"image_id\": 1, \"category_id\": 4, "        \
    "\"bbox\": "

static void put_set(const char *box) {
    char text[1024];
    snprintf(text, sizeof text, "%s[%s], \"segmentation\": [[1, 1, 9, 1, 9, 9]]}]}", HEAD, box);
    put("set/annotations/instances_train.json", text);
    put_picture("set/images/x.png", 40, 30, 1);
}

static command_result run(const char *verb, const char *more) {
    char line[9000];
    snprintf(line, sizeof line, "%s --data %s %s", verb, inside("set"), more);
    return command_run(line);
}

static void check_tells_and_writes(void **state) {
    (void)state;
    put_set("1, 2, 8, 7");
    command_result r = run("check", "");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out,
                        "COCO: 1 pictures with 1 objects for training, 0 with 0 for validation, 1 classes\n"
                        "1 outlines, 0 crowds, at most 1 objects to learn in a picture\n"
                        "size 40 … 40 × 30 … 30\n0 faults\n");
    command_forget(&r);
    put_set("50, 2, 8, 7");
    char more[8300];
    snprintf(more, sizeof more, "--json %s", inside("report.json"));
    r = run("check", more);
    assert_int_equal(r.code, 4);
    assert_non_null(strstr(r.out, "outside "));
    assert_non_null(
        strstr(r.out, "x.png: annotation 7: x 50, y 2, 8 x 7, area 56, in a picture of 40 x 30\n"));
    command_forget(&r);
    json_t *report = json_load_file(inside("report.json"), 0, NULL);
    assert_non_null(report);
    json_t *finding = json_array_get(json_object_get(report, "findings"), 0);
    assert_string_equal(json_string_value(json_object_get(finding, "kind")), "outside");
    json_t *class = json_array_get(json_object_get(report, "classes"), 0);
    assert_string_equal(json_string_value(json_object_get(class, "name")), "a b");
    assert_int_equal(json_integer_value(json_object_get(class, "train")), 1);
    assert_string_equal(json_string_value(json_object_get(report, "form")), "COCO");
    assert_int_equal(json_integer_value(json_object_get(report, "faults")), 1);
    assert_int_equal(json_integer_value(json_object_get(report, "most_objects")), 0);
    json_decref(report);
    put("set/annotations/instances_train.json", "{");
    r = run("check", "");
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "instances_train.json: line 1"));
    command_forget(&r);
}

static void convert_writes_another_form(void **state) {
    (void)state;
    put_set("1, 2, 8, 7");
    char more[8300], line[9000];
    snprintf(more, sizeof more, "--to yolo --masks --out %s", inside("yolo"));
    command_result r = run("convert", more);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "yolo: 1 pictures with 1 objects of 1 classes\n"));
    assert_string_equal(r.err, "");
    command_forget(&r);
    r = run("convert", more);
    assert_int_equal(r.code, 2);
    assert_non_null(strstr(r.err, "yolo: not empty"));
    command_forget(&r);
#ifdef REVBIFPN_YAML
    snprintf(line, sizeof line, "check --data %s/data.yaml", inside("yolo"));
    r = command_run(line);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "YOLO: 1 pictures with 1 objects"));
    command_forget(&r);
#endif
    snprintf(more, sizeof more, "--to voc --out %s", inside("voc"));
    r = run("convert", more);
    assert_int_equal(r.code, 0);
    command_forget(&r);
#ifdef REVBIFPN_EXPAT
    snprintf(line, sizeof line, "check --data %s", inside("voc"));
    r = command_run(line);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "VOC: 1 pictures with 1 objects"));
    command_forget(&r);
#endif
    (void)line;
}

static void options_that_do_not_go_together(void **state) {
    (void)state;
    static const struct {
        const char *verb, *more, *part;
    } cases[] = {
        {"check", "--channels 5", "--channels does nothing for a data set of objects"},
        {"check", "--val-data x", "--val-data does nothing"},
        {"convert", "--out x", "--data needs either --shards or --shard-size, or --to"},
        {"convert", "--out x --to coco --shards 3", "--shards does nothing with --to"},
        {"convert", "--out x --shards 3 --masks", "--masks does nothing without --to"},
        {"convert", "--out x --to coco --ema", "--ema does nothing without --weights"},
        {"convert", "--out x --to pascal", "--to"},
    };
    put_set("1, 2, 8, 7");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_result r = run(cases[i].verb, cases[i].more);
        if (r.code != 2 || !strstr(r.err, cases[i].part))
            fail_msg("%s %s: exit %d, %s", cases[i].verb, cases[i].more, r.code, r.err);
        command_forget(&r);
    }
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_tells_and_writes),
        cmocka_unit_test(convert_writes_another_form),
        cmocka_unit_test(options_that_do_not_go_together),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
