/* Files written for torch.load: read back with every type and rank, refused, kept when the disk is full. */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/pth.h"
#include "io/tensor_file.h"
#include "io/zip.h"
#include "io/zip_write.h"
#include "pth_check.h"

#define NAME "größe"
#include "sample.h"

static char folder[4096], path[4200];

static const rb_tensor_metadata metadata[] = {
    {"config", "{\"a\":\n1}"}, {"classes", "[\"ü\"]"}, {"empty", ""}};
enum { METADATA = sizeof metadata / sizeof *metadata };

static void written_files_read_back(void **state) {
    (void)state;
    rb_error err;
    rb_tensor_file *file;
    CHECK_OK(rb_pth_write(path, sources, SOURCES, metadata, METADATA, &err), &err);
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(rb_tensor_file_count(file), SOURCES);
    for (int i = 0; i < SOURCES; i++) {
        const rb_tensor_source *s = &sources[i];
        const rb_tensor_info *t = rb_tensor_file_at(file, i);
        unsigned char got[64];
        assert_string_equal(t->name, s->name);
        assert_int_equal(t->offset % 64, 0);
        CHECK_OK(rb_tensor_file_read(file, s->name, s->dtype, s->ndim, s->shape, got, &err), &err);
        if (t->bytes) assert_memory_equal(got, s->data, t->bytes);
    }
    for (int i = 0; i < METADATA; i++)
        assert_string_equal(rb_tensor_file_metadata(file, metadata[i].key), metadata[i].value);
    assert_null(rb_tensor_file_metadata(file, "gone"));
    rb_tensor_file_close(&file);
    size_t a_size, b_size;
    unsigned char *a = slurp(path, &a_size), *b;
    char other[4300];
    snprintf(other, sizeof other, "%s.pt", path);
    CHECK_OK(rb_pth_write(other, sources, SOURCES, metadata, METADATA, &err), &err);
    b = slurp(other, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    rb_free(a);
    rb_free(b);
}

static void wrong_sources_are_refused(void **state) {
    (void)state;
    rb_error err;
    unlink(path);
    rb_tensor_source two[2] = {sources[0], sources[0]}, bad = sources[0];
    expect(rb_pth_write(path, two, 2, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "there twice");
    bad.dtype = RB_DTYPE_U16;
    expect(rb_pth_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "U16 has no storage");
    bad = sources[0], bad.name = "caf\xe9";
    expect(rb_pth_write(path, &bad, 1, NULL, 0, &err), REVBIFPN_BAD_ARGUMENT, &err, "not UTF-8");
    assert_int_equal(access(path, F_OK), -1);
}

/* An entry of 5 GiB and one behind it, in a file that is mostly a hole: found where they are, by our reader
 * and by Python's where there is one. */
static void entries_past_four_gigabytes(void **state) {
    (void)state;
    rb_error err;
    rb_zip zip;
    rb_tensor_file file = {.path = path};
    rb_zip_writer w = {.entries = 0};
    const uint64_t large = (uint64_t)5 << 30;
    char line[5000], name[32];
    CHECK_OK(rb_file_begin(&w.file, path, &err), &err);
    CHECK_OK(rb_zip_add(&w, "a/first", "one", 3, &err), &err);
    CHECK_OK(rb_zip_begin_entry(&w, "a/large", 0, large, &err), &err);
    assert_int_equal(w.at % 64, 0);
    if (fflush(w.file.stream) || ftruncate(fileno(w.file.stream), (off_t)(w.at + large)) ||
        fseeko(w.file.stream, (off_t)large, SEEK_CUR)) {
        rb_zip_abandon(&w);
        printf("SKIPPED: no file of 5 GiB with a hole here\n");
        skip();
    }
    uint64_t at = w.at;
    w.at += large;
    CHECK_OK(rb_zip_add(&w, "a/last", "two", 3, &err), &err);
    for (int i = 0; i < 65536; i++) { /* more than 16 bits count */
        snprintf(name, sizeof name, "a/%d", i);
        CHECK_OK(rb_zip_add(&w, name, "", 0, &err), &err);
    }
    CHECK_OK(rb_zip_end(&w, &err), &err);
    rb_zip_abandon(&w);
    file.fd = open(path, O_RDONLY | O_CLOEXEC);
    file.size = (uint64_t)lseek(file.fd, 0, SEEK_END);
    CHECK_OK(rb_zip_open(&zip, &file, &err), &err);
    assert_int_equal(zip.count, 65536 + 3);
    const rb_zip_entry *big = rb_zip_find(&zip, "a/large"), *last = rb_zip_find(&zip, "a/last");
    char read[3];
    assert_true(big && big->size == large && big->offset == at);
    assert_true(last && last->size == 3 && last->offset > large && last->offset % 64 == 0);
    CHECK_OK(rb_tensor_read_at(&file, last->offset, read, 3, &err), &err);
    assert_memory_equal(read, "two", 3);
    rb_zip_close(&zip);
    close(file.fd);
    snprintf(line, sizeof line,
             "python3 -c \"import zipfile; z = zipfile.ZipFile('%s'); i = z.getinfo('a/large');"
             " assert i.file_size == 5 << 30 and z.read('a/last') == b'two' and len(z.infolist()) == 65539\"",
             path);
    if (!system("python3 -c 'import zipfile' 2> /dev/null")) assert_int_equal(system(line), 0);
    unlink(path);
}

static void a_full_disk_keeps_the_old_file(void **state) {
    (void)state;
    rb_error err;
    static float big[1 << 18];
    rb_tensor_source large = {"big", RB_DTYPE_F32, 1, {1 << 18}, big};
    rb_tensor_file *file;
    struct rlimit was, small;
    CHECK_OK(rb_pth_write(path, sources, SOURCES, NULL, 0, &err), &err);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 1 << 16;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    revbifpn_status status = rb_pth_write(path, &large, 1, NULL, 0, &err);
    setrlimit(RLIMIT_FSIZE, &was);
    expect(status, REVBIFPN_IO_FAILED, &err, "cannot write");
    CHECK_OK(rb_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(rb_tensor_file_count(file), SOURCES);
    rb_tensor_file_close(&file);
}

static void names_tell_the_format(void **state) {
    (void)state;
    assert_true(rb_pth_name("a.pth") && rb_pth_name("b/c.pt") && rb_pth_name("s0.pth.tar"));
    assert_false(rb_pth_name("a.safetensors") || rb_pth_name("pth") || rb_pth_name(".pth") ||
                 rb_pth_name("a.tar"));
}

static int open_folder(void **state) {
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/weights.pth", folder);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_read_back),        cmocka_unit_test(wrong_sources_are_refused),
        cmocka_unit_test(a_full_disk_keeps_the_old_file), cmocka_unit_test(entries_past_four_gigabytes),
        cmocka_unit_test(names_tell_the_format),
    };
    return cmocka_run_group_tests(tests, open_folder, drop_folder) ? 1 : 0;
}
