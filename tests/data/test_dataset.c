/* Image folders: natural order, layouts, the split, and what is refused. */
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/dataset.h"

static char root[4096];

static int make_root(void **state) {
    (void)state;
    make_folder(root);
    return 0;
}

static int remove_root(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

/* An empty file (the reader goes by names) with its folders. */
static void put(const char *relative) {
    char path[8192];
    rb_error err;
    snprintf(path, sizeof path, "%s/%s", root, relative);
    char *slash = strrchr(path, '/');
    *slash = 0;
    CHECK_OK(rb_folder_make(path, &err), &err);
    *slash = '/';
    if (slash[1]) CHECK_OK(rb_file_replace(path, "", 0, &err), &err);
}

static void natural_order(void **state) {
    (void)state;
    static const char *const ordered[] = {"",
                                          "1",
                                          "01x",
                                          "2",
                                          "10",
                                          "a",
                                          "A1",
                                          "a2",
                                          "a02b",
                                          "a10",
                                          "a10b",
                                          "ab",
                                          "B",
                                          "img9.png",
                                          "IMG10.png",
                                          "img99999999999999999999.png",
                                          "img100000000000000000000.png",
                                          "n01440764",
                                          "n01443537",
                                          "\xc3\xa9"};
    enum { COUNT = sizeof ordered / sizeof *ordered };
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++) {
            int order = rb_natural_compare(ordered[i], ordered[j]);
            if ((order > 0) - (order < 0) != (i > j) - (i < j))
                fail_msg("'%s' against '%s': %d", ordered[i], ordered[j], order);
        }
    assert_true(rb_natural_compare("A", "a") < 0 && rb_natural_compare("a", "A") > 0); /* bytes decide */
    assert_true(rb_natural_compare("a01", "a1") < 0 && rb_natural_compare("a1", "a1") == 0);
}

static void check_path(const rb_sample *sample, const char *relative, int label) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", root, relative);
    assert_string_equal(sample->path, path);
    assert_int_equal(sample->label, label);
}

static void two_folders(void **state) {
    (void)state;
    static const char *const files[] = {
        "train/b10/2.PNG",   "train/b10/10.jpeg",      "train/b9/x.webp",     "train/b9/.hidden.jpg",
        "train/b9/note.txt", "train/b9/deep/er/1.gif", "train/b9/jpg",        "train/.git/a.jpg",
        "train/stray.jpg",   "val/b10/v.bmp",          "val/b9/w 1\xff\n.JPG"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) put(files[i]);
    rb_dataset d;
    rb_error err;
    rb_dataset_options options = {.purpose = RB_DATASET_TRAIN};
    CHECK_OK(rb_dataset_open(&d, root, &options, &err), &err);
    assert_int_equal(d.classes, 2);
    assert_string_equal(d.class_names[0], "b9");
    assert_string_equal(d.class_names[1], "b10");
    assert_int_equal(d.train.count, 4);
    check_path(&d.train.samples[0], "train/b9/deep/er/1.gif", 0);
    check_path(&d.train.samples[1], "train/b9/x.webp", 0);
    check_path(&d.train.samples[2], "train/b10/2.PNG", 1);
    check_path(&d.train.samples[3], "train/b10/10.jpeg", 1);
    assert_true(d.train.per_class[0] == 2 && d.train.per_class[1] == 2);
    assert_int_equal(d.val.count, 2);
    check_path(&d.val.samples[0], "val/b9/w 1\xff\n.JPG", 0);
    rb_dataset_close(&d);
    /* saved weights bring their own order; one of their classes has no pictures here */
    options = (rb_dataset_options){
        .purpose = RB_DATASET_EVALUATE, .class_names = (const char *[]){"b10", "z", "b9"}, .classes = 3};
    CHECK_OK(rb_dataset_open(&d, root, &options, &err), &err);
    assert_int_equal(d.train.count, 0);
    check_path(&d.val.samples[0], "val/b9/w 1\xff\n.JPG", 2);
    assert_true(d.val.per_class[0] == 1 && d.val.per_class[1] == 0 && d.val.per_class[2] == 1);
    rb_dataset_close(&d);
    options.classes = 2;
    assert_int_equal(rb_dataset_open(&d, root, &options, &err), REVBIFPN_BAD_DATA);
    assert_non_null(strstr(err.text, "/val: the class 'b9' is not in the class list of the weights"));
    rb_split found;
    CHECK_OK(rb_split_find(&found, root, &err), &err);
    assert_int_equal(found.count, 7);
    rb_split_close(&found);
}

static void put_many(const char *class_name, int count) {
    for (int i = 0; i < count; i++) {
        char relative[256];
        snprintf(relative, sizeof relative, "%s/%d.jpg", class_name, i);
        put(relative);
    }
}

/* Train and val of one seed; checks that they are disjoint, ordered and complete. */
static void split_with(double fraction, uint64_t seed, rb_dataset *d) {
    rb_error err;
    rb_dataset_options options = {.purpose = RB_DATASET_TRAIN, .val_fraction = fraction, .seed = seed};
    CHECK_OK(rb_dataset_open(d, root, &options, &err), &err);
    assert_int_equal(d->train.count + d->val.count, 40 + 7 + 2 + 1);
    for (int s = 0; s < 2; s++) {
        rb_split *split = s ? &d->val : &d->train;
        for (int i = 1; i < split->count; i++)
            assert_true(rb_natural_compare(split->samples[i - 1].path, split->samples[i].path) < 0);
    }
    for (int i = 0; i < d->train.count; i++)
        for (int j = 0; j < d->val.count; j++)
            assert_string_not_equal(d->train.samples[i].path, d->val.samples[j].path);
}

