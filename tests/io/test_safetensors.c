/* io/safetensors: round trip, hostile files, truncation at every byte, random damage, a full disk. */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "io/safetensors.h"

static char folder[4096], path[4200];

#define NAME "a \"quoted\\name\"\n\x01 é"
#include "sample.h"

static const rb_tensor_metadata metadata[] = {
    {"format", "pt"}, {"k\"ey", "line\nbreak\t\\ ü"}, {"empty", ""}};
enum { METADATA = sizeof metadata / sizeof *metadata };

static void write_sample(void) {
    rb_error err;
    CHECK_OK(rb_tensor_file_write(path, sources, SOURCES, metadata, METADATA, &err), &err);
}

static unsigned char *slurp(size_t *size) {
    rb_error err;
    unsigned char *data;
    CHECK_OK(rb_file_read(path, 1 << 20, &data, size, &err), &err);
    return data;
}

static void spill(const void *data, size_t size) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    fclose(stream);
}

static void written_file_reads_back(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_file *file;
    write_sample();
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(rb_tensor_file_count(file), SOURCES);
    assert_string_equal(rb_tensor_file_path(file), path);
    for (int i = 0; i < SOURCES; i++) {
        const rb_tensor_source *s = &sources[i];
        const rb_tensor_info *t = rb_tensor_file_find(file, s->name);
        assert_non_null(t);
        assert_int_equal(t->dtype, s->dtype);
        assert_int_equal(t->ndim, s->ndim);
        assert_memory_equal(t->shape, s->shape, sizeof t->shape);
        unsigned char got[64] = {0};
        CHECK_OK(rb_tensor_file_read(file, s->name, s->dtype, s->ndim, s->shape, got, &err), &err);
        if (t->bytes) assert_memory_equal(got, s->data, t->bytes);
    }
    assert_string_equal(rb_tensor_file_at(file, 0)->name, "stack.0.weight");
    for (int i = 0; i < METADATA; i++)
        assert_string_equal(rb_tensor_file_metadata(file, metadata[i].key), metadata[i].value);
    assert_null(rb_tensor_file_metadata(file, "none"));
    assert_null(rb_tensor_file_find(file, "none"));
    assert_null(rb_tensor_file_find(file, "__metadata__"));
    rb_tensor_file_close(&file);
    assert_null(file);
}

static void equal_input_gives_equal_bytes_aligned(void **state) {
    (void)state;
    rb_error err;
    size_t size, again;
    write_sample();
    unsigned char *first = slurp(&size);
    write_sample();
    unsigned char *second = slurp(&again);
    assert_int_equal(size, again);
    assert_memory_equal(first, second, size);
    assert_int_equal((8 + first[0] + 256 * first[1]) % 64, 0);
    rb_free(first);
    rb_free(second);
    rb_tensor_file *file;
    CHECK_OK(rb_tensor_file_write(path, NULL, 0, NULL, 0, &err), &err);
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(rb_tensor_file_count(file), 0);
    rb_tensor_file_close(&file);
    CHECK_OK(rb_tensor_file_write(path, NULL, 0, metadata, 1, &err), &err);
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    rb_tensor_file_close(&file);
}

/* The error names file and tensor, and is one line. */
static void expect_error(revbifpn_status status, revbifpn_status wanted, const rb_error *err,
                         const char *reason) {
    if (status != wanted || !strstr(err->text, path) || !strstr(err->text, reason) || strchr(err->text, '\n'))
        fail_msg("wanted status %d with '%s', got %d: %s", (int)wanted, reason, (int)status, err->text);
}

