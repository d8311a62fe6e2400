/* Pictures are decoded and outlines drawn by all threads, which leave a record of each; then one thread goes
 * over the records and tells. */
#include "data/check_objects.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

enum { CHUNK = 256 /* pictures between two calls of progress */ };
#define MAX_FILE_BYTES ((size_t)1 << 30) /* as of a picture file */

/* What is known of a picture. */
typedef struct record {
    XXH128_hash_t bytes;
    char *reason; /* why it is unreadable; owned */
    const char *format;
    int width, height;
    int equal; /* the earlier picture that it equals, + 1 */
    bool has_bytes, damaged;
} record;

/* A picture on its way among equal ones. */
typedef struct hashed {
    XXH128_hash_t bytes;
    int picture;
} hashed;

/* What is known of an outline. */
typedef enum outline { OUTLINE_GOOD, OUTLINE_BROKEN, OUTLINE_EMPTY } outline;

typedef struct worker {
    rb_segment_room room;
    rb_error failure;
} worker;

typedef struct checker {
    const rb_objects *set;
    const revbifpn_object_check_options *options;
    revbifpn_object_check_report *report;
    record *records;         /* of train, then of val */
    unsigned char *outlines; /* of the objects of train, then of val */
    hashed *hashed;
    const rb_object **order; /* of a picture, to sort */
    worker *workers;         /* of each thread */
    int count, first;
} checker;

static const rb_pictures *split_of(const checker *c, int i, int *picture) {
    bool val = i >= c->set->train.count;
    *picture = val ? i - c->set->train.count : i;
    return val ? &c->set->val : &c->set->train;
}

static const char *path_of(const checker *c, int i) {
    int picture;
    const rb_pictures *p = split_of(c, i, &picture);
    return rb_picture_path(p, picture);
}

/* ---- one picture ---- */

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for what is found");
}

static revbifpn_status keep_reason(record *r, const rb_error *why, rb_error *err) {
    size_t size = strlen(why->text) + 1;
    if (why->status == REVBIFPN_OUT_OF_MEMORY) return rb_fail(err, why->status, "%s", why->text);
    r->reason = rb_alloc(size);
    if (!r->reason) return no_memory(err);
    memcpy(r->reason, why->text, size);
    return REVBIFPN_OK;
}

static revbifpn_status look_at_file(const checker *c, const char *path, record *r, rb_error *err) {
    rb_decode_options decode = {.max_pixels = c->options->max_pixels, .apply_exif = true};
    rb_decode_info info;
    rb_image image;
    rb_error why;
    unsigned char *bytes;
    size_t size;
    if (rb_file_read(path, MAX_FILE_BYTES, &bytes, &size, &why)) return keep_reason(r, &why, err);
    r->has_bytes = true;
    r->bytes = XXH3_128bits(bytes, size);
    revbifpn_status status = rb_image_decode(path, bytes, size, &decode, &image, &info, &why);
    rb_free(bytes);
    if (status) return keep_reason(r, &why, err);
    r->width = image.width;
    r->height = image.height;
    r->damaged = info.damaged;
    r->format = info.format;
    rb_image_free(&image);
    return REVBIFPN_OK;
}

/* Why an outline makes no mask of the picture: OK when it does. */
static revbifpn_status draw(const rb_pictures *p, const rb_picture *picture, const rb_object *o,
                            rb_segment_room *room, rb_mask *mask, rb_error *err) {
    revbifpn_status status =
        rb_segment_draw(&o->segment, p->block.bytes, picture->height, picture->width, room, mask, err);
    if (status || (mask->height == picture->height && mask->width == picture->width)) return status;
    return rb_fail(err, REVBIFPN_BAD_FILE, "run lengths of %u x %u in a picture of %u x %u", mask->width,
                   mask->height, picture->width, picture->height);
}

static revbifpn_status look_at_outlines(const checker *c, const rb_pictures *p, int picture, worker *w,
                                        rb_error *err) {
    const rb_picture *at = &p->pictures[picture];
    unsigned char *outlines = c->outlines + (p == &c->set->val ? c->set->train.object_count : 0);
    for (size_t k = at->first; k < at[1].first; k++) {
        rb_mask mask;
        rb_error why;
        if (p->objects[k].segment.form == RB_SEGMENT_NONE || !at->width) continue;
        revbifpn_status status = draw(p, at, &p->objects[k], &w->room, &mask, &why);
        if (status == REVBIFPN_OUT_OF_MEMORY) return rb_fail(err, status, "%s", why.text);
        outlines[k] = status ? OUTLINE_BROKEN : mask.count ? OUTLINE_GOOD : OUTLINE_EMPTY;
    }
    return REVBIFPN_OK;
}

