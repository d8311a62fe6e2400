/* The reader of safetensors.h: the header, checked. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/tensor_file.h"

#define METADATA RB_TENSOR_METADATA
#define show rb_tensor_show
#define show_type rb_tensor_show_type
#define REFUSE(...) rb_fail(err, REVBIFPN_BAD_FILE, __VA_ARGS__)

enum {
    MAX_HEADER = 100 * 1000 * 1000, /* the limit of the format's own library */
    MAX_VALUES = 1000 * 1000,       /* 8 per tensor; bounds what the JSON tree of a hostile header may take */
    MAX_DEPTH = 3                   /* object of objects with arrays */
};

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
    TRY(rb_tensor_read_at(file, 8, text, size, err));
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
    size_t wanted = rb_tensor_bytes(out->dtype, out->ndim, out->shape);
    rb_shown type = show_type(out->dtype, out->ndim, out->shape);
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
    int dtype = json_is_string(value) ? rb_dtype_from_name(json_string_value(value)) : -1;
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

static revbifpn_status list_tensors(rb_tensor_file *file, rb_error *err) {
    revbifpn_status status;
    const char *name;
    json_t *entry;
    TRY(rb_tensor_file_reserve(file, json_object_size(file->header), err));
    json_object_foreach(file->header, name, entry) {
        if (!strcmp(name, METADATA)) continue;
        TRY(parse_tensor(file, name, entry, &file->tensors[file->count], err));
        file->count++;
    }
    qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, compare_offsets);
    status = check_coverage(file, err);
fail:
    return status;
}

/* Finds where header and data lie. */
static revbifpn_status find_parts(rb_tensor_file *file, size_t *header_bytes, rb_error *err) {
    unsigned char head[8];
    uint64_t length = 0;
    if (file->size < 8)
        return REFUSE("%s: %" PRIu64 " bytes: too short for a safetensors file", file->path, file->size);
    revbifpn_status status = rb_tensor_read_at(file, 0, head, sizeof head, err);
    if (status != REVBIFPN_OK) return status;
    for (int i = 7; i >= 0; i--) length = length << 8 | head[i];
    if (length > MAX_HEADER)
        return REFUSE("%s: byte 0: header of %" PRIu64
                      " bytes, more than the limit of %d: not a safetensors file?",
                      file->path, length, MAX_HEADER);
    if (length > file->size - 8)
        return REFUSE("%s: byte 0: header of %" PRIu64 " bytes, the file has %" PRIu64 ": truncated?",
                      file->path, length, file->size);
    if (length < 2) return REFUSE("%s: byte 0: header of %" PRIu64 " bytes, too short", file->path, length);
    *header_bytes = (size_t)length;
    file->data_start = 8 + length;
    file->data_bytes = (size_t)(file->size - file->data_start);
    return REVBIFPN_OK;
}

revbifpn_status rb_safetensors_parse(rb_tensor_file *file, rb_error *err) {
    revbifpn_status status;
    size_t header_bytes = 0;
    TRY(find_parts(file, &header_bytes, err));
    TRY(load_header(file, header_bytes, err));
    TRY(check_metadata(file, err));
    status = list_tensors(file, err);
fail:
    return status;
}