static void single_folder_is_split(void **state) {
    (void)state;
    put_many("a", 40), put_many("b", 7), put_many("c", 2), put_many("d", 1);
    rb_dataset one, same, other;
    split_with(0.25, 3, &one);
    assert_true(one.val.per_class[0] == 10 && one.val.per_class[1] == 2 && one.val.per_class[2] == 1);
    assert_true(one.val.per_class[3] == 0 && one.train.per_class[3] == 1);
    split_with(0.25, 3, &same);
    split_with(0.25, 4, &other);
    int moved = 0;
    for (int i = 0; i < one.val.count; i++) {
        assert_string_equal(one.val.samples[i].path, same.val.samples[i].path);
        moved += strcmp(one.val.samples[i].path, other.val.samples[i].path) != 0;
    }
    assert_true(moved > 0);
    rb_dataset_close(&same);
    rb_dataset_close(&other);
    rb_error err;
    rb_dataset_options options = {.purpose = RB_DATASET_EVALUATE, .val_fraction = 0.25, .seed = 3};
    CHECK_OK(rb_dataset_open(&same, root, &options, &err), &err); /* evaluation sees the same held out part */
    assert_int_equal(same.val.count, one.val.count);
    assert_int_equal(same.train.count, 0);
    for (int i = 0; i < one.val.count; i++)
        assert_string_equal(one.val.samples[i].path, same.val.samples[i].path);
    rb_dataset_close(&same);
    options.val_fraction = 0;
    CHECK_OK(rb_dataset_open(&same, root, &options, &err), &err); /* or all of it */
    assert_int_equal(same.val.count, 50);
    rb_dataset_close(&same);
    rb_dataset_close(&one);
    split_with(0.999, 3, &one); /* something stays on either side */
    assert_true(one.train.per_class[0] == 1 && one.train.per_class[1] == 1 && one.val.per_class[2] == 1);
    rb_dataset_close(&one);
}

static void refused(rb_dataset_purpose purpose, double fraction, revbifpn_status want, const char *text) {
    rb_dataset d;
    rb_error err = {0};
    rb_dataset_options options = {.purpose = purpose, .val_fraction = fraction};
    assert_int_equal(rb_dataset_open(&d, root, &options, &err), want);
    if (!strstr(err.text, text)) fail_msg("'%s' is not in '%s'", text, err.text);
    assert_null(strchr(err.text, '\n'));
    assert_null(d.class_names);
}

static void unusable_folders_are_refused(void **state) {
    (void)state;
    char keep[4096];
    refused(RB_DATASET_TRAIN, 0.1, REVBIFPN_BAD_DATA, "no class folders in it");
    refused(RB_DATASET_TRAIN, 1, REVBIFPN_BAD_ARGUMENT, "--val-fraction 1");
    refused(RB_DATASET_TRAIN, -0.1, REVBIFPN_BAD_ARGUMENT, "--val-fraction");
    put("val/a/1.jpg");
    refused(RB_DATASET_TRAIN, 0.1, REVBIFPN_BAD_DATA, "no folder 'train'");
    put("train/a/1.jpg");
    refused(RB_DATASET_TRAIN, 0, REVBIFPN_BAD_DATA, "/train: only one class ('a')");
    put("train/b/");
    refused(RB_DATASET_TRAIN, 0, REVBIFPN_BAD_DATA, "/train/b: no pictures in this class folder");
    put("train/b/1.jpg");
    put("val/c/1.jpg");
    refused(RB_DATASET_TRAIN, 0, REVBIFPN_BAD_DATA, "/val: the class 'c' is not in ");
    refused(RB_DATASET_EVALUATE, 0, REVBIFPN_BAD_DATA, "/val: the class 'c' is not in ");
    snprintf(keep, sizeof keep, "%s", root);
    snprintf(root + strlen(root), 20, "/nowhere");
    refused(RB_DATASET_TRAIN, 0, REVBIFPN_BAD_DATA, "/nowhere: there is no such folder");
    snprintf(root, sizeof root, "%s", keep);
}

static void missing_val_is_refused(void **state) {
    (void)state;
    put("train/a/1.jpg"), put("train/b/1.jpg");
    refused(RB_DATASET_TRAIN, 0, REVBIFPN_BAD_DATA, "no folder 'val'; give one, or --val-fraction");
    refused(RB_DATASET_EVALUATE, 0, REVBIFPN_BAD_DATA, "no folder 'val'; give one, or --val-fraction");
    refused(RB_DATASET_TRAIN, 0.5, REVBIFPN_BAD_DATA, "every class has one picture");
    put("val/");
    refused(RB_DATASET_TRAIN, 0, REVBIFPN_BAD_DATA, "/val: no pictures in it");
}

static void links_that_loop_end(void **state) {
    (void)state;
    put("train/a/1.jpg"), put("train/b/x/1.jpg"), put("val/a/1.jpg");
    char target[8192], link[8192];
    snprintf(target, sizeof target, "%s/train/b", root);
    snprintf(link, sizeof link, "%s/train/b/x/loop", root);
    assert_int_equal(symlink(target, link), 0);
    rb_dataset d;
    rb_error err;
    rb_dataset_options options = {.purpose = RB_DATASET_TRAIN};
    CHECK_OK(rb_dataset_open(&d, root, &options, &err), &err);
    assert_int_equal(d.train.count, 2);
    rb_dataset_close(&d);
    rb_dataset_close(&d);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(natural_order),     WITH_FOLDER(two_folders),
        WITH_FOLDER(single_folder_is_split), WITH_FOLDER(unusable_folders_are_refused),
        WITH_FOLDER(missing_val_is_refused), WITH_FOLDER(links_that_loop_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
