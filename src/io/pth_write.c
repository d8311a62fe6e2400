/* The writer of pth.h. The pickle is made in memory; tensors are written from where they are. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/little_endian.h"
#include "io/pth.h"
#include "io/zip_write.h"

enum { BATCH = 1000 /* entries after one mark, as Python's pickler does it */ };

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

/* ---- all of it ---- */

static revbifpn_status check(const char *path, const rb_tensor_source *tensors, int count, rb_error *err) {
    for (int i = 0; i < count; i++)
        if (!storage_name(tensors[i].dtype))
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                           "%s: tensor '%.100s': %s has no storage in PyTorch's format", path,
                           tensors[i].name, rb_dtype_name(tensors[i].dtype));
    return REVBIFPN_OK;
}

static revbifpn_status write_entries(rb_zip_writer *zip, const text *pickle, const rb_tensor_source *tensors,
                                     int count, rb_error *err) {
    revbifpn_status status;
    TRY(rb_zip_add(zip, FOLDER "/data.pkl", pickle->bytes, pickle->size, err));
    TRY(rb_zip_add(zip, FOLDER "/.format_version", "1", 1, err));
    TRY(rb_zip_add(zip, FOLDER "/.storage_alignment", "64", 2, err));
    TRY(rb_zip_add(zip, FOLDER "/byteorder", "little", 6, err));
    for (int i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, FOLDER "/data/%d", i);
        TRY(rb_zip_add(zip, name, tensors[i].data,
                       elements_of(&tensors[i]) * rb_dtype_bytes(tensors[i].dtype), err));
    }
    status = rb_zip_add(zip, FOLDER "/version", "3\n", 2, err);
fail:
    return status;
}

revbifpn_status rb_pth_write(const char *path, const rb_tensor_source *tensors, int count,
                             const rb_tensor_metadata *metadata, int metadata_count, rb_error *err) {
    revbifpn_status status;
    text pickle = {0};
    rb_zip_writer zip = {.entries = 0};
    TRY(rb_tensor_sources_check(path, tensors, count, metadata, metadata_count, err));
    TRY(check(path, tensors, count, err));
    pickle_object(&pickle, tensors, count, metadata, metadata_count);
    if (pickle.failed) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory to write it", path);
        goto fail;
    }
    TRY(rb_file_begin(&zip.file, path, err));
    TRY(write_entries(&zip, &pickle, tensors, count, err));
    status = rb_zip_end(&zip, err);
fail:
    rb_zip_abandon(&zip);
    rb_free(pickle.bytes);
    return status;
}
