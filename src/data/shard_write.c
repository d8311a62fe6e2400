#include "data/shard_write.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/folder.h"
#include "data/sample.h"
#include "data/sampler.h"
#include "data/tar.h"

enum { SHARDS_MAX = 1000000 };

typedef struct writer {
    const rb_shard_options *options;
    const rb_split *split;
    const char *folder;
    uint32_t *order;
    int shards; /* of this split; 0: by size */
    int done, all;
    rb_file_writer file; /* the open shard, if there is one */
    uint64_t bytes;      /* in it */
    int in_shard;
    int next; /* number of the next shard */
    rb_shard_report *report;
} writer;

static uint64_t whole_blocks(uint64_t size) {
    return (size + RB_TAR_BLOCK - 1) / RB_TAR_BLOCK * RB_TAR_BLOCK;
}

static revbifpn_status write_member(writer *w, const char *name, const void *bytes, size_t size,
                                    rb_error *err) {
    static const uint8_t zeros[RB_TAR_BLOCK];
    revbifpn_status status;
    uint8_t header[RB_TAR_BLOCK];
    rb_tar_header(name, size, header);
    TRY(rb_file_write(&w->file, header, sizeof header, err));
    TRY(rb_file_write(&w->file, bytes, size, err));
    TRY(rb_file_write(&w->file, zeros, (size_t)(whole_blocks(size) - size), err));
    w->bytes += RB_TAR_BLOCK + whole_blocks(size);
fail:
    return status;
}

static revbifpn_status begin_shard(writer *w, rb_error *err) {
    char name[32];
    snprintf(name, sizeof name, "shard-%06d.tar", w->next++);
    char *path = rb_path_join(w->folder, name);
    if (!path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a shard");
    w->bytes = 0;
    w->in_shard = 0;
    revbifpn_status status = rb_file_begin(&w->file, path, err);
    rb_free(path);
    return status;
}

/* Two blocks of zeros end an archive. */
static revbifpn_status end_shard(writer *w, rb_error *err) {
    static const uint8_t zeros[2 * RB_TAR_BLOCK];
    revbifpn_status status;
    TRY(rb_file_write(&w->file, zeros, sizeof zeros, err));
    TRY(rb_file_commit(&w->file, err));
    w->report->shards++;
    w->report->bytes += w->bytes + sizeof zeros;
    return REVBIFPN_OK;
fail:
    return status;
}

/* The extension of the file in small letters, a short one of letters and digits; else "jpg". */
static void extension_of(const char *path, char extension[8]) {
    const char *dot = strrchr(path, '.');
    size_t length = 0;
    for (dot = dot ? dot + 1 : ""; isalnum((unsigned char)dot[length]) && length < 6; length++)
        extension[length] = (char)tolower((unsigned char)dot[length]);
    extension[length] = 0;
    if (!length || dot[length]) strcpy(extension, "jpg");
}

/* Whether picture `i` of the order goes into a new shard. */
static bool is_first(const writer *w, int i, uint64_t size) {
    if (!i) return true;
    if (!w->shards)
        return w->bytes + 3 * RB_TAR_BLOCK + whole_blocks(size) + 2 * RB_TAR_BLOCK > w->options->shard_bytes;
    return i == (int64_t)w->split->count * w->next / w->shards;
}

static revbifpn_status write_picture(writer *w, int i, rb_error *err) {
    revbifpn_status status;
    unsigned char *bytes = NULL;
    size_t size = 0;
    char name[32], extension[8], label[16];
    const rb_sample *s = &w->split->samples[w->order[i]];
    TRY(rb_sample_bytes(s, &bytes, &size, err));
    if (is_first(w, i, size)) {
        if (i) TRY(end_shard(w, err));
        TRY(begin_shard(w, err));
    }
    extension_of(s->path, extension);
    snprintf(name, sizeof name, "%09u.%s", w->order[i], extension);
    TRY(write_member(w, name, bytes, size, err));
    snprintf(name, sizeof name, "%09u.cls", w->order[i]);
    snprintf(label, sizeof label, "%d", s->label);
    TRY(write_member(w, name, label, strlen(label), err));
    w->report->pictures++;
    if (w->options->progress) w->options->progress(w->options->user, ++w->done, w->all);
fail:
    rb_free(bytes);
    return status;
}

static revbifpn_status write_split(writer *w, const rb_split *split, const char *folder, rb_error *err) {
    revbifpn_status status;
    if (!split->count) return REVBIFPN_OK;
    w->split = split;
    w->folder = folder;
    w->next = 0;
    w->order = rb_alloc(rb_size_mul((size_t)split->count, sizeof *w->order));
    if (!w->order) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the order of pictures");
    rb_sampler_order(w->options->seed, 0, true, split->count, w->order);
    TRY(rb_folder_make(folder, err));
    for (int i = 0; i < split->count; i++) TRY(write_picture(w, i, err));
    status = end_shard(w, err);
fail:
    rb_file_abandon(&w->file);
    rb_free(w->order);
    w->order = NULL;
    return status;
}

/* ---- the whole ---- */

static revbifpn_status check(const rb_dataset *d, const char *out, const rb_shard_options *o, rb_error *err) {
    int larger = d->train.count > d->val.count ? d->train.count : d->val.count;
    if (!o->shards == !o->shard_bytes)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "either --shards or --shard-size");
    if (o->shards < 0 || o->shards > SHARDS_MAX || o->shards > larger)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--shards %d of %d pictures", o->shards, larger);
    for (int part = 0; part < 2; part++) {
        const rb_split *split = part ? &d->val : &d->train;
        for (int i = 0; i < split->count; i++)
            if (split->samples[i].form == RB_SAMPLE_PLANES)
                return rb_fail(err, REVBIFPN_BAD_DATA, "%s: not a picture file; shards are of such",
                               split->samples[i].path);
    }
    DIR *stream = opendir(out);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        closedir(stream);
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: not empty; shards need a folder of their own", out);
    }
    if (stream) closedir(stream);
    return REVBIFPN_OK;
}

