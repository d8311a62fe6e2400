/* Files of torch.save (written by scripts/golden/make_pth_files.py): every form gives the values that PyTorch
 * put in; cut or damaged ones give an error or these values; hostile ones an error. */
#define _GNU_SOURCE
#include "check.h"

#include <jansson.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "io/pth.h"
#include "pth_check.h"

static char folder[4096], path[4200];
static json_t *expected;

static const char *fixture(const char *name) {
    char relative[200];
    snprintf(relative, sizeof relative, "tests/io/pth/%s", name);
    return source_path(relative);
}

static void spill(const void *data, size_t size) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    fclose(stream);
}

/* Whether the tensor has that type, shape, bytes and floats. */
static bool right(const rb_tensor_file *file, const char *name, json_t *want) {
    static unsigned char got[4096];
    static float floats[512];
    rb_error err;
    const rb_tensor_info *t = rb_tensor_file_find(file, name);
    json_t *shape = json_object_get(want, "shape"), *reals = json_object_get(want, "floats");
    const char *hex = json_string_value(json_object_get(want, "bytes"));
    if (!t || strcmp(rb_dtype_name(t->dtype), json_string_value(json_object_get(want, "dtype"))) ||
        json_array_size(shape) != (size_t)t->ndim || strlen(hex) != 2 * t->bytes || t->bytes > sizeof got)
        return false;
    for (int d = 0; d < t->ndim; d++)
        if (json_integer_value(json_array_get(shape, (size_t)d)) != t->shape[d]) return false;
    CHECK_OK(rb_tensor_file_read(file, name, t->dtype, t->ndim, t->shape, got, &err), &err);
    for (size_t i = 0; i < t->bytes; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], 0};
        if (strtoul(byte, NULL, 16) != got[i]) return false;
    }
    revbifpn_status status = rb_tensor_file_read_floats(file, name, t->ndim, t->shape, floats, &err);
    if (!json_is_array(reals)) return status == REVBIFPN_BAD_FILE; /* whole numbers are no floats */
    CHECK_OK(status, &err);
    for (size_t i = 0; i < json_array_size(reals); i++) {
        float wanted = strtof(json_string_value(json_array_get(reals, i)), NULL);
        if (memcmp(&wanted, &floats[i], sizeof wanted)) return false;
    }
    return true;
}

/* Whether the file has exactly the tensors of `set` in expected.json. */
static bool all_right(const rb_tensor_file *file, const char *set, bool told) {
    const char *name;
    json_t *want, *all = json_object_get(expected, set);
    bool good = json_object_size(all) == (size_t)rb_tensor_file_count(file);
    assert_true(json_object_size(all) > 2);
    json_object_foreach(all, name, want) {
        bool same = right(file, name, want);
        if (!same && told) print_error("%s: %s differs\n", rb_tensor_file_path(file), name);
        good = good && same;
    }
    return good;
}

static const struct {
    const char *file, *set, *key;
} forms[] = {{"views.pth", "views", NULL},
             {"views-legacy.pth", "views", NULL},
             {"views-protocol4.pth", "views", NULL},
             {"small.pth", "small", NULL},
             {"small-legacy.pth", "small", NULL},
             {"model-key.pt", "small", NULL},
             {"mmdetection.pth", "small", NULL},
             {"model-key.pt", "small", "model"},
             {"checkpoint.pth.tar", "checkpoint", NULL},
             {"checkpoint.pth.tar", "checkpoint", "state_dict"},
             {"checkpoint.pth.tar", "average", "state_dict_ema"},
             {"checkpoint-legacy.pth.tar", "checkpoint", NULL},
             {"checkpoint-legacy.pth.tar", "average", "state_dict_ema"},
             {"checkpoint-protocol5.pth.tar", "checkpoint", NULL},
             {"checkpoint-protocol5.pth.tar", "average", "state_dict_ema"}};

