#include "io/config.h"

#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"

typedef enum kind { TEXT, COUNT, REAL, COUNTS, REALS } kind;

typedef struct field {
    const char *key;
    kind kind;
    size_t offset;
    bool head; /* needed only with a neck or classes */
} field;

#define FIELD(name, kind, head)                                                                              \
    { #name, kind, offsetof(revbifpn_model_config, name), head }

static const field fields[] = {
    FIELD(name, TEXT, false),
    FIELD(streams, COUNT, false),
    FIELD(input_channels, COUNT, false),
    FIELD(widths, COUNTS, false),
    FIELD(kernels, COUNTS, false),
    FIELD(kernel_pads, COUNTS, false),
    FIELD(expansions, COUNTS, false),
    FIELD(squeeze_ratios, REALS, false),
    FIELD(blocks_per_level, COUNT, false),
    FIELD(extension_levels, COUNT, false),
    FIELD(neck, COUNT, false),
    FIELD(head_widths, COUNTS, true),
    FIELD(head_kernels, COUNTS, true),
    FIELD(head_kernel_pads, COUNTS, true),
    FIELD(head_expansions, COUNTS, true),
    FIELD(head_squeeze_ratios, REALS, true),
    FIELD(fc_features, COUNT, false),
    FIELD(classes, COUNT, false),
    FIELD(drop, REAL, false),
    FIELD(drop_path, REAL, false),
    FIELD(image_width, COUNT, false),
    FIELD(image_height, COUNT, false),
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Where a field lies in `config`. */
static void *place(revbifpn_model_config *config, const field *f) { return (char *)config + f->offset; }
static const void *place_of(const revbifpn_model_config *config, const field *f) {
    return (const char *)config + f->offset;
}

/* ---- reading ---- */

#define REFUSE(...) rb_fail(err, REVBIFPN_BAD_FILE, __VA_ARGS__)

/* `index` < 0: not in a list. */
static revbifpn_status bad_value(const char *file, const char *key, int index, const char *wanted,
                                 rb_error *err) {
    if (index < 0) return REFUSE("%s: '%s' must be %s", file, key, wanted);
    return REFUSE("%s: '%s', entry %d, must be %s", file, key, index, wanted);
}

static revbifpn_status read_count(const char *file, const char *key, int index, json_t *value, int *out,
                                  rb_error *err) {
    if (!json_is_integer(value)) return bad_value(file, key, index, "a whole number", err);
    json_int_t number = json_integer_value(value);
    if (number < INT_MIN || number > INT_MAX) return bad_value(file, key, index, "a number of 32 bits", err);
    *out = (int)number;
    return REVBIFPN_OK;
}

static revbifpn_status read_real(const char *file, const char *key, int index, json_t *value, double *out,
                                 rb_error *err) {
    if (!json_is_number(value)) return bad_value(file, key, index, "a number", err);
    *out = json_number_value(value) + 0.0; /* −0 becomes 0, so that equal networks have equal structs */
    return REVBIFPN_OK;
}

static revbifpn_status read_name(const char *file, const char *key, json_t *value, char out[32],
                                 rb_error *err) {
    const char *text = json_string_value(value);
    if (!text || !*text || strlen(text) > 31) return bad_value(file, key, -1, "a text of 1 to 31 bytes", err);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127)
            return bad_value(file, key, -1, "a text without control codes", err);
    memset(out, 0, 32);
    memcpy(out, text, strlen(text));
    return REVBIFPN_OK;
}

static revbifpn_status read_list(const char *file, const field *f, json_t *value, revbifpn_model_config *out,
                                 rb_error *err) {
    revbifpn_status status;
    if (!json_is_array(value) || json_array_size(value) != (size_t)out->streams)
        return REFUSE("%s: '%s' must be a list of %d numbers, one a stream ('streams' is %d)", file, f->key,
                      out->streams, out->streams);
    for (int i = 0; i < out->streams; i++) {
        json_t *entry = json_array_get(value, (size_t)i);
        if (f->kind == COUNTS)
            TRY(read_count(file, f->key, i, entry, (int *)place(out, f) + i, err));
        else
            TRY(read_real(file, f->key, i, entry, (double *)place(out, f) + i, err));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status read_field(const char *file, const field *f, json_t *value, revbifpn_model_config *out,
                                  rb_error *err) {
    switch (f->kind) {
    case TEXT: return read_name(file, f->key, value, place(out, f), err);
    case COUNT: return read_count(file, f->key, -1, value, place(out, f), err);
    case REAL: return read_real(file, f->key, -1, value, place(out, f), err);
    default: return read_list(file, f, value, out, err);
    }
}

static revbifpn_status check_keys(const char *file, json_t *root, rb_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        bool known = !strcmp(key, "base");
        for (int i = 0; i < FIELDS; i++) known = known || !strcmp(key, fields[i].key);
        if (!known) return REFUSE("%s: unknown key '%.63s'", file, key);
    }
    return REVBIFPN_OK;
}

/* The published network to start from, or an empty one that needs every key. */
static revbifpn_status start(const char *file, json_t *root, revbifpn_model_config *out, rb_error *err) {
    json_t *base = json_object_get(root, "base");
    *out = (revbifpn_model_config){.struct_size = sizeof *out};
    if (!base) return REVBIFPN_OK;
    if (!json_is_string(base)) return bad_value(file, "base", -1, "\"s0\" … \"s6\"", err);
    if (rb_config_named(json_string_value(base), out, err) == REVBIFPN_OK) return REVBIFPN_OK;
    err->status = REVBIFPN_BAD_FILE;
    return rb_fail_prefix(err, "%s: 'base': ", file);
}

/* Entries past the last stream carry nothing: cleared, so that equal networks have equal structs. */
static void clear_unused(revbifpn_model_config *c) {
    for (int f = 0; f < FIELDS; f++) {
        for (int i = c->streams; i < REVBIFPN_MAX_STREAMS; i++) {
            if (fields[f].kind == COUNTS) ((int *)place(c, &fields[f]))[i] = 0;
            if (fields[f].kind == REALS) ((double *)place(c, &fields[f]))[i] = 0;
        }
    }
}

static revbifpn_status check_missing(const char *file, json_t *root, rb_error *err) {
    bool head = json_integer_value(json_object_get(root, "neck")) ||
                json_integer_value(json_object_get(root, "classes"));
    for (int i = 0; i < FIELDS; i++)
        if (!json_object_get(root, fields[i].key) && (head || !fields[i].head))
            return REFUSE("%s: key '%s' is missing (\"base\": \"s0\" would fill it)", file, fields[i].key);
    return REVBIFPN_OK;
}

static revbifpn_status read_fields(const char *file, json_t *root, revbifpn_model_config *out,
                                   rb_error *err) {
    revbifpn_status status;
    bool based = json_object_get(root, "base") != NULL;
    json_t *streams = json_object_get(root, "streams");
    if (!based) TRY(check_missing(file, root, err));
    if (streams) TRY(read_count(file, "streams", -1, streams, &out->streams, err)); /* the lists' length */
    if (out->streams < 2 || out->streams > REVBIFPN_MAX_STREAMS)
        return REFUSE("%s: 'streams' is %d, must be 2 … %d", file, out->streams, REVBIFPN_MAX_STREAMS);
    for (int i = 0; i < FIELDS; i++) {
        json_t *value = json_object_get(root, fields[i].key);
        if (value) TRY(read_field(file, &fields[i], value, out, err));
    }
    clear_unused(out);
    if (rb_config_check(out, err) != REVBIFPN_OK) {
        err->status = REVBIFPN_BAD_FILE;
        return rb_fail_prefix(err, "%s: ", file);
    }
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_config_from_json(const char *name, const char *text, size_t size,
                                    revbifpn_model_config *out, rb_error *caller) {
    revbifpn_status status;
    json_error_t json_error;
    rb_error own, *err = caller ? caller : &own; /* texts are prefixed here, so there must be one */
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);
    if (!root)
        return REFUSE("%s: line %d, column %d: %s", name, json_error.line, json_error.column,
                      json_error.text);
    if (!json_is_object(root)) {
        status = REFUSE("%s: not a JSON object", name);
        goto fail;
    }
    TRY(check_keys(name, root, err));
    TRY(start(name, root, out, err));
    TRY(read_fields(name, root, out, err));
fail:
    json_decref(root);
    return status;
}

/* ---- writing ---- */

typedef struct text {
    char bytes[8192]; /* 22 fields of at most 6 numbers of 24 characters need less than half of it */
    size_t used;
} text;

RB_PRINTF(2, 3) static void put(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->bytes + t->used, sizeof t->bytes - t->used, format, args);
    va_end(args);
    if (n > 0) t->used += (size_t)n;
    if (t->used >= sizeof t->bytes) t->used = sizeof t->bytes - 1;
}

/* The shortest decimal that reads back as the same double. */
static void put_real(text *t, double value) {
    char number[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, value);
        if (strtod(number, NULL) == value) break;
    }
    for (char *p = number; *p; p++)
        if (!strchr("0123456789+-e", *p)) *p = '.'; /* a host program's locale may write a comma */
    put(t, "%s", number);
}

