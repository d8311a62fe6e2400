#define _GNU_SOURCE
#include "data/synth.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/synth_shapes.h"

#define MARKER "synth.json"
#define PI 3.14159265358979323846

enum {
    FORMAT = 1, /* raised when the same options would give other pictures */
    MAX_IMAGES = 1000000,
    QUALITY = 90
};
static const uint64_t first_val = (uint64_t)1
                                  << 30; /* index of the first validation picture: free of images_train */

/* ---- one picture ---- */

static void draw_shape(rb_image *image, rb_rng *rng, int class_index, rb_color color) {
    double radius = image->width * rb_synth_between(rng, 0.26, 0.37);
    double turn = rb_synth_between(rng, -20, 20) * PI / 180;
    double near = radius + 0.06 * image->width, far = image->width - near; /* a centre crop must not cut it */
    double x = rb_synth_between(rng, near, far), y = rb_synth_between(rng, near, far);
    rb_synth_shape s = rb_synth_place(class_index, x, y, radius, turn);
    rb_draw_path(image, s.points, s.lengths, s.contours, color, 1);
}

void rb_synth_draw(rb_image *image, int class_index, uint64_t seed, uint64_t index) {
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_SYNTH, index, 0);
    rb_color from, to;
    rb_synth_background(image, &rng, &from, &to);
    int lines = 3 + (int)rb_rng_below(&rng, 5), blots = 4 + (int)rb_rng_below(&rng, 6);
    rb_synth_draw_clutter(image, &rng, lines, blots);
    draw_shape(image, &rng, class_index, rb_synth_shape_color(&rng, from, to));
    lines = (int)rb_rng_below(&rng, 2); /* a little lies over the shape */
    blots = (int)rb_rng_below(&rng, 2);
    rb_synth_draw_clutter(image, &rng, lines, blots);
    rb_synth_add_noise(image, &rng, rb_synth_between(&rng, 2, 16));
}

/* ---- the folder ---- */

revbifpn_status rb_synth_check(const char *what, int value, int least, int most, rb_error *err) {
    if (value >= least && value <= most) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "synth: %s is %d, must be %d … %d", what, value, least, most);
}

static revbifpn_status check_options(const rb_synth_options *o, rb_error *err) {
    revbifpn_status status;
    TRY(rb_synth_check("the number of classes", o->classes, 2, RB_SYNTH_MAX_CLASSES, err));
    TRY(rb_synth_check("the number of training pictures", o->images_train, o->classes, MAX_IMAGES, err));
    TRY(rb_synth_check("the number of validation pictures", o->images_val, o->classes, MAX_IMAGES, err));
    TRY(rb_synth_check("the side", o->side, 16, 2048, err));
fail:
    return status;
}

static revbifpn_status check_empty(const char *folder, rb_error *err) {
    DIR *dir = opendir(folder);
    if (!dir) return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", folder, strerror(errno));
    revbifpn_status status = REVBIFPN_OK;
    for (struct dirent *entry; status == REVBIFPN_OK && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, MARKER ".tmp")) continue;
        status = rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: not empty (holds '%.100s'): choose a new folder",
                         folder, name);
    }
    closedir(dir);
    return status;
}

revbifpn_status rb_synth_claim(const char *folder, const rb_synth_options *o, rb_error *err) {
    revbifpn_status status;
    char path[4096], wanted[512], objects[40] = "";
    unsigned char *found = NULL;
    size_t size = 0;
    if (o->objects) snprintf(objects, sizeof objects, "  \"objects\": %d,\n", o->objects);
    int n = snprintf(wanted, sizeof wanted,
                     "{\n  \"made_by\": \"revbifpn synth\",\n  \"format\": %d,\n  \"classes\": %d,\n"
                     "%s  \"images_train\": %d,\n  \"images_val\": %d,\n  \"side\": %d,\n  \"seed\": %" PRIu64
                     "\n}\n",
                     FORMAT, o->classes, objects, o->images_train, o->images_val, o->side, o->seed);
    TRY(rb_folder_make(folder, err));
    snprintf(path, sizeof path, "%.4000s/" MARKER, folder);
    if (access(path, F_OK)) {
        TRY(check_empty(folder, err));
        return rb_file_replace(path, wanted, (size_t)n, err);
    }
    TRY(rb_file_read(path, sizeof wanted, &found, &size, err));
    if (size != (size_t)n || memcmp(found, wanted, size))
        status =
            rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                    "%s: holds a set made with other options (see %s): choose a new folder", folder, MARKER);
fail:
    rb_free(found);
    return status;
}

typedef struct job {
    const char *folder;
    const rb_synth_options *options;
    rb_synth_progress *progress;
    void *arg;
    rb_image image;
    int done;
} job;

static revbifpn_status write_picture(job *j, const char *split, uint64_t first, int i, rb_error *err) {
    char path[4096];
    const rb_synth_options *o = j->options;
    int class_index = i % o->classes;
    snprintf(path, sizeof path, "%.4000s/%s/%s/%04d.jpg", j->folder, split, rb_synth_class_name(class_index),
             i / o->classes + 1);
    if (access(path, F_OK)) { /* pictures appear whole or not at all, so one that is there is right */
        rb_synth_draw(&j->image, class_index, o->seed, first + (uint64_t)i);
        revbifpn_status status = rb_image_write_jpeg(path, &j->image, QUALITY, err);
        if (status != REVBIFPN_OK) return status;
    }
    j->done++;
    if (j->progress && j->progress(j->arg, j->done, o->images_train + o->images_val))
        return rb_fail(err, REVBIFPN_STOPPED, "%s: stopped after %d pictures", j->folder, j->done);
    return REVBIFPN_OK;
}

static revbifpn_status write_split(job *j, const char *split, uint64_t first, int images, rb_error *err) {
    revbifpn_status status;
    char path[4096];
    for (int i = 0; i < j->options->classes; i++) {
        snprintf(path, sizeof path, "%.4000s/%s/%s", j->folder, split, rb_synth_class_name(i));
        TRY(rb_folder_make(path, err));
    }
    for (int i = 0; i < images; i++) TRY(write_picture(j, split, first, i, err));
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_synth_classify(const char *folder, const rb_synth_options *options,
                                  rb_synth_progress *progress, void *arg, rb_error *err) {
    revbifpn_status status;
    job j = {.folder = folder, .options = options, .progress = progress, .arg = arg};
    TRY(check_options(options, err));
    if (strlen(folder) > 4000) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", folder);
    TRY(rb_synth_claim(folder, options, err));
    TRY(rb_image_alloc(&j.image, options->side, options->side, err));
    TRY(write_split(&j, "train", 0, options->images_train, err));
    TRY(write_split(&j, "val", first_val, options->images_val, err));
fail:
    rb_image_free(&j.image);
    return status;
}