static void every_form_gives_the_values(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        rb_error err;
        rb_tensor_file *file;
        CHECK_OK(rb_tensor_file_open_key(&file, fixture(forms[i].file), forms[i].key, &err), &err);
        if (!all_right(file, forms[i].set, true)) fail_msg("%s", forms[i].file);
        assert_null(rb_tensor_file_metadata(file, "config"));
        rb_tensor_file_close(&file);
    }
    rb_error err;
    rb_tensor_file *file; /* and the comparison can fail */
    CHECK_OK(rb_tensor_file_open_key(&file, fixture("checkpoint.pth.tar"), "state_dict_ema", &err), &err);
    assert_false(all_right(file, "checkpoint", false));
    rb_tensor_file_close(&file);
}

static void views_stay_views(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_file *file;
    CHECK_OK(rb_tensor_file_open(&file, fixture("views.pth"), &err), &err);
    const rb_tensor_info *a = rb_tensor_file_find(file, "tied.a"), *b = rb_tensor_file_find(file, "tied.b");
    const rb_tensor_info *part = rb_tensor_file_find(file, "part"),
                         *turned = rb_tensor_file_find(file, "transposed");
    assert_int_equal(a->offset, b->offset);
    assert_true(part->strided && turned->strided && !a->strided);
    assert_false(rb_tensor_file_find(file, "plain")->strided);
    assert_string_equal(rb_tensor_file_at(file, 0)->name, "plain"); /* in the order of the state dict */
    rb_tensor_file_close(&file);
}

static void expect_class_names(const char *name, const char *names) {
    rb_error err;
    rb_tensor_file *file;
    CHECK_OK(rb_tensor_file_open(&file, fixture(name), &err), &err);
    const char *found = rb_tensor_file_metadata(file, RB_PTH_CLASSES);
    if (names)
        assert_string_equal(found, names);
    else
        assert_null(found);
    rb_tensor_file_close(&file);
}

static void names_of_classes_that_mmdetection_left_are_kept(void **state) {
    (void)state;
    expect_class_names("mmdetection.pth", "[\"red cell\",\"a \\\"b\\\"\",\"größe\"]");
    expect_class_names("mmdetection-one.pth", NULL);
    expect_class_names("checkpoint.pth.tar", NULL);
}

static void keys_are_looked_for(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_file *file;
    expect(rb_tensor_file_open_key(&file, fixture("views.pth"), "state_dict_ema", &err),
           REVBIFPN_BAD_ARGUMENT, &err, "no state dict under the key 'state_dict_ema'");
    expect(rb_tensor_file_open_key(&file, fixture("checkpoint.pth.tar"), "args", &err), REVBIFPN_BAD_ARGUMENT,
           &err, "no state dict under the key 'args'");
    float one = 1;
    rb_tensor_source tensor = {"x", RB_DTYPE_F32, 0, {0}, &one};
    CHECK_OK(rb_tensor_file_write(path, &tensor, 1, NULL, 0, &err), &err);
    expect(rb_tensor_file_open_key(&file, path, "model", &err), REVBIFPN_BAD_ARGUMENT, &err,
           "only PyTorch's checkpoints have keys");
}

/* ---- cut and damaged ---- */

/* Opens what was spilled: an error of one line, or the values of `set` when `whole`, or anything consistent.
 */
static bool try_it(const char *set, bool whole) {
    rb_error err;
    rb_tensor_file *file;
    revbifpn_status status = rb_tensor_file_open(&file, path, &err);
    if (status != REVBIFPN_OK) {
        expect(status, REVBIFPN_BAD_FILE, &err, path);
        assert_null(file);
        return false;
    }
    if (whole) assert_true(all_right(file, set, true));
    for (int i = 0; i < rb_tensor_file_count(file); i++) {
        const rb_tensor_info *t = rb_tensor_file_at(file, i);
        assert_ptr_equal(rb_tensor_file_find(file, t->name), t);
        if (t->bytes > 1 << 20) continue; /* a view may say more than it holds */
        void *got = rb_alloc(t->bytes);
        CHECK_OK(rb_tensor_file_read(file, t->name, t->dtype, t->ndim, t->shape, got, &err), &err);
        rb_free(got);
    }
    rb_tensor_file_close(&file);
    return true;
}

