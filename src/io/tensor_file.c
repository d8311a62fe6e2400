/* Opening a file of tensors by its content, finding a tensor, reading it. */
#define _GNU_SOURCE
#include "io/tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/halves.h"

#define REFUSE(...) rb_fail(err, REVBIFPN_BAD_FILE, __VA_ARGS__)

static const struct {
    const char *name;
    size_t bytes;
} dtypes[RB_DTYPE_COUNT] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                            {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                            {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};

const char *rb_dtype_name(rb_dtype dtype) { return dtypes[dtype].name; }

size_t rb_dtype_bytes(rb_dtype dtype) { return dtypes[dtype].bytes; }

int rb_dtype_from_name(const char *name) {
    for (int i = 0; i < RB_DTYPE_COUNT; i++)
        if (!strcmp(dtypes[i].name, name)) return i;
    return -1;
}

rb_shown rb_tensor_show(const char *name) {
    rb_shown s;
    snprintf(s.text, sizeof s.text, "%s", name);
    return s;
}

rb_shown rb_tensor_show_type(rb_dtype dtype, int ndim, const int64_t *shape) {
    rb_shown s;
    size_t used = (size_t)snprintf(s.text, sizeof s.text, "%s [", dtypes[dtype].name);
    for (int i = 0; i < ndim && used < sizeof s.text; i++)
        used += (size_t)snprintf(s.text + used, sizeof s.text - used, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (used < sizeof s.text) snprintf(s.text + used, sizeof s.text - used, "]");
    return s;
}

/* Multiplied in order as safetensors' own library does, so [2^62, 8, 0] overflows. */
size_t rb_tensor_bytes(rb_dtype dtype, int ndim, const int64_t *shape) {
    size_t elements = 1;
    for (int i = 0; i < ndim; i++) {
        if (__builtin_mul_overflow(elements, (size_t)shape[i], &elements)) return SIZE_MAX;
    }
    return rb_size_mul(elements, dtypes[dtype].bytes);
}

/* ---- opening ---- */

revbifpn_status rb_tensor_read_at(const rb_tensor_file *file, uint64_t offset, void *dst, size_t size,
                                  rb_error *err) {
    unsigned char *to = dst;
    while (size) {
        size_t part = size < ((size_t)1 << 30) ? size : (size_t)1 << 30;
        ssize_t got = pread(file->fd, to, part, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read at byte %" PRIu64 ": %s", file->path,
                           offset, strerror(errno));
        if (!got)
            return REFUSE("%s: ends at byte %" PRIu64 ": it shrank while it was read", file->path, offset);
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return REVBIFPN_OK;
}

revbifpn_status rb_tensor_file_reserve(rb_tensor_file *file, size_t count, rb_error *err) {
    file->tensors = rb_alloc(rb_size_mul(count, sizeof *file->tensors));
    file->by_name = rb_alloc(rb_size_mul(count, sizeof *file->by_name));
    if (file->tensors && file->by_name) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %zu tensors", file->path, count);
}

static int compare_names(const void *a, const void *b) {
    const rb_tensor_info *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static revbifpn_status sort_names(rb_tensor_file *file, rb_error *err) {
    for (int i = 0; i < file->count; i++) file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names);
    for (int i = 1; i < file->count; i++)
        if (!compare_names(&file->by_name[i - 1], &file->by_name[i]))
            return REFUSE("%s: tensor '%s' is there twice", file->path,
                          rb_tensor_show(file->by_name[i]->name).text);
    return REVBIFPN_OK;
}

static revbifpn_status open_descriptor(rb_tensor_file *file, rb_error *err) {
    struct stat info;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the reader */
    if (file->fd < 0 || fstat(file->fd, &info))
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return REFUSE("%s: not a regular file", file->path);
    file->size = (uint64_t)info.st_size;
    return REVBIFPN_OK;
}

static revbifpn_status parse(rb_tensor_file *file, const char *key, rb_error *err) {
    unsigned char head[8];
    size_t size = file->size < sizeof head ? (size_t)file->size : sizeof head;
    revbifpn_status status = rb_tensor_read_at(file, 0, head, size, err);
    if (status != REVBIFPN_OK) return status;
    if (rb_pth_recognise(head, size)) return rb_pth_parse(file, key, err);
    if (!key) return rb_safetensors_parse(file, err);
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: key '%s': only PyTorch's checkpoints have keys",
                   file->path, rb_tensor_show(key).text);
}

revbifpn_status rb_tensor_file_open_key(rb_tensor_file **out, const char *path, const char *key,
                                        rb_error *err) {
    revbifpn_status status;
    rb_tensor_file *file = rb_alloc(sizeof *file);
    *out = NULL;
    if (file) file->fd = -1;
    if (!file || !(file->path = rb_alloc(strlen(path) + 1))) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
        goto fail;
    }
    memcpy(file->path, path, strlen(path));
    TRY(open_descriptor(file, err));
    TRY(parse(file, key, err));
    TRY(sort_names(file, err));
    *out = file;
    return REVBIFPN_OK;
fail:
    rb_tensor_file_close(&file);
    return status;
}

revbifpn_status rb_tensor_file_open(rb_tensor_file **out, const char *path, rb_error *err) {
    return rb_tensor_file_open_key(out, path, NULL, err);
}

void rb_tensor_file_close(rb_tensor_file **out) {
    rb_tensor_file *file = *out;
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    json_decref(file->header);
    rb_free(file->names);
    rb_free(file->by_name);
    rb_free(file->tensors);
    rb_free(file->path);
    rb_free(file);
    *out = NULL;
}

const char *rb_tensor_file_path(const rb_tensor_file *file) { return file->path; }

int rb_tensor_file_count(const rb_tensor_file *file) { return file->count; }

const rb_tensor_info *rb_tensor_file_at(const rb_tensor_file *file, int i) { return &file->tensors[i]; }

const rb_tensor_info *rb_tensor_file_find(const rb_tensor_file *file, const char *name) {
    rb_tensor_info key = {.name = name};
    const rb_tensor_info *wanted = &key;
    const rb_tensor_info **found =
        bsearch(&wanted, file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names);
    return found ? *found : NULL;
}

const char *rb_tensor_file_metadata(const rb_tensor_file *file, const char *key) {
    return json_string_value(json_object_get(json_object_get(file->header, RB_TENSOR_METADATA), key));
}

/* ---- reading ---- */

static revbifpn_status out_of_memory(const rb_tensor_file *file, const rb_tensor_info *t, size_t bytes,
                                     rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: tensor '%s': out of memory for %zu bytes", file->path,
                   rb_tensor_show(t->name).text, bytes);
}

