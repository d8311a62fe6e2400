#include "io/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/little_endian.h"

#define REFUSE(...) rb_fail(err, REVBIFPN_BAD_FILE, __VA_ARGS__)

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    END_64 = 0x06064b50,
    LOCATOR_64 = 0x07064b50,
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END_64_BYTES = 56,
    LOCATOR_BYTES = 20,
    COMMENT_MAX = 65535,
    DIRECTORY_MAX = 1 << 28 /* a million entries with room to spare */
};

/* Where the central directory lies. */
typedef struct directory {
    uint64_t offset, size, count;
    uint64_t end; /* where the records behind it begin */
} directory;

/* With zip64 the 32-bit fields are all ones and the true ones lie in a record of their own before the end. */
static revbifpn_status read_end_64(const rb_tensor_file *file, uint64_t end, directory *d, rb_error *err) {
    revbifpn_status status;
    unsigned char locator[LOCATOR_BYTES], record[END_64_BYTES];
    if (end < LOCATOR_BYTES) return REVBIFPN_OK;
    TRY(rb_tensor_read_at(file, end - LOCATOR_BYTES, locator, sizeof locator, err));
    if (rb_le32(locator) != LOCATOR_64) return REVBIFPN_OK; /* not one */
    uint64_t at = rb_le64(locator + 8);
    if (end < LOCATOR_BYTES + END_64_BYTES || at > end - LOCATOR_BYTES - END_64_BYTES)
        return REFUSE("%s: zip64: its end record is said to lie at byte %" PRIu64 ", past its locator",
                      file->path, at);
    TRY(rb_tensor_read_at(file, at, record, sizeof record, err));
    if (rb_le32(record) != END_64) return REFUSE("%s: byte %" PRIu64 ": no zip64 end record", file->path, at);
    if (rb_le32(record + 16) || rb_le32(record + 20) || rb_le64(record + 24) != rb_le64(record + 32))
        return REFUSE("%s: a zip archive of several volumes", file->path);
    *d = (directory){rb_le64(record + 48), rb_le64(record + 40), rb_le64(record + 32), at};
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status check_directory(const rb_tensor_file *file, const directory *d, rb_error *err) {
    if (d->offset > d->end || d->size != d->end - d->offset)
        return REFUSE("%s: zip: %" PRIu64 " bytes of directory at byte %" PRIu64
                      " do not end where its end record begins, at byte %" PRIu64,
                      file->path, d->size, d->offset, d->end);
    if (d->size > DIRECTORY_MAX || d->count > d->size / CENTRAL_BYTES)
        return REFUSE("%s: zip: %" PRIu64 " entries in %" PRIu64 " bytes of directory", file->path, d->count,
                      d->size);
    return REVBIFPN_OK;
}

/* The end record: 22 bytes and a comment at the end of the file. */
static revbifpn_status find_directory(const rb_tensor_file *file, directory *d, rb_error *err) {
    revbifpn_status status;
    uint64_t most = END_BYTES + COMMENT_MAX, size = file->size < most ? file->size : most;
    unsigned char *tail = rb_alloc((size_t)size), *p = NULL;
    if (!tail) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", file->path);
    TRY(rb_tensor_read_at(file, file->size - size, tail, (size_t)size, err));
    for (size_t back = END_BYTES; back <= size && !p; back++) {
        unsigned char *at = tail + size - back;
        if (rb_le32(at) == END && rb_le16(at + 20) == back - END_BYTES) p = at;
    }
    if (!p) {
        status = REFUSE("%s: zip: no end record: truncated?", file->path);
        goto fail;
    }
    uint64_t end = file->size - size + (uint64_t)(p - tail);
    *d = (directory){rb_le32(p + 16), rb_le32(p + 12), rb_le16(p + 10), end};
    if (rb_le16(p + 4) || rb_le16(p + 6) || rb_le16(p + 8) != rb_le16(p + 10)) {
        status = REFUSE("%s: a zip archive of several volumes", file->path);
        goto fail;
    }
    TRY(read_end_64(file, end, d, err));
    status = check_directory(file, d, err);
fail:
    rb_free(tail);
    return status;
}

/* The zip64 extra field (id 1) has, in this order, those of size, compressed size and offset that are all
 * ones in the 32-bit fields. */
static bool widen(const unsigned char *extra, size_t length, uint64_t *fields[3]) {
    for (size_t at = 0; at + 4 <= length; at += 4 + rb_le16(extra + at + 2)) {
        size_t bytes = rb_le16(extra + at + 2), used = 0;
        if (bytes > length - at - 4) return false;
        if (rb_le16(extra + at) != 1) continue;
        for (int i = 0; i < 3; i++) {
            if (*fields[i] != UINT32_MAX) continue;
            if (used + 8 > bytes) return false;
            *fields[i] = rb_le64(extra + at + 4 + used);
            used += 8;
        }
        return true;
    }
    return *fields[0] != UINT32_MAX && *fields[1] != UINT32_MAX && *fields[2] != UINT32_MAX;
}

/* Finds where the data begins: behind the local header, whose name must be that of the directory. */
static revbifpn_status locate(const rb_tensor_file *file, const directory *d, rb_zip_entry *e,
                              uint64_t header, rb_error *err) {
    revbifpn_status status;
    unsigned char local[LOCAL_BYTES];
    char *name = NULL;
    size_t length = strlen(e->name);
    if (header > d->offset || d->offset - header < LOCAL_BYTES + length)
        return REFUSE("%s: zip entry '%s' is said to begin at byte %" PRIu64
                      ", the directory does at %" PRIu64,
                      file->path, rb_tensor_show(e->name).text, header, d->offset);
    TRY(rb_tensor_read_at(file, header, local, sizeof local, err));
    name = rb_alloc(length + 1);
    if (!name) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", file->path);
    TRY(rb_tensor_read_at(file, header + LOCAL_BYTES, name, length, err));
    e->offset = header + LOCAL_BYTES + length + rb_le16(local + 28);
    if (rb_le32(local) != LOCAL || rb_le16(local + 26) != length || memcmp(name, e->name, length))
        status = REFUSE("%s: byte %" PRIu64 ": no local header of zip entry '%s'", file->path, header,
                        rb_tensor_show(e->name).text);
    else if (e->offset > d->offset || e->size > d->offset - e->offset)
        status = REFUSE("%s: zip entry '%s' of %" PRIu64 " bytes at byte %" PRIu64
                        " runs into the directory at %" PRIu64,
                        file->path, rb_tensor_show(e->name).text, e->size, e->offset, d->offset);
fail:
    rb_free(name);
    return status;
}

/* One record of the directory, `left` bytes of which are there; *used of them it takes. */
static revbifpn_status read_entry(const rb_tensor_file *file, const directory *d, const unsigned char *p,
                                  size_t left, char *name, rb_zip_entry *e, size_t *used, rb_error *err) {
    if (left < CENTRAL_BYTES || rb_le32(p) != CENTRAL)
        return REFUSE("%s: zip: broken directory, %zu bytes before its end", file->path, left);
    size_t length = rb_le16(p + 28), extra = rb_le16(p + 30);
    *used = CENTRAL_BYTES + length + extra + rb_le16(p + 32);
    if (*used > left) return REFUSE("%s: zip: broken directory, %zu bytes before its end", file->path, left);
    memcpy(name, p + CENTRAL_BYTES, length);
    name[length] = 0;
    e->name = name;
    const char *shown = name;
    if (strlen(name) != length) return REFUSE("%s: zip: an entry's name has a zero byte", file->path);
    uint64_t packed = rb_le32(p + 20), header = rb_le32(p + 42);
    e->size = rb_le32(p + 24);
    if (rb_le16(p + 8) & 1)
        return REFUSE("%s: zip entry '%s' is encrypted", file->path, rb_tensor_show(shown).text);
    if (!widen(p + CENTRAL_BYTES + length, extra, (uint64_t *[3]){&e->size, &packed, &header}))
        return REFUSE("%s: zip entry '%s': broken zip64 field", file->path, rb_tensor_show(shown).text);
    if (rb_le16(p + 10) || packed != e->size)
        return REFUSE("%s: zip entry '%s' is compressed; torch.save does not do that", file->path,
                      rb_tensor_show(shown).text);
    return locate(file, d, e, header, err);
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const rb_zip_entry *)a)->name, ((const rb_zip_entry *)b)->name);
}

