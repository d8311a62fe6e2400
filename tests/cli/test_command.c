#define _GNU_SOURCE
/* The built command from outside: exit statuses, messages, and the figures of the published networks. */
#include "check.h"
#include "command.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"
#include "print.h"

/* Wants this exit status, nothing on stdout, and one line on stderr that contains `text`. */
static void refuse(const char *line, int code, const char *text) {
    command_result r = command_run(line);
    size_t length = strlen(r.err);
    if (r.code != code || !strstr(r.err, text) || *r.out || !length ||
        strchr(r.err, '\n') != r.err + length - 1)
        fail_msg("'%s': exit %d, stdout '%s', stderr '%s'; wanted %d, '%s'", line, r.code, r.out, r.err, code,
                 text);
    command_forget(&r);
}

static json_int_t integer(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value)) fail_msg("no whole number '%s'", key);
    return json_integer_value(value);
}

static void wrong_use_is_exit_2(void **state) {
    (void)state;
    refuse("trian", 2, "the nearest is train");
    refuse("pln --json", 2, "the nearest is plan");
    refuse("--versoin", 2, "the nearest is --version");
    refuse("plan --bach 3", 2, "the nearest is --batch");
    refuse("plan --batch 0", 2, "must be 1 … 65536");
    refuse("plan --batch x", 2, "not a whole number");
    refuse("plan --activations kept", 2, "reversible|stored");
    refuse("train", 2, "--data DIR is missing");
    refuse("val --weights w", 2, "--data DIR is missing");
    refuse("train --resume r --lr 0.2", 2, "r holds no run");
    refuse("train --resume r --out o", 2, "--out");
    refuse("train --resume", 2, "--resume needs a value");
    command_result r = command_run("");
    assert_int_equal(r.code, 2);
    assert_non_null(strstr(r.err, "usage: revbifpn VERB"));
    command_forget(&r);
}

static void wrong_sizes_and_models_are_exit_2(void **state) {
    (void)state;
    refuse("plan --model s0 --imgsz 100", 2, "multiple of 32: 96 or 128");
    refuse("inspect --model s0 --imgsz 224x100", 2, "image_height is 100");
    refuse("bench --imgsz 33 --steps 1", 2, "multiple of 32");
    refuse("train --data d --imgsz 100", 2, "multiple of 32");
    refuse("plan --imgsz 12a", 2, "not a size");
    refuse("plan --model s7", 2, "'s6'");
    refuse("inspect --model revbifpn", 2, "unknown model");
    refuse("train --data d --model s9", 2, "the nearest is");
    refuse("inspect --model /nonexistent/config.json", 1, "/nonexistent/config.json");
}

static void missing_files_are_exit_1(void **state) {
    (void)state;
    refuse("val --data /nonexistent --weights /nonexistent/w.safetensors", 1, "/nonexistent/w.safetensors");
    refuse("predict --source /nonexistent --weights /nonexistent/w.safetensors", 1,
           "/nonexistent/w.safetensors");
}

/* DESIGN 3 and M_conv + M_fc of the published counts. */
static void the_seven_published_networks(void **state) {
    (void)state;
    static const json_int_t figures[7][3] = {
        {3419196, 308039716, 268129648 + 1280000},      {5112300, 616781508, 549110528 + 1696000},
        {10576528, 1370329000, 1266863104 + 2560000},   {19574184, 3330873312, 3119971040 + 3408000},
        {48687336, 10632222080, 10162653440 + 5120000}, {81998976, 21848995912, 21096569712 + 6816000},
        {142307972, 38084434748, 36995244256 + 8528000}};
    for (int i = 0; i < 7; i++) {
        char line[64];
        snprintf(line, sizeof line, "inspect --model s%d --json", i);
        json_t *root = command_json(line), *layer;
        assert_int_equal(integer(root, "parameters"), figures[i][0]);
        assert_int_equal(integer(root, "macs_published_rule"), figures[i][1]);
        assert_int_equal(integer(root, "macs"), figures[i][2]);
        json_int_t parameters = 0, macs = 0;
        size_t index;
        json_array_foreach(json_object_get(root, "layers"), index, layer) {
            parameters += integer(layer, "parameters");
            macs += integer(layer, "macs");
        }
        assert_int_equal(parameters, figures[i][0]);
        assert_int_equal(macs, figures[i][2]);
        json_decref(root);
    }
}

static void inspect_lists_the_layers(void **state) {
    (void)state;
    command_result r = command_run("inspect --model s0");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "head.fc "));
    assert_non_null(strstr(r.out, "3.42 M parameters"));
    command_forget(&r);
}

