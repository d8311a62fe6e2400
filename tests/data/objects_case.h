/* What the tests of data sets of objects share: files of text, pictures, opening a set. */
#ifndef TESTS_DATA_OBJECTS_CASE_H
#define TESTS_DATA_OBJECTS_CASE_H

#include "root.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/objects.h"
#include "image/image.h"

/* The folder of a path, made. */
static inline void make_parent(const char *path) {
    char folder[8192];
    rb_error err;
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    CHECK_OK(rb_folder_make(folder, &err), &err);
}

static inline void put(const char *name, const char *content) {
    rb_error err = {0};
    make_parent(inside(name));
    CHECK_OK(rb_file_replace(inside(name), content, strlen(content), &err), &err);
}

/* A picture of noise; orientation > 1 is written as EXIF (JPEG only), the sides are those as stored. */
static inline void put_picture(const char *name, int width, int height, int orientation) {
    static const uint8_t exif[] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,    'M', 'M',
                                   0,    42,   0, 0,  0,   8,   0,   1,   1, 0x12, 0,   3,
                                   0,    0,    0, 1,  0,   0,   0,   0,   0, 0,    0,   0};
    rb_image image;
    rb_error err = {0};
    uint8_t *bytes = NULL, file[1 << 18];
    size_t size;
    make_parent(inside(name));
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    uint32_t x = (uint32_t)(width * 31 + height);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++) {
        x = 1664525u * x + 1013904223u;
        image.pixels[i] = (uint8_t)(x >> 24);
    }
    if (strstr(name, ".png")) {
        CHECK_OK(rb_image_write_png(inside(name), &image, &err), &err);
        rb_image_free(&image);
        return;
    }
    CHECK_OK(rb_image_encode_jpeg(&image, 90, &bytes, &size, &err), &err);
    assert_true(size + sizeof exif < sizeof file);
    memcpy(file, bytes, 2);
    memcpy(file + 2, exif, sizeof exif);
    file[2 + 29] = (uint8_t)orientation;
    memcpy(file + 2 + sizeof exif, bytes + 2, size - 2);
    CHECK_OK(rb_file_replace(inside(name), file, size + sizeof exif, &err), &err);
    rb_free(bytes);
    rb_image_free(&image);
}

static inline rb_objects_options options_for(rb_objects_purpose purpose, bool outlines) {
    return (rb_objects_options){.purpose = purpose, .outlines = outlines, .max_pixels = 1 << 24};
}

static inline rb_objects open_set(const char *folder, rb_objects_purpose purpose, bool outlines) {
    rb_objects set;
    rb_error err = {0};
    rb_objects_options options = options_for(purpose, outlines);
    CHECK_OK(rb_objects_open(&set, inside(folder), &options, &err), &err);
    return set;
}

/* Opening must fail with that status, in one line that has `part`. */
static inline void refuses(const char *folder, const rb_objects_options *options, revbifpn_status want,
                           const char *part) {
    rb_objects set;
    rb_error err = {0};
    revbifpn_status status = rb_objects_open(&set, inside(folder), options, &err);
    if (status != want || !strstr(err.text, part) || strchr(err.text, '\n'))
        fail_msg("%s: %d, '%s'; wanted %d, '%s'", folder, status, err.text, want, part);
    assert_int_equal(set.class_count + set.train.count + set.val.count, 0);
}

static inline void check_box(const rb_object *o, int label, double x, double y, double w, double h) {
    const double want[4] = {x, y, w, h};
    assert_int_equal(o->label, label);
    for (int i = 0; i < 4; i++)
        if (!(o->box[i] - want[i] < 1e-9 && want[i] - o->box[i] < 1e-9))
            fail_msg("box %g %g %g %g, wanted %g %g %g %g", o->box[0], o->box[1], o->box[2], o->box[3], x, y,
                     w, h);
}

static inline void check_picture(const rb_pictures *p, int i, const char *name, uint32_t width,
                                 uint32_t height, size_t objects) {
    assert_true(i < p->count);
    assert_string_equal(rb_picture_path(p, i), inside(name));
    assert_int_equal(p->pictures[i].width, width);
    assert_int_equal(p->pictures[i].height, height);
    assert_int_equal(p->pictures[i + 1].first - p->pictures[i].first, objects);
}

#endif