static void look_task(void *arg, int task, int thread) {
    checker *c = arg;
    worker *w = &c->workers[thread];
    rb_error err;
    int i = c->first + task, picture;
    const rb_pictures *p = split_of(c, i, &picture);
    if (w->failure.status) return;
    if (look_at_file(c, path_of(c, i), &c->records[i], &err) || look_at_outlines(c, p, picture, w, &err))
        w->failure = err;
}

static revbifpn_status look_at_all(checker *c, rb_pool *pool, rb_error *err) {
    for (c->first = 0; c->first < c->count; c->first += CHUNK) {
        int left = c->count - c->first, tasks = left < CHUNK ? left : CHUNK;
        rb_pool_run(pool, tasks, look_task, c);
        for (int t = 0; t < rb_pool_threads(pool); t++)
            if (c->workers[t].failure.status)
                return rb_fail(err, c->workers[t].failure.status, "%s", c->workers[t].failure.text);
        if (c->options->progress) c->options->progress(c->options->user, c->first + tasks, c->count);
    }
    return REVBIFPN_OK;
}

/* ---- equal things ---- */

static int by_bytes(const void *a, const void *b) {
    const hashed *i = a, *j = b;
    if (i->bytes.high64 != j->bytes.high64) return i->bytes.high64 < j->bytes.high64 ? -1 : 1;
    if (i->bytes.low64 != j->bytes.low64) return i->bytes.low64 < j->bytes.low64 ? -1 : 1;
    return (i->picture > j->picture) - (i->picture < j->picture);
}

/* Of equal files all but the first are told. Train comes first, so a first one of train is in the other split
 * of every one of val. */
static void mark_equal_files(const checker *c) {
    size_t count = 0;
    for (int i = 0; i < c->count; i++)
        if (c->records[i].has_bytes) c->hashed[count++] = (hashed){c->records[i].bytes, i};
    if (count) qsort(c->hashed, count, sizeof *c->hashed, by_bytes);
    for (size_t i = 0, first = 0; i < count; i++) {
        if (!XXH128_isEqual(c->hashed[i].bytes, c->hashed[first].bytes)) first = i;
        if (i > first) c->records[c->hashed[i].picture].equal = c->hashed[first].picture + 1;
    }
}

static int compare_objects(const rb_object *a, const rb_object *b) {
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    if (a->crowd != b->crowd) return a->crowd ? 1 : -1;
    for (int i = 0; i < 4; i++)
        if (a->box[i] != b->box[i]) return a->box[i] < b->box[i] ? -1 : 1;
    return 0;
}

static int by_object(const void *a, const void *b) {
    const rb_object *x = *(const rb_object *const *)a, *y = *(const rb_object *const *)b;
    int order = compare_objects(x, y);
    return order ? order : (x > y) - (x < y);
}

/* ---- telling ---- */

static void __attribute__((format(printf, 4, 5)))
tell(const checker *c, revbifpn_object_finding_kind kind, const char *path, const char *format, ...) {
    static const char *const names[REVBIFPN_OBJECT_FINDINGS] = {
        "unreadable", "damaged",   "wrong_size", "in_both_splits", "same_bytes",
        "dangling",   "empty_box", "outside",    "bad_outline",    "empty_outline",
        "duplicate",  "cut",       "small",      "nothing",        "unused_class"};
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->report->found[kind]++;
    if (kind <= REVBIFPN_OBJECT_DUPLICATE) c->report->faults++;
    revbifpn_object_finding finding = {.kind = kind, .name = names[kind], .path = path, .text = text};
    if (c->options->found) c->options->found(c->options->user, &finding);
}

/* What an object is called: by its id, or its place in the picture. */
static const char *name_of(const rb_object *o, size_t place, char name[48]) {
    if (o->id)
        snprintf(name, 48, "annotation %lld", (long long)o->id);
    else
        snprintf(name, 48, "object %zu", place + 1);
    return name;
}