static void truncation_at_every_byte_gives_an_error_or_the_values(void **state) {
    (void)state;
    static const char *const files[][2] = {{"small.pth", "small"},
                                           {"small-legacy.pth", "small"},
                                           {"checkpoint-legacy.pth.tar", "checkpoint"},
                                           {"mmdetection.pth", "small"}};
    for (int f = 0; f < 4; f++) {
        size_t size;
        unsigned char *data = slurp(fixture(files[f][0]), &size);
        for (size_t n = 0; n < size; n++) {
            spill(data, n);
            bool opened = try_it(files[f][1], true);
            assert_true(!opened || f == 2); /* only storages behind the state dict's may be missing */
        }
        spill(data, size);
        assert_true(try_it(files[f][1], true));
        rb_free(data);
    }
}

static void random_damage_never_crashes(void **state) {
    (void)state;
    static const char *const files[] = {"small.pth", "small-legacy.pth", "checkpoint.pth.tar",
                                        "views-protocol4.pth", "mmdetection.pth"};
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, 0, 0);
    for (int f = 0; f < 5; f++) {
        size_t size;
        int opened = 0, rounds = 3000;
        unsigned char *data = slurp(fixture(files[f]), &size), *copy = rb_alloc(size);
        for (int round = 0; round < rounds; round++) {
            memcpy(copy, data, size);
            for (uint32_t flips = 1 + rb_rng_below(&rng, 3); flips; flips--)
                copy[rb_rng_below(&rng, (uint32_t)size)] ^= (unsigned char)(1u << rb_rng_below(&rng, 8));
            spill(copy, size);
            opened += try_it(NULL, false);
        }
        print_message("%s: %d of %d damaged files opened as something else\n", files[f], opened, rounds);
        rb_free(data);
        rb_free(copy);
    }
}

/* ---- hostile ---- */

/* Where `text` lies in data, the last time; the test fails when it does not. */
static size_t find_last(const unsigned char *data, size_t size, const char *text, size_t length) {
    for (size_t i = size - length + 1; i-- > 0;)
        if (!memcmp(data + i, text, length)) return i;
    fail_msg("not in the file: %s", text);
    return 0;
}

static void hostile_archives_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *at;    /* the last place of this text, */
        size_t length;     /* of that length, */
        int offset;        /* plus so many bytes, */
        unsigned char put; /* gets this byte */
        const char *reason;
    } cases[] = {
        {"PK\1\2", 4, 10, 8, "is compressed"},
        {"PK\1\2", 4, 20, 0xff, "is compressed"},
        {"PK\1\2", 4, 8, 9, "is encrypted"},
        {"PK\1\2", 4, 27, 0x7f, "is compressed"}, /* only one of two sizes */
        {"PK\1\2", 4, 43, 0xff, "is said to begin at byte"},
        {"PK\1\2", 4, 42, 1, "no local header"},
        {"PK\1\2", 4, 28, 0xff, "broken directory"},
        {"PK\1\2", 4, 0, 'Q', "broken directory"},
        {"PK\5\6", 4, 4, 1, "several volumes"},
        {"PK\5\6", 4, 0, 'Q', "no end record"},
        {"PK\6\6", 4, 32, 1, "several volumes"},
        {"PK\6\6", 4, 55, 1, "do not end where"},
        {"PK\6\6", 4, 47, 0xff, "do not end where"},
        {"PK\6\6", 4, 0, 'Q', "no zip64 end record"},
        {"PK\6\7", 4, 15, 1, "past its locator"},
        {"small/data.pkl", 14, 13, 'x', "without FOLDER/data.pkl"},
        {"small/data/0", 12, 11, '2', "is there twice"},
        {"small/data/0", 12, 11, '9', "'small/data/0' is missing"},
        {"little", 6, 0, 'b', "is not \"little\""},
        {"PK\3\4", 4, 4, 0, ""}, /* the version: nobody looks at it; must open */
    };
    size_t size;
    unsigned char *data = slurp(fixture("small.pth"), &size), *copy = rb_alloc(size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_error err;
        rb_tensor_file *file;
        memcpy(copy, data, size);
        copy[find_last(data, size, cases[i].at, cases[i].length) + (size_t)cases[i].offset] = cases[i].put;
        unsigned char *first = memmem(copy, size, cases[i].at, cases[i].length);
        if (*cases[i].at == 's') first[cases[i].offset] = cases[i].put; /* a name, in the local header too */
        spill(copy, size);
        revbifpn_status status = rb_tensor_file_open(&file, path, &err);
        if (*cases[i].reason)
            expect(status, REVBIFPN_BAD_FILE, &err, cases[i].reason);
        else
            CHECK_OK(status, &err);
        rb_tensor_file_close(&file);
    }
    rb_free(data);
    rb_free(copy);
}

