/* Lists, CIFAR-10, classes of each kind of source, and validation pictures that lie elsewhere. */
#include "check.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/sample.h"
#include "data/synth.h"
#include "root.h"

static void put(const char *name, const void *bytes, size_t size) {
    rb_error err;
    CHECK_OK(rb_file_replace(inside(name), bytes, size, &err), &err);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static void opened(rb_dataset *d, const char *name, const rb_dataset_options *options) {
    rb_error err;
    CHECK_OK(rb_dataset_open(d, inside(name), options, &err), &err);
}

static void refused(const char *name, const rb_dataset_options *options, const char *text) {
    rb_dataset d;
    rb_error err = {0};
    assert_int_not_equal(rb_dataset_open(&d, inside(name), options, &err), REVBIFPN_OK);
    if (!strstr(err.text, text) || strchr(err.text, '\n')) fail_msg("'%s' is not in '%s'", text, err.text);
    assert_null(d.class_names);
}

static void check_sample(const rb_split *split, int i, const char *path, int label) {
    assert_true(i < split->count);
    assert_string_equal(split->samples[i].path, *path == '/' ? path : inside(path));
    assert_int_equal(split->samples[i].label, label);
}

static const rb_dataset_options all = {.purpose = RB_DATASET_ALL}, train = {.purpose = RB_DATASET_TRAIN},
                                evaluate = {.purpose = RB_DATASET_EVALUATE};

static void a_list_of_names(void **state) {
    (void)state;
    rb_dataset d;
    put_text("l.txt", "b 2.jpg\tdog 10\r\n\na.jpg dog\n/abs/x.png  cat  \n  deep/er.gif cat 2\nlast.jpg cat");
    opened(&d, "l.txt", &all);
    assert_int_equal(d.classes, 4); /* cat, dog, dog 10, and "2", the label of the line without a tab */
    assert_string_equal(d.class_names[0], "2");
    assert_string_equal(d.class_names[3], "dog 10");
    assert_int_equal(d.train.count, 5);
    check_sample(&d.train, 0, "b 2.jpg", 3); /* in the order of the list */
    check_sample(&d.train, 1, "a.jpg", 2);
    check_sample(&d.train, 2, "/abs/x.png", 1);
    check_sample(&d.train, 3, "deep/er.gif cat", 0);
    check_sample(&d.train, 4, "last.jpg", 1);
    assert_int_equal(d.train.per_class[1], 2);
    rb_dataset_close(&d);
}

static void a_list_of_numbers(void **state) {
    (void)state;
    rb_dataset d;
    put_text("train.txt", "a.jpg 10\nb.jpg 2\n");
    put_text("val.txt", "c.jpg 3\n");
    opened(&d, ".", &train);
    assert_int_equal(d.classes, 11); /* 0 … 10 */
    assert_string_equal(d.class_names[10], "10");
    assert_true(d.train.samples[0].label == 10 && d.val.samples[0].label == 3);
    rb_dataset_close(&d);
    /* places in the class list of weights, whatever the classes are called */
    rb_dataset_options weights = evaluate;
    weights.class_names = (const char *[]){"x", "y", "3", "z"};
    weights.classes = 4;
    opened(&d, ".", &weights);
    assert_int_equal(d.val.samples[0].label, 3);
    rb_dataset_close(&d);
    weights.classes = 3;
    refused(".", &weights, "/val.txt: the class '3' is not in the class list of the weights");
    /* a class list gives the names; numbers are places in it, never names */
    put_text("classes.txt", "5\n4\n3\n2\n1\n0\nx\ny\nz\n\xc3\xa9 f\nlast\n");
    opened(&d, ".", &train);
    assert_int_equal(d.classes, 11);
    assert_string_equal(d.class_names[9], "\xc3\xa9 f");
    assert_true(d.train.samples[1].label == 2 && d.val.samples[0].label == 3);
    rb_dataset_close(&d);
    put_text("val.txt", "c.jpg z\nd.jpg 11\n");
    refused(".", &train, "/val.txt: the label '11' is not in its class list");
    put_text("classes.txt", "a\nb\na\n");
    refused(".", &train, "the class 'a' is there twice");
}

static void wrong_lists_are_refused(void **state) {
    (void)state;
    put_text("l", "a.jpg 1\nb.jpg\n");
    refused("l", &all, "/l: line 2: no label after the path");
    put("l", "a.jpg 1\nb\0.jpg 2\n", 17);
    refused("l", &all, "/l: line 2: a zero byte");
    put_text("l", "\n\n");
    refused("l", &all, "/l: no pictures in it");
    char line[6000];
    memset(line, 'x', sizeof line);
    memcpy(line + 5990, " 1\n", 4);
    put("l", line, 5993);
    refused("l", &all, "/l: line 1: longer than 4096 bytes");
    put_text("l", "a.jpg 0\n");
    refused("l", &train, "only one class ('0')");
}

static void lists_cut_anywhere(void **state) {
    (void)state;
    static const char text[] = "a/1.jpg cat\nb 2.png\tdog 1\n/x/3.gif 7\n\nlast.bmp cat\n";
    for (size_t n = 0; n <= sizeof text - 1; n++) {
        rb_dataset d;
        rb_error err = {0};
        put("l", text, n);
        if (rb_dataset_open(&d, inside("l"), &all, &err))
            assert_true(err.text[0] && !strchr(err.text, '\n'));
        else
            assert_true(d.train.count >= 1 && d.train.count <= 4 && d.classes >= 1);
        rb_dataset_close(&d);
    }
}

/* ---- CIFAR-10 ---- */

enum { RECORD = 3073 };

static void put_cifar(const char *name, int count, int first_label) {
    unsigned char *bytes = calloc((size_t)count, RECORD);
    for (int i = 0; i < count; i++) {
        unsigned char *r = bytes + (size_t)i * RECORD;
        r[0] = (unsigned char)((first_label + i) % 10);
        for (int p = 0; p < RECORD - 1; p++) r[1 + p] = (unsigned char)(p / 1024 * 80 + p % 1024 / 32 + i);
    }
    put(name, bytes, (size_t)count * RECORD);
    free(bytes);
}

static void cifar_files(void **state) {
    (void)state;
    rb_dataset d;
    rb_image image;
    rb_error err;
    rb_decode_options options = {.max_pixels = 4096};
    put_cifar("data_batch_1.bin", 12, 0);
    put_cifar("data_batch_3.bin", 2, 9);
    put_cifar("test_batch.bin", 3, 4);
    opened(&d, ".", &train);
    assert_int_equal(d.classes, 10);
    assert_string_equal(d.class_names[9], "truck");
    assert_true(d.train.count == 14 && d.val.count == 3);
    assert_true(d.train.samples[12].label == 9 && d.train.samples[13].label == 0);
    assert_int_equal(d.val.samples[2].label, 6);
    CHECK_OK(rb_sample_read(&d.val.samples[2], &options, &image, NULL, &err), &err);
    assert_true(image.width == 32 && image.height == 32);
    for (int y = 0; y < 32; y++)
        for (int c = 0; c < 3; c++) assert_int_equal(image.pixels[(y * 32 + 7) * 3 + c], c * 80 + y + 2);
    rb_image_free(&image);
    options.max_pixels = 1023;
    assert_int_equal(rb_sample_read(&d.val.samples[2], &options, &image, NULL, &err), REVBIFPN_BAD_FILE);
    options.max_pixels = 1024;
    put_cifar("test_batch.bin", 2, 4); /* shorter than when it was opened */
    assert_int_equal(rb_sample_read(&d.val.samples[2], &options, &image, NULL, &err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(err.text, "test_batch.bin"));
    rb_dataset_close(&d);
    put("test_batch.bin", "x", 1);
    refused(".", &train, "test_batch.bin: 1 bytes are no whole number of records");
    unsigned char record[RECORD] = {10};
    put("test_batch.bin", record, RECORD);
    refused(".", &train, "picture 0 has the label 10");
}

/* ---- pictures of val that lie elsewhere ---- */

static void two_places(void **state) {
    (void)state;
    rb_error err;
    rb_dataset d, same;
    char val[8192];
    rb_synth_options synth = {.images_train = 12, .images_val = 6, .classes = 3, .side = 16, .seed = 1};
    CHECK_OK(rb_synth_classify(inside("set"), &synth, NULL, NULL, &err), &err);
    opened(&same, "set", &train);
    snprintf(val, sizeof val, "%s/set/val", root);
    rb_dataset_options two = train;
    two.val_root = val;
    opened(&d, "set/train", &two);
    assert_true(d.train.count == same.train.count && d.val.count == same.val.count);
    for (int i = 0; i < d.val.count; i++) {
        assert_string_equal(d.val.samples[i].path, same.val.samples[i].path);
        assert_int_equal(d.val.samples[i].label, same.val.samples[i].label);
    }
    rb_dataset_close(&d);
    rb_dataset_close(&same);
    put_text("one.txt", "a.jpg 1\nb.jpg 0\n");
    refused("one.txt", &train, "nothing to validate on; give --val-data, or --val-fraction");
    two.val_root = inside("nowhere");
    refused("one.txt", &two, "/nowhere: cannot read the folder");
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_list_of_names),    WITH_FOLDER(a_list_of_numbers), WITH_FOLDER(wrong_lists_are_refused),
        WITH_FOLDER(lists_cut_anywhere), WITH_FOLDER(cifar_files),       WITH_FOLDER(two_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
