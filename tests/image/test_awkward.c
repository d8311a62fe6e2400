/* The 110 awkward files of ../shared/data/awkward: each gets what its index says. */
#include "check.h"

#include <jansson.h>
#include <math.h>

#include "base/memory.h"
#include "image/image.h"

typedef struct entry {
    const char *file, *expect, *mode;
    json_int_t width, height, orientation;
    double mean[3];
    bool sized, coloured;
} entry;

static entry read_entry(json_t *item) {
    entry e = {.mode = "", .orientation = 1, .width = -1};
    json_t *mean = NULL;
    assert_int_equal(json_unpack(item, "{s:s, s:s, s?s, s?I, s?I, s?I, s?o}", "file", &e.file, "expect",
                                 &e.expect, "mode", &e.mode, "width", &e.width, "height", &e.height,
                                 "orientation", &e.orientation, "mean_rgb", &mean),
                     0);
    e.sized = e.width >= 0;
    e.coloured = mean != NULL;
    for (size_t c = 0; mean && c < 3; c++) e.mean[c] = json_number_value(json_array_get(mean, c));
    return e;
}

static void check_picture(const entry *e, const rb_image *image, const rb_decode_info *info) {
    if (e->sized && (image->width != e->width || image->height != e->height))
        fail_msg("%s: %d x %d pixels", e->file, image->width, image->height);
    bool in_xmp_only = strstr(e->file, "_xmp") != NULL; /* the index: ignoring it is fine */
    if (info->orientation != e->orientation && !in_xmp_only)
        fail_msg("%s: orientation %d", e->file, info->orientation);
    double sums[3] = {0}, count = (double)image->width * image->height;
    for (size_t i = 0; i < (size_t)image->width * (size_t)image->height * 3; i++)
        sums[i % 3] += image->pixels[i];
    double bound =
        strcmp(e->mode, "CMYK") ? 1.5 : 4; /* the index names these: inverse DCT, chroma, CMYK rounding */
    for (int c = 0; e->coloured && c < 3; c++)
        if (!(fabs(sums[c] / count - e->mean[c]) <= bound))
            fail_msg("%s: mean of channel %d is %.2f and not %.2f", e->file, c, sums[c] / count, e->mean[c]);
}

static void check_refusal(const entry *e, const rb_error *err, const rb_image *image) {
    assert_null(image->pixels);
    if (!strstr(err->text, e->file)) fail_msg("%s: the message does not name it: %s", e->file, err->text);
    if (strchr(err->text, '\n')) fail_msg("%s: more than one line: %s", e->file, err->text);
}

/* How the file must end: 'd' decoded, 'r' refused, 'e' either. */
static char expected_end(const entry *e) {
    if (!strcmp(e->expect, "ok")) return 'd';
    if (!strcmp(e->expect, "error") || !strcmp(e->expect, "limit")) return 'r';
    assert_true(!strcmp(e->expect, "partial") || !strcmp(e->expect, "optional"));
    return 'e';
}

/* What can be decoded has the size that its header tells. */
static void check_measure(const entry *e, const char *path, const rb_decode_options *options,
                          const rb_image *image) {
    int width, height;
    rb_error err = {0};
    CHECK_OK(rb_image_measure(path, options, &width, &height, &err), &err);
    if (width != image->width || height != image->height)
        fail_msg("%s: measured %d x %d, decoded %d x %d", e->file, width, height, image->width,
                 image->height);
}

static void check_file(const entry *e, bool apply_exif) {
    char relative[512];
    snprintf(relative, sizeof relative, "data/awkward/%s", e->file);
    const char *path = shared_path(relative);
    assert_non_null(path);
    rb_decode_options options = {.max_pixels = 178000000, .apply_exif = apply_exif};
    rb_image image;
    rb_decode_info info = {0};
    rb_error err = {0};
    revbifpn_status status = rb_image_read(path, &options, &image, &info, &err);
    char end = expected_end(e);
    if (end == 'd' && status) fail_msg("%s: %s", e->file, err.text);
    if (end == 'r' && !status) fail_msg("%s: was not refused", e->file);
    if (!strcmp(e->expect, "optional") && status) assert_int_equal(status, REVBIFPN_UNSUPPORTED);
    if (!strcmp(e->expect, "limit")) assert_non_null(strstr(err.text, "--max-pixels"));
    if (status) check_refusal(e, &err, &image);
    if (!status) check_measure(e, path, &options, &image);
    if (!status && !apply_exif) check_picture(e, &image, &info);
    rb_image_free(&image);
}

static json_t *index_of_files(void) {
    const char *path = shared_path("data/awkward/index.json");
    json_t *root = path ? json_load_file(path, 0, NULL) : NULL;
    assert_non_null(root);
    return root;
}

static void every_file_gets_what_its_index_says(void **state) {
    (void)state;
    json_t *root = index_of_files(), *item;
    size_t i;
    json_array_foreach(root, i, item) {
        entry e = read_entry(item);
        check_file(&e, false);
        check_file(&e, true);
    }
    assert_int_equal(i, 110);
    json_decref(root);
}

static rb_image read_shared(const char *relative, bool apply_exif) {
    rb_decode_options options = {.max_pixels = 178000000, .apply_exif = apply_exif};
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_read(shared_path(relative), &options, &image, NULL, &err), &err);
    return image;
}

static double mean_difference(const rb_image *a, const rb_image *b) {
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    double sum = 0;
    size_t count = (size_t)a->width * (size_t)a->height * 3;
    for (size_t i = 0; i < count; i++) sum += abs(a->pixels[i] - b->pixels[i]);
    return sum / (double)count;
}

static void turned_pictures_equal_the_plain_one(void **state) {
    (void)state;
    rb_image plain = read_shared("data/awkward/jpeg/hopper.jpg", true);
    for (int orientation = 2; orientation <= 8; orientation++) {
        char relative[64];
        snprintf(relative, sizeof relative, "data/awkward/jpeg/orientation_%d.jpg", orientation);
        rb_image turned = read_shared(relative, true), stored = read_shared(relative, false);
        assert_true(mean_difference(&plain, &turned) < 6); /* coding loss; a wrong turn gives more than 40 */
        assert_true(mean_difference(&plain, &stored) > 20);
        rb_image_free(&turned);
        rb_image_free(&stored);
    }
    rb_image_free(&plain);
}

static void the_limit_is_checked_before_memory_is_taken(void **state) {
    (void)state;
    rb_decode_options options = {.max_pixels = 512 * 512 - 1};
    rb_image image;
    rb_error err;
    const char *path = shared_path("data/awkward/jpeg/tower.jpg");
    size_t before = rb_alloc_count();
    assert_int_equal(rb_image_read(path, &options, &image, NULL, &err), REVBIFPN_BAD_FILE);
    assert_int_equal(rb_alloc_count() - before, 1); /* the file's bytes */
    assert_non_null(strstr(err.text, "512 x 512"));
    assert_non_null(strstr(err.text, "262143"));
    options.max_pixels++;
    CHECK_OK(rb_image_read(path, &options, &image, NULL, &err), &err);
    rb_image_free(&image);
}

int main(void) {
    if (!shared_path("data/awkward/index.json")) skip_all("../shared/data/awkward is not here");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_gets_what_its_index_says),
        cmocka_unit_test(turned_pictures_equal_the_plain_one),
        cmocka_unit_test(the_limit_is_checked_before_memory_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
