/* The writer of pth.h. The pickle and the table of the zip are made in memory; tensors are written from where
 * they are. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/little_endian.h"
#include "io/pth.h"

enum { ALIGNMENT = 64, BATCH = 1000 /* entries after one mark, as Python's pickler does it */ };

#define FOLDER "archive"

static const struct {
    rb_dtype dtype;
    const char *storage;
} storages[] = {{RB_DTYPE_F32, "FloatStorage"}, {RB_DTYPE_F64, "DoubleStorage"},
                {RB_DTYPE_F16, "HalfStorage"},  {RB_DTYPE_BF16, "BFloat16Storage"},
                {RB_DTYPE_I64, "LongStorage"},  {RB_DTYPE_I32, "IntStorage"},
                {RB_DTYPE_I16, "ShortStorage"}, {RB_DTYPE_I8, "CharStorage"},
                {RB_DTYPE_U8, "ByteStorage"},   {RB_DTYPE_BOOL, "BoolStorage"}};

static const char *storage_name(rb_dtype dtype) {
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++)
        if (storages[i].dtype == dtype) return storages[i].storage;
    return NULL;
}

bool rb_pth_name(const char *path) {
    static const char *const ends[] = {".pth", ".pt", ".pth.tar"};
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(path), end = strlen(ends[i]);
        if (length > end && !strcmp(path + length - end, ends[i])) return true;
    }
    return false;
}

/* ---- bytes in memory ---- */

typedef struct text {
    unsigned char *bytes;
    size_t size, capacity;
    bool failed; /* out of memory; what follows is dropped */
} text;