static void put_name(text *t, const char *name) {
    put(t, "\"");
    for (const char *p = name; *p && p < name + 31; p++) {
        if (*p == '"' || *p == '\\')
            put(t, "\\%c", *p);
        else
            put(t, "%c", *p);
    }
    put(t, "\"");
}

static void put_value(text *t, const field *f, const revbifpn_model_config *config) {
    const void *at = place_of(config, f);
    bool list = f->kind == COUNTS || f->kind == REALS;
    if (f->kind == TEXT) {
        put_name(t, at);
        return;
    }
    if (list) put(t, "[");
    for (int i = 0; i < (list ? config->streams : 1); i++) {
        if (i) put(t, ", ");
        if (f->kind == COUNT || f->kind == COUNTS)
            put(t, "%d", ((const int *)at)[i]);
        else
            put_real(t, ((const double *)at)[i]);
    }
    if (list) put(t, "]");
}

revbifpn_status rb_config_to_json(const revbifpn_model_config *config, char **out, rb_error *err) {
    text t = {.used = 0};
    *out = NULL;
    revbifpn_status status = rb_config_check(config, err);
    if (status != REVBIFPN_OK) return status;
    json_t *name = json_string(config->name); /* NULL when it is not UTF-8 */
    if (!name) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "name is not UTF-8");
    json_decref(name);
    for (int i = 0; i < FIELDS; i++) {
        put(&t, "%s  \"%s\": ", i ? ",\n" : "{\n", fields[i].key);
        put_value(&t, &fields[i], config);
    }
    put(&t, "\n}\n");
    *out = rb_alloc(t.used + 1);
    if (!*out)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a configuration of %zu bytes", t.used);
    memcpy(*out, t.bytes, t.used);
    return REVBIFPN_OK;
}
