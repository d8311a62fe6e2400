/* Pictures of several shapes with their outlines, as a COCO folder. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/synth_shapes.h"

#define PI 3.14159265358979323846

enum { FIRST_CLASS = 1, MAX_IMAGES = 1000000, MAX_OBJECTS = 64, TRIES = 40, QUALITY = 90 };
static const uint64_t first_val = (uint64_t)1 << 30; /* as for classifiers */

typedef struct placed {
    int class_index;
    double x, y, radius;
    rb_synth_shape shape;
} placed;

typedef struct job {
    const char *folder;
    const rb_synth_options *options;
    rb_synth_progress *progress;
    void *arg;
    rb_image images[2]; /* wide, upright */
    placed objects[MAX_OBJECTS];
    int count;  /* of the picture that is being drawn */
    int done;   /* pictures */
    int number; /* annotations of the split so far */
    rb_text pictures, annotations;
} job;

/* A place where the shape touches none that is there; false when there seems to be none. */
static bool find_place(job *j, const rb_image *image, rb_rng *rng, placed *p) {
    double side = j->options->side;
    for (int i = 0; i < TRIES; i++) {
        bool free_place = true;
        p->radius = side * rb_synth_between(rng, 0.06, 0.2);
        p->x = rb_synth_between(rng, p->radius * 1.2, image->width - p->radius * 1.2);
        p->y = rb_synth_between(rng, p->radius * 1.2, image->height - p->radius * 1.2);
        for (int k = 0; k < j->count; k++) {
            const placed *q = &j->objects[k];
            free_place &= hypot(p->x - q->x, p->y - q->y) > 1.15 * (p->radius + q->radius);
        }
        if (free_place) return true;
    }
    return false;
}

/* Draws the picture and leaves its objects in the job. */
static void draw(job *j, rb_image *image, uint64_t index) {
    rb_rng rng = rb_rng_open(j->options->seed, RB_PURPOSE_SYNTH, index, 1);
    rb_color from, to;
    int wanted = 1 + (int)rb_rng_below(&rng, (uint32_t)j->options->objects);
    rb_synth_background(image, &rng, &from, &to);
    rb_synth_draw_clutter(image, &rng, 3 + (int)rb_rng_below(&rng, 5), 6);
    for (j->count = 0; j->count < wanted; j->count++) {
        placed *p = &j->objects[j->count];
        p->class_index = FIRST_CLASS + (int)rb_rng_below(&rng, (uint32_t)j->options->classes);
        if (!find_place(j, image, &rng, p)) break;
        double turn = rb_synth_between(&rng, -20, 20) * PI / 180;
        p->shape = rb_synth_place(p->class_index, p->x, p->y, p->radius, turn);
        rb_draw_path(image, p->shape.points, p->shape.lengths, p->shape.contours,
                     rb_synth_shape_color(&rng, from, to), 1);
    }
    rb_synth_add_noise(image, &rng, rb_synth_between(&rng, 2, 12));
}

/* ---- annotations ---- */

static void describe_object(job *j, int image_id, const placed *p) {
    double x1 = INFINITY, y1 = INFINITY, x2 = -INFINITY, y2 = -INFINITY, twice = 0;
    int count = p->shape.lengths[0];
    rb_text_format(&j->annotations,
                   "%s\n  {\"id\": %d, \"image_id\": %d, \"category_id\": %d, \"iscrowd\": 0",
                   j->number ? "," : "", j->number + 1, image_id, p->class_index);
    rb_text_add(&j->annotations, ", \"segmentation\": [[");
    for (int i = 0; i < count; i++) {
        rb_point a = p->shape.points[i], b = p->shape.points[(i + 1) % count];
        rb_text_format(&j->annotations, "%s%.2f, %.2f", i ? ", " : "", a.x, a.y);
        twice += a.x * b.y - b.x * a.y;
        x1 = fmin(x1, a.x), x2 = fmax(x2, a.x);
        y1 = fmin(y1, a.y), y2 = fmax(y2, a.y);
    }
    rb_text_format(&j->annotations, "]], \"bbox\": [%.2f, %.2f, %.2f, %.2f], \"area\": %.2f}", x1, y1,
                   x2 - x1, y2 - y1, fabs(twice) / 2);
    j->number++;
}

static void describe_picture(job *j, const rb_image *image, const char *name, int id) {
    rb_text_format(&j->pictures, "%s\n  {\"id\": %d, \"file_name\": \"%s\", \"width\": %d, \"height\": %d}",
                   id > 1 ? "," : "", id, name, image->width, image->height);
    for (int i = 0; i < j->count; i++) describe_object(j, id, &j->objects[i]);
}

