/* The reader of pth.h: which part of the object is the state dict, and its tensors. */
#include "io/pth.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/json_text.h"
#include "io/pth_reader.h"

#define REFUSE(p, ...) rb_fail((p)->err, REVBIFPN_BAD_FILE, __VA_ARGS__)

enum {
    TENSORS_MAX = 1 << 17,
    NAME_MAX_BYTES = 500,
    METADATA_MAX = 16,            /* entries */
    METADATA_VALUE_MAX = 1 << 22, /* bytes */
    CLASSES_MAX = 65535,
    DIMS = RB_TENSOR_MAX_DIMS
};

static const char DATA_PARALLEL[] = "module.";

bool rb_pth_recognise(const unsigned char *head, size_t size) {
    if (size < 8) return false;
    if (!memcmp(head, "PK\3\4", 4) || !memcmp(head, "PK\5\6", 4)) return memcmp(head + 4, "\0\0\0\0", 4) != 0;
    /* PROTO, then LONG1 or FRAME; as the length of a safetensors header this would be above its limit */
    return head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && (head[2] == 0x8a || head[2] == 0x95) &&
           head[3] >= 10;
}

/* ---- the state dict ---- */

static bool is_dict(const rb_pickle *p, uint32_t v) { return p->values[v].kind == RB_PICKLE_DICT; }

/* Whether there is a tensor among the values of a dict. */
static bool holds_tensors(const rb_pickle *p, uint32_t dict) {
    for (uint32_t cell = p->values[dict].as.items.first; cell;) {
        uint32_t value = p->cells[cell].next;
        if (p->values[p->cells[value].value].kind == RB_PICKLE_TENSOR) return true;
        cell = p->cells[value].next;
    }
    return false;
}

static revbifpn_status choose(rb_pth *pth, const char *key, uint32_t *dict) {
    static const char *const usual[] = {"state_dict", "model", "state_dict_ema"};
    const rb_pickle *p = &pth->pickle;
    const char *path = pth->file->path;
    if (!is_dict(p, p->root)) return REFUSE(pth, "%s: holds no dictionary but something else", path);
    if (key) {
        *dict = rb_pickle_get(p, p->root, key);
        if (*dict && is_dict(p, *dict) && holds_tensors(p, *dict)) return REVBIFPN_OK;
        return rb_fail(pth->err, REVBIFPN_BAD_ARGUMENT, "%s: has no state dict under the key '%s'", path,
                       rb_tensor_show(key).text);
    }
    for (int i = 0; i < 3; i++) {
        *dict = rb_pickle_get(p, p->root, usual[i]);
        if (*dict && is_dict(p, *dict) && holds_tensors(p, *dict)) return REVBIFPN_OK;
    }
    *dict = p->root;
    if (holds_tensors(p, p->root)) return REVBIFPN_OK;
    return REFUSE(pth, "%s: no tensors, neither in itself nor under \"state_dict\" or \"model\"", path);
}

/* ---- one tensor ---- */

/* Whole numbers ≥ 0 out of a tuple; -1 when there is something else in it, or too much. */
static int numbers(const rb_pickle *p, uint32_t tuple, int64_t out[DIMS]) {
    uint32_t count = p->values[tuple].as.items.count, cell = p->values[tuple].as.items.first;
    if (count > DIMS) return -1;
    for (uint32_t i = 0; i < count; i++, cell = p->cells[cell].next) {
        const rb_pickle_value *v = &p->values[p->cells[cell].value];
        if (v->kind != RB_PICKLE_INTEGER || v->as.integer < 0) return -1;
        out[i] = v->as.integer;
    }
    return (int)count;
}

/* Index of the last element of a view, counted from its first; false when it has no end. */
static bool last_element(const rb_tensor_info *t, uint64_t *last) {
    *last = 0;
    for (int d = 0; d < t->ndim; d++) {
        uint64_t reach;
        if (__builtin_mul_overflow((uint64_t)t->shape[d] - 1, (uint64_t)t->stride[d], &reach) ||
            __builtin_add_overflow(*last, reach, last))
            return false;
    }
    return true;
}

static bool row_major(const rb_tensor_info *t) {
    int64_t wanted = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] == 1) continue;
        if (t->stride[d] != wanted) return false;
        wanted *= t->shape[d]; /* ≤ the elements of the storage, or the next stride differs */
    }
    return true;
}

