#define _GNU_SOURCE
#include "io/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define METADATA "__metadata__"

enum {
    MAX_HEADER = 100 * 1000 * 1000, /* the limit of the format's own library */
    MAX_VALUES = 1000 * 1000,       /* 8 per tensor; bounds what the JSON tree of a hostile header may take */
    MAX_DEPTH = 3                   /* object of objects with arrays */
};

static const struct {
    const char *name;
    size_t bytes;
} dtypes[RB_DTYPE_COUNT] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                            {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                            {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};

struct rb_tensor_file {
    int fd;
    char *path;
    uint64_t data_start;
    size_t data_bytes;
    json_t *header; /* owns the names and the metadata */
    int count;
    rb_tensor_info *tensors; /* by offset */
    const rb_tensor_info **by_name;
};

const char *rb_dtype_name(rb_dtype dtype) { return dtypes[dtype].name; }

size_t rb_dtype_bytes(rb_dtype dtype) { return dtypes[dtype].bytes; }

static int dtype_from_name(const char *name) {
    for (int i = 0; i < RB_DTYPE_COUNT; i++)
        if (!strcmp(dtypes[i].name, name)) return i;
    return -1;
}

/* A name as errors show it: one line, not too long. */
typedef struct shown {
    char text[160];
} shown;

static shown show(const char *name) {
    shown s = {""};
    for (size_t i = 0; name[i] && i < sizeof s.text - 1; i++)
        s.text[i] = (unsigned char)name[i] < 32 || name[i] == 127 ? '?' : name[i];
    return s;
}

static shown show_type(rb_dtype dtype, int ndim, const int64_t *shape) {
    shown s;
    size_t used = (size_t)snprintf(s.text, sizeof s.text, "%s [", dtypes[dtype].name);
    for (int i = 0; i < ndim && used < sizeof s.text; i++)
        used += (size_t)snprintf(s.text + used, sizeof s.text - used, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (used < sizeof s.text) snprintf(s.text + used, sizeof s.text - used, "]");
    return s;
}

/* Bytes of a tensor, or SIZE_MAX. Multiplied in order as the format's own library does, so [2^62, 8, 0]
 * overflows. */
static size_t tensor_bytes(rb_dtype dtype, int ndim, const int64_t *shape) {
    size_t elements = 1;
    for (int i = 0; i < ndim; i++) {
        if (__builtin_mul_overflow(elements, (size_t)shape[i], &elements)) return SIZE_MAX;
    }
    return rb_size_mul(elements, dtypes[dtype].bytes);
}

/* ---- reading ---- */

#define REFUSE(...) rb_fail(err, REVBIFPN_BAD_FILE, __VA_ARGS__)

static revbifpn_status read_at(const rb_tensor_file *file, uint64_t offset, void *dst, size_t size,
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

/* Refuses what the format cannot hold before a tree of it is built. */
static revbifpn_status scan_header(const char *path, const char *text, size_t size, rb_error *err) {
    int depth = 0, values = 0;
    bool quoted = false;
    if (text[0] != '{') return REFUSE("%s: header: not a JSON object: it does not begin with '{'", path);
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == '"') quoted = true;
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') depth--;
        values += c == '{' || c == '[' || c == ',';
        if (depth > MAX_DEPTH)
            return REFUSE("%s: header, byte %zu: nested deeper than %d", path, i, MAX_DEPTH);
        if (values > MAX_VALUES)
            return REFUSE("%s: header, byte %zu: more than %d values", path, i, MAX_VALUES);
    }
    return REVBIFPN_OK;
}

static revbifpn_status load_header(rb_tensor_file *file, size_t size, rb_error *err) {
    revbifpn_status status;
    json_error_t json_error;
    char *text = rb_alloc(size);
    if (!text)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for a header of %zu bytes", file->path,
                       size);
    TRY(read_at(file, 8, text, size, err));
    TRY(scan_header(file->path, text, size, err));
    file->header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);
    if (!file->header) {
        status =
            REFUSE("%s: header, byte %d: %s", file->path, json_error.position, show(json_error.text).text);
        goto fail;
    }
    if (!json_is_object(file->header)) status = REFUSE("%s: header: not a JSON object", file->path);
fail:
    rb_free(text);
    return status;
}

static revbifpn_status check_metadata(const rb_tensor_file *file, rb_error *err) {
    json_t *metadata = json_object_get(file->header, METADATA), *value;
    const char *key;
    if (!metadata) return REVBIFPN_OK;
    if (!json_is_object(metadata)) return REFUSE("%s: %s is not an object", file->path, METADATA);
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return REFUSE("%s: %s: '%s' is not a string", file->path, METADATA, show(key).text);
    }
    return REVBIFPN_OK;
}

