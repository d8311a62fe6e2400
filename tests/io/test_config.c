/* The published table, the rules of a configuration, and its JSON form there and back. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "io/config.h"
#include "model/config.h"

static revbifpn_model_config named(const char *name) {
    rb_error err;
    revbifpn_model_config c;
    CHECK_OK(rb_config_named(name, &c, &err), &err);
    return c;
}

/* Facts of the published model: width, head widths, fc, image, levels. */
static void seven_networks_are_the_published_ones(void **state) {
    (void)state;
    static const struct {
        int widths[4], head[4], fc, image, levels;
        double drop, drop_path;
    } table[7] = {{{48, 64, 80, 160}, {48, 64, 128, 320}, 1280, 224, 2, .25, 0},
                  {{64, 80, 96, 208}, {64, 80, 160, 416}, 1696, 256, 2, .25, 0},
                  {{96, 128, 160, 320}, {96, 128, 256, 640}, 2560, 256, 2, .3, 0},
                  {{128, 160, 208, 416}, {128, 160, 336, 848}, 3408, 288, 3, .3, .05},
                  {{192, 256, 320, 640}, {192, 256, 512, 1280}, 5120, 320, 4, .4, .1},
                  {{256, 336, 416, 848}, {256, 336, 672, 1696}, 6816, 352, 4, .4, .1},
                  {{320, 416, 528, 1056}, {320, 416, 848, 2128}, 8528, 352, 5, .6, .3}};
    for (int i = 0; i < 7; i++) {
        char name[32];
        rb_error err;
        snprintf(name, sizeof name, "s%d", i);
        revbifpn_model_config c = named(name);
        assert_string_equal(c.name, name);
        assert_memory_equal(c.widths, table[i].widths, sizeof table[i].widths);
        assert_memory_equal(c.head_widths, table[i].head, sizeof table[i].head);
        assert_int_equal(c.fc_features, table[i].fc);
        assert_true(c.image_width == table[i].image && c.image_height == table[i].image);
        assert_int_equal(c.extension_levels, table[i].levels);
        assert_true(c.drop == table[i].drop && c.drop_path == table[i].drop_path);
        assert_true(c.streams == 4 && c.classes == 1000 && c.struct_size == sizeof c);
        CHECK_OK(rb_config_check(&c, &err), &err);
        snprintf(name, sizeof name, "RevBiFPN_S%d", i);
        revbifpn_model_config same = named(name);
        assert_memory_equal(&same, &c, sizeof c);
    }
}

static void an_unknown_name_is_told_the_nearest(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"s7", "'s6'"},
        {"s9", "'s6'"},
        {"x3", "'s3'"},
        {"", "'s0'"},
        {"3", "'s3'"},
        {"s", "'s0'"},
        {"revbifpn-s2", "'s2'"},
        {"s33", "'s3'"},
        {"a name much longer than any of ours, so that nothing is near 4", "the nearest is"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_error err;
        revbifpn_model_config c;
        assert_int_equal(rb_config_named(cases[i][0], &c, &err), REVBIFPN_BAD_ARGUMENT);
        if (!strstr(err.text, cases[i][1])) fail_msg("%s: %s", cases[i][0], err.text);
    }
}

/* Breaks one field of S0 and wants the text. */
#define BREAK(reason, ...)                                                                                   \
    do {                                                                                                     \
        revbifpn_model_config c = named("s0");                                                               \
        rb_error err;                                                                                        \
        __VA_ARGS__;                                                                                         \
        revbifpn_status status = rb_config_check(&c, &err);                                                  \
        if (status != REVBIFPN_BAD_ARGUMENT || !strstr(err.text, reason))                                    \
            fail_msg("wanted '%s', got %d: %s", reason, (int)status, status ? err.text : "");                \
    } while (0)

