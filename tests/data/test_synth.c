/* The rendered picture set: same options, same bytes; counts; what it refuses. And the drawing under it. */
#include "check.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/synth.h"
#include "image/draw.h"

static const rb_synth_options small = {
    .images_train = 25, .images_val = 13, .classes = 6, .side = 32, .seed = 5};

static int files_in(const char *root, const char *split, int class_index) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s/%s", root, split, rb_synth_class_name(class_index));
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        assert_int_equal(strlen(entry->d_name), 8);
        count++;
    }
    closedir(dir);
    return count;
}

static unsigned char *slurp(const char *root, const char *file, size_t *size) {
    char path[8192];
    rb_error err;
    unsigned char *bytes;
    snprintf(path, sizeof path, "%s/%s", root, file);
    CHECK_OK(rb_file_read(path, 1 << 20, &bytes, size, &err), &err);
    return bytes;
}

static bool same_file(const char *a, const char *file_a, const char *b, const char *file_b) {
    size_t n, m;
    unsigned char *x = slurp(a, file_a, &n), *y = slurp(b, file_b, &m);
    bool same = n == m && !memcmp(x, y, n);
    rb_free(x);
    rb_free(y);
    return same;
}

static int count_calls(void *arg, int done, int total) {
    int *calls = arg;
    assert_int_equal(done, ++*calls);
    assert_int_equal(total, small.images_train + small.images_val);
    return 0;
}

static void equal_options_give_equal_files(void **state) {
    (void)state;
    rb_error err;
    char a[4096], b[4096], one[5000], two[5000];
    int calls = 0;
    make_folder(a), make_folder(b);
    snprintf(one, sizeof one, "%s/new/set", a);
    snprintf(two, sizeof two, "%s", b);
    rb_synth_options more = small;
    more.images_train = 31; /* a longer set begins with the shorter one, and validates on the same pictures */
    CHECK_OK(rb_synth_classify(one, &small, count_calls, &calls, &err), &err);
    CHECK_OK(rb_synth_classify(two, &more, NULL, NULL, &err), &err);
    assert_int_equal(calls, 38);
    int train = 0, val = 0;
    for (int c = 0; c < small.classes; c++) {
        train += files_in(one, "train", c);
        val += files_in(one, "val", c);
    }
    assert_true(train == 25 && val == 13);
    assert_int_equal(files_in(one, "train", 0), 5);
    assert_int_equal(files_in(one, "train", 1), 4);
    assert_true(same_file(one, "train/ring/0005.jpg", two, "train/ring/0005.jpg"));
    assert_true(same_file(one, "train/star/0001.jpg", two, "train/star/0001.jpg"));
    assert_true(same_file(one, "val/ring/0002.jpg", two, "val/ring/0002.jpg"));
    assert_false(same_file(one, "val/ring/0001.jpg", one, "train/ring/0001.jpg"));
    assert_false(same_file(one, "val/ring/0001.jpg", one, "val/ring/0002.jpg"));
    remove_folder(a), remove_folder(b);
}

static void written_pictures_are_the_drawn_ones(void **state) {
    (void)state;
    rb_image a, b;
    rb_error err;
    CHECK_OK(rb_image_alloc(&a, 40, 40, &err), &err);
    CHECK_OK(rb_image_alloc(&b, 40, 40, &err), &err);
    for (int c = 0; c < RB_SYNTH_MAX_CLASSES; c++) {
        memset(b.pixels, c * 20, 4800); /* all of the image is drawn */
        rb_synth_draw(&a, c, 9, 77);
        rb_synth_draw(&b, c, 9, 77);
        assert_memory_equal(a.pixels, b.pixels, 4800);
        rb_synth_draw(&b, c, 10, 77);
        assert_memory_not_equal(a.pixels, b.pixels, 4800);
        rb_synth_draw(&b, (c + 1) % RB_SYNTH_MAX_CLASSES, 9, 77);
        assert_memory_not_equal(a.pixels, b.pixels, 4800);
    }
    rb_image_free(&a);
    rb_image_free(&b);
}

static int stop_at_ten(void *arg, int done, int total) {
    (void)arg, (void)total;
    return done == 10;
}

static void a_stopped_set_is_completed(void **state) {
    (void)state;
    rb_error err;
    char folder[4096], whole[4096], path[5000];
    make_folder(folder), make_folder(whole);
    CHECK_OK(rb_synth_classify(whole, &small, NULL, NULL, &err), &err);
    assert_int_equal(rb_synth_classify(folder, &small, stop_at_ten, NULL, &err), REVBIFPN_STOPPED);
    assert_int_equal(files_in(folder, "train", 5), 1);
    CHECK_OK(rb_synth_classify(folder, &small, NULL, NULL, &err), &err);
    snprintf(path, sizeof path, "%s/train/cross/0002.jpg", folder);
    assert_int_equal(unlink(path), 0);
    CHECK_OK(rb_synth_classify(folder, &small, NULL, NULL, &err), &err);
    assert_true(same_file(folder, "train/cross/0002.jpg", whole, "train/cross/0002.jpg"));
    assert_true(same_file(folder, "val/ring/0003.jpg", whole, "val/ring/0003.jpg"));
    assert_true(same_file(folder, "synth.json", whole, "synth.json"));
    remove_folder(folder), remove_folder(whole);
}