static void reading_another_type_is_refused(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_file *file;
    float got[8];
    write_sample();
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    int64_t shape[2] = {3, 2};
    expect_error(rb_tensor_file_read(file, "stack.0.weight", RB_DTYPE_F32, 2, shape, got, &err),
                 REVBIFPN_BAD_FILE, &err,
                 "tensor 'stack.0.weight': F32 [2, 3] in the file, F32 [3, 2] wanted");
    expect_error(rb_tensor_file_read(file, "stack.0.weight", RB_DTYPE_F64, 2, sources[0].shape, got, &err),
                 REVBIFPN_BAD_FILE, &err, "F32 [2, 3] in the file, F64 [2, 3] wanted");
    expect_error(rb_tensor_file_read(file, "stack.0.weight", RB_DTYPE_F32, 1, shape, got, &err),
                 REVBIFPN_BAD_FILE, &err, "F32 [3] wanted");
    expect_error(rb_tensor_file_read(file, "gone", RB_DTYPE_F32, 1, shape, got, &err), REVBIFPN_BAD_FILE,
                 &err, "tensor 'gone' is missing");
    size_t size;
    unsigned char *data = slurp(&size);
    assert_int_equal(truncate(path, 8 + data[0] + 256 * data[1] + 4), 0); /* the file shrinks under us */
    rb_free(data);
    expect_error(rb_tensor_file_read(file, "stack.0.weight", RB_DTYPE_F32, 2, sources[0].shape, got, &err),
                 REVBIFPN_BAD_FILE, &err, "shrank");
    rb_tensor_file_close(&file);
}

/* A file of that header and `data` bytes of zeros. */
static void spill_header(const char *header, size_t data) {
    static unsigned char all[1 << 16];
    size_t length = strlen(header);
    memset(all, 0, sizeof all);
    for (int i = 0; i < 8; i++) all[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(all + 8, header, length);
    spill(all, 8 + length + data);
}

static void expect_refused(const char *reason) {
    rb_error err;
    rb_tensor_file *file;
    expect_error(rb_tensor_file_open(&file, path, &err), REVBIFPN_BAD_FILE, &err, reason);
    assert_null(file);
}

#define ONE(dtype, shape, offsets)                                                                           \
    "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define F32_AT(name, from, to)                                                                               \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" #from "," #to "]}"

static void hostile_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *reason;
    } cases[] = {
        {"[]", 0, "not a JSON object"},
        {" {}", 0, "does not begin with '{'"},
        {"{\"x\":1,}", 0, "header, byte 8"},
        {"{} {}", 0, "header, byte"},
        {"{\"x\":", 0, "header, byte"},
        {"{\"x\xff\":1}", 0, "header, byte"},
        {"{\"x\":1}", 0, "tensor 'x': not an object"},
        {"{\"x\":{}}", 0, "key 'dtype' is missing"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "key 'data_offsets' is missing"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"y\":1}}", 4, "unknown key 'y'"},
        {ONE("\"F33\"", "[1]", "[0,4]"), 4, "unknown dtype 'F33'"},
        {ONE("\"a\\nb\"", "[1]", "[0,4]"), 4, "unknown dtype 'a?b'"},
        {ONE("7", "[1]", "[0,4]"), 4, "unknown dtype"},
        {ONE("\"F32\"", "1", "[0,4]"), 4, "shape is not a list"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), 4, "shape holds something else than whole numbers"},
        {ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "shape holds something else than whole numbers"},
        {ONE("\"F32\"", "[1e0]", "[0,4]"), 4, "shape holds something else than whole numbers"},
        {ONE("\"F32\"", "[\"1\"]", "[0,4]"), 4, "shape holds something else than whole numbers"},
        {ONE("\"F32\"", "[[1]]", "[0,4]"), 4, "nested deeper"},
        {ONE("\"F32\"", "[99999999999999999999]", "[0,4]"), 4, "header, byte"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "too many elements"},
        {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "too many elements"},
        {ONE("\"F32\"", "[4611686018427387904,8,0]", "[0,0]"), 0, "too many elements"},
        {ONE("\"F32\"", "[1]", "[4,0]"), 4, "offsets reversed"},
        {ONE("\"F32\"", "[1]", "[0]"), 4, "data_offsets is not a pair"},
        {ONE("\"F32\"", "[1]", "[0,4,8]"), 8, "data_offsets is not a pair"},
        {ONE("\"F32\"", "[1]", "{}"), 4, "data_offsets is not a pair"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), 4, "data_offsets holds something else than whole numbers"},
        {ONE("\"F32\"", "[1]", "[0,8]"), 4, "ends at byte 8 of data, the file has 4"},
        {ONE("\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]"), 4, "ends at byte"},
        {ONE("\"F32\"", "[2]", "[0,4]"), 4, "4 bytes of data, F32 [2] needs 8"},
        {ONE("\"F32\"", "[1]", "[0,4]"), 5, "1 bytes of data after the last tensor"},
        {"{}", 1, "1 bytes of data after the last tensor"},
        {ONE("\"F32\"", "[1]", "[4,8]"), 8, "hole of 4 bytes in the data between 'the start' and 'x'"},
        {"{" F32_AT("x", 0, 4) "," F32_AT("y", 8, 12) "}", 12,
         "hole of 4 bytes in the data between 'x' and 'y'"},
        {"{" F32_AT("x", 0, 4) "," F32_AT("y", 2, 6) "}", 6, "tensors 'x' and 'y' overlap at byte 2"},
        {"{" F32_AT("x", 0, 4) "," F32_AT("y", 0, 4) "}", 4, "tensors 'x' and 'y' overlap"},
        {"{" F32_AT("x", 0, 4) "," F32_AT("x", 4, 8) "}", 8, "duplicate"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: 'a' is not a string"},
        {"{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__: 'a' is not a string"},
        {"{\"a\\u0000b\":1}", 0, "header, byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spill_header(cases[i].header, cases[i].data);
        expect_refused(cases[i].reason);
    }
    rb_error err;
    rb_tensor_file *file; /* and the same shape of header is taken when it is right */
    spill_header("{" F32_AT("y", 4, 8) "," F32_AT("x", 0, 4) ",\"__metadata__\":{\"a\":\"b\"}} \n ", 8);
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    assert_string_equal(rb_tensor_file_at(file, 0)->name, "x");
    rb_tensor_file_close(&file);
}

