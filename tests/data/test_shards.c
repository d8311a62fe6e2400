/* Tar archives, shards and their index, shards written from a folder. */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/sample.h"
#include "data/shard.h"
#include "data/shard_write.h"
#include "data/synth.h"
#include "data/tar.h"
#include "root.h"

static unsigned char *bytes_of(const char *path, size_t *size) {
    unsigned char *bytes;
    rb_error err;
    CHECK_OK(rb_file_read(path, 1 << 26, &bytes, size, &err), &err);
    return bytes;
}

static void copy(const char *from, const char *to) {
    size_t size;
    rb_error err;
    unsigned char *bytes = bytes_of(from, &size);
    CHECK_OK(rb_file_replace(to, bytes, size, &err), &err);
    rb_free(bytes);
}

/* Without the waiting for the disk that rb_file_replace does. */
static void write_quickly(const char *path, const unsigned char *bytes, size_t size) {
    FILE *f = fopen(path, "wbe");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) fail_msg("cannot write %s", path);
}

static void put(const char *name, const char *text) {
    rb_error err;
    CHECK_OK(rb_file_replace(inside(name), text, strlen(text), &err), &err);
}

/* ---- what other programs write ---- */

static void check_colour(const rb_sample *sample, int label, int channel) {
    rb_image image;
    rb_error err;
    rb_decode_options options = {.max_pixels = 100};
    assert_int_equal(sample->label, label);
    CHECK_OK(rb_sample_read(sample, &options, &image, NULL, &err), &err);
    for (int c = 0; c < 3; c++) assert_int_equal(image.pixels[c], c == channel ? 200 : 0);
    rb_image_free(&image);
}

/* Python's tarfile in three forms: long names, a folder, a link, other files, labels as .cls and .json. */
static void archives_of_other_programs(void **state) {
    (void)state;
    static const char *const forms[] = {"ustar", "pax", "gnu"};
    for (int i = 0; i < 3; i++) {
        char relative[64];
        rb_dataset d;
        rb_error err;
        rb_dataset_options options = {.purpose = RB_DATASET_ALL};
        snprintf(relative, sizeof relative, "tests/data/shards/%s.tar", forms[i]);
        copy(source_path(relative), inside("x.tar"));
        CHECK_OK(rb_dataset_open(&d, inside("x.tar"), &options, &err), &err);
        assert_int_equal(d.train.count, 3);
        assert_int_equal(d.classes, 3);
        assert_string_equal(d.class_names[2], "2");
        check_colour(&d.train.samples[0], 0, 0); /* a.png, d.PNG, then that with the long name */
        check_colour(&d.train.samples[1], 2, 1);
        check_colour(&d.train.samples[2], 1, 2);
        assert_non_null(strstr(d.train.samples[2].path, i ? "eeee/b.png" : "ddd/eee"));
        rb_dataset_close(&d);
        unlink(inside("x.tar.index"));
    }
}

/* Cut at every byte there is an error of one line, or, cut within the blocks behind the end mark, all is
 * there. */
static void a_shard_cut_anywhere(void **state) {
    (void)state;
    size_t size;
    rb_error err;
    unsigned char *bytes = bytes_of(source_path("tests/data/shards/pax.tar"), &size);
    size_t end = size;
    while (end && !bytes[end - 1]) end--;
    size_t content_end = (end + RB_TAR_BLOCK - 1) / RB_TAR_BLOCK * RB_TAR_BLOCK;
    int whole = 0;
    for (size_t n = 0; n < size; n += n < content_end + RB_TAR_BLOCK ? 1 : 997) {
        rb_shard_index index = {0};
        write_quickly(inside("cut.tar"), bytes, n);
        err.text[0] = 0;
        revbifpn_status status = rb_shard_index_make(&index, inside("cut.tar"), &err);
        if ((status == REVBIFPN_OK) != (n >= content_end + RB_TAR_BLOCK))
            fail_msg("cut at %zu of %zu: %d, %s", n, size, (int)status, err.text);
        if (status) assert_true(status == REVBIFPN_BAD_FILE && err.text[0] && !strchr(err.text, '\n'));
        whole += status == REVBIFPN_OK;
        rb_shard_index_close(&index);
    }
    assert_true(whole > 0);
    rb_free(bytes);
}