static void every_rule_says_what_would_be_right(void **state) {
    (void)state;
    BREAK("name is empty", c.name[0] = 0);
    BREAK("longer than 31", memset(c.name, 'a', sizeof c.name));
    BREAK("control code at byte 1", strcpy(c.name, "a\n"));
    BREAK("streams is 1, must be 2 … 6", c.streams = 1);
    BREAK("streams is 7, must be 2 … 6", c.streams = 7);
    BREAK("widths[0] is 40, must be a multiple of 16 (4×4 space to depth): 32 or 48", c.widths[0] = 40);
    BREAK("widths[2] is 81, must be even (it is split in halves): 80 or 82", c.widths[2] = 81);
    BREAK("widths[3] is 0", c.widths[3] = 0);
    BREAK("widths[4] is 0", c.streams = 5);
    BREAK("widths[1] is -2", c.widths[1] = -2);
    BREAK("input_channels is 0", c.input_channels = 0);
    BREAK("input_channels 4 needs widths[0] of 64 or more", c.input_channels = 4);
    BREAK("input_channels is 2147483647", c.input_channels = 2147483647);
    BREAK("kernels[1] is 4, must be odd: 3 or 5", c.kernels[1] = 4);
    BREAK("kernels[1] is 0, must be 1 …", c.kernels[1] = 0);
    BREAK("kernels[1] with its pad is 65", c.kernels[1] = 63, c.kernel_pads[1] = 2);
    BREAK("kernel_pads[0] is 1, must be even: 0 or 2", c.kernel_pads[0] = 1);
    BREAK("kernel_pads[0] is -2", c.kernel_pads[0] = -2);
    BREAK("expansions[0] is 0, must be 1 … 8", c.expansions[0] = 0);
    BREAK("expansions[3] is 9, must be 1 … 8", c.expansions[3] = 9);
    BREAK("squeeze_ratios[0] is 1.5, must be 0 … 1", c.squeeze_ratios[0] = 1.5);
    BREAK("squeeze_ratios[0] is nan, must be 0 … 1", c.squeeze_ratios[0] = NAN);
    BREAK("blocks_per_level is 65, must be 0 … 64", c.blocks_per_level = 65);
    BREAK("blocks_per_level is -1", c.blocks_per_level = -1);
    BREAK("extension_levels is 1025, must be 0 … 1024", c.extension_levels = 1025);
    BREAK("neck is 2, must be 0 … 1", c.neck = 2);
    BREAK("head_widths[1] is 0", c.head_widths[1] = 0);
    BREAK("head_kernels[0] is 2, must be odd: 1 or 3", c.head_kernels[0] = 2);
    BREAK("head_kernels[0] is 2", c.neck = 0, c.head_kernels[0] = 2);
    BREAK("head_kernel_pads[3] is 3, must be even: 2 or 4", c.head_kernel_pads[3] = 3);
    BREAK("head_expansions[2] is 0", c.head_expansions[2] = 0);
    BREAK("head_squeeze_ratios[3] is -1", c.head_squeeze_ratios[3] = -1);
    BREAK("fc_features is -1", c.fc_features = -1);
    BREAK("classes is -1", c.classes = -1);
    BREAK("classes is 1, must be at least 2, or 0", c.classes = 1);
    BREAK("drop is 1, must be at least 0 and below 1", c.drop = 1);
    BREAK("drop is nan", c.drop = NAN);
    BREAK("drop_path is -0.1", c.drop_path = -0.1);
    BREAK("image_width is 100, must be a multiple of 32: 96 or 128", c.image_width = 100);
    BREAK("image_width is 5, must be a multiple of 32: 32", c.image_width = 5);
    BREAK("image_height is 0, must be 1 … 65536", c.image_height = 0);
    BREAK("image_height is 65568", c.image_height = 65568);
    revbifpn_model_config c = named("s0"); /* without neck and classes nobody looks at the head's fields */
    rb_error err;
    c.neck = c.classes = c.fc_features = 0;
    memset(c.head_widths, 0, sizeof c.head_widths);
    memset(c.head_kernels, 0, sizeof c.head_kernels);
    CHECK_OK(rb_config_check(&c, &err), &err);
}

static revbifpn_model_config parsed(const char *text) {
    rb_error err;
    revbifpn_model_config c;
    CHECK_OK(rb_config_from_json("config.json", text, strlen(text), &c, &err), &err);
    return c;
}

static char *written(const revbifpn_model_config *c) {
    rb_error err;
    char *text;
    CHECK_OK(rb_config_to_json(c, &text, &err), &err);
    return text;
}

static void json_goes_there_and_back(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i % 7);
        revbifpn_model_config c = named(name), wide = {.struct_size = sizeof wide, .name = "my \"net\" \\ ü"};
        if (i == 7) { /* six streams, awkward doubles */
            wide.streams = 6, wide.input_channels = 4, wide.image_width = 128, wide.image_height = 256;
            wide.drop = 0.1 + 0.2, wide.drop_path = 1e-300;
            for (int s = 0; s < 6; s++) {
                wide.widths[s] = 64 + 2 * s, wide.kernels[s] = 2 * s + 1, wide.expansions[s] = s + 1;
                wide.squeeze_ratios[s] = s / 7.0;
            }
            c = wide;
        }
        char *text = written(&c);
        revbifpn_model_config back = parsed(text);
        assert_memory_equal(&back, &c, sizeof c);
        char *again = written(&back);
        assert_string_equal(again, text);
        assert_null(strstr(text, "0.29999999999999999"));
        rb_free(text);
        rb_free(again);
    }
}

