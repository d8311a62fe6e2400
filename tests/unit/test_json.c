/* The JSON reader, against jansson: what both accept, what both refuse, numbers to the bit, values that cross
 * the end of a chunk. */
#include "check.h"

#include <jansson.h>
#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_number.h"
#include "base/rng.h"
#include "base/text.h"
#include "data/root.h"

/* Reads any value and builds jansson's form of it. */
static json_t *build(rb_json *json) {
    rb_json_text key;
    json_t *value = NULL;
    switch (rb_json_peek(json)) {
    case RB_JSON_OBJECT:
        value = json_object();
        if (!rb_json_object(json)) break;
        while (rb_json_next_key(json, &key)) {
            char *name = strndup(key.bytes, key.size);
            json_object_set_new(value, name, build(json));
            free(name);
        }
        break;
    case RB_JSON_ARRAY:
        value = json_array();
        if (!rb_json_array(json)) break;
        while (rb_json_next_item(json)) json_array_append_new(value, build(json));
        break;
    case RB_JSON_STRING: {
        rb_json_text s = rb_json_string(json);
        value = json_stringn_nocheck(s.bytes, s.size);
        break;
    }
    case RB_JSON_NUMBER: value = json_real(rb_json_number(json)); break;
    case RB_JSON_BOOL: value = json_boolean(rb_json_flag(json)); break;
    default: rb_json_skip(json); value = json_null();
    }
    return value;
}

static revbifpn_status read_text(const char *bytes, size_t size, bool skip, json_t **value, rb_error *err) {
    rb_json *json;
    const char *path = inside("value.json");
    CHECK_OK(rb_file_replace(path, bytes, size, err), err);
    CHECK_OK(rb_json_open(&json, path, err), err);
    *value = NULL;
    if (skip)
        rb_json_skip(json);
    else
        *value = build(json);
    revbifpn_status status = rb_json_finish(json, err);
    rb_json_close(&json);
    return status;
}

static json_t *theirs(const char *bytes, size_t size) {
    return json_loadb(bytes, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
}

/* Both accept and have the same value, or both refuse. */
static void check_same(const char *bytes, size_t size) {
    json_t *ours, *none, *want = theirs(bytes, size);
    rb_error err = {0};
    revbifpn_status status = read_text(bytes, size, false, &ours, &err);
    if (!status != (want != NULL)) fail_msg("'%.*s': %d, %s", (int)size, bytes, (int)status, err.text);
    if (want && !json_equal(ours, want)) fail_msg("'%.*s' is read as another value", (int)size, bytes);
    if (status)
        assert_true(status == REVBIFPN_BAD_FILE && strstr(err.text, "line ") && !strchr(err.text, '\n'));
    assert_int_equal(read_text(bytes, size, true, &none, &err), status);
    json_decref(ours);
    json_decref(want);
}

static void values_are_those_of_another_reader(void **state) {
    (void)state;
    static const char *const texts[] = {"{}",
                                        "[]",
                                        "[1]",
                                        " [1 , 2.5e-3,\n-0, 1E+2 ] ",
                                        "{\"a\": {\"b\": [true, false, null]}, \"c\": \"\"}",
                                        "\"\\u00e9\\n\\t\\\\\\/\\\"\\ud83d\\ude00\"",
                                        "[[[[[[]]]]], {}]",
                                        "123456789012345678901234567890",
                                        "",
                                        " ",
                                        "[",
                                        "]",
                                        "{",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "{\"a\" 1}",
                                        "01",
                                        "1.",
                                        ".5",
                                        "-",
                                        "+1",
                                        "1e",
                                        "1e+",
                                        "0x10",
                                        "NaN",
                                        "[Infinity]",
                                        "-Infinity",
                                        "1e999",
                                        "-1e999",
                                        "tru",
                                        "truex",
                                        "nul",
                                        "[nulL]",
                                        "falsey",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12g4\"",
                                        "\"a\nb\"",
                                        "\"a\tb\"",
                                        "1 1",
                                        "{} []",
                                        "[1]]",
                                        "'a'",
                                        "//",
                                        "[1, /* */ 2]",
                                        "\xef\xbb\xbf[]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_same(texts[i], strlen(texts[i]));
    json_t *value;
    rb_error err = {0};
    assert_int_equal(read_text("[1\0]", 4, false, &value, &err),
                     REVBIFPN_BAD_FILE); /* jansson passes over it */
    json_decref(value);
    assert_int_equal(read_text("\"a\0b\"", 5, false, &value, &err), REVBIFPN_BAD_FILE);
    json_decref(value);
}

static void every_beginning_of_a_value_is_refused(void **state) {
    (void)state;
    const char text[] =
        "{\"images\": [{\"id\": 17, \"name\": \"a\\u00e9\\\\b\"}, -1.5e-3, true, false, null], \"x\": {}}";
    for (size_t n = 0; n < sizeof text; n++) check_same(text, n);
}

static void places_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"[1,\n  2,\n  x]", "line 3, byte 12: 'x' where a value is expected"},
        {"{\"a\": 1\n\"b\": 2}", "line 2, byte 9: '\"' where ',' or '}' is expected"},
        {"[1, 2", "line 1, byte 6: the file ends where ',' or ']' is expected"},
        {"[\"ab\ncd\"]", "line 1, byte 5: byte 0x0a in a string"},
        {"[1e400]", "line 1, byte 2: a number too large for a double"},
        {"[] x", "line 1, byte 4: 'x' where the end of the file is expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_error err = {0};
        json_t *value;
        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), false, &value, &err),
                         REVBIFPN_BAD_FILE);
        if (!strstr(err.text, cases[i].reason)) fail_msg("'%s', wanted '%s'", err.text, cases[i].reason);
        json_decref(value);
    }
}