/* Each byte of the headers changed: nothing is read past the archive, and what is found lies within it. */
static void a_shard_with_a_wrong_byte(void **state) {
    (void)state;
    size_t size;
    rb_error err;
    unsigned char *bytes = bytes_of(source_path("tests/data/shards/gnu.tar"), &size);
    int refused = 0;
    for (size_t i = 0; i < 1000; i++) {
        size_t at = i * 7919 % size;
        unsigned char keep = bytes[at];
        rb_shard_index index = {0};
        bytes[at] = (unsigned char)(keep ^ (1 << i % 8));
        write_quickly(inside("wrong.tar"), bytes, size);
        if (rb_shard_index_make(&index, inside("wrong.tar"), &err))
            refused++;
        else
            assert_true(rb_shard_index_check(&index)); /* its offsets, too */
        rb_shard_index_close(&index);
        bytes[at] = keep;
    }
    assert_true(refused > 50);
    rb_free(bytes);
}

static void refused_shard(const char *name, const char *text) {
    rb_shard_index index;
    rb_error err = {0};
    assert_int_equal(rb_shard_index_make(&index, inside(name), &err), REVBIFPN_BAD_FILE);
    if (!strstr(err.text, text) || !strstr(err.text, name)) fail_msg("'%s' is not in '%s'", text, err.text);
}

static void write_tar(const char *name, const char *const *members, int count) {
    rb_error err;
    rb_file_writer w;
    static const uint8_t zeros[2 * RB_TAR_BLOCK];
    CHECK_OK(rb_file_begin(&w, inside(name), &err), &err);
    for (int i = 0; i < count; i++) {
        uint8_t block[RB_TAR_BLOCK];
        size_t size = strlen(members[2 * i + 1]);
        rb_tar_header(members[2 * i], size, block);
        CHECK_OK(rb_file_write(&w, block, sizeof block, &err), &err);
        CHECK_OK(rb_file_write(&w, members[2 * i + 1], size, &err), &err);
        CHECK_OK(rb_file_write(&w, zeros, (RB_TAR_BLOCK - size % RB_TAR_BLOCK) % RB_TAR_BLOCK, &err), &err);
    }
    CHECK_OK(rb_file_write(&w, zeros, sizeof zeros, &err), &err);
    CHECK_OK(rb_file_commit(&w, &err), &err);
}

static void unusable_shards_are_refused(void **state) {
    (void)state;
    write_tar("nolabel.tar", (const char *[]){"a.jpg", "x", "b.cls", "1"}, 2);
    refused_shard("nolabel.tar", "a.jpg: no label");
    write_tar("empty.tar", (const char *[]){"a.jpg", "x", "a.cls", " \n"}, 2);
    refused_shard("empty.tar", "not the text of a label");
    write_tar("control.tar", (const char *[]){"a\n.jpg", "x", "a\n.cls", "1"}, 2);
    refused_shard("control.tar", "control character");
    write_tar("json.tar", (const char *[]){"a.json", "{\"label\": [1]}", "a.jpg", "x"}, 2);
    refused_shard("json.tar", "no label");
    put("text.tar", "not a tar archive at all");
    refused_shard("text.tar", "cut off");
    assert_int_equal(mkfifo(inside("pipe.tar"), 0600), 0);
    refused_shard("pipe.tar", "not a regular file");
}

/* ---- the index ---- */