static revbifpn_status write_annotations(job *j, const char *split, rb_error *err) {
    char path[4096];
    rb_text all = {0};
    rb_text_add(&all, "{\"images\": [");
    rb_text_add_bytes(&all, j->pictures.bytes, j->pictures.size);
    rb_text_add(&all, "\n ],\n \"annotations\": [");
    rb_text_add_bytes(&all, j->annotations.bytes, j->annotations.size);
    rb_text_add(&all, "\n ],\n \"categories\": [");
    for (int i = 0; i < j->options->classes; i++)
        rb_text_format(&all, "%s\n  {\"id\": %d, \"name\": \"%s\"}", i ? "," : "", i + FIRST_CLASS,
                       rb_synth_class_name(i + FIRST_CLASS));
    rb_text_add(&all, "\n ]}\n");
    snprintf(path, sizeof path, "%.4000s/annotations/instances_%s.json", j->folder, split);
    revbifpn_status status;
    TRY(rb_text_check(&j->pictures, path, err));
    TRY(rb_text_check(&j->annotations, path, err));
    TRY(rb_text_check(&all, path, err));
    status = rb_file_replace(path, all.bytes, all.size, err);
fail:
    rb_text_close(&all);
    return status;
}

/* ---- the folder ---- */

static revbifpn_status write_picture(job *j, const char *split, uint64_t first, int i, rb_error *err) {
    char path[4096], name[40];
    rb_image *image = &j->images[i % 2];
    snprintf(name, sizeof name, "%s_%05d.jpg", split, i + 1);
    snprintf(path, sizeof path, "%.4000s/images/%s", j->folder, name);
    draw(j, image, first + (uint64_t)i);
    describe_picture(j, image, name, i + 1);
    if (access(path, F_OK)) { /* pictures appear whole or not at all, so one that is there is right */
        revbifpn_status status = rb_image_write_jpeg(path, image, QUALITY, err);
        if (status != REVBIFPN_OK) return status;
    }
    j->done++;
    if (j->progress && j->progress(j->arg, j->done, j->options->images_train + j->options->images_val))
        return rb_fail(err, REVBIFPN_STOPPED, "%s: stopped after %d pictures", j->folder, j->done);
    return REVBIFPN_OK;
}

static revbifpn_status write_split(job *j, const char *split, uint64_t first, int images, rb_error *err) {
    revbifpn_status status;
    j->number = 0;
    rb_text_clear(&j->pictures);
    rb_text_clear(&j->annotations);
    for (int i = 0; i < images; i++) TRY(write_picture(j, split, first, i, err));
    return write_annotations(j, split, err);
fail:
    return status;
}

static revbifpn_status check_options(const rb_synth_options *o, rb_error *err) {
    revbifpn_status status;
    TRY(rb_synth_check("the number of classes", o->classes, 1, RB_SYNTH_MAX_CLASSES - FIRST_CLASS, err));
    TRY(rb_synth_check("the number of training pictures", o->images_train, 1, MAX_IMAGES, err));
    TRY(rb_synth_check("the number of validation pictures", o->images_val, 1, MAX_IMAGES, err));
    TRY(rb_synth_check("the side", o->side, 64, 2048, err));
    TRY(rb_synth_check("the number of objects", o->objects, 1, MAX_OBJECTS, err));
fail:
    return status;
}

static revbifpn_status make_folders(const char *folder, rb_error *err) {
    static const char *const names[] = {"images", "annotations"};
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; i < 2; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%.4000s/%s", folder, names[i]);
        TRY(rb_folder_make(path, err));
    }
fail:
    return status;
}

revbifpn_status rb_synth_objects(const char *folder, const rb_synth_options *o, rb_synth_progress *progress,
                                 void *arg, rb_error *err) {
    revbifpn_status status;
    job *j = rb_alloc(sizeof *j);
    if (!j) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the pictures");
    *j = (job){.folder = folder, .options = o, .progress = progress, .arg = arg};
    int longer = o->side, shorter = o->side * 3 / 4;
    TRY(check_options(o, err));
    if (strlen(folder) > 4000) {
        status = rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", folder);
        goto fail;
    }
    TRY(rb_synth_claim(folder, o, err));
    TRY(make_folders(folder, err));
    TRY(rb_image_alloc(&j->images[0], longer, shorter, err));
    TRY(rb_image_alloc(&j->images[1], shorter, longer, err));
    TRY(write_split(j, "train", 0, o->images_train, err));
    TRY(write_split(j, "val", first_val, o->images_val, err));
fail:
    for (int i = 0; i < 2; i++) rb_image_free(&j->images[i]);
    rb_text_close(&j->pictures);
    rb_text_close(&j->annotations);
    rb_free(j);
    return status;
}