static void depth_does_not_use_the_stack(void **state) {
    (void)state;
    static char deep[300000];
    json_t *value;
    rb_error err = {0};
    memset(deep, '[', sizeof deep);
    assert_int_equal(read_text(deep, sizeof deep, true, &value, &err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(err.text, "nested more than 256 deep"));
}

/* Values moved byte by byte over the end of the reader's chunk of 2^18 bytes. */
static void values_cross_the_end_of_a_chunk(void **state) {
    (void)state;
    const char *item = "{\"key\"   : \"\\ud83d\\ude00 text\", \"n\": -12.5e-1, \"t\": true}";
    size_t length = strlen(item);
    for (size_t shift = 0; shift < length + 4; shift++) {
        rb_text text = {0};
        rb_error err = {0};
        rb_text_add(&text, "[\"");
        while (text.size < (1 << 18) - shift - 5) rb_text_add_bytes(&text, "x", 1);
        rb_text_add(&text, "\", ");
        rb_text_add_bytes(&text, item, length);
        rb_text_add(&text, "]");
        json_t *ours, *want = theirs(text.bytes, text.size);
        CHECK_OK(read_text(text.bytes, text.size, false, &ours, &err), &err);
        assert_true(json_equal(ours, want));
        json_decref(ours);
        json_decref(want);
        rb_text_close(&text);
    }
}

static void keys_outlive_the_blanks_behind_them(void **state) {
    (void)state;
    rb_text text = {0};
    rb_error err = {0};
    json_t *value;
    rb_text_add(&text, "{\"somewhere\"");
    for (int i = 0; i < 700000; i++) rb_text_add_bytes(&text, i % 100 ? " " : "\n", 1);
    rb_text_add(&text, ": 5}");
    CHECK_OK(read_text(text.bytes, text.size, false, &value, &err), &err);
    assert_true(json_real_value(json_object_get(value, "somewhere")) == 5);
    json_decref(value);
    rb_text_close(&text);
}

static void numbers_are_the_nearest_doubles(void **state) {
    (void)state;
    rb_rng rng = rb_rng_open(5, RB_PURPOSE_TEST, 0, 0);
    char text[64];
    for (int i = 0; i < 200000; i++) {
        double v, got;
        uint64_t bits = (uint64_t)rb_rng_u32(&rng) << 32 | rb_rng_u32(&rng);
        switch (i % 4) {
        case 0:
            memcpy(&v, &bits, sizeof v);
            snprintf(text, sizeof text, "%.17g", v);
            break;
        case 1: snprintf(text, sizeof text, "%.16g", rb_rng_uniform(&rng) * 640); break;
        case 2: snprintf(text, sizeof text, "%u.%u", rb_rng_below(&rng, 1000), rb_rng_u32(&rng)); break;
        default:
            snprintf(text, sizeof text, "-%llue%d", (unsigned long long)(bits >> rb_rng_below(&rng, 60)),
                     (int)rb_rng_below(&rng, 60) - 30);
        }
        size_t size = rb_json_number_parse(text, &got);
        if (text[0] == 'n' || text[0] == 'i' || !strncmp(text, "-n", 2) || !strncmp(text, "-i", 2)) continue;
        double want = strtod(text, NULL);
        if (size != strlen(text) || memcmp(&got, &want, sizeof got)) fail_msg("%s: %.17g", text, got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_another_reader),
        cmocka_unit_test(every_beginning_of_a_value_is_refused),
        cmocka_unit_test(places_are_named),
        cmocka_unit_test(depth_does_not_use_the_stack),
        cmocka_unit_test(values_cross_the_end_of_a_chunk),
        cmocka_unit_test(keys_outlive_the_blanks_behind_them),
        cmocka_unit_test(numbers_are_the_nearest_doubles),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
