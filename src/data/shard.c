#define _GNU_SOURCE
#include "data/shard.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/memory.h"
#include "data/tar.h"

enum { HEAD = 40, ENTRY = 24, SUM = 8, JSON_MAX = 1 << 20 };
#define INDEX_MAX ((size_t)1 << 32)
static const char magic[8] = {'R', 'B', 'S', 'H', 'A', 'R', 'D', '1'};

/* ---- the bytes of an index ---- */

static void put(unsigned char *at, int bytes, uint64_t value) {
    for (int i = 0; i < bytes; i++, value >>= 8) at[i] = (unsigned char)value;
}

static uint64_t get(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static revbifpn_status append(rb_shard_index *x, const void *bytes, size_t size, rb_error *err) {
    if (size > x->room - x->size) {
        size_t room = rb_size_add(rb_size_mul(x->room, 2), size + 4096);
        unsigned char *grown = rb_alloc(room);
        if (!grown) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the index of a shard");
        if (x->size) memcpy(grown, x->bytes, x->size);
        rb_free(x->bytes);
        x->bytes = grown;
        x->room = room;
    }
    memcpy(x->bytes + x->size, bytes, size);
    x->size += size;
    return REVBIFPN_OK;
}

void rb_shard_index_close(rb_shard_index *index) {
    rb_free(index->bytes);
    *index = (rb_shard_index){0};
}

bool rb_shard_index_next(const rb_shard_index *x, size_t *at, rb_shard_entry *e) {
    if (*at < HEAD) *at = HEAD;
    if (x->size - SUM - *at < ENTRY) return false;
    const unsigned char *p = x->bytes + *at;
    *e = (rb_shard_entry){.offset = get(p, 8),
                          .size = get(p + 8, 8),
                          .name = (const char *)p + ENTRY,
                          .name_length = get(p + 16, 4),
                          .label_length = get(p + 20, 4)};
    e->label = e->name + e->name_length;
    *at += ENTRY + e->name_length + e->label_length;
    return true;
}

/* An entry whose lengths stay within the index, and its picture within the shard. */
static bool entry_is_right(const rb_shard_index *x, size_t at, uint64_t shard) {
    size_t left = x->size - SUM - at;
    if (left < ENTRY) return false;
    const unsigned char *p = x->bytes + at;
    uint64_t offset = get(p, 8), size = get(p + 8, 8), name = get(p + 16, 4), label = get(p + 20, 4);
    return offset <= shard && size <= shard - offset && name && name < RB_TAR_NAME && label &&
           label < RB_LABEL_BYTES && name + label <= left - ENTRY && !memchr(p + ENTRY, 0, name + label);
}

bool rb_shard_index_check(rb_shard_index *x) {
    if (x->size < HEAD + SUM || memcmp(x->bytes, magic, sizeof magic)) return false;
    if (get(x->bytes + x->size - SUM, 8) != rb_hash(x->bytes, x->size - SUM)) return false;
    size_t at = HEAD;
    rb_shard_entry e;
    for (x->count = 0; at < x->size - SUM; x->count++) {
        if (!entry_is_right(x, at, get(x->bytes + 8, 8))) return false;
        rb_shard_index_next(x, &at, &e);
    }
    return x->count == get(x->bytes + 32, 8);
}

/* ---- walking a shard ---- */

/* The sample whose files are being met. */
typedef struct group {
    char key[RB_TAR_NAME];
    char name[RB_TAR_NAME]; /* of the picture; "": none yet */
    char label[RB_LABEL_BYTES];
    uint64_t offset, size;
} group;

static bool is_picture(const char *extension) {
    static const char *const known[] = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(extension, known[i])) return true;
    return false;
}

static bool has_control(const char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text)) return true;
    return false;
}

static revbifpn_status end_group(rb_shard_index *x, const char *shard, group *g, rb_error *err) {
    unsigned char entry[ENTRY];
    revbifpn_status status = REVBIFPN_OK;
    if (g->name[0]) {
        size_t name = strlen(g->name), label = strlen(g->label);
        if (!label)
            return rb_fail(err, REVBIFPN_BAD_FILE, "%s: %.300s: no label (.cls, .json) beside it", shard,
                           g->name);
        put(entry, 8, g->offset);
        put(entry + 8, 8, g->size);
        put(entry + 16, 4, name);
        put(entry + 20, 4, label);
        TRY(append(x, entry, sizeof entry, err));
        TRY(append(x, g->name, name, err));
        TRY(append(x, g->label, label, err));
        x->count++;
    }
    g->name[0] = g->label[0] = 0;
fail:
    return status;
}

/* Text between blanks. */
static bool plain_label(char *text, size_t size, char label[RB_LABEL_BYTES]) {
    size_t start = 0;
    while (size && isspace((unsigned char)text[size - 1])) size--;
    while (start < size && isspace((unsigned char)text[start])) start++;
    size -= start;
    if (!size || size >= RB_LABEL_BYTES || memchr(text + start, 0, size)) return false;
    memcpy(label, text + start, size);
    label[size] = 0;
    return true;
}