#define ROOT "ccollections\nOrderedDict\n)R("
#define STORAGE(type, key, count)                                                                            \
    "((X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0" key "X\3\0\0\0cpu" count "tQ"
#define TENSOR(name, type, key, count, rest)                                                                 \
    "X\1\0\0\0" name "ctorch._utils\n_rebuild_tensor_v2\n" STORAGE(type, key, count) rest "\x89}tR"
#define F32(name, rest) TENSOR(name, "FloatStorage", "0", "K\4", rest)

/* A legacy file around an object: 4 floats in storage "0", or none when the object has no storage. */
static void spill_object(const char *object, size_t length) {
    static const char head[] = "\x80\2\x8a\12l\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}X\15\0\0\0"
                               "little_endian\x88s.\x80\2";
    static const char tail[] = ".\x80\2]X\1\0\0\0"
                               "0a.\4\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\0\0\x80@";
    static const char none[] = ".\x80\2].";
    static char all[4096];
    bool any = memmem(object, length, "Storage", 7);
    size_t used = sizeof head - 1, rest = any ? sizeof tail - 1 : sizeof none - 1;
    assert_true(used + length + rest <= sizeof all);
    memcpy(all, head, used);
    memcpy(all + used, object, length);
    memcpy(all + used + length, any ? tail : none, rest);
    spill(all, used + length + rest);
}