/* Copies the elements of a view in row-major order; `src` begins at its first element. */
static void gather(const rb_tensor_info *t, const unsigned char *src, unsigned char *dst) {
    size_t size = dtypes[t->dtype].bytes, from = 0;
    int64_t at[RB_TENSOR_MAX_DIMS] = {0};
    for (size_t done = 0; done < t->bytes; done += size) {
        memcpy(dst + done, src + from * size, size);
        for (int d = t->ndim - 1; d >= 0; d--) {
            from += (size_t)t->stride[d];
            if (++at[d] < t->shape[d]) break;
            from -= (size_t)t->shape[d] * (size_t)t->stride[d];
            at[d] = 0;
        }
    }
}

/* From its first to its last element a view lies in the file: that was checked when it was opened. */
static revbifpn_status read_view(const rb_tensor_file *file, const rb_tensor_info *t, void *dst,
                                 rb_error *err) {
    size_t last = 0;
    if (!t->bytes) return REVBIFPN_OK;
    for (int d = 0; d < t->ndim; d++) last += (size_t)(t->shape[d] - 1) * (size_t)t->stride[d];
    size_t span = (last + 1) * dtypes[t->dtype].bytes;
    unsigned char *bytes = rb_alloc(span);
    if (!bytes) return out_of_memory(file, t, span, err);
    revbifpn_status status = rb_tensor_read_at(file, file->data_start + t->offset, bytes, span, err);
    if (status == REVBIFPN_OK) gather(t, bytes, dst);
    rb_free(bytes);
    return status;
}

static revbifpn_status read_tensor(const rb_tensor_file *file, const rb_tensor_info *t, void *dst,
                                   rb_error *err) {
    if (t->strided) return read_view(file, t, dst, err);
    return rb_tensor_read_at(file, file->data_start + t->offset, dst, t->bytes, err);
}

static revbifpn_status mismatch(const rb_tensor_file *file, const rb_tensor_info *t, rb_dtype dtype, int ndim,
                                const int64_t *shape, rb_error *err) {
    return REFUSE("%s: tensor '%s': %s in the file, %s wanted", file->path, rb_tensor_show(t->name).text,
                  rb_tensor_show_type(t->dtype, t->ndim, t->shape).text,
                  rb_tensor_show_type(dtype, ndim, shape).text);
}

static bool same_shape(const rb_tensor_info *t, int ndim, const int64_t *shape) {
    return t->ndim == ndim && (!ndim || !memcmp(t->shape, shape, (size_t)ndim * sizeof *shape));
}

static revbifpn_status missing(const rb_tensor_file *file, const char *name, rb_error *err) {
    return REFUSE("%s: tensor '%s' is missing", file->path, rb_tensor_show(name).text);
}

revbifpn_status rb_tensor_file_read(const rb_tensor_file *file, const char *name, rb_dtype dtype, int ndim,
                                    const int64_t *shape, void *dst, rb_error *err) {
    const rb_tensor_info *t = rb_tensor_file_find(file, name);
    if (!t) return missing(file, name, err);
    if (t->dtype != dtype || !same_shape(t, ndim, shape)) return mismatch(file, t, dtype, ndim, shape, err);
    return read_tensor(file, t, dst, err);
}

revbifpn_status rb_tensor_file_read_floats(const rb_tensor_file *file, const char *name, int ndim,
                                           const int64_t *shape, float *dst, rb_error *err) {
    const rb_tensor_info *t = rb_tensor_file_find(file, name);
    if (!t) return missing(file, name, err);
    bool other = t->dtype == RB_DTYPE_F16 || t->dtype == RB_DTYPE_BF16 || t->dtype == RB_DTYPE_F64;
    if ((t->dtype != RB_DTYPE_F32 && !other) || !same_shape(t, ndim, shape))
        return mismatch(file, t, RB_DTYPE_F32, ndim, shape, err);
    if (!other) return read_tensor(file, t, dst, err);
    void *raw = rb_alloc(t->bytes);
    if (!raw) return out_of_memory(file, t, t->bytes, err);
    revbifpn_status status = read_tensor(file, t, raw, err);
    if (status == REVBIFPN_OK) rb_floats_from(t->dtype, raw, t->bytes / dtypes[t->dtype].bytes, dst);
    rb_free(raw);
    return status;
}