static revbifpn_status read_label(const rb_tar *tar, const rb_tar_member *m, bool json, group *g,
                                  rb_error *err) {
    revbifpn_status status;
    char *text = NULL;
    bool fits = m->size <= (json ? JSON_MAX : 4096);
    if (fits) text = rb_alloc(m->size + 1);
    if (fits && !text)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for a label", tar->path);
    if (text) TRY(rb_tar_read(tar, m->offset, text, m->size, err));
    bool good =
        fits && (json ? rb_shard_json_label(text, m->size, g->label) : plain_label(text, m->size, g->label));
    status = REVBIFPN_OK;
    if ((!good && !json) || has_control(g->label))
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: %.300s: not the text of a label", tar->path, m->name);
fail:
    rb_free(text);
    return status;
}

static revbifpn_status take_member(rb_shard_index *x, const rb_tar *tar, const rb_tar_member *m, group *g,
                                   rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    const char *slash = strrchr(m->name, '/'), *base = slash ? slash + 1 : m->name, *dot = strchr(base, '.');
    if (!dot || dot == base) return REVBIFPN_OK;
    size_t key = (size_t)(dot - m->name);
    if (strlen(g->key) != key || memcmp(g->key, m->name, key)) {
        TRY(end_group(x, tar->path, g, err));
        memcpy(g->key, m->name, key);
        g->key[key] = 0;
    }
    if (is_picture(dot + 1) && !g->name[0]) {
        if (has_control(m->name))
            return rb_fail(err, REVBIFPN_BAD_FILE, "%s: a name with a control character, at byte %llu",
                           tar->path, (unsigned long long)m->offset - RB_TAR_BLOCK);
        memcpy(g->name, m->name, sizeof g->name);
        g->offset = m->offset;
        g->size = m->size;
    }
    bool json = !strcasecmp(dot + 1, "json");
    if (!strcasecmp(dot + 1, "cls") || (json && !g->label[0])) status = read_label(tar, m, json, g, err);
fail:
    return status;
}

static revbifpn_status walk(rb_shard_index *x, rb_tar *tar, rb_error *err) {
    revbifpn_status status;
    rb_tar_member *m = rb_alloc(sizeof *m);
    group *g = rb_alloc(sizeof *g);
    bool found;
    status = m && g ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", tar->path);
    while (!status) {
        TRY(rb_host_stop_asked(tar->path, err));
        TRY(rb_tar_next(tar, m, &found, err));
        if (!found) break;
        TRY(take_member(x, tar, m, g, err));
    }
    if (!status) status = end_group(x, tar->path, g, err);
fail:
    rb_free(m);
    rb_free(g);
    return status;
}

/* What tells whether the shard is still the one that the index was made from. */
static void put_identity(unsigned char head[HEAD], const struct stat *info) {
    memcpy(head, magic, sizeof magic);
    put(head + 8, 8, (uint64_t)info->st_size);
    put(head + 16, 8, (uint64_t)info->st_mtim.tv_sec);
    put(head + 24, 8, (uint64_t)info->st_mtim.tv_nsec);
}

revbifpn_status rb_shard_index_make(rb_shard_index *x, const char *shard, rb_error *err) {
    revbifpn_status status;
    rb_tar tar = {.fd = -1};
    unsigned char head[HEAD] = {0}, sum[SUM];
    struct stat info;
    *x = (rb_shard_index){0};
    if (stat(shard, &info)) memset(&info, 0, sizeof info); /* opening it says why */
    put_identity(head, &info);
    TRY(rb_tar_open(&tar, shard, err));
    TRY(append(x, head, sizeof head, err));
    TRY(walk(x, &tar, err));
    put(x->bytes + 32, 8, x->count);
    put(sum, SUM, rb_hash(x->bytes, x->size));
    TRY(append(x, sum, sizeof sum, err));
fail:
    rb_tar_close(&tar);
    if (status) rb_shard_index_close(x);
    return status;
}

/* ---- keeping it ---- */

/* *found: there is one, of this shard as it is now. Only being out of memory is an error. */
static revbifpn_status read_kept(rb_shard_index *x, const char *path, const struct stat *info, bool *found,
                                 rb_error *err) {
    unsigned char head[HEAD];
    revbifpn_status status = rb_file_read(path, INDEX_MAX, &x->bytes, &x->size, err);
    *found = false;
    if (status) return status == REVBIFPN_OUT_OF_MEMORY ? status : REVBIFPN_OK;
    put_identity(head, info);
    *found = x->size >= HEAD && !memcmp(x->bytes, head, 32) && rb_shard_index_check(x);
    if (!*found) rb_shard_index_close(x);
    return REVBIFPN_OK;
}

revbifpn_status rb_shard_index_open(rb_shard_index *x, const char *shard, rb_error *err) {
    struct stat info;
    char path[4096 + 16];
    rb_error kept;
    bool found = false;
    revbifpn_status status = REVBIFPN_OK;
    *x = (rb_shard_index){0};
    int length = snprintf(path, sizeof path, "%s.index", shard);
    if (length >= 4090) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", shard);
    if (!stat(shard, &info)) status = read_kept(x, path, &info, &found, err);
    if (status || found) return status;
    status = rb_shard_index_make(x, shard, err);
    if (status) return status;
    /* in a folder that cannot be written to the index is made each time */
    if (rb_file_replace(path, x->bytes, x->size, &kept)) rb_log(REVBIFPN_LOG_NOTICE, kept.text);
    return REVBIFPN_OK;
}