static void plan_counts_every_kind(void **state) {
    (void)state;
    json_t *train = command_json("plan --model s0 --imgsz 64 --batch 3 --json");
    json_t *more = command_json("plan --model s0 --imgsz 64 --batch 4 --json");
    json_t *infer = command_json("plan --model s0 --imgsz 64 --batch 3 --infer --json");
    json_t *stored = command_json("plan --model s0 --imgsz 64 --batch 3 --activations stored --json");
    static const char *const keys[] = {"weights_bytes",
                                       "gradient_bytes",
                                       "optimizer_bytes",
                                       "kept_bytes",
                                       "scratch_bytes",
                                       "activation_bytes",
                                       "activation_bytes_per_sample",
                                       "total_bytes"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_true(integer(train, keys[i]) > 0);
    assert_true(integer(train, "activation_bytes") >=
                integer(train, "kept_bytes") + integer(train, "scratch_bytes"));
    assert_true(integer(train, "weights_bytes") >= 4 * 3419196);
    assert_true(integer(more, "activation_bytes") > integer(train, "activation_bytes"));
    assert_int_equal(integer(infer, "gradient_bytes") + integer(infer, "optimizer_bytes"), 0);
    assert_true(integer(infer, "total_bytes") < integer(train, "total_bytes"));
    assert_true(integer(stored, "activation_bytes") > integer(train, "activation_bytes"));
    json_decref(train);
    json_decref(more);
    json_decref(infer);
    json_decref(stored);
}

static void bench_of_data_that_is_not_there(void **state) {
    (void)state;
    char folder[4096], line[4200];
    make_folder(folder);
    refuse("bench --imgsz 32 --batch 2 --data /nonexistent", 1, "/nonexistent");
    refuse("bench --imgsz 32 --batch 2 --data", 2, "--data needs a value");
    refuse("bench --imgsz 32 --batch 2 --mode infer --data d", 2, "only for training steps");
    refuse("bench --imgsz 32 --batch 2 --profile --data d", 2, "without a profile");
    snprintf(line, sizeof line, "bench --imgsz 32 --batch 2 --data %s", folder);
    refuse(line, 1, "0 pictures");
    remove_folder(folder);
}

static void help_and_version(void **state) {
    (void)state;
    command_result r = command_run("--version");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, REVBIFPN_VERSION));
    assert_non_null(strstr(r.out, "commit "));
    command_forget(&r);
    r = command_run("--help");
    assert_int_equal(r.code, 0);
    for (const cli_verb *v = cli_verbs; v->name; v++) assert_non_null(strstr(r.out, v->name));
    command_forget(&r);
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        char line[64];
        snprintf(line, sizeof line, "%s --help", v->name);
        r = command_run(line);
        assert_int_equal(r.code, 0);
        for (const cli_option *o = v->options; o->name; o++) {
            snprintf(line, sizeof line, "--%s ", o->name);
            assert_non_null(strstr(r.out, line));
        }
        command_forget(&r);
    }
}

static void lost_output_is_a_failure(void **state) {
    (void)state;
    char line[4200];
    if (access("/dev/full", W_OK)) skip();
    snprintf(line, sizeof line, "%s plan > /dev/full 2> /dev/null", command_path());
    assert_int_equal(WEXITSTATUS(system(line)), 1);
}

static char *quoted(const char *text) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    assert_non_null(f);
    cli_json_string(f, text);
    fclose(f);
    return out;
}

static void any_file_name_is_valid_json(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "\"plain\""},
        {"a\"b\\c\n\x01\x7f", "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff"
         "a",
         "\"\\ufffda\""},                              /* no UTF-8 byte */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},            /* overlong */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* surrogate */
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},            /* cut off */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = quoted(cases[i][0]);
        assert_string_equal(text, cases[i][1]);
        json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_decref(value);
        free(text);
    }
    for (int length = 1; length <= 2; length++) /* every byte and pair of bytes gives JSON */
        for (int i = 1; i < 256; i++)
            for (int j = 1; j < (length == 1 ? 2 : 256); j++) {
                char name[3] = {(char)i, length == 2 ? (char)j : 0, 0}, *text = quoted(name);
                json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
                if (!value) fail_msg("bytes %02x %02x: %s", i, j, text);
                json_decref(value);
                free(text);
            }
}

/* Sum of a member over the rows of a table; every one must be a finite number that is not negative. */
static double sum_of(const json_t *root, const char *table, const char *member) {
    const json_t *rows = json_object_get(root, table), *row;
    size_t i;
    double sum = 0;
    assert_true(json_array_size(rows) > 10);
    json_array_foreach(rows, i, row) {
        const json_t *value = json_object_get(row, member);
        assert_true(json_is_number(value) && json_number_value(value) >= 0);
        sum += json_number_value(value);
    }
    return sum;
}

static void profile_has_two_tables_of_one_time(void **state) {
    (void)state;
    static const char *const members[] = {"seconds_per_step", "gflop", "gbytes", "floor_seconds", "calls"};
    json_t *root = command_json("bench --model s0 --imgsz 64 --batch 2 --steps 2 --profile --json");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        double operators = sum_of(root, "profile", members[i]);
        double operations = sum_of(root, "operations", members[i]);
        assert_true(operators > 0 && fabs(operators - operations) < 1e-6 * operators);
    }
    assert_true(json_number_value(json_object_get(json_object_get(root, "peak"), "gflops")) > 0);
    json_decref(root);
    command_result r = command_run("bench --model s0 --imgsz 64 --batch 2 --steps 1 --profile");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "rev_stack.recomp_op.recomp_transform_3   backward"));
    assert_null(strstr(r.out, "nan"));
    assert_null(strstr(r.out, "inf"));
    command_forget(&r);
}

static void numbers_for_people(void **state) {
    (void)state;
    assert_string_equal(cli_count(845), "845");
    assert_string_equal(cli_count(3419196), "3.42 M");
    assert_string_equal(cli_count(38084434748), "38.1 G");
    assert_string_equal(cli_count(999600), "1.00 M");
    assert_string_equal(cli_bytes(17), "17 B");
    assert_string_equal(cli_bytes((uint64_t)4 << 30), "4.00 GiB");
    assert_string_equal(cli_time(125), "2:05");
    assert_string_equal(cli_time(3723), "1:02:03");
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_use_is_exit_2),
        cmocka_unit_test(wrong_sizes_and_models_are_exit_2),
        cmocka_unit_test(missing_files_are_exit_1),
        cmocka_unit_test(the_seven_published_networks),
        cmocka_unit_test(inspect_lists_the_layers),
        cmocka_unit_test(plan_counts_every_kind),
        cmocka_unit_test(bench_of_data_that_is_not_there),
        cmocka_unit_test(profile_has_two_tables_of_one_time),
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(lost_output_is_a_failure),
        cmocka_unit_test(any_file_name_is_valid_json),
        cmocka_unit_test(numbers_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
