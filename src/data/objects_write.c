#define _DEFAULT_SOURCE
#include "data/objects_write.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/memory.h"
#include "data/objects_source.h"
#include "data/objects_writer.h"

const rb_pictures *rb_writer_split(const rb_objects_writer *w, bool val) {
    const rb_pictures *p = val ? &w->set->val : &w->set->train;
    return p->count ? p : NULL;
}

const char *rb_writer_name(const rb_objects_writer *w, bool val, int picture) {
    return w->names[val ? w->set->train.count + picture : picture];
}

void rb_writer_number(rb_text *text, double value) {
    char digits[40];
    double back;
    for (int precision = 15; precision <= 17; precision += 2) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        char *point = strpbrk(digits, ",");
        if (point) *point = '.';
        const char *end = rb_number_take(digits, &back);
        if (end && !*end && back == value) break;
    }
    rb_text_add(text, digits);
}

/* ---- names of files ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Length of a name without its ending. */
static size_t stem_of(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (size_t)(dot - name) : strlen(name);
}

static int compare_stems(const char *a, const char *b) {
    size_t m = stem_of(a), n = stem_of(b);
    int order = memcmp(a, b, m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

static int by_stem(const void *a, const void *b) {
    return compare_stems(**(char **const *)a, **(char **const *)b);
}

/* "12_NAME" in the place of NAME, 12 being the picture's number. */
static bool number_name(char **name, size_t number) {
    size_t size = strlen(*name) + 24;
    char *longer = rb_alloc(size);
    if (!longer) return false;
    snprintf(longer, size, "%zu_%s", number, *name);
    rb_free(*name);
    *name = longer;
    return true;
}

/* Pictures keep their names; those whose stems are equal get their number before it. */
static revbifpn_status name_pictures(rb_objects_writer *w, rb_error *err) {
    size_t train = (size_t)w->set->train.count, count = train + (size_t)w->set->val.count;
    char ***order = rb_alloc(rb_size_mul(count, sizeof *order));
    w->names = rb_alloc(rb_size_mul(count, sizeof *w->names));
    bool ok = order && w->names;
    for (size_t i = 0; ok && i < count; i++) {
        const rb_pictures *p = i < train ? &w->set->train : &w->set->val;
        w->names[i] = rb_copy_text(base_name(rb_picture_path(p, (int)(i < train ? i : i - train))));
        order[i] = &w->names[i];
        ok = w->names[i] != NULL;
    }
    if (ok) qsort(order, count, sizeof *order, by_stem);
    for (size_t i = 0, end; ok && i < count; i = end) {
        for (end = i + 1; end < count && !compare_stems(*order[i], *order[end]); end++) {
        }
        for (size_t k = i; ok && end > i + 1 && k < end; k++)
            ok = number_name(order[k], (size_t)(order[k] - w->names) + 1);
    }
    rb_free(order);
    return ok ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the names of pictures");
}

/* ---- files ---- */

static revbifpn_status cannot_write(const char *path, rb_error *err) {
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot write: %s", path, strerror(errno));
}

/* A file of a folder that is being made: it need not appear whole. */
static revbifpn_status write_plain(const char *path, const void *bytes, size_t size, rb_error *err) {
    FILE *f = fopen(path, "wbxe");
    if (!f) return cannot_write(path, err);
    bool whole = !size || fwrite(bytes, 1, size, f) == size;
    if (fclose(f)) whole = false;
    return whole ? REVBIFPN_OK : cannot_write(path, err);
}

static revbifpn_status copy_file(const char *from, const char *to, rb_error *err) {
    unsigned char *bytes;
    size_t size;
    revbifpn_status status = rb_file_read(from, (size_t)1 << 30, &bytes, &size, err);
    if (status) return status;
    status = write_plain(to, bytes, size, err);
    rb_free(bytes);
    return status;
}

revbifpn_status rb_writer_picture(rb_objects_writer *w, bool val, int picture, const char *folder,
                                  rb_error *err) {
    const char *from = rb_picture_path(rb_writer_split(w, val), picture);
    int all = w->set->train.count + w->set->val.count;
    char to[8192];
    snprintf(to, sizeof to, "%s/%s/%s", w->out, folder, rb_writer_name(w, val, picture));
    revbifpn_status status = rb_host_stop_asked(from, err);
    if (status) return status;
    if (!rb_is_file(from)) {
        w->report->missing++;
    } else if (link(from, to)) {
        if (errno == EEXIST) return cannot_write(to, err);
        status = copy_file(from, to, err);
    }
    w->report->pictures++;
    if (!status && w->options->progress && (++w->done % 256 == 0 || w->done == all))
        w->options->progress(w->options->user, w->done, all);
    return status;
}

revbifpn_status rb_writer_text(rb_objects_writer *w, const char *folder, const char *name, const char *ending,
                               rb_error *err) {
    char path[8192];
    revbifpn_status status = rb_text_check(&w->text, "a file of the new data set", err);
    snprintf(path, sizeof path, "%s/%s/%.*s%s", w->out, folder, (int)(ending ? stem_of(name) : strlen(name)),
             name, ending ? ending : "");
    if (!status) status = write_plain(path, w->text.bytes, w->text.size, err);
    rb_text_clear(&w->text);
    return status;
}

/* ---- the whole ---- */

static revbifpn_status make_out(const char *out, rb_error *err) {
    revbifpn_status status = rb_folder_make(out, err);
    if (status) return status;
    DIR *stream = opendir(out);
    if (!stream)
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read the folder: %s", out, strerror(errno));
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        closedir(stream);
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: not empty; a data set needs a folder of its own",
                       out);
    }
    closedir(stream);
    return REVBIFPN_OK;
}