static revbifpn_status place_tensor(rb_pth *pth, const rb_storage *s, int64_t offset, rb_tensor_info *t) {
    uint64_t last = 0;
    const char *path = pth->file->path, *name = t->name;
    t->dtype = s->dtype;
    t->bytes = rb_tensor_bytes(t->dtype, t->ndim, t->shape);
    rb_shown type = rb_tensor_show_type(t->dtype, t->ndim, t->shape);
    if (t->bytes == SIZE_MAX)
        return REFUSE(pth, "%s: tensor '%s': %s has too many elements", path, rb_tensor_show(name).text,
                      type.text);
    t->offset = (size_t)s->offset;
    if (!t->bytes) return REVBIFPN_OK;
    if (offset < 0 || (uint64_t)offset >= s->count || !last_element(t, &last) ||
        last >= s->count - (uint64_t)offset)
        return REFUSE(
            pth, "%s: tensor '%s': %s from element %" PRId64 " on passes the end of its storage of %" PRIu64,
            path, rb_tensor_show(name).text, type.text, offset, s->count);
    t->offset += (size_t)offset * rb_dtype_bytes(t->dtype);
    t->strided = !row_major(t);
    return REVBIFPN_OK;
}

static revbifpn_status read_tensor(rb_pth *pth, uint32_t v, rb_tensor_info *t) {
    const rb_pickle *p = &pth->pickle;
    const char *path = pth->file->path;
    if (p->values[v].kind != RB_PICKLE_TENSOR)
        return REFUSE(pth, "%s: '%s' in the state dict is no tensor", path, rb_tensor_show(t->name).text);
    uint32_t args = p->values[v].more, id = p->values[rb_pickle_item(p, args, 0)].more;
    const rb_pickle_value *key = &p->values[rb_pickle_item(p, id, 2)];
    const rb_storage *s = rb_pth_find_storage(pth, p->bytes + key->as.text.start, key->as.text.length);
    t->ndim = numbers(p, rb_pickle_item(p, args, 2), t->shape);
    int strides = numbers(p, rb_pickle_item(p, args, 3), t->stride);
    if (!s || t->ndim < 0 || strides != t->ndim)
        return REFUSE(pth, "%s: tensor '%s': size and stride are not two lists of up to %d whole numbers ≥ 0",
                      path, rb_tensor_show(t->name).text, DIMS);
    return place_tensor(pth, s, p->values[rb_pickle_item(p, args, 1)].as.integer, t);
}

/* ---- all of them ---- */

static bool begins_with_module(const rb_pickle *p, const rb_pickle_value *name) {
    size_t length = sizeof DATA_PARALLEL - 1;
    return name->as.text.length > length && !memcmp(p->bytes + name->as.text.start, DATA_PARALLEL, length);
}

/* Checks the names; *total: bytes they take, each with a zero; *skip: what is taken off each. */
static revbifpn_status measure_names(rb_pth *pth, uint32_t dict, size_t *total, size_t *skip) {
    const rb_pickle *p = &pth->pickle;
    const char *path = pth->file->path;
    uint32_t count = p->values[dict].as.items.count / 2;
    bool parallel = true;
    if (count > TENSORS_MAX) return REFUSE(pth, "%s: %u tensors, more than %d", path, count, TENSORS_MAX);
    *total = 0;
    for (uint32_t cell = p->values[dict].as.items.first; cell; cell = p->cells[p->cells[cell].next].next) {
        const rb_pickle_value *name = &p->values[p->cells[cell].value];
        if (name->kind != RB_PICKLE_TEXT || name->as.text.length > NAME_MAX_BYTES ||
            memchr(p->bytes + name->as.text.start, 0, name->as.text.length))
            return REFUSE(pth, "%s: a name in the state dict is no text of up to %d bytes", path,
                          NAME_MAX_BYTES);
        *total += name->as.text.length + 1;
        parallel = parallel && begins_with_module(p, name);
    }
    *skip = parallel ? sizeof DATA_PARALLEL - 1 : 0;
    return REVBIFPN_OK;
}