/* A whole number ≥ 0; "must" be one says the error. */
static revbifpn_status parse_size(const char *path, const char *name, const char *what, json_t *value,
                                  int64_t *out, rb_error *err) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return REFUSE("%s: tensor '%s': %s holds something else than whole numbers ≥ 0", path,
                      show(name).text, what);
    *out = json_integer_value(value);
    return REVBIFPN_OK;
}

static revbifpn_status parse_shape(const char *path, json_t *shape, rb_tensor_info *out, rb_error *err) {
    if (!json_is_array(shape))
        return REFUSE("%s: tensor '%s': shape is not a list", path, show(out->name).text);
    if (json_array_size(shape) > RB_TENSOR_MAX_DIMS)
        return REFUSE("%s: tensor '%s': %zu dimensions, more than %d", path, show(out->name).text,
                      json_array_size(shape), RB_TENSOR_MAX_DIMS);
    out->ndim = (int)json_array_size(shape);
    for (int i = 0; i < out->ndim; i++) {
        revbifpn_status status =
            parse_size(path, out->name, "shape", json_array_get(shape, (size_t)i), &out->shape[i], err);
        if (status != REVBIFPN_OK) return status;
    }
    return REVBIFPN_OK;
}

static revbifpn_status parse_offsets(const rb_tensor_file *file, json_t *pair, rb_tensor_info *out,
                                     rb_error *err) {
    const char *path = file->path, *what = "data_offsets";
    int64_t begin = 0, end = 0;
    revbifpn_status status;
    if (!json_is_array(pair) || json_array_size(pair) != 2)
        return REFUSE("%s: tensor '%s': %s is not a pair", path, show(out->name).text, what);
    TRY(parse_size(path, out->name, what, json_array_get(pair, 0), &begin, err));
    TRY(parse_size(path, out->name, what, json_array_get(pair, 1), &end, err));
    if (begin > end)
        return REFUSE("%s: tensor '%s': offsets reversed: %" PRId64 " > %" PRId64, path, show(out->name).text,
                      begin, end);
    if ((uint64_t)end > file->data_bytes)
        return REFUSE("%s: tensor '%s': ends at byte %" PRId64 " of data, the file has %zu", path,
                      show(out->name).text, end, file->data_bytes);
    out->offset = (size_t)begin;
    out->bytes = (size_t)(end - begin);
    size_t wanted = tensor_bytes(out->dtype, out->ndim, out->shape);
    shown type = show_type(out->dtype, out->ndim, out->shape);
    if (wanted == SIZE_MAX)
        return REFUSE("%s: tensor '%s': %s has too many elements", path, show(out->name).text, type.text);
    if (wanted != out->bytes)
        return REFUSE("%s: tensor '%s': %zu bytes of data, %s needs %zu", path, show(out->name).text,
                      out->bytes, type.text, wanted);
fail:
    return status;
}

static revbifpn_status parse_tensor(const rb_tensor_file *file, const char *name, json_t *entry,
                                    rb_tensor_info *out, rb_error *err) {
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    revbifpn_status status;
    json_t *value;
    const char *key, *path = file->path;
    out->name = name;
    if (!json_is_object(entry)) return REFUSE("%s: tensor '%s': not an object", path, show(name).text);
    for (int i = 0; i < 3; i++)
        if (!json_object_get(entry, keys[i]))
            return REFUSE("%s: tensor '%s': key '%s' is missing", path, show(name).text, keys[i]);
    json_object_foreach(entry, key, value) {
        if (strcmp(key, keys[0]) && strcmp(key, keys[1]) && strcmp(key, keys[2]))
            return REFUSE("%s: tensor '%s': unknown key '%s'", path, show(name).text, show(key).text);
    }
    value = json_object_get(entry, "dtype");
    int dtype = json_is_string(value) ? dtype_from_name(json_string_value(value)) : -1;
    if (dtype < 0)
        return REFUSE("%s: tensor '%s': unknown dtype '%s'", path, show(name).text,
                      show(json_is_string(value) ? json_string_value(value) : "(not a string)").text);
    out->dtype = (rb_dtype)dtype;
    TRY(parse_shape(path, json_object_get(entry, "shape"), out, err));
    TRY(parse_offsets(file, json_object_get(entry, "data_offsets"), out, err));
fail:
    return status;
}