static revbifpn_status write_classes(const rb_dataset *d, const char *out, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    rb_file_writer file = {0};
    char *path = rb_path_join(out, "classes.txt");
    if (!path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of classes");
    TRY(rb_file_begin(&file, path, err));
    for (int i = 0; i < d->classes; i++) {
        const char *name = d->class_names[i];
        size_t length = strlen(name);
        if (strpbrk(name, "\n\r") || (length && isspace((unsigned char)name[length - 1]))) {
            status =
                rb_fail(err, REVBIFPN_BAD_DATA, "the class name '%.200s' does not fit into a line", name);
            goto fail;
        }
        TRY(rb_file_write(&file, name, length, err));
        TRY(rb_file_write(&file, "\n", 1, err));
    }
    TRY(rb_file_commit(&file, err));
fail:
    rb_file_abandon(&file);
    rb_free(path);
    return status;
}

/* Its part of the shards, rounded up. */
static int part_of(int shards, int count, int larger) {
    return (int)(((int64_t)shards * count + larger - 1) / larger);
}

revbifpn_status rb_shards_write(const rb_dataset *d, const char *out, const rb_shard_options *options,
                                rb_shard_report *report, rb_error *err) {
    revbifpn_status status;
    int larger = d->train.count > d->val.count ? d->train.count : d->val.count;
    writer w = {.options = options, .all = d->train.count + d->val.count, .report = report};
    char *train = rb_path_join(out, "train"), *val = rb_path_join(out, "val");
    *report = (rb_shard_report){0};
    status =
        train && val ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the shards");
    if (status) goto fail;
    TRY(check(d, out, options, err));
    TRY(rb_folder_make(out, err));
    TRY(write_classes(d, out, err));
    w.shards = options->shards ? part_of(options->shards, d->train.count, larger) : 0;
    TRY(write_split(&w, &d->train, d->val.count ? train : out, err));
    w.shards = options->shards ? part_of(options->shards, d->val.count, larger) : 0;
    TRY(write_split(&w, &d->val, d->train.count ? val : out, err));
fail:
    rb_free(train);
    rb_free(val);
    return status;
}