static void hostile_lengths_are_refused(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_file *file;
    static const unsigned char huge[16] = {255, 255, 255, 255, 255, 255, 255, 255, '{'};
    static const unsigned char big[16] = {1, 225, 245, 5, 0, 0, 0, 0, '{'}; /* 100,000,001 */
    static const unsigned char more[16] = {9, 0, 0, 0, 0, 0, 0, 0, '{'}, none[8] = {0},
                               zip[16] = "PK\3\4......";
    spill(huge, 16), expect_refused("more than the limit of 100000000");
    spill(big, 16), expect_refused("header of 100000001 bytes, more than the limit");
    spill(more, 16), expect_refused("header of 9 bytes, the file has 16");
    spill(none, 8), expect_refused("too short");
    spill(zip, 16), expect_refused("zip: no end record");
    spill(none, 0), expect_refused("0 bytes: too short");
    assert_int_equal(rb_tensor_file_open(&file, folder, &err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(err.text, "not a regular file"));
    unlink(path);
    expect_error(rb_tensor_file_open(&file, path, &err), REVBIFPN_IO_FAILED, &err, "cannot open");
}

/* Two million empty objects: 14 MB of text that a tree would blow up to half a gigabyte. */
static void a_header_of_many_values_is_refused(void **state) {
    (void)state;
    size_t values = 2000000, length = 2 + 7 * values;
    char *all = rb_alloc(8 + length + 1);
    assert_non_null(all);
    for (int i = 0; i < 8; i++) all[i] = (char)((uint64_t)length >> 8 * i);
    all[8] = '{';
    for (size_t i = 0; i < values; i++) memcpy(all + 9 + 7 * i, "\"a\":{},", 7);
    all[8 + length - 2] = ' ';
    all[8 + length - 1] = '}';
    spill(all, 8 + length);
    rb_free(all);
    expect_refused("more than 1000000 values");
}

static void truncation_at_every_byte_is_refused(void **state) {
    (void)state;
    rb_error err;
    size_t size;
    write_sample();
    unsigned char *data = slurp(&size);
    for (size_t n = 0; n < size; n++) {
        rb_tensor_file *file;
        spill(data, n);
        revbifpn_status status = rb_tensor_file_open(&file, path, &err);
        expect_error(status, REVBIFPN_BAD_FILE, &err, "");
        assert_null(file);
    }
    rb_free(data);
}

/* Whatever opens must be consistent: every tensor lies in the file and can be read by what it says of itself.
 */
static void check_view(const rb_tensor_file *file, size_t data_bytes) {
    rb_error err;
    size_t end = 0;
    for (int i = 0; i < rb_tensor_file_count(file); i++) {
        const rb_tensor_info *t = rb_tensor_file_at(file, i);
        unsigned char got[1024];
        assert_int_equal(t->offset, end);
        end += t->bytes;
        assert_true(end <= data_bytes && t->bytes <= sizeof got);
        assert_ptr_equal(rb_tensor_file_find(file, t->name), t);
        CHECK_OK(rb_tensor_file_read(file, t->name, t->dtype, t->ndim, t->shape, got, &err), &err);
    }
}

static void random_damage_never_crashes(void **state) {
    (void)state;
    rb_error err;
    size_t size;
    int opened = 0, rounds = 10000;
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, 0, 0);
    write_sample();
    unsigned char *data = slurp(&size), *copy = rb_alloc(size);
    for (int round = 0; round < rounds; round++) {
        rb_tensor_file *file;
        memcpy(copy, data, size);
        for (uint32_t flips = 1 + rb_rng_below(&rng, 3); flips; flips--)
            copy[rb_rng_below(&rng, (uint32_t)size)] ^= (unsigned char)(1u << rb_rng_below(&rng, 8));
        spill(copy, size);
        revbifpn_status status = rb_tensor_file_open(&file, path, &err);
        if (status == REVBIFPN_OK) {
            opened++;
            check_view(file, size);
            rb_tensor_file_close(&file);
        } else {
            expect_error(status, REVBIFPN_BAD_FILE, &err, "");
        }
    }
    print_message("%d of %d damaged files opened as something else\n", opened, rounds);
    rb_free(data);
    rb_free(copy);
}