static void the_index_is_kept_and_made_anew(void **state) {
    (void)state;
    rb_shard_index first, again;
    rb_error err;
    size_t size;
    copy(source_path("tests/data/shards/pax.tar"), inside("x.tar"));
    CHECK_OK(rb_shard_index_open(&first, inside("x.tar"), &err), &err);
    unsigned char *kept = bytes_of(inside("x.tar.index"), &size);
    assert_int_equal(size, first.size);
    assert_memory_equal(kept, first.bytes, size);
    assert_int_equal(first.count, 3);
    /* damaged or cut at each byte it is refused … */
    rb_shard_index view = {.bytes = kept, .size = size};
    assert_true(rb_shard_index_check(&view));
    for (size_t at = 0; at < size; at++) {
        kept[at] ^= 0x10;
        if (rb_shard_index_check(&view)) fail_msg("byte %zu was changed and is believed", at);
        kept[at] ^= 0x10;
        view.size = at;
        if (rb_shard_index_check(&view)) fail_msg("cut at byte %zu and believed", at);
        view.size = size;
    }
    for (size_t at = 0; at < size; at += 97) { /* … and made anew */
        kept[at] ^= 0x10;
        write_quickly(inside("x.tar.index"), kept, at % 2 ? size : at);
        kept[at] ^= 0x10;
        CHECK_OK(rb_shard_index_open(&again, inside("x.tar"), &err), &err);
        assert_int_equal(again.size, size);
        assert_memory_equal(again.bytes, first.bytes, size);
        rb_shard_index_close(&again);
    }
    /* another shard of the same size: its time tells */
    copy(source_path("tests/data/shards/pax.tar"), inside("x.tar"));
    CHECK_OK(rb_shard_index_open(&again, inside("x.tar"), &err), &err);
    assert_memory_not_equal(again.bytes, first.bytes, 40);
    rb_shard_index_close(&again);
    rb_shard_index_close(&first);
    rb_free(kept);
}

/* The index is believed as long as size and time are those of the shard: the shard is not walked again. */
static void a_kept_index_saves_the_walk(void **state) {
    (void)state;
    rb_shard_index index;
    rb_error err;
    struct stat info;
    copy(source_path("tests/data/shards/pax.tar"), inside("x.tar"));
    assert_int_equal(stat(inside("x.tar"), &info), 0);
    CHECK_OK(rb_shard_index_open(&index, inside("x.tar"), &err), &err);
    rb_shard_index_close(&index);
    int fd = open(inside("x.tar"), O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, "spoilt", 6, 0) == 6);
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    CHECK_OK(rb_shard_index_open(&index, inside("x.tar"), &err), &err);
    rb_shard_index_close(&index);
    assert_int_equal(utimensat(AT_FDCWD, inside("x.tar"), NULL, 0), 0);
    assert_int_equal(rb_shard_index_open(&index, inside("x.tar"), &err), REVBIFPN_BAD_FILE);
}

/* ---- written from a folder ---- */

static void make_set(const char *name) {
    rb_error err;
    rb_synth_options synth = {.images_train = 40, .images_val = 11, .classes = 3, .side = 32, .seed = 1};
    CHECK_OK(rb_synth_classify(inside(name), &synth, NULL, NULL, &err), &err);
}

static rb_shard_report write_shards(const char *from, const char *to, const rb_shard_options *options) {
    rb_dataset d;
    rb_error err;
    rb_shard_report report;
    rb_dataset_options all = {.purpose = RB_DATASET_ALL};
    CHECK_OK(rb_dataset_open(&d, inside(from), &all, &err), &err);
    CHECK_OK(rb_shards_write(&d, inside(to), options, &report, &err), &err);
    rb_dataset_close(&d);
    return report;
}

static void assert_same_split(const rb_split *a, const rb_split *b) {
    rb_error err;
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        unsigned char *x, *y;
        size_t size_x, size_y;
        CHECK_OK(rb_sample_bytes(&a->samples[i], &x, &size_x, &err), &err);
        CHECK_OK(rb_sample_bytes(&b->samples[i], &y, &size_y, &err), &err);
        assert_int_equal(a->samples[i].label, b->samples[i].label);
        assert_int_equal(size_x, size_y);
        assert_memory_equal(x, y, size_x);
        rb_free(x);
        rb_free(y);
    }
}