static void tell_file(const checker *c, int i) {
    int picture;
    const rb_pictures *p = split_of(c, i, &picture);
    const rb_picture *at = &p->pictures[picture];
    const record *r = &c->records[i];
    const char *path = path_of(c, i);
    if (r->reason) {
        size_t length = strlen(path); /* its reason usually begins with the path */
        bool named = !strncmp(r->reason, path, length) && !strncmp(r->reason + length, ": ", 2);
        tell(c, REVBIFPN_OBJECT_UNREADABLE, path, "%s", r->reason + (named ? length + 2 : 0));
    }
    if (r->damaged) tell(c, REVBIFPN_OBJECT_DAMAGED, path, "%s data is missing or wrong", r->format);
    if (r->width && at->width && (at->width != (uint32_t)r->width || at->height != (uint32_t)r->height))
        tell(c, REVBIFPN_OBJECT_WRONG_SIZE, path, "%d x %d pixels, and %u x %u in the annotations", r->width,
             r->height, at->width, at->height);
    if (r->equal) {
        bool both = i >= c->set->train.count && r->equal <= c->set->train.count;
        tell(c, both ? REVBIFPN_OBJECT_IN_BOTH_SPLITS : REVBIFPN_OBJECT_SAME_BYTES, path, "%s: %.900s",
             both ? "the same file is in the other split" : "the same file", path_of(c, r->equal - 1));
    }
    if (at[1].first == at->first) tell(c, REVBIFPN_OBJECT_NOTHING, path, "no objects");
}

static void tell_box(const checker *c, const rb_picture *at, const rb_object *o, const char *path,
                     const char *name) {
    const double *b = o->box, right = b[0] + b[2], bottom = b[1] + b[3], w = at->width, h = at->height;
    revbifpn_object_finding_kind kind = REVBIFPN_OBJECT_FINDINGS;
    if (!(b[2] > 0) || !(b[3] > 0) || !(o->area > 0))
        kind = REVBIFPN_OBJECT_EMPTY_BOX;
    else if (w > 0 && (b[0] >= w || b[1] >= h || right <= 0 || bottom <= 0))
        kind = REVBIFPN_OBJECT_OUTSIDE;
    else if (w > 0 && (b[0] < -1 || b[1] < -1 || right > w + 1 || bottom > h + 1))
        kind = REVBIFPN_OBJECT_CUT;
    else if (b[2] < 1 || b[3] < 1)
        kind = REVBIFPN_OBJECT_SMALL;
    if (kind != REVBIFPN_OBJECT_FINDINGS)
        tell(c, kind, path, "%s: x %g, y %g, %g x %g, area %g, in a picture of %g x %g", name, b[0], b[1],
             b[2], b[3], o->area, w, h);
}

static void tell_outline(const checker *c, const rb_pictures *p, const rb_picture *at, const rb_object *o,
                         outline state, const char *path, const char *name) {
    rb_mask mask;
    rb_error why = {0};
    bool missing = o->segment.form == RB_SEGMENT_NONE;
    if (state == OUTLINE_BROKEN && draw(p, at, o, &c->workers[0].room, &mask, &why))
        tell(c, REVBIFPN_OBJECT_BAD_OUTLINE, path, "%s: %s", name, why.text);
    if (state == OUTLINE_EMPTY || (missing && p->outlines))
        tell(c, REVBIFPN_OBJECT_EMPTY_OUTLINE, path, "%s: %s", name,
             missing ? "no outline" : "an outline without a pixel");
}

static void tell_objects(const checker *c, int i) {
    int picture;
    const rb_pictures *p = split_of(c, i, &picture);
    const rb_picture *at = &p->pictures[picture];
    const unsigned char *outlines = c->outlines + (p == &c->set->val ? c->set->train.object_count : 0);
    const char *path = path_of(c, i);
    size_t count = at[1].first - at->first;
    char name[48], other[48];
    for (size_t k = 0; k < count; k++) {
        const rb_object *o = &p->objects[at->first + k];
        tell_box(c, at, o, path, name_of(o, k, name));
        tell_outline(c, p, at, o, (outline)outlines[at->first + k], path, name);
        c->order[k] = o;
    }
    if (count) qsort(c->order, count, sizeof *c->order, by_object);
    for (size_t k = 1; k < count; k++) {
        const rb_object *a = c->order[k - 1], *b = c->order[k], *first = p->objects + at->first;
        if (!compare_objects(a, b))
            tell(c, REVBIFPN_OBJECT_DUPLICATE, path, "%s: class and box of %s",
                 name_of(b, (size_t)(b - first), name), name_of(a, (size_t)(a - first), other));
    }
}