static void wrong_sources_are_refused(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_source two[2] = {sources[0], sources[0]}, bad = sources[0];
    rb_tensor_metadata twice[2] = {metadata[0], metadata[0]}, latin = {"classes", "caf\xe9"};
    unlink(path);
    expect_error(rb_tensor_file_write(path, two, 2, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err,
                 "there twice");
    expect_error(rb_tensor_file_write(path, two, 1, twice, 2, &err), REVBIFPN_BAD_ARGUMENT, &err,
                 "there twice");
    expect_error(rb_tensor_file_write(path, two, 1, &latin, 1, &err), REVBIFPN_BAD_ARGUMENT, &err,
                 "metadata 'classes' is not UTF-8");
    bad.name = "__metadata__";
    expect_error(rb_tensor_file_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "reserved");
    bad = sources[0], bad.data = NULL;
    expect_error(rb_tensor_file_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "no data");
    bad = sources[0], bad.shape[1] = -3;
    expect_error(rb_tensor_file_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "negative");
    bad = sources[0], bad.shape[0] = bad.shape[1] = (int64_t)1 << 40;
    expect_error(rb_tensor_file_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "too many");
    bad = sources[0], bad.ndim = 9;
    expect_error(rb_tensor_file_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err,
                 "dimensions");
    assert_int_equal(access(path, F_OK), -1);
}

static void a_full_disk_keeps_the_old_file(void **state) {
    (void)state;
    rb_error err;
    static float big[1 << 18];
    rb_tensor_source large = {"big", RB_DTYPE_F32, 1, {1 << 18}, big};
    rb_tensor_file *file;
    struct rlimit was, small;
    write_sample();
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 1 << 16;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    revbifpn_status status = rb_tensor_file_write(path, &large, 1, NULL, 0, &err);
    setrlimit(RLIMIT_FSIZE, &was);
    expect_error(status, REVBIFPN_IO_FAILED, &err, "cannot write");
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(rb_tensor_file_count(file), SOURCES);
    rb_tensor_file_close(&file);
    char temporary[4300];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    assert_int_equal(access(temporary, F_OK), -1);
}

static int open_folder(void **state) {
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/weights.safetensors", folder);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_file_reads_back),
        cmocka_unit_test(equal_input_gives_equal_bytes_aligned),
        cmocka_unit_test(reading_another_type_is_refused),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_lengths_are_refused),
        cmocka_unit_test(a_header_of_many_values_is_refused),
        cmocka_unit_test(truncation_at_every_byte_is_refused),
        cmocka_unit_test(random_damage_never_crashes),
        cmocka_unit_test(wrong_sources_are_refused),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
    };
    return cmocka_run_group_tests(tests, open_folder, drop_folder) ? 1 : 0;
}