static void assert_same_data(const char *a, const char *b, const rb_dataset_options *options) {
    rb_dataset p, q;
    rb_error err;
    CHECK_OK(rb_dataset_open(&p, inside(a), options, &err), &err);
    CHECK_OK(rb_dataset_open(&q, inside(b), options, &err), &err);
    assert_int_equal(p.classes, q.classes);
    for (int i = 0; i < p.classes; i++) assert_string_equal(p.class_names[i], q.class_names[i]);
    assert_same_split(&p.train, &q.train);
    assert_same_split(&p.val, &q.val);
    rb_dataset_close(&p);
    rb_dataset_close(&q);
}

static void shards_hold_the_folder_in_its_order(void **state) {
    (void)state;
    static const rb_dataset_options train = {.purpose = RB_DATASET_TRAIN}, all = {.purpose = RB_DATASET_ALL};
    make_set("set");
    rb_shard_report report = write_shards("set", "four", &(rb_shard_options){.shards = 4, .seed = 7});
    assert_true(report.shards == 4 + 2 && report.pictures == 51);
    assert_same_data("set", "four", &train);
    assert_same_data("set", "four", &train); /* from the indexes */
    report = write_shards("set", "sized", &(rb_shard_options){.shard_bytes = 20000, .seed = 7});
    assert_true(report.shards > 4);
    assert_same_data("set", "sized", &train);
    for (int i = 0; i < report.shards; i++) {
        struct stat info;
        char name[64];
        snprintf(name, sizeof name, "sized/train/shard-%06d.tar", i);
        if (!stat(inside(name), &info)) assert_true(info.st_size <= 20000);
    }
    write_shards("set/train", "single", &(rb_shard_options){.shards = 3});
    assert_same_data("set/train", "single", &all);
    assert_same_data("set/train", "single/shard-{000000..000002}.tar", &all);
    rb_dataset_options held_out = {.purpose = RB_DATASET_TRAIN, .val_fraction = 0.25, .seed = 3};
    assert_same_data("set/train", "single", &held_out);
}

static void equal_options_give_equal_shards(void **state) {
    (void)state;
    static const char *const names[] = {"train/shard-000000.tar", "train/shard-000002.tar",
                                        "val/shard-000000.tar", "classes.txt"};
    make_set("set");
    write_shards("set", "a", &(rb_shard_options){.shards = 3, .seed = 7});
    write_shards("set", "b", &(rb_shard_options){.shards = 3, .seed = 7});
    write_shards("set", "c", &(rb_shard_options){.shards = 3, .seed = 8});
    for (int i = 0; i < 4; i++) {
        char a[64], b[64], c[64];
        size_t size_a, size_b, size_c;
        snprintf(a, sizeof a, "a/%s", names[i]);
        snprintf(b, sizeof b, "b/%s", names[i]);
        snprintf(c, sizeof c, "c/%s", names[i]);
        unsigned char *p = bytes_of(inside(a), &size_a), *q = bytes_of(inside(b), &size_b),
                      *other = bytes_of(inside(c), &size_c);
        assert_int_equal(size_a, size_b);
        assert_memory_equal(p, q, size_a);
        if (i < 3) assert_false(size_a == size_c && !memcmp(p, other, size_a));
        rb_free(p);
        rb_free(q);
        rb_free(other);
    }
    rb_dataset d;
    rb_error err;
    rb_shard_report report;
    rb_dataset_options all = {.purpose = RB_DATASET_ALL};
    rb_shard_options options = {.shards = 3};
    CHECK_OK(rb_dataset_open(&d, inside("set"), &all, &err), &err);
    assert_int_equal(rb_shards_write(&d, inside("a"), &options, &report, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "not empty"));
    options.shards = 41;
    assert_int_equal(rb_shards_write(&d, inside("e"), &options, &report, &err), REVBIFPN_BAD_ARGUMENT);
    rb_dataset_close(&d);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(archives_of_other_programs),          WITH_FOLDER(a_shard_cut_anywhere),
        WITH_FOLDER(a_shard_with_a_wrong_byte),           WITH_FOLDER(unusable_shards_are_refused),
        WITH_FOLDER(the_index_is_kept_and_made_anew),     WITH_FOLDER(a_kept_index_saves_the_walk),
        WITH_FOLDER(shards_hold_the_folder_in_its_order), WITH_FOLDER(equal_options_give_equal_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