static void tell_split(const checker *c, const rb_pictures *p) {
    const char *name = p == &c->set->val ? "val" : "train";
    if (p->left_out)
        tell(c, REVBIFPN_OBJECT_DANGLING, name,
             "%zu annotations of pictures or classes that are not listed, the first has the id %lld",
             p->left_out, (long long)p->left_out_id);
}

/* ---- numbers ---- */

static revbifpn_status count_classes(const checker *c, rb_error *err) {
    const rb_objects *set = c->set;
    size_t classes = (size_t)set->class_count;
    uint64_t *counts = rb_alloc(rb_size_mul(classes, 2 * sizeof *counts));
    if (!counts) return no_memory(err);
    for (int val = 0; val < 2; val++) {
        const rb_pictures *p = val ? &set->val : &set->train;
        for (size_t k = 0; k < p->object_count; k++) {
            counts[2 * p->objects[k].label + val]++;
            c->report->crowds += p->objects[k].crowd;
            c->report->outlines += p->objects[k].segment.form != RB_SEGMENT_NONE;
        }
    }
    for (size_t i = 0; i < classes; i++) {
        const char *name = set->classes[i].name;
        if (set->train.count && !counts[2 * i])
            tell(c, REVBIFPN_OBJECT_UNUSED_CLASS, name, "no objects in train");
        if (c->options->class_count)
            c->options->class_count(c->options->user, name, counts[2 * i], counts[2 * i + 1]);
    }
    rb_free(counts);
    return REVBIFPN_OK;
}

static void measure(const checker *c) {
    revbifpn_object_check_report *p = c->report;
    int train = rb_pictures_most_objects(&c->set->train), val = rb_pictures_most_objects(&c->set->val);
    p->most_objects = train > val ? train : val;
    for (int i = 0; i < c->count; i++) {
        const record *r = &c->records[i];
        if (!r->width) continue;
        if (!p->max_width || r->width < p->min_width) p->min_width = r->width;
        if (!p->max_width || r->height < p->min_height) p->min_height = r->height;
        if (r->width > p->max_width) p->max_width = r->width;
        if (r->height > p->max_height) p->max_height = r->height;
    }
}

/* ---- the whole ---- */

static bool open_checker(checker *c, int threads) {
    size_t objects = c->set->train.object_count + c->set->val.object_count;
    size_t largest = 0;
    for (int i = 0; i < c->count; i++) {
        int picture;
        const rb_pictures *p = split_of(c, i, &picture);
        size_t count = p->pictures[picture + 1].first - p->pictures[picture].first;
        if (count > largest) largest = count;
    }
    c->records = rb_alloc(rb_size_mul((size_t)c->count, sizeof *c->records));
    c->outlines = rb_alloc(objects);
    c->hashed = rb_alloc(rb_size_mul((size_t)c->count, sizeof *c->hashed));
    c->order = rb_alloc(rb_size_mul(largest, sizeof *c->order));
    c->workers = rb_alloc((size_t)threads * sizeof *c->workers);
    return c->records && c->outlines && c->hashed && c->order && c->workers;
}

static void close_checker(checker *c, int threads) {
    for (int i = 0; c->records && i < c->count; i++) rb_free(c->records[i].reason);
    for (int t = 0; c->workers && t < threads; t++) rb_segment_room_close(&c->workers[t].room);
    rb_free(c->records);
    rb_free(c->outlines);
    rb_free(c->hashed);
    rb_free(c->order);
    rb_free(c->workers);
}

revbifpn_status rb_check_objects(const rb_objects *set, const revbifpn_object_check_options *options,
                                 rb_pool *pool, revbifpn_object_check_report *report, rb_error *err) {
    checker c = {
        .set = set, .options = options, .report = report, .count = set->train.count + set->val.count};
    *report = (revbifpn_object_check_report){.form = rb_objects_form_name(set->form),
                                             .train = set->train.count,
                                             .val = set->val.count,
                                             .classes = set->class_count,
                                             .train_objects = set->train.object_count,
                                             .val_objects = set->val.object_count};
    revbifpn_status status = open_checker(&c, rb_pool_threads(pool)) ? REVBIFPN_OK : no_memory(err);
    if (!status) status = look_at_all(&c, pool, err);
    if (!status) {
        mark_equal_files(&c);
        tell_split(&c, &set->train);
        tell_split(&c, &set->val);
        for (int i = 0; i < c.count; i++) {
            tell_file(&c, i);
            tell_objects(&c, i);
        }
        status = count_classes(&c, err);
        measure(&c);
    }
    close_checker(&c, rb_pool_threads(pool));
    return status;
}