static void put(text *t, const void *bytes, size_t size) {
    if (t->failed) return;
    if (size > t->capacity - t->size) {
        size_t capacity = 2 * t->capacity + size + 4096;
        unsigned char *more = rb_alloc(capacity);
        t->failed = !more;
        if (!more) return;
        if (t->size) memcpy(more, t->bytes, t->size);
        rb_free(t->bytes);
        t->bytes = more;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void put_text(text *t, const char *s) { put(t, s, strlen(s)); }

static void put_number(text *t, uint64_t value, int bytes) {
    unsigned char b[8];
    rb_put_le(b, value, bytes);
    put(t, b, (size_t)bytes);
}

/* ---- the pickle, protocol 2 ---- */

static void pickle_text(text *t, const char *s) {
    put_text(t, "X");
    put_number(t, strlen(s), 4);
    put_text(t, s);
}

static void pickle_integer(text *t, int64_t value) {
    if (value >= 0 && value <= 255) {
        put_text(t, "K");
        put_number(t, (uint64_t)value, 1);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        put_text(t, "J");
        put_number(t, (uint64_t)value, 4);
    } else {
        put(t, "\x8a\x08", 2);
        put_number(t, (uint64_t)value, 8);
    }
}

static size_t elements_of(const rb_tensor_source *s) {
    size_t elements = 1;
    for (int i = 0; i < s->ndim; i++) elements *= (size_t)s->shape[i];
    return elements;
}

/* A tuple of numbers: the shape, or the strides of a row-major tensor of that shape. */
static void pickle_numbers(text *t, const rb_tensor_source *s, bool strides) {
    int64_t step[RB_TENSOR_MAX_DIMS], next = 1;
    for (int i = s->ndim - 1; i >= 0; i--) {
        step[i] = next;
        next *= s->shape[i] > 0 ? s->shape[i] : 1;
    }
    put_text(t, "(");
    for (int i = 0; i < s->ndim; i++) pickle_integer(t, strides ? step[i] : s->shape[i]);
    put_text(t, "t");
}

/* _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static void pickle_tensor(text *t, const rb_tensor_source *s, int number) {
    char key[16];
    snprintf(key, sizeof key, "%d", number);
    put_text(t, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(t, "storage");
    put_text(t, "ctorch\n");
    put_text(t, storage_name(s->dtype));
    put_text(t, "\n");
    pickle_text(t, key);
    pickle_text(t, "cpu");
    pickle_integer(t, (int64_t)elements_of(s));
    put_text(t, "tQK");
    put(t, "\0", 1);
    pickle_numbers(t, s, false);
    pickle_numbers(t, s, true);
    put(t, "\x89", 1);
    put_text(t, "ccollections\nOrderedDict\n)RtR");
}

static void pickle_object(text *t, const rb_tensor_source *tensors, int count,
                          const rb_tensor_metadata *metadata, int metadata_count) {
    put(t, "\x80\x02", 2);
    put_text(t, "ccollections\nOrderedDict\n)R");
    for (int i = 0; i < count; i++) {
        if (i % BATCH == 0) put_text(t, "(");
        pickle_text(t, tensors[i].name);
        pickle_tensor(t, &tensors[i], i);
        if (i % BATCH == BATCH - 1 || i == count - 1) put_text(t, "u");
    }
    if (metadata_count) {
        put_text(t, "}");
        pickle_text(t, "_metadata");
        put_text(t, "}");
        pickle_text(t, "revbifpn");
        put_text(t, "}(");
        for (int i = 0; i < metadata_count; i++) {
            pickle_text(t, metadata[i].key);
            pickle_text(t, metadata[i].value);
        }
        put_text(t, "ussb");
    }
    put_text(t, ".");
}

/* ---- the zip ---- */

static uint32_t crc32_of(const unsigned char *bytes, size_t size) {
    static const uint32_t half[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                      0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t table[256], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = half[i & 15];
        table[i] = c >> 4 ^ half[(c ^ i >> 4) & 15];
    }
    for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
    return ~crc;
}

typedef struct archive {
    rb_file_writer writer;
    uint64_t at;
    text directory;
    int entries;
    rb_error *err;
} archive;

static revbifpn_status put_out(archive *a, const void *bytes, size_t size) {
    a->at += size;
    return rb_file_write(&a->writer, bytes, size, a->err);
}

/* What local header and directory have in common. */
static void put_common(text *t, const char *name, uint32_t crc, size_t size, size_t extra) {
    put_number(t, 0, 2);      /* version needed, as PyTorch has it */
    put_number(t, 0x0800, 2); /* names are UTF-8 */
    put_number(t, 0, 2);      /* stored */
    put_number(t, 0, 4);      /* no time: equal input gives equal bytes */
    put_number(t, crc, 4);
    put_number(t, size, 4);
    put_number(t, size, 4);
    put_number(t, strlen(name), 2);
    put_number(t, extra, 2);
}

/* An entry whose data begins at a multiple of ALIGNMENT: the extra field "FB" fills up, as PyTorch does it.
 */
static revbifpn_status add_entry(archive *a, const char *name, const void *data, size_t size) {
    revbifpn_status status;
    text local = {0};
    uint32_t crc = crc32_of(data, size);
    uint64_t begin = a->at, behind = begin + 30 + strlen(name) + 4;
    size_t fill = (size_t)((ALIGNMENT - behind % ALIGNMENT) % ALIGNMENT);
    put_text(&local, "PK\3\4");
    put_common(&local, name, crc, size, fill + 4);
    put_text(&local, name);
    put_text(&local, "FB");
    put_number(&local, fill, 2);
    for (size_t i = 0; i < fill; i++) put_text(&local, "Z");
    put(&a->directory, "PK\1\2\0\0", 6);
    put_common(&a->directory, name, crc, size, 0);
    put_number(&a->directory, 0, 2 + 2 + 2); /* comment, disk, attributes */
    put_number(&a->directory, 0, 4);
    put_number(&a->directory, begin, 4);
    put_text(&a->directory, name);
    a->entries++;
    if (local.failed || a->directory.failed) {
        status = rb_fail(a->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory to write it", a->writer.path);
        goto fail;
    }
    TRY(put_out(a, local.bytes, local.size));
    if (size) TRY(put_out(a, data, size));
fail:
    rb_free(local.bytes);
    return status;
}

static revbifpn_status add_directory(archive *a) {
    revbifpn_status status;
    size_t size = a->directory.size;
    uint64_t begin = a->at;
    text end = {0};
    put(&end, "PK\5\6\0\0\0\0", 8);
    put_number(&end, (uint64_t)a->entries, 2);
    put_number(&end, (uint64_t)a->entries, 2);
    put_number(&end, size, 4);
    put_number(&end, begin, 4);
    put_number(&end, 0, 2);
    if (end.failed) {
        status = rb_fail(a->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory to write it", a->writer.path);
        goto fail;
    }
    TRY(put_out(a, a->directory.bytes, size));
    status = put_out(a, end.bytes, end.size);
fail:
    rb_free(end.bytes);
    return status;
}

/* ---- all of it ---- */

/* Sizes and offsets have 32 bits, the count of entries 16: what passes them is refused before anything is
 * written. */
static revbifpn_status check(const char *path, const rb_tensor_source *tensors, int count, size_t pickle,
                             rb_error *err) {
    size_t total = rb_size_add(pickle, (size_t)count * 512 + 4096);
    for (int i = 0; i < count; i++) {
        const rb_tensor_source *s = &tensors[i];
        size_t bytes = rb_dtype_bytes(s->dtype);
        for (int d = 0; d < s->ndim; d++) bytes = rb_size_mul(bytes, (size_t)s->shape[d]);
        total = rb_size_add(total, bytes);
        if (!storage_name(s->dtype))
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                           "%s: tensor '%.100s': %s has no storage in PyTorch's format", path, s->name,
                           rb_dtype_name(s->dtype));
    }
    if (count <= UINT16_MAX - 8 && total < UINT32_MAX) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                   "%s: %d tensors of %zu bytes: more than 4 GiB or 65,500 tensors is not written as .pth; "
                   "safetensors takes them",
                   path, count, total);
}

static revbifpn_status write_entries(archive *a, const text *pickle, const rb_tensor_source *tensors,
                                     int count) {
    revbifpn_status status;
    TRY(add_entry(a, FOLDER "/data.pkl", pickle->bytes, pickle->size));
    TRY(add_entry(a, FOLDER "/.format_version", "1", 1));
    TRY(add_entry(a, FOLDER "/.storage_alignment", "64", 2));
    TRY(add_entry(a, FOLDER "/byteorder", "little", 6));
    for (int i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, FOLDER "/data/%d", i);
        TRY(add_entry(a, name, tensors[i].data, elements_of(&tensors[i]) * rb_dtype_bytes(tensors[i].dtype)));
    }
    TRY(add_entry(a, FOLDER "/version", "3\n", 2));
    status = add_directory(a);
fail:
    return status;
}

revbifpn_status rb_pth_write(const char *path, const rb_tensor_source *tensors, int count,
                             const rb_tensor_metadata *metadata, int metadata_count, rb_error *err) {
    revbifpn_status status;
    text pickle = {0};
    archive a = {.err = err};
    TRY(rb_tensor_sources_check(path, tensors, count, metadata, metadata_count, err));
    TRY(check(path, tensors, count, 0, err));
    pickle_object(&pickle, tensors, count, metadata, metadata_count);
    if (pickle.failed) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory to write it", path);
        goto fail;
    }
    TRY(check(path, tensors, count, pickle.size, err));
    TRY(rb_file_begin(&a.writer, path, err));
    TRY(write_entries(&a, &pickle, tensors, count));
    status = rb_file_commit(&a.writer, err);
fail:
    rb_file_abandon(&a.writer);
    rb_free(a.directory.bytes);
    rb_free(pickle.bytes);
    return status;
}