static revbifpn_status read_entries(rb_zip *zip, const rb_tensor_file *file, const directory *d,
                                    const unsigned char *bytes, rb_error *err) {
    revbifpn_status status;
    size_t at = 0, named = 0, used = 0;
    for (; zip->count < d->count; zip->count++) {
        rb_zip_entry *e = &zip->entries[zip->count];
        TRY(read_entry(file, d, bytes + at, (size_t)d->size - at, zip->names + named, e, &used, err));
        named += strlen(e->name) + 1; /* ≤ what the record takes in the directory */
        at += used;
    }
    if (at != d->size)
        return REFUSE("%s: zip: %zu bytes after the last entry of the directory", file->path,
                      (size_t)d->size - at);
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_entries);
    for (size_t i = 1; i < zip->count; i++)
        if (!compare_entries(&zip->entries[i - 1], &zip->entries[i]))
            return REFUSE("%s: zip entry '%s' is there twice", file->path,
                          rb_tensor_show(zip->entries[i].name).text);
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_zip_open(rb_zip *zip, const rb_tensor_file *file, rb_error *err) {
    revbifpn_status status;
    directory d = {0};
    unsigned char *bytes = NULL;
    *zip = (rb_zip){0};
    TRY(find_directory(file, &d, err));
    bytes = rb_alloc((size_t)d.size);
    zip->names = rb_alloc((size_t)d.size + 1);
    zip->entries = rb_alloc((size_t)d.count * sizeof *zip->entries);
    if (!bytes || !zip->names || !zip->entries) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %" PRIu64 " zip entries",
                         file->path, d.count);
        goto fail;
    }
    TRY(rb_tensor_read_at(file, d.offset, bytes, (size_t)d.size, err));
    TRY(read_entries(zip, file, &d, bytes, err));
    rb_free(bytes);
    return REVBIFPN_OK;
fail:
    rb_free(bytes);
    rb_zip_close(zip);
    return status;
}

void rb_zip_close(rb_zip *zip) {
    rb_free(zip->entries);
    rb_free(zip->names);
    *zip = (rb_zip){0};
}

const rb_zip_entry *rb_zip_find(const rb_zip *zip, const char *name) {
    rb_zip_entry key = {.name = (char *)(uintptr_t)name};
    return bsearch(&key, zip->entries, zip->count, sizeof key, compare_entries);
}

const rb_zip_entry *rb_zip_find_in_folder(const rb_zip *zip, const char *name) {
    for (size_t i = 0; i < zip->count; i++) {
        const char *slash = strchr(zip->entries[i].name, '/');
        if (slash && !strcmp(slash + 1, name)) return &zip->entries[i];
    }
    return NULL;
}