static revbifpn_status make_folders(const rb_objects_writer *w, rb_error *err) {
    static const char *const folders[][4] = {
        [RB_OBJECTS_COCO] = {"annotations", "images"},
        [RB_OBJECTS_VOC] = {"Annotations", "JPEGImages", "ImageSets/Main"},
        [RB_OBJECTS_YOLO] = {"images/train", "images/val", "labels/train", "labels/val"}};
    revbifpn_status status = make_out(w->out, err);
    for (int i = 0; !status && i < 4 && folders[w->options->form][i]; i++) {
        char *path = rb_path_join(w->out, folders[w->options->form][i]);
        status = path ? rb_folder_make(path, err)
                      : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", w->out);
        rb_free(path);
    }
    return status;
}

static revbifpn_status check_classes(const rb_objects *set, rb_error *err) {
    for (int i = 0; i < set->class_count; i++) {
        const char *name = set->classes[i].name;
        size_t length = strlen(name);
        if (!length || strpbrk(name, "\n\r") || isspace((unsigned char)name[length - 1]))
            return rb_fail(err, REVBIFPN_BAD_DATA, "the class name '%.200s' does not fit into a line", name);
    }
    return REVBIFPN_OK;
}

static revbifpn_status write_all(rb_objects_writer *w, rb_error *err) {
    revbifpn_status status;
    TRY(check_classes(w->set, err));
    TRY(make_folders(w, err));
    TRY(name_pictures(w, err));
    for (int val = 0; val < 2; val++) {
        if (!rb_writer_split(w, val)) continue;
        switch (w->options->form) {
        case RB_OBJECTS_COCO: TRY(rb_objects_write_coco(w, val, err)); break;
        case RB_OBJECTS_VOC: TRY(rb_objects_write_voc(w, val, err)); break;
        case RB_OBJECTS_YOLO: TRY(rb_objects_write_yolo(w, val, err)); break;
        }
    }
    if (w->options->form != RB_OBJECTS_COCO) TRY(rb_objects_write_classes(w, err));
fail:
    return status;
}

revbifpn_status rb_objects_write(const rb_objects *set, const char *out,
                                 const rb_objects_write_options *options, rb_objects_write_report *report,
                                 rb_error *err) {
    rb_objects_writer w = {.set = set, .options = options, .report = report, .out = out};
    *report = (rb_objects_write_report){0};
    if (options->form == RB_OBJECTS_VOC && options->outlines)
        return rb_fail(err, REVBIFPN_UNSUPPORTED, "%s: Pascal VOC's form has boxes only; leave outlines out",
                       out);
    revbifpn_status status = write_all(&w, err);
    for (int i = 0; w.names && i < set->train.count + set->val.count; i++) rb_free(w.names[i]);
    rb_free(w.names);
    rb_free(w.starts);
    rb_text_close(&w.text);
    rb_segment_room_close(&w.room);
    return status;
}
