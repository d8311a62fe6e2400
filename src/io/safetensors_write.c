/* The writer of safetensors.h. The header is emitted twice by the same code: once to count its bytes, once to
 * write. */
#include "io/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define METADATA "__metadata__"

enum { DATA_ALIGNMENT = 64, MAX_HEADER = 100 * 1000 * 1000 /* what readers take */ };

typedef struct sink {
    rb_file_writer *writer; /* NULL: count only */
    size_t bytes;
    revbifpn_status status; /* the first failure */
    rb_error *err;
} sink;

static void put(sink *s, const char *text, size_t size) {
    s->bytes = rb_size_add(s->bytes, size);
    if (s->writer && s->status == REVBIFPN_OK) s->status = rb_file_write(s->writer, text, size, s->err);
}

static void put_text(sink *s, const char *text) { put(s, text, strlen(text)); }

/* A JSON string; the text is known to be UTF-8. */
static void put_quoted(sink *s, const char *text) {
    put(s, "\"", 1);
    for (const char *p = text; *p; p++) {
        char escape[8];
        if (*p == '"' || *p == '\\')
            snprintf(escape, sizeof escape, "\\%c", *p);
        else if ((unsigned char)*p < 32)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*p);
        else
            snprintf(escape, sizeof escape, "%c", *p);
        put_text(s, escape);
    }
    put(s, "\"", 1);
}

static size_t source_bytes(const rb_tensor_source *t) {
    size_t elements = 1;
    for (int i = 0; i < t->ndim; i++) elements = rb_size_mul(elements, (size_t)t->shape[i]);
    return elements == SIZE_MAX ? SIZE_MAX : rb_size_mul(elements, rb_dtype_bytes(t->dtype));
}

static void put_tensor(sink *s, const rb_tensor_source *t, size_t begin) {
    char text[96];
    put_quoted(s, t->name);
    snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", rb_dtype_name(t->dtype));
    put_text(s, text);
    for (int i = 0; i < t->ndim; i++) {
        snprintf(text, sizeof text, "%s%" PRId64, i ? "," : "", t->shape[i]);
        put_text(s, text);
    }
    snprintf(text, sizeof text, "],\"data_offsets\":[%zu,%zu]}", begin, begin + source_bytes(t));
    put_text(s, text);
}

static void put_header(sink *s, const rb_tensor_source *tensors, int count,
                       const rb_tensor_metadata *metadata, int metadata_count) {
    size_t begin = 0;
    put_text(s, "{");
    if (metadata_count) put_text(s, "\"" METADATA "\":{");
    for (int i = 0; i < metadata_count; i++) {
        if (i) put_text(s, ",");
        put_quoted(s, metadata[i].key);
        put_text(s, ":");
        put_quoted(s, metadata[i].value);
    }
    if (metadata_count) put_text(s, count ? "}," : "}");
    for (int i = 0; i < count; i++) {
        if (i) put_text(s, ",");
        put_tensor(s, &tensors[i], begin);
        begin += source_bytes(&tensors[i]);
    }
    put_text(s, "}");
}

static bool is_utf8(const char *text) {
    json_t *string = json_string(text); /* NULL when it is not */
    json_decref(string);
    return string != NULL;
}

static revbifpn_status check_tensor(const char *path, const rb_tensor_source *t, rb_error *err) {
    const char *reason = NULL;
    if (!is_utf8(t->name))
        reason = "the name is not UTF-8";
    else if (!strcmp(t->name, METADATA))
        reason = "the name is reserved";
    else if ((unsigned)t->dtype >= RB_DTYPE_COUNT)
        reason = "unknown dtype";
    else if (t->ndim < 0 || t->ndim > RB_TENSOR_MAX_DIMS)
        reason = "more dimensions than the reader takes";
    for (int i = 0; !reason && i < t->ndim; i++)
        if (t->shape[i] < 0) reason = "negative shape";
    if (!reason && source_bytes(t) == SIZE_MAX) reason = "too many elements";
    if (!reason && !t->data && source_bytes(t)) reason = "no data";
    if (!reason) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: tensor '%.100s': %s", path, t->name, reason);
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static revbifpn_status check_repeats(const char *path, const char **names, int count, rb_error *err) {
    qsort(names, (size_t)count, sizeof *names, compare_strings);
    for (int i = 1; i < count; i++)
        if (!strcmp(names[i - 1], names[i]))
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: '%.100s' is there twice", path, names[i]);
    return REVBIFPN_OK;
}

revbifpn_status rb_tensor_sources_check(const char *path, const rb_tensor_source *tensors, int count,
                                        const rb_tensor_metadata *metadata, int metadata_count,
                                        rb_error *err) {
    revbifpn_status status;
    int most = count > metadata_count ? count : metadata_count;
    const char **names = rb_alloc(rb_size_mul((size_t)most, sizeof *names));
    if (!names) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %d names", path, most);
    for (int i = 0; i < count; i++) {
        TRY(check_tensor(path, &tensors[i], err));
        names[i] = tensors[i].name;
    }
    TRY(check_repeats(path, names, count, err));
    for (int i = 0; i < metadata_count; i++) {
        names[i] = metadata[i].key;
        if (is_utf8(metadata[i].key) && is_utf8(metadata[i].value)) continue;
        status =
            rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: metadata '%.100s' is not UTF-8", path, metadata[i].key);
        goto fail;
    }
    TRY(check_repeats(path, names, metadata_count, err));
fail:
    rb_free(names);
    return status;
}

revbifpn_status rb_tensor_file_write(const char *path, const rb_tensor_source *tensors, int count,
                                     const rb_tensor_metadata *metadata, int metadata_count, rb_error *err) {
    revbifpn_status status;
    rb_file_writer writer = {0};
    sink measure = {.err = err}, out = {.writer = &writer, .err = err};
    unsigned char length[8];
    TRY(rb_tensor_sources_check(path, tensors, count, metadata, metadata_count, err));
    put_header(&measure, tensors, count, metadata, metadata_count);
    if (measure.bytes > MAX_HEADER - DATA_ALIGNMENT)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: header of %zu bytes, more than readers take", path,
                       measure.bytes);
    size_t padding = (DATA_ALIGNMENT - (8 + measure.bytes) % DATA_ALIGNMENT) % DATA_ALIGNMENT;
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)(measure.bytes + padding) >> 8 * i);
    TRY(rb_file_begin(&writer, path, err));
    TRY(rb_file_write(&writer, length, sizeof length, err));
    put_header(&out, tensors, count, metadata, metadata_count);
    for (size_t i = 0; i < padding; i++) put(&out, " ", 1);
    TRY(out.status);
    for (int i = 0; i < count; i++) {
        size_t bytes = source_bytes(&tensors[i]);
        if (bytes)
            TRY(rb_file_write(&writer, tensors[i].data, bytes, err)); /* an empty one may have no data */
    }
    return rb_file_commit(&writer, err);
fail:
    rb_file_abandon(&writer);
    return status;
}
