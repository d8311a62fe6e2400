#define _GNU_SOURCE
#include "data/synth.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "image/draw.h"

#define MARKER "synth.json"
#define PI 3.14159265358979323846

enum {
    FORMAT = 1, /* raised when the same options would give other pictures */
    MAX_IMAGES = 1000000,
    QUALITY = 90,
    MAX_POINTS = 128
};
static const uint64_t first_val = (uint64_t)1
                                  << 30; /* index of the first validation picture: free of images_train */

/* ---- shapes, inside the unit circle or nearly so, y down ---- */

typedef struct shape {
    rb_point points[MAX_POINTS];
    int lengths[2], contours;
} shape;

static void add_point(shape *s, double x, double y) {
    int at = s->contours == 2 ? s->lengths[0] : 0;
    int *length = &s->lengths[s->contours - 1];
    s->points[at + (*length)++] = (rb_point){x, y};
}

/* A regular polygon, or with two radii a star, that begins at the top. */
static void add_polygon(shape *s, int corners, double even_radius, double odd_radius, double turn) {
    s->contours++;
    for (int i = 0; i < corners; i++) {
        double angle = 2 * PI * i / corners + turn - PI / 2, radius = i % 2 ? odd_radius : even_radius;
        add_point(s, radius * cos(angle), radius * sin(angle));
    }
}

static void add_corners(shape *s, const rb_point *corners, int count) {
    s->contours++;
    for (int i = 0; i < count; i++) add_point(s, corners[i].x, corners[i].y);
}

static void make_circle(shape *s) { add_polygon(s, 60, 0.95, 0.95, 0); }
static void make_square(shape *s) { add_polygon(s, 4, 1.1, 1.1, PI / 4); }
static void make_triangle(shape *s) { add_polygon(s, 3, 1.1, 1.1, 0); }
static void make_star(shape *s) { add_polygon(s, 10, 1.1, 0.44, 0); }
static void make_hexagon(shape *s) { add_polygon(s, 6, 1, 1, PI / 6); }

static void make_ring(shape *s) {
    add_polygon(s, 60, 1, 1, 0);
    add_polygon(s, 60, 0.55, 0.55, 0);
}

static void make_cross(shape *s) {
    static const rb_point corners[12] = {{-.3, -1}, {.3, -1}, {.3, -.3}, {1, -.3}, {1, .3},   {.3, .3},
                                         {.3, 1},   {-.3, 1}, {-.3, .3}, {-1, .3}, {-1, -.3}, {-.3, -.3}};
    add_corners(s, corners, 12);
}

static void make_diamond(shape *s) {
    static const rb_point corners[4] = {{0, -1.1}, {.6, 0}, {0, 1.1}, {-.6, 0}};
    add_corners(s, corners, 4);
}

static void make_arrow(shape *s) {
    static const rb_point corners[7] = {{0, -1.05}, {.8, -.15},   {.28, -.15}, {.28, 1},
                                        {-.28, 1},  {-.28, -.15}, {-.8, -.15}};
    add_corners(s, corners, 7);
}

static void make_heart(shape *s) {
    s->contours++;
    for (int i = 0; i < 60; i++) {
        double t = 2 * PI * i / 60;
        double up = 13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t);
        add_point(s, pow(sin(t), 3), -(up + 2.5) / 16);
    }
}

static const struct {
    const char *name;
    void (*make)(shape *s);
} classes[RB_SYNTH_MAX_CLASSES] = {
    /* easily told apart first */
    {"ring", make_ring},     {"cross", make_cross},     {"triangle", make_triangle}, {"square", make_square},
    {"star", make_star},     {"diamond", make_diamond}, {"arrow", make_arrow},       {"heart", make_heart},
    {"circle", make_circle}, {"hexagon", make_hexagon}};

const char *rb_synth_class_name(int class_index) { return classes[class_index].name; }

/* ---- one picture ---- */

static double between(rb_rng *rng, double low, double high) {
    return low + (high - low) * rb_rng_uniform(rng);
}

static rb_color any_color(rb_rng *rng, double low, double high) {
    rb_color c; /* one draw a statement: the order of evaluation is part of the picture */
    c.r = between(rng, low, high);
    c.g = between(rng, low, high);
    c.b = between(rng, low, high);
    return c;
}

/* How well two colours stand apart, brightness counted twice (JPEG halves the resolution of the rest). */
static double contrast(rb_color a, rb_color b) {
    double r = a.r - b.r, g = a.g - b.g, c = a.b - b.b, luma = 0.299 * r + 0.587 * g + 0.114 * c;
    return sqrt(r * r + g * g + c * c) / 2 + fabs(luma);
}

/* A colour that stands out from both ends of the background. */
static rb_color shape_color(rb_rng *rng, rb_color from, rb_color to) {
    rb_color best = {0};
    double most = -1;
    for (int i = 0; i < 32 && most < 110; i++) {
        rb_color c = any_color(rng, 120, 255);
        double least = fmin(contrast(c, from), contrast(c, to));
        if (least <= most) continue;
        most = least;
        best = c;
    }
    return best;
}

