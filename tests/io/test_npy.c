/* NumPy's array files: header and values by hand, and read by NumPy where REVBIFPN_PYTHON names a Python with
 * it. */
#include "check.h"

#include "io/npy.h"

static char root[4096];

static int prepare(void **state) {
    (void)state;
    make_folder(root);
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static const float values[24] = {1.5f, -2, 3e-30f, 1e30f, 5, 6, 7, 8, 9, 10, 11, 12, 13};

static void write_array(char path[4200], const char *name, const int *shape, int dims) {
    rb_error err;
    snprintf(path, 4200, "%s/%s.npy", root, name);
    CHECK_OK(rb_npy_write(path, values, shape, dims, &err), &err);
}

/* Format 1.0: magic, version, a little-endian length of 16 bits, the dictionary, blanks, a line end at a
 * multiple of 64. */
static void check_file(const char *path, const char *dictionary, size_t count) {
    unsigned char bytes[1024];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00", 8);
    size_t header = 10 + bytes[8] + 256u * bytes[9];
    assert_int_equal(header % 64, 0);
    assert_int_equal(size, header + count * 4);
    assert_int_equal(bytes[header - 1], '\n');
    assert_memory_equal(bytes + 10, dictionary, strlen(dictionary));
    for (size_t i = 10 + strlen(dictionary); i < header - 1; i++) assert_int_equal(bytes[i], ' ');
    assert_memory_equal(bytes + header, values, count * 4);
}

static void files_are_as_the_format_says(void **state) {
    (void)state;
    char path[4200];
    write_array(path, "three", (const int[]){2, 3, 4}, 3);
    check_file(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4,), }", 24);
    write_array(path, "one", (const int[]){13}, 1);
    check_file(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (13,), }", 13);
    write_array(path, "eight", (const int[]){1, 1, 1, 1, 1, 1, 1, 24}, 8);
    check_file(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 24,), }", 24);
    rb_error err;
    assert_int_equal(rb_npy_write("/nowhere/a.npy", values, (const int[]){1}, 1, &err), REVBIFPN_IO_FAILED);
    assert_non_null(strstr(err.text, "/nowhere/a.npy"));
}

static void numpy_reads_them(void **state) {
    (void)state;
    char line[13000], path[4200];
    const char *python = getenv("REVBIFPN_PYTHON");
    snprintf(line, sizeof line, "'%s' -c 'import numpy' 2> /dev/null", python ? python : "");
    if (!python || system(line)) {
        printf("no Python with numpy: name one by REVBIFPN_PYTHON\n");
        skip();
    }
    write_array(path, "three", (const int[]){2, 3, 4}, 3);
    snprintf(line, sizeof line,
             "'%s' -c \"import numpy as n; a = n.load('%s'); assert a.shape == (2, 3, 4) and a.dtype == "
             "n.float32; assert a[0, 0, 1] == -2 and a[1, 0, 0] == 13 and a[0, 0, 3] == n.float32(1e30)\"",
             python, path);
    assert_int_equal(system(line), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_as_the_format_says),
        cmocka_unit_test(numpy_reads_them),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
