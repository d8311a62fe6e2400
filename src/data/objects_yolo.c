/* YOLO's folders: for each picture a text of one line an object, in shares of the picture's sides: "class cx
 * cy width height", or "class x y x y x y …", a polygon. The text of …/images/A/B.jpg is …/labels/A/B.txt; a
 * picture without one has no objects. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/objects_source.h"
#include "data/yolo_config.h"

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && !strcmp(text + length - size, ending);
}

bool rb_objects_is_yolo(const char *root) {
    if (rb_is_file(root)) return ends_with(root, ".yaml") || ends_with(root, ".yml");
    return rb_has(root, "data.yaml", rb_is_file) || rb_has(root, "data.yml", rb_is_file) ||
           (rb_has(root, "images", rb_is_folder) && rb_has(root, "labels", rb_is_folder));
}

revbifpn_status rb_objects_list_classes(rb_objects_form form, const char *root, rb_classes *classes,
                                        rb_error *err) {
    rb_yolo_config config = {0};
    revbifpn_status status = REVBIFPN_OK;
    if (form == RB_OBJECTS_COCO) return REVBIFPN_OK;
    status = rb_yolo_config_open(&config, root, err);
    for (size_t i = 0; !status && i < config.names.count; i++)
        status = rb_classes_add(classes, (int64_t)i + 1, config.names.items[i], err);
    rb_yolo_config_close(&config);
    return status;
}

/* ---- where the pictures are ---- */

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
}

/* The folder that paths in the .yaml file are relative to. */
static char *base_of(const rb_yolo_config *c) {
    const char *slash = strrchr(c->file, '/');
    if (c->path && *c->path == '/') return rb_copy_text(c->path);
    char *folder = rb_copy_text(slash ? c->file : "."), *joined;
    if (folder && slash) folder[slash - c->file + (slash == c->file)] = 0;
    if (!folder || !c->path) return folder;
    joined = rb_path_join(folder, c->path);
    rb_free(folder);
    return joined;
}

/* What the .yaml file says. Some say "../train/images" where "train/images" is right. */
static revbifpn_status said_folder(const rb_yolo_config *c, bool val, char **folder, rb_error *err) {
    revbifpn_status status;
    const char *split = c->split[val];
    char *base = base_of(c);
    if (!base) return no_memory(err);
    bool absolute = *split == '/';
    status = rb_look_for(absolute ? "/" : base, split + absolute, rb_is_folder, folder, err);
    if (!status && !*folder && !strncmp(split, "../", 3))
        status = rb_look_for(base, split + 3, rb_is_folder, folder, err);
    rb_free(base);
    if (!status && ends_with(split, ".txt"))
        status = rb_fail(err, REVBIFPN_UNSUPPORTED, "%s: %s: a list of pictures; a folder is expected",
                         c->file, split);
    return status;
}

static revbifpn_status find_folder(const rb_yolo_config *c, const char *root, bool val, char **folder,
                                   rb_error *err) {
    *folder = NULL;
    if (c->split[val]) return said_folder(c, val, folder, err);
    return rb_look_for(root, val ? "images/val" : "images/train", rb_is_folder, folder, err);
}

/* The path of the labels of a picture. */
static char *label_path(const char *picture) {
    size_t length = strlen(picture);
    char *path = rb_alloc(length + 8), *last = NULL;
    if (!path) return NULL;
    strcpy(path, picture);
    for (char *at = path; (at = strstr(at, "/images/")); at++) last = at;
    if (last) memcpy(last, "/labels/", 8);
    char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    strcpy(dot && (!slash || dot > slash) ? dot : path + length, ".txt");
    return path;
}

/* ---- labels ---- */

typedef struct yolo_reader {
    rb_objects_reader *r;
    rb_yolo_config config;
    double *numbers; /* of a line */
    size_t count, room;
} yolo_reader;

static revbifpn_status take_numbers(yolo_reader *y, const char *line, rb_error *err) {
    y->count = 0;
    while (*line) {
        double value;
        const char *after = rb_number_take(line, &value);
        if (!after) return rb_fail(err, REVBIFPN_BAD_FILE, "'%.40s' is no number", line);
        double *grown = rb_grow(y->numbers, &y->room, y->count + 1, sizeof *grown);
        if (!grown) return no_memory(err);
        y->numbers = grown;
        grown[y->count++] = value;
        line = after;
    }
    return REVBIFPN_OK;
}

/* The class of the first number, among those of the data set. */
static revbifpn_status take_class(const yolo_reader *y, int32_t *label, rb_error *err) {
    const rb_names *names = &y->config.names;
    size_t known = names->count ? names->count : y->r->classes->count;
    double number = y->numbers[0];
    if (!(number >= 0 && number < (double)known) || number != floor(number))
        return rb_fail(err, REVBIFPN_BAD_FILE, "class %g; the %zu classes are 0 … %zu", number, known,
                       known - 1);
    *label = (int32_t)number;
    return names->count ? rb_classes_label(y->r, names->items[*label], label, err) : REVBIFPN_OK;
}