static void a_base_is_overridden(void **state) {
    (void)state;
    revbifpn_model_config c = parsed("{\"base\": \"S3\", \"classes\": 10, \"drop\": 0, \"image_width\": 64}"),
                          s3 = named("s3");
    assert_true(c.classes == 10 && c.drop == 0 && c.image_width == 64 && c.image_height == 288);
    assert_memory_equal(c.widths, s3.widths, sizeof c.widths);
    assert_string_equal(c.name, "s3");
    c = parsed("{\"name\":\"tiny\",\"base\":\"s0\",\"streams\":2,\"widths\":[16,24],\"input_channels\":1}");
    assert_true(c.streams == 2 && c.widths[0] == 16 && c.widths[1] == 24 && c.widths[2] == 0 &&
                c.kernels[3] == 0);
    assert_string_equal(c.name, "tiny");
}

static void wrong_json_is_refused(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "line 1"},
        {"{\"base\":\"s0\",}", "line 1, column"},
        {"[]", "not a JSON object"},
        {"{}", "key 'name' is missing"},
        {"{\"base\":\"s0\",\"width\":[48]}", "unknown key 'width'"},
        {"{\"base\":\"s0\",\"wid\\nth\":[48]}", "unknown key 'wid?th'"},
        {"{\"base\":\"s0\",\"classes\":2,\"classes\":3}", "duplicate"},
        {"{\"base\":0}", "'base' must be \"s0\""},
        {"{\"base\":\"s8\"}", "'base': unknown model 's8'; the nearest is 's6'"},
        {"{\"base\":\"s0\",\"classes\":\"ten\"}", "'classes' must be a whole number"},
        {"{\"base\":\"s0\",\"classes\":10.0}", "'classes' must be a whole number"},
        {"{\"base\":\"s0\",\"classes\":4294967306}", "'classes' must be a number of 32 bits"},
        {"{\"base\":\"s0\",\"classes\":99999999999999999999}", "line 1"},
        {"{\"base\":\"s0\",\"classes\":1}", "classes is 1"},
        {"{\"base\":\"s0\",\"drop\":\"0.1\"}", "'drop' must be a number"},
        {"{\"base\":\"s0\",\"drop\":1e999}", "line 1"},
        {"{\"base\":\"s0\",\"drop\":1.5}", "drop is 1.5"},
        {"{\"base\":\"s0\",\"name\":7}", "'name' must be a text"},
        {"{\"base\":\"s0\",\"name\":\"\"}", "'name' must be a text"},
        {"{\"base\":\"s0\",\"name\":\"abcdefghijabcdefghijabcdefghij12\"}", "'name' must be a text"},
        {"{\"base\":\"s0\",\"name\":\"a\\nb\"}", "'name' must be a text without control codes"},
        {"{\"base\":\"s0\",\"widths\":[48,64,80]}", "'widths' must be a list of 4 numbers"},
        {"{\"base\":\"s0\",\"widths\":48}", "'widths' must be a list of 4 numbers"},
        {"{\"base\":\"s0\",\"widths\":[48,64,80,\"x\"]}", "'widths', entry 3, must be a whole number"},
        {"{\"base\":\"s0\",\"squeeze_ratios\":[0,0,0,null]}", "'squeeze_ratios', entry 3, must be a number"},
        {"{\"base\":\"s0\",\"streams\":3,\"widths\":[48,64,80,160]}", "list of 3 numbers"},
        {"{\"base\":\"s0\",\"streams\":5}", "widths[4] is 0"},
        {"{\"base\":\"s0\",\"streams\":1000000}", "'streams' is 1000000"},
        {"{\"base\":\"s0\",\"streams\":true}", "'streams' must be a whole number"},
        {"{\"base\":\"s0\",\"widths\":[48,64,81,160]}", "widths[2] is 81"},
        {"{\"base\":\"s0\",\"image_width\":100}", "image_width is 100"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_error err;
        revbifpn_model_config c;
        revbifpn_status status = rb_config_from_json("net.json", cases[i][0], strlen(cases[i][0]), &c, &err);
        if (status != REVBIFPN_BAD_FILE || strncmp(err.text, "net.json: ", 10) ||
            !strstr(err.text, cases[i][1]) || strchr(err.text, '\n'))
            fail_msg("%s: wanted '%s', got %d: %s", cases[i][0], cases[i][1], (int)status,
                     status ? err.text : "");
    }
    assert_int_equal(rb_config_from_json("x", "[]", 2, &(revbifpn_model_config){0}, NULL), REVBIFPN_BAD_FILE);
}