/* Thin lines and small uneven blots: clutter that looks like none of the classes. */
static void draw_clutter(rb_image *image, rb_rng *rng, int lines, int blots) {
    double side = image->width;
    for (int i = 0; i < lines; i++) {
        rb_point a, b;
        a.x = between(rng, 0, side);
        a.y = between(rng, 0, side);
        double angle = between(rng, 0, 2 * PI), length = between(rng, 0.15, 0.6) * side;
        b.x = a.x + length * cos(angle);
        b.y = a.y + length * sin(angle);
        double thickness = between(rng, 0.008, 0.02) * side;
        rb_draw_line(image, a, b, thickness, any_color(rng, 0, 130), 0.7);
    }
    for (int i = 0; i < blots; i++) {
        rb_point points[9];
        int length = 9;
        double x = between(rng, 0, side), y = between(rng, 0, side),
               radius = between(rng, 0.015, 0.045) * side;
        for (int k = 0; k < length; k++) {
            double reach = radius * between(rng, 0.5, 1.3);
            points[k] =
                (rb_point){x + reach * cos(2 * PI * k / length), y + reach * sin(2 * PI * k / length)};
        }
        rb_draw_path(image, points, &length, 1, any_color(rng, 0, 130), 0.8);
    }
}

static void draw_shape(rb_image *image, rb_rng *rng, int class_index, rb_color color) {
    shape s = {.contours = 0};
    classes[class_index].make(&s);
    double radius = image->width * between(rng, 0.26, 0.37), turn = between(rng, -20, 20) * PI / 180;
    double near = radius + 0.06 * image->width, far = image->width - near; /* a centre crop must not cut it */
    double x = between(rng, near, far), y = between(rng, near, far);
    double c = radius * cos(turn), n = radius * sin(turn);
    for (int i = 0; i < s.lengths[0] + s.lengths[1]; i++) {
        rb_point p = s.points[i];
        s.points[i] = (rb_point){x + c * p.x - n * p.y, y + n * p.x + c * p.y};
    }
    rb_draw_path(image, s.points, s.lengths, s.contours, color, 1);
}

static void add_noise(rb_image *image, rb_rng *rng, double strength) {
    size_t count = (size_t)image->width * (size_t)image->height * 3;
    for (size_t i = 0; i < count; i++) {
        double v = image->pixels[i] + between(rng, -strength, strength);
        image->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
    }
}

void rb_synth_draw(rb_image *image, int class_index, uint64_t seed, uint64_t index) {
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_SYNTH, index, 0);
    rb_color from = any_color(&rng, 10, 90), shift = any_color(&rng, -30, 30);
    rb_color to = {from.r + shift.r, from.g + shift.g, from.b + shift.b};
    rb_draw_gradient(image, from, to, between(&rng, 0, 2 * PI));
    int lines = 3 + (int)rb_rng_below(&rng, 5), blots = 4 + (int)rb_rng_below(&rng, 6);
    draw_clutter(image, &rng, lines, blots);
    draw_shape(image, &rng, class_index, shape_color(&rng, from, to));
    lines = (int)rb_rng_below(&rng, 2); /* a little lies over the shape */
    blots = (int)rb_rng_below(&rng, 2);
    draw_clutter(image, &rng, lines, blots);
    add_noise(image, &rng, between(&rng, 2, 16));
}

/* ---- the folder ---- */

static revbifpn_status check_number(const char *what, int value, int least, int most, rb_error *err) {
    if (value >= least && value <= most) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "synth: %s is %d, must be %d … %d", what, value, least, most);
}

static revbifpn_status check_options(const rb_synth_options *o, rb_error *err) {
    revbifpn_status status;
    TRY(check_number("the number of classes", o->classes, 2, RB_SYNTH_MAX_CLASSES, err));
    TRY(check_number("the number of training pictures", o->images_train, o->classes, MAX_IMAGES, err));
    TRY(check_number("the number of validation pictures", o->images_val, o->classes, MAX_IMAGES, err));
    TRY(check_number("the side", o->side, 16, 2048, err));
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

/* Makes the folder ours: it holds the marker with exactly these options afterwards. */
static revbifpn_status claim_folder(const char *folder, const rb_synth_options *o, rb_error *err) {
    revbifpn_status status;
    char path[4096], wanted[512];
    unsigned char *found = NULL;
    size_t size = 0;
    int n = snprintf(wanted, sizeof wanted,
                     "{\n  \"made_by\": \"revbifpn synth\",\n  \"format\": %d,\n  \"classes\": %d,\n"
                     "  \"images_train\": %d,\n  \"images_val\": %d,\n  \"side\": %d,\n  \"seed\": %" PRIu64
                     "\n}\n",
                     FORMAT, o->classes, o->images_train, o->images_val, o->side, o->seed);
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
    TRY(claim_folder(folder, options, err));
    TRY(rb_image_alloc(&j.image, options->side, options->side, err));
    TRY(write_split(&j, "train", 0, options->images_train, err));
    TRY(write_split(&j, "val", first_val, options->images_val, err));
fail:
    rb_image_free(&j.image);
    return status;
}