static void other_folders_are_refused(void **state) {
    (void)state;
    rb_error err;
    char folder[4096], path[5000];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/letter.txt", folder);
    CHECK_OK(rb_file_replace(path, "dear", 4, &err), &err);
    assert_int_equal(rb_synth_classify(folder, &small, NULL, NULL, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, folder));
    assert_non_null(strstr(err.text, "not empty (holds 'letter.txt')"));
    assert_int_equal(rb_synth_classify(path, &small, NULL, NULL, &err), REVBIFPN_IO_FAILED); /* a file */
    assert_int_equal(unlink(path), 0);
    CHECK_OK(rb_synth_classify(folder, &small, NULL, NULL, &err), &err);
    rb_synth_options other = small;
    other.seed++;
    assert_int_equal(rb_synth_classify(folder, &other, NULL, NULL, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "made with other options"));
    assert_non_null(strstr(err.text, folder));
    remove_folder(folder);
}

static void refuse(rb_synth_options options, const char *reason) {
    rb_error err;
    revbifpn_status status = rb_synth_classify("/nonexistent/synth", &options, NULL, NULL, &err);
    if (status != REVBIFPN_BAD_ARGUMENT || !strstr(err.text, reason)) fail_msg("%s", err.text);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    rb_synth_options o = small;
    o.classes = 1, refuse(o, "number of classes is 1, must be 2 … 10");
    o.classes = 11, refuse(o, "number of classes is 11");
    o = small, o.images_train = 5, refuse(o, "training pictures is 5, must be 6 …");
    o = small, o.images_val = 0, refuse(o, "validation pictures is 0");
    o = small, o.images_train = 2000000, refuse(o, "training pictures is 2000000");
    o = small, o.side = 8, refuse(o, "side is 8, must be 16 … 2048");
}

/* Σ of coverage = area, wherever the path lies on the pixel grid; and nothing is written outside. */
static void drawing_covers_the_area_and_stays_inside(void **state) {
    (void)state;
    rb_error err;
    rb_image image;
    const rb_color white = {255, 255, 255};
    CHECK_OK(rb_image_alloc(&image, 33, 21, &err), &err);
    for (int i = 0; i < 20; i++) {
        memset(image.pixels, 0, 33 * 21 * 3);
        rb_draw_disc(&image, (rb_point){12 + i * 0.37, 10 + i * 0.05}, 7, white, 1);
        double area = 0;
        for (int p = 0; p < 33 * 21; p++) area += image.pixels[3 * p] / 255.0;
        assert_true(fabs(area - 64 * sin(2 * M_PI / 64) / 2 * 49) <
                    0.5); /* rounding of 60 edge pixels, 4 lines each */
    }
    memset(image.pixels, 0, 33 * 21 * 3);
    const rb_point ring[8] = {{2, 2}, {30, 2}, {30, 18}, {2, 18}, {6, 6}, {20, 6}, {20, 10}, {6, 10}};
    rb_draw_path(&image, ring, (const int[]){4, 4}, 2, white, 1);
    assert_int_equal(image.pixels[(8 * 33 + 10) * 3], 0); /* the hole */
    assert_int_equal(image.pixels[(4 * 33 + 4) * 3], 255);
    assert_int_equal(image.pixels[(17 * 33 + 29) * 3], 255);
    assert_int_equal(image.pixels[(18 * 33 + 30) * 3], 0);
    memset(image.pixels, 7, 33 * 21 * 3);
    rb_draw_disc(&image, (rb_point){NAN, 3}, 5, white, 1);
    rb_draw_disc(&image, (rb_point){3, 3}, INFINITY, white, 1);
    rb_draw_line(&image, (rb_point){3, 3}, (rb_point){3, 3}, 2, white, 1);
    rb_draw_disc(&image, (rb_point){-100, 1e9}, 5, white, 1);
    for (int p = 0; p < 33 * 21 * 3; p++) assert_int_equal(image.pixels[p], 7);
    rb_draw_disc(&image, (rb_point){1e12, 10}, 2e12, white, 1); /* far larger than the image */
    rb_draw_line(&image, (rb_point){-1e300, -5}, (rb_point){1e300, 40}, 1e10, white, 1);
    rb_draw_line(&image, (rb_point){-50, 10.5}, (rb_point){90, 10.5}, 3, (rb_color){0, 300, -5}, 1);
    assert_int_equal(image.pixels[(10 * 33 + 32) * 3], 0);
    assert_int_equal(image.pixels[(10 * 33 + 32) * 3 + 1], 255);
    rb_draw_gradient(&image, (rb_color){0, 0, 0}, white, 0);
    assert_true(image.pixels[0] < 8 && image.pixels[32 * 3] > 247 && image.pixels[16 * 3] == 128);
    rb_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_options_give_equal_files),
        cmocka_unit_test(written_pictures_are_the_drawn_ones),
        cmocka_unit_test(a_stopped_set_is_completed),
        cmocka_unit_test(other_folders_are_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(drawing_covers_the_area_and_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