static int compare_offsets(const void *a, const void *b) {
    const rb_tensor_info *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty tensors first */
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b) {
    const rb_tensor_info *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static revbifpn_status check_coverage(const rb_tensor_file *file, rb_error *err) {
    size_t end = 0;
    const char *before = "the start";
    for (int i = 0; i < file->count; i++) {
        const rb_tensor_info *t = &file->tensors[i];
        if (t->offset < end)
            return REFUSE("%s: tensors '%s' and '%s' overlap at byte %zu of data", file->path,
                          show(before).text, show(t->name).text, t->offset);
        if (t->offset > end)
            return REFUSE("%s: hole of %zu bytes in the data between '%s' and '%s'", file->path,
                          t->offset - end, show(before).text, show(t->name).text);
        end = t->offset + t->bytes;
        before = t->name;
    }
    if (end < file->data_bytes)
        return REFUSE("%s: %zu bytes of data after the last tensor", file->path, file->data_bytes - end);
    return REVBIFPN_OK;
}

static revbifpn_status index_tensors(rb_tensor_file *file, rb_error *err) {
    revbifpn_status status;
    const char *name;
    json_t *entry;
    size_t total = json_object_size(file->header);
    file->tensors = rb_alloc(rb_size_mul(total, sizeof *file->tensors));
    file->by_name = rb_alloc(rb_size_mul(total, sizeof *file->by_name));
    if (!file->tensors || !file->by_name)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %zu tensors", file->path, total);
    json_object_foreach(file->header, name, entry) {
        if (!strcmp(name, METADATA)) continue;
        TRY(parse_tensor(file, name, entry, &file->tensors[file->count], err));
        file->count++;
    }
    qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, compare_offsets);
    TRY(check_coverage(file, err));
    for (int i = 0; i < file->count; i++) file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names);
fail:
    return status;
}

/* Opens the descriptor and finds where header and data lie. */
static revbifpn_status open_parts(rb_tensor_file *file, size_t *header_bytes, rb_error *err) {
    struct stat info;
    unsigned char head[8];
    uint64_t length = 0;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the reader */
    if (file->fd < 0 || fstat(file->fd, &info))
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return REFUSE("%s: not a regular file", file->path);
    if (info.st_size < 8)
        return REFUSE("%s: %lld bytes: too short for a safetensors file", file->path,
                      (long long)info.st_size);
    revbifpn_status status = read_at(file, 0, head, sizeof head, err);
    if (status != REVBIFPN_OK) return status;
    for (int i = 7; i >= 0; i--) length = length << 8 | head[i];
    if (length > MAX_HEADER)
        return REFUSE("%s: byte 0: header of %" PRIu64
                      " bytes, more than the limit of %d: not a safetensors file?",
                      file->path, length, MAX_HEADER);
    if (length > (uint64_t)info.st_size - 8)
        return REFUSE("%s: byte 0: header of %" PRIu64 " bytes, the file has %lld: truncated?", file->path,
                      length, (long long)info.st_size);
    if (length < 2) return REFUSE("%s: byte 0: header of %" PRIu64 " bytes, too short", file->path, length);
    *header_bytes = (size_t)length;
    file->data_start = 8 + length;
    file->data_bytes = (size_t)((uint64_t)info.st_size - file->data_start);
    return REVBIFPN_OK;
}

revbifpn_status rb_tensor_file_open(rb_tensor_file **out, const char *path, rb_error *err) {
    revbifpn_status status;
    size_t header_bytes = 0;
    rb_tensor_file *file = rb_alloc(sizeof *file);
    *out = NULL;
    if (file) file->fd = -1;
    if (!file || !(file->path = rb_alloc(strlen(path) + 1))) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
        goto fail;
    }
    memcpy(file->path, path, strlen(path));
    TRY(open_parts(file, &header_bytes, err));
    TRY(load_header(file, header_bytes, err));
    TRY(check_metadata(file, err));
    TRY(index_tensors(file, err));
    *out = file;
    return REVBIFPN_OK;
fail:
    rb_tensor_file_close(&file);
    return status;
}

void rb_tensor_file_close(rb_tensor_file **out) {
    rb_tensor_file *file = *out;
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    json_decref(file->header);
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
    return json_string_value(json_object_get(json_object_get(file->header, METADATA), key));
}

revbifpn_status rb_tensor_file_read(const rb_tensor_file *file, const char *name, rb_dtype dtype, int ndim,
                                    const int64_t *shape, void *dst, rb_error *err) {
    const rb_tensor_info *t = rb_tensor_file_find(file, name);
    if (!t) return REFUSE("%s: tensor '%s' is missing", file->path, show(name).text);
    if (t->dtype != dtype || t->ndim != ndim ||
        (ndim && memcmp(t->shape, shape, (size_t)ndim * sizeof *shape)))
        return REFUSE("%s: tensor '%s': %s in the file, %s wanted", file->path, show(name).text,
                      show_type(t->dtype, t->ndim, t->shape).text, show_type(dtype, ndim, shape).text);
    return read_at(file, file->data_start + t->offset, dst, t->bytes, err);
}