static void take_box(const double *n, const rb_picture *p, rb_object *o) {
    o->box[2] = n[2] * p->width;
    o->box[3] = n[3] * p->height;
    o->box[0] = n[0] * p->width - o->box[2] / 2;
    o->box[1] = n[1] * p->height - o->box[3] / 2;
    o->area = o->box[2] * o->box[3];
}

/* The box around a polygon, and the area within it. */
static revbifpn_status take_polygon(const yolo_reader *y, const rb_picture *p, rb_object *o, rb_error *err) {
    double *n = y->numbers + 1, low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY}, twice = 0;
    size_t points = (y->count - 1) / 2;
    for (size_t i = 0; i < 2 * points; i++) {
        n[i] *= i % 2 ? p->height : p->width;
        low[i % 2] = fmin(low[i % 2], n[i]);
        high[i % 2] = fmax(high[i % 2], n[i]);
    }
    for (size_t i = 0, j = points - 1; i < points; j = i++)
        twice += n[2 * j] * n[2 * i + 1] - n[2 * i] * n[2 * j + 1];
    for (int i = 0; i < 2; i++) {
        o->box[i] = low[i];
        o->box[2 + i] = high[i] - low[i];
    }
    o->area = fabs(twice) / 2;
    rb_text *block = &y->r->pictures->block;
    if (!y->r->options->outlines) return REVBIFPN_OK;
    o->segment.offset = block->size;
    rb_segment_add_polygon(&o->segment, n, (uint32_t)points, block);
    return rb_text_check(block, "outlines", err);
}

static revbifpn_status take_line(yolo_reader *y, const char *line, rb_error *err) {
    rb_pictures *pictures = y->r->pictures;
    const rb_picture *picture = &pictures->pictures[pictures->count - 1];
    rb_object o = {0};
    revbifpn_status status = take_numbers(y, line, err);
    if (status || !y->count) return status;
    if (y->count != 5 && (y->count < 7 || y->count % 2 == 0 || y->count > UINT16_MAX))
        return rb_fail(
            err, REVBIFPN_BAD_FILE,
            "%zu numbers; 5 are expected (class cx cy width height), or a class and 3 or more pairs",
            y->count);
    for (size_t i = 1; i < y->count; i++) /* rounding may leave the picture a little */
        if (!(y->numbers[i] >= -0.01 && y->numbers[i] <= 1.01))
            return rb_fail(err, REVBIFPN_BAD_FILE, "%g is no share of a side (0 … 1)", y->numbers[i]);
    status = take_class(y, &o.label, err);
    if (status) return status;
    if (y->count == 5)
        take_box(y->numbers + 1, picture, &o);
    else
        status = take_polygon(y, picture, &o, err);
    return status ? status : rb_pictures_add_object(y->r, &o, err);
}

static revbifpn_status read_labels(yolo_reader *y, const char *path, rb_error *err) {
    enum { MAX_LABELS = 256 << 20 };
    unsigned char *bytes;
    size_t size;
    if (!rb_is_file(path)) return REVBIFPN_OK;
    revbifpn_status status = rb_file_read(path, MAX_LABELS, &bytes, &size, err);
    if (status) return status;
    char *line = (char *)bytes, *end = line + size;
    for (size_t number = 1; !status && line < end; number++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        *stop = 0; /* a zero follows the file, too */
        status = take_line(y, line, err);
        if (!status && strlen(line) != (size_t)(stop - line))
            status = rb_fail(err, REVBIFPN_BAD_FILE, "a zero byte: not a text");
        if (status) rb_fail_prefix(err, "%s: line %zu: ", path, number);
        line = stop + 1;
    }
    rb_free(bytes);
    return status;
}

static revbifpn_status read_picture(yolo_reader *y, const char *path, rb_error *err) {
    rb_picture picture = {0};
    char *labels = label_path(path);
    if (!labels) return no_memory(err);
    revbifpn_status status = rb_pictures_measure(y->r, path, &picture, err);
    if (!status) status = rb_pictures_add(y->r, &picture, path, err);
    if (!status) status = read_labels(y, labels, err);
    rb_free(labels);
    return status;
}

static int natural(const void *a, const void *b) {
    return rb_natural_compare(*(char *const *)a, *(char *const *)b);
}

revbifpn_status rb_objects_read_yolo(rb_objects_reader *r, bool val, bool *there, rb_error *err) {
    revbifpn_status status;
    yolo_reader y = {.r = r};
    rb_names paths = {0};
    char *folder = NULL;
    TRY(rb_yolo_config_open(&y.config, r->root, err));
    TRY(find_folder(&y.config, r->root, val, &folder, err));
    *there = folder != NULL;
    if (!folder) goto fail;
    TRY(rb_folder_pictures(folder, &paths, err));
    if (paths.count) qsort(paths.items, paths.count, sizeof *paths.items, natural);
    for (size_t i = 0; !status && i < paths.count; i++) status = read_picture(&y, paths.items[i], err);
fail:
    rb_yolo_config_close(&y.config);
    rb_names_free(&paths);
    rb_free(y.numbers);
    rb_free(folder);
    return status;
}