/* Each key taken out of a whole file is named as missing; and damaged text is refused or gives a good
 * network. */
static void missing_keys_and_damage_are_refused(void **state) {
    (void)state;
    revbifpn_model_config c = named("s1"), out;
    rb_error err;
    char *json = written(&c), text[8192];
    snprintf(text, sizeof text, "%s", json);
    rb_free(json);
    size_t size = strlen(text);
    int lines = 0;
    for (char *line = strstr(text, "\n  \""); line; line = strstr(line + 1, "\n  \"")) {
        char copy[8192];
        snprintf(copy, sizeof copy, "%s", text);
        char *end = strchr(line + 1, '\n'), *at = copy + (line - text);
        memmove(at, copy + (end - text), strlen(copy + (end - text)) + 1);
        if (end[1] == '}') at[-1] = ' '; /* the comma before the last key */
        lines++;
        assert_int_equal(rb_config_from_json("f", copy, strlen(copy), &out, &err), REVBIFPN_BAD_FILE);
        if (!strstr(err.text, "is missing")) fail_msg("%s", err.text);
    }
    assert_int_equal(lines, 22);
    rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, 0, 0);
    for (int round = 0; round < 5000; round++) {
        char copy[8192];
        memcpy(copy, text, size);
        copy[rb_rng_below(&rng, (uint32_t)size)] ^= (char)(1 << rb_rng_below(&rng, 7));
        revbifpn_status status = rb_config_from_json("f", copy, size, &out, &err);
        if (status == REVBIFPN_OK)
            CHECK_OK(rb_config_check(&out, &err), &err);
        else
            assert_int_equal(status, REVBIFPN_BAD_FILE);
    }
}

static void differences_are_named(void **state) {
    (void)state;
    char text[200];
    revbifpn_model_config a = named("s0"), b = a;
    snprintf(b.name, sizeof b.name, "other");
    b.drop = b.drop_path = 0.5, b.image_width = 64;
    assert_true(rb_config_equal_architecture(&a, &b, text, sizeof text));
    b.classes = 10;
    assert_false(rb_config_equal_architecture(&a, &b, text, sizeof text));
    assert_string_equal(text, "classes: 1000 and 10");
    b = a, b.widths[2] = 96;
    assert_false(rb_config_equal_architecture(&a, &b, text, sizeof text));
    assert_string_equal(text, "widths[2]: 80 and 96");
    b = a, b.head_squeeze_ratios[1] = 0.5;
    assert_false(rb_config_equal_architecture(&a, &b, text, sizeof text));
    assert_string_equal(text, "head_squeeze_ratios[1]: 0.25 and 0.5");
    b = a, b.streams = 3;
    assert_false(rb_config_equal_architecture(&a, &b, NULL, 0));
    a.classes = 0, b = a, b.fc_features = 7; /* no head: nothing hangs on it */
    assert_true(rb_config_equal_architecture(&a, &b, text, sizeof text));
}

static void a_broken_configuration_is_not_written(void **state) {
    (void)state;
    rb_error err;
    char *text;
    revbifpn_model_config c = named("s0");
    c.classes = 1;
    assert_int_equal(rb_config_to_json(&c, &text, &err), REVBIFPN_BAD_ARGUMENT);
    assert_null(text);
    c = named("s0");
    strcpy(c.name, "caf\xe9");
    assert_int_equal(rb_config_to_json(&c, &text, &err), REVBIFPN_BAD_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seven_networks_are_the_published_ones),
        cmocka_unit_test(an_unknown_name_is_told_the_nearest),
        cmocka_unit_test(every_rule_says_what_would_be_right),
        cmocka_unit_test(json_goes_there_and_back),
        cmocka_unit_test(a_base_is_overridden),
        cmocka_unit_test(wrong_json_is_refused),
        cmocka_unit_test(missing_keys_and_damage_are_refused),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(a_broken_configuration_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
