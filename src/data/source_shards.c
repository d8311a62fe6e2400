/* Samples out of shards (data/shard.h): which files there are, then what their indexes say. Pictures come in
 * natural order of their name in the shard, so that shards made of a folder give the order of the folder,
 * however its pictures were dealt out. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/shard.h"
#include "data/source.h"

enum { SHARDS_MAX = 1000000, DIGITS_MAX = 9 };

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
}

/* ---- which files ---- */

static bool ends_with(const char *text, const char *ending) {
    size_t a = strlen(text), b = strlen(ending);
    return a > b && !strcmp(text + a - b, ending);
}

bool rb_folder_has(const char *folder, const char *ending) {
    bool found = false;
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream && !found && (entry = readdir(stream));)
        found = entry->d_name[0] != '.' && ends_with(entry->d_name, ending);
    if (stream) closedir(stream);
    return found;
}

static int natural(const void *a, const void *b) {
    return rb_natural_compare(*(char *const *)a, *(char *const *)b);
}

static revbifpn_status list_folder(const char *folder, rb_names *files, rb_error *err) {
    DIR *stream = opendir(folder);
    if (!stream)
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read the folder: %s", folder, strerror(errno));
    revbifpn_status status = REVBIFPN_OK;
    for (struct dirent *entry; !status && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.' || !ends_with(entry->d_name, ".tar")) continue;
        char *path = rb_path_join(folder, entry->d_name);
        status = path ? rb_names_add(files, path, err) : no_memory(err);
        rb_free(path);
    }
    closedir(stream);
    if (files->count) qsort(files->items, files->count, sizeof *files->items, natural);
    return status;
}

/* A number of at most nine digits; returns how many, 0: none. */
static int digits(const char *text, long *value) {
    int count = 0;
    for (*value = 0; count < DIGITS_MAX && isdigit((unsigned char)text[count]); count++)
        *value = *value * 10 + (text[count] - '0');
    return isdigit((unsigned char)text[count]) ? 0 : count;
}

/* "a{08..12}b": a08b … a12b, numbers as wide as the first. One range. */
static revbifpn_status expand(const char *pattern, rb_names *files, rb_error *err) {
    long first, last;
    const char *open = strchr(pattern, '{'), *at = open + 1;
    int width = digits(at, &first), second = 0;
    if (width && !strncmp(at + width, "..", 2)) second = digits(at + width + 2, &last);
    if (!second || at[width + 2 + second] != '}' || strchr(at + width + 2 + second, '{'))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "%s: not a pattern; write one range, as in shard-{000..099}.tar", pattern);
    if (last < first || last - first >= SHARDS_MAX)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: from %ld to %ld are not 1 … %d shards", pattern,
                       first, last, SHARDS_MAX);
    size_t size = strlen(pattern) + DIGITS_MAX + 1;
    char *path = rb_alloc(size);
    revbifpn_status status = path ? REVBIFPN_OK : no_memory(err);
    for (long i = first; !status && i <= last; i++) {
        snprintf(path, size, "%.*s%0*ld%s", (int)(open - pattern), pattern, width, i,
                 at + width + 3 + second);
        status = rb_names_add(files, path, err);
    }
    rb_free(path);
    return status;
}

/* ---- their pictures ---- */

static revbifpn_status add_entry(rb_source *s, const char *shard, const rb_shard_entry *e, rb_error *err) {
    size_t size = strlen(shard) + e->name_length + 2;
    rb_sample sample = {.form = RB_SAMPLE_RANGE,
                        .container = shard,
                        .offset = e->offset,
                        .size = e->size,
                        .path = rb_alloc(size)};
    if (!sample.path) return no_memory(err);
    snprintf(sample.path, size, "%s/%.*s", shard, (int)e->name_length, e->name);
    return rb_source_add_text(s, sample, e->label, e->label_length, err);
}

static revbifpn_status add_shard(rb_source *s, const char *path, rb_error *err) {
    revbifpn_status status;
    const char *shard;
    rb_shard_index index = {0};
    rb_shard_entry e;
    TRY(rb_source_container(s, path, &shard, err));
    TRY(rb_shard_index_open(&index, path, err));
    for (size_t at = 0; rb_shard_index_next(&index, &at, &e);) TRY(add_entry(s, shard, &e, err));
fail:
    rb_shard_index_close(&index);
    return status;
}

static int by_name(const void *a, const void *b) {
    const rb_sample *p = a, *q = b;
    int order = rb_natural_compare(p->path + strlen(p->container), q->path + strlen(q->container));
    if (order) return order;
    order = rb_natural_compare(p->container, q->container);
    return order ? order : (p->offset > q->offset) - (p->offset < q->offset);
}

revbifpn_status rb_source_read_shards(rb_source *s, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_names files = {0};
    if (rb_is_folder(path))
        TRY(list_folder(path, &files, err));
    else if (strchr(path, '{'))
        TRY(expand(path, &files, err));
    else
        TRY(rb_names_add(&files, path, err));
    for (size_t i = 0; i < files.count; i++) TRY(add_shard(s, files.items[i], err));
    if (s->split.count) qsort(s->split.samples, (size_t)s->split.count, sizeof *s->split.samples, by_name);
fail:
    rb_names_free(&files);
    return status;
}