static revbifpn_status list_tensors(rb_pth *pth, uint32_t dict) {
    revbifpn_status status;
    const rb_pickle *p = &pth->pickle;
    rb_tensor_file *file = pth->file;
    size_t total = 0, skip = 0;
    TRY(measure_names(pth, dict, &total, &skip));
    TRY(rb_tensor_file_reserve(file, p->values[dict].as.items.count / 2, pth->err));
    char *next = file->names = rb_alloc(total);
    if (!next)
        return rb_fail(pth->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for the names", file->path);
    for (uint32_t cell = p->values[dict].as.items.first; cell;) {
        const rb_pickle_value *name = &p->values[p->cells[cell].value];
        uint32_t value = p->cells[cell].next;
        rb_tensor_info *t = &file->tensors[file->count++];
        size_t length = name->as.text.length - skip;
        t->name = memcpy(next, p->bytes + name->as.text.start + skip, length); /* zeros follow */
        next += length + 1;
        TRY(read_tensor(pth, p->cells[value].value, t));
        cell = p->cells[value].next;
    }
    return REVBIFPN_OK;
fail:
    return status;
}

/* Whether all entries of a tuple or list, at least one, are texts without zeros. */
static bool are_names(const rb_pickle *p, const rb_pickle_value *list) {
    bool listed = list->kind == RB_PICKLE_TUPLE || list->kind == RB_PICKLE_LIST;
    bool good = listed && list->as.items.count && list->as.items.count <= CLASSES_MAX;
    for (uint32_t cell = good ? list->as.items.first : 0; good && cell; cell = p->cells[cell].next) {
        const rb_pickle_value *v = &p->values[p->cells[cell].value];
        good = v->kind == RB_PICKLE_TEXT && v->as.text.length <= NAME_MAX_BYTES &&
               !memchr(p->bytes + v->as.text.start, 0, v->as.text.length);
    }
    return good;
}

/* The names of the classes in a checkpoint of MMDetection, {"meta": {"CLASSES": (…)}}, if it has some. */
static revbifpn_status keep_class_names(rb_pth *pth, json_t *metadata) {
    const rb_pickle *p = &pth->pickle;
    const rb_pickle_value *list = &p->values[rb_pickle_get(p, rb_pickle_get(p, p->root, "meta"), "CLASSES")];
    if (!are_names(p, list)) return REVBIFPN_OK;
    json_t *names = json_array();
    bool failed = !names;
    for (uint32_t cell = list->as.items.first; cell && !failed; cell = p->cells[cell].next) {
        const rb_pickle_value *v = &p->values[p->cells[cell].value];
        const char *text = (const char *)p->bytes + v->as.text.start;
        failed = json_array_append_new(names, json_stringn(text, v->as.text.length)) != 0;
    }
    char *text = failed ? NULL : json_dumps(names, JSON_COMPACT);
    failed = !text || json_object_set_new(metadata, RB_PTH_CLASSES, json_string(text));
    rb_json_free(text);
    json_decref(names);
    if (!failed) return REVBIFPN_OK;
    return REFUSE(pth, "%s: meta: the names of CLASSES are no texts, or memory is out", pth->file->path);
}

/* What this program's writer left in _metadata; else what another one said of the classes. */
static revbifpn_status read_metadata(rb_pth *pth, uint32_t dict) {
    const rb_pickle *p = &pth->pickle;
    uint32_t own = rb_pickle_get(p, rb_pickle_get(p, p->values[dict].more, "_metadata"), "revbifpn");
    json_t *metadata = json_object(), *header = json_pack("{s:o}", RB_TENSOR_METADATA, metadata);
    pth->file->header = header;
    if (!header) return rb_fail(pth->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", pth->file->path);
    if (!is_dict(p, own)) return keep_class_names(pth, metadata);
    if (p->values[own].as.items.count > 2 * METADATA_MAX)
        return REFUSE(pth, "%s: _metadata: more than %d entries of revbifpn", pth->file->path, METADATA_MAX);
    for (uint32_t cell = p->values[own].as.items.first; cell; cell = p->cells[p->cells[cell].next].next) {
        const rb_pickle_value *k = &p->values[p->cells[cell].value];
        const rb_pickle_value *v = &p->values[p->cells[p->cells[cell].next].value];
        bool named = k->kind == RB_PICKLE_TEXT && k->as.text.length < 64;
        bool texts = named && v->kind == RB_PICKLE_TEXT && v->as.text.length <= METADATA_VALUE_MAX;
        char key[64] = "";
        if (named) memcpy(key, p->bytes + k->as.text.start, k->as.text.length);
        json_t *text =
            texts ? json_stringn((const char *)p->bytes + v->as.text.start, v->as.text.length) : NULL;
        if (!text || strlen(json_string_value(text)) != v->as.text.length ||
            json_object_set(metadata, key, text)) {
            json_decref(text);
            return REFUSE(pth, "%s: _metadata: '%s' of revbifpn is no text", pth->file->path,
                          rb_tensor_show(key).text);
        }
        json_decref(text);
    }
    return REVBIFPN_OK;
}

revbifpn_status rb_pth_parse(rb_tensor_file *file, const char *key, rb_error *err) {
    revbifpn_status status;
    unsigned char first = 0;
    uint32_t dict = 0;
    rb_pth pth = {.file = file, .err = err};
    TRY(rb_tensor_read_at(file, 0, &first, 1, err));
    TRY(first == 'P' ? rb_pth_read_zip(&pth) : rb_pth_read_legacy(&pth));
    TRY(choose(&pth, key, &dict));
    TRY(read_metadata(&pth, dict));
    status = list_tensors(&pth, dict);
fail:
    rb_pickle_close(&pth.pickle);
    rb_free(pth.storages);
    rb_free(pth.bytes);
    return status;
}