static void hostile_objects_are_refused(void **state) {
    (void)state;
#define OBJECT(text) text, sizeof(text) - 1
    static const struct {
        const char *object;
        size_t length;
        const char *reason;
    } cases[] = {
        {OBJECT("cos\nsystem\nX\2\0\0\0ls\x85R"), "'os.system'"},
        {OBJECT("K\1"), "holds no dictionary"},
        {OBJECT("}"), "no tensors"},
        {OBJECT("}X\5\0\0\0modelK\1s"), "no tensors"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85K\1\x85") "X\1\0\0\0bK\1u"), "'b' in the state dict is no tensor"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85K\1\x85") "K\1Nu"), "is no text"},
        {OBJECT(ROOT F32("\0", "K\0K\4\x85K\1\x85") "u"), "is no text"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85K\1\x85") F32("a", "K\0K\4\x85K\1\x85") "u"), "'a' is there twice"},
        {OBJECT(ROOT F32("a", "K\0K\5\x85K\1\x85") "u"), "passes the end of its storage of 4"},
        {OBJECT(ROOT F32("a", "K\1K\4\x85K\1\x85") "u"), "passes the end"},
        {OBJECT(ROOT F32("a", "K\0K\3\x85K\2\x85") "u"), "passes the end"},
        {OBJECT(ROOT F32("a", "K\4K\1\x85K\1\x85") "u"), "passes the end"},
        {OBJECT(ROOT F32("a", "J\xff\xff\xff\xffK\1\x85K\1\x85") "u"), "passes the end"},
        {OBJECT(ROOT F32("a", "\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7fK\1\x85K\1\x85") "u"),
         "passes the end"},
        {OBJECT(ROOT F32("a", "K\0K\2\x85\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7f\x85") "u"),
         "passes the end"},
        {OBJECT(ROOT F32("a", "K\0\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\0\x85") "u"),
         "too many elements"},
        {OBJECT(ROOT F32("a", "K\0J\xff\xff\xff\xff\x85K\1\x85") "u"), "whole numbers"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85J\xff\xff\xff\xff\x85") "u"), "whole numbers"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85)") "u"), "whole numbers"},
        {OBJECT(ROOT F32("a", "K\0N\x85K\1\x85") "u"), "whole numbers"},
        {OBJECT(ROOT F32("a", "K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\4t(K\1K\1K\1K\1K\1K\1K\1K\1K\1t") "u"),
         "up to 8"},
        {OBJECT(ROOT TENSOR("a", "FloatStorage", "0", "K\5", "K\0K\4\x85K\1\x85") "u"), "the object says 5"},
        {OBJECT(ROOT TENSOR("a", "FloatStorage", "0", "J\xff\xff\xff\xff", "K\0K\4\x85K\1\x85") "u"),
         "of -1 elements"},
        {OBJECT(ROOT TENSOR("a", "FloatStorage", "0", "J\xff\xff\xff\x7f", "K\0K\4\x85K\1\x85") "u"),
         "of 2147483647 elements"},
        {OBJECT(ROOT TENSOR("a", "FloatStorage", "1", "K\4", "K\0K\4\x85K\1\x85") "u"),
         "names one that no tensor uses"},
        {OBJECT(ROOT TENSOR("a", "DoubleStorage", "0", "K\4", "K\0K\4\x85K\1\x85") "u"), "truncated"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85K\1\x85")
                    TENSOR("b", "LongStorage", "0", "K\4", "K\0K\4\x85K\1\x85") "u"),
         "two types or sizes"},
        {OBJECT(ROOT F32("a", "K\0K\4\x85K\1\x85")
                    TENSOR("b", "FloatStorage", "1", "K\1", "K\0K\1\x85K\1\x85") "u"),
         "'1' is not in the list"},
        {OBJECT(ROOT F32("a",
                         "K\0K\4\x85K\1\x85") "u}X\11\0\0\0_metadata}X\10\0\0\0revbifpn}X\1\0\0\0kK\1ssssb"),
         "takes 3 values"},
        {OBJECT(
             ROOT F32("a", "K\0K\4\x85K\1\x85") "u}X\11\0\0\0_metadata}X\10\0\0\0revbifpn}X\1\0\0\0kK\1sssb"),
         "'k' of revbifpn is no text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_error err = {0};
        rb_tensor_file *file;
        spill_object(cases[i].object, cases[i].length);
        revbifpn_status status = rb_tensor_file_open(&file, path, &err);
        if (status != REVBIFPN_BAD_FILE || !strstr(err.text, cases[i].reason) || !strstr(err.text, path))
            fail_msg("case %zu: wanted '%s', got %d: %s", i, cases[i].reason, (int)status, err.text);
    }
    static const struct { /* and the same kind of file is taken when it is right */
        const char *object;
        size_t length;
        int elements;
        float last;
    } good[] = {{OBJECT(ROOT F32("a", "K\0K\4\x85K\1\x85") "u"), 4, 4},
                {OBJECT(ROOT F32("a", "K\3K\1\x85K\1\x85") "u"), 1, 4},
                {OBJECT(ROOT F32("a", "K\1K\2\x85K\2\x85") "u"), 2, 4},
                {OBJECT(ROOT F32("a", "K\2K\3\x85K\0\x85") "u"), 3, 3},
                {OBJECT(ROOT F32("a", "K\4K\0\x85K\1\x85") "u"), 0, 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        rb_error err;
        rb_tensor_file *file;
        float got[4] = {0};
        int64_t shape[1] = {good[i].elements};
        spill_object(good[i].object, good[i].length);
        CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
        CHECK_OK(rb_tensor_file_read(file, "a", RB_DTYPE_F32, 1, shape, got, &err), &err);
        if (good[i].elements) assert_true(got[good[i].elements - 1] == good[i].last);
        rb_tensor_file_close(&file);
    }
}

static int open_folder(void **state) {
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/weights.pth", folder);
    expected = json_load_file(fixture("expected.json"), 0, NULL);
    return expected ? 0 : -1;
}

static int drop_folder(void **state) {
    (void)state;
    json_decref(expected);
    remove_folder(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_gives_the_values),
        cmocka_unit_test(views_stay_views),
        cmocka_unit_test(names_of_classes_that_mmdetection_left_are_kept),
        cmocka_unit_test(keys_are_looked_for),
        cmocka_unit_test(truncation_at_every_byte_gives_an_error_or_the_values),
        cmocka_unit_test(random_damage_never_crashes),
        cmocka_unit_test(hostile_archives_are_refused),
        cmocka_unit_test(hostile_objects_are_refused),
    };
    return cmocka_run_group_tests(tests, open_folder, drop_folder) ? 1 : 0;
}
