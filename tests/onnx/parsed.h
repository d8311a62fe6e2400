/* An exported file, parsed back: every value is made before it is read and only once, tensors have the bytes
 * of their shapes. The wire format is read by a reader of its own. */
#ifndef RB_TESTS_ONNX_PARSED_H
#define RB_TESTS_ONNX_PARSED_H

#include "check.h"

#include "base/file.h"
#include "base/memory.h"

/* ---- a reader of the wire format ---- */

typedef struct view {
    const unsigned char *at, *end;
} view;

typedef struct field {
    int number, kind;
    uint64_t integer;
    view bytes;
} field;

static inline uint64_t read_varint(view *v) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        assert_true(v->at < v->end);
        value |= (uint64_t)(*v->at & 0x7f) << shift;
        if (!(*v->at++ & 0x80)) return value;
    }
    fail_msg("a varint of more than 10 bytes");
    return 0;
}

static inline bool next(view *v, field *f) {
    if (v->at == v->end) return false;
    uint64_t key = read_varint(v);
    *f = (field){.number = (int)(key >> 3), .kind = (int)(key & 7)};
    assert_true(f->kind == 0 || f->kind == 2 || f->kind == 5);
    if (f->kind == 0) f->integer = read_varint(v);
    size_t size = f->kind == 5 ? 4 : f->kind == 2 ? (size_t)read_varint(v) : 0;
    assert_true(size <= (size_t)(v->end - v->at));
    f->bytes = (view){v->at, v->at + size};
    v->at += size;
    return true;
}

static inline bool is(view v, const char *text) {
    return (size_t)(v.end - v.at) == strlen(text) && !memcmp(v.at, text, strlen(text));
}

static inline bool same(view a, view b) {
    return a.end - a.at == b.end - b.at && !memcmp(a.at, b.at, (size_t)(a.end - a.at));
}

/* The first field of that number in a message. */
static inline field get(view v, int number) {
    field f = {0};
    while (next(&v, &f))
        if (f.number == number) return f;
    fail_msg("no field %d", number);
    return f;
}

/* ---- the parsed file ---- */

enum { MOST = 8192 };
typedef struct parsed {
    unsigned char *bytes;
    size_t size;
    view graph;
    view known[MOST]; /* names of values so far */
    int known_count, nodes, norms, adds, tensors, outputs, inputs, metadata, resizes;
    view output[16], tensor[MOST];
} parsed;

static inline bool is_known(const parsed *p, view name) {
    for (int i = 0; i < p->known_count; i++)
        if (same(p->known[i], name)) return true;
    return false;
}

static inline void make_known(parsed *p, view name) {
    if (is_known(p, name)) fail_msg("'%.*s' is made twice", (int)(name.end - name.at), (const char *)name.at);
    assert_true(p->known_count < MOST);
    p->known[p->known_count++] = name;
}

static inline void parse_node(parsed *p, view node) {
    view v = node;
    field f;
    while (next(&v, &f))
        if (f.number == 1 && f.bytes.at != f.bytes.end && !is_known(p, f.bytes))
            fail_msg("'%.*s' is read before it is made", (int)(f.bytes.end - f.bytes.at),
                     (const char *)f.bytes.at);
    for (v = node; next(&v, &f);)
        if (f.number == 2) make_known(p, f.bytes);
    view op = get(node, 4).bytes;
    p->nodes++;
    p->norms += is(op, "BatchNormalization");
    p->adds += is(op, "Add");
    p->resizes += is(op, "Resize");
}

/* Data type, shape and bytes belong together. */
static inline void parse_tensor(parsed *p, view tensor) {
    view v = tensor;
    field f;
    uint64_t count = 1;
    while (next(&v, &f))
        if (f.number == 1) count *= f.integer;
    uint64_t type = get(tensor, 2).integer, size = type == 1 ? 4 : 8;
    assert_true(type == 1 || type == 7);
    view raw = get(tensor, 9).bytes;
    assert_int_equal(raw.end - raw.at, count * size);
    make_known(p, get(tensor, 8).bytes);
    assert_true(p->tensors < MOST);
    p->tensor[p->tensors++] = tensor;
}

static inline void parse(parsed *p, const char *path) {
    rb_error err;
    field f;
    *p = (parsed){.size = 0};
    CHECK_OK(rb_file_read(path, 1 << 30, &p->bytes, &p->size, &err), &err);
    view model = {p->bytes, p->bytes + p->size}, v = model;
    assert_int_equal(get(model, 1).integer, 8);
    assert_int_equal(get(get(model, 8).bytes, 2).integer, 17);
    p->graph = get(model, 7).bytes;
    for (v = p->graph; next(&v, &f);) {
        if (f.number == 11) make_known(p, get(f.bytes, 1).bytes);
        p->inputs += f.number == 11;
        if (f.number == 5) parse_tensor(p, f.bytes);
    }
    for (v = p->graph; next(&v, &f);)
        if (f.number == 1) parse_node(p, f.bytes);
    for (v = p->graph; next(&v, &f);)
        if (f.number == 12) {
            assert_true(is_known(p, get(f.bytes, 1).bytes));
            assert_true(p->outputs < (int)(sizeof p->output / sizeof *p->output));
            p->output[p->outputs++] = f.bytes;
        }
    for (v = model; next(&v, &f);) p->metadata += f.number == 14;
}

static inline void forget(parsed *p) { rb_free(p->bytes); }

static inline const float *find_tensor(const parsed *p, const char *name, size_t count) {
    static float copy[1 << 16];
    for (int i = 0; i < p->tensors; i++)
        if (is(get(p->tensor[i], 8).bytes, name)) {
            view raw = get(p->tensor[i], 9).bytes;
            assert_int_equal(raw.end - raw.at, count * sizeof(float));
            assert_true(count <= sizeof copy / sizeof *copy);
            return memcpy(copy, raw.at, count * sizeof(float)); /* the file does not align them */
        }
    return NULL;
}

/* Number of a side of an end, −1 when it has a name. */
static inline int64_t side(view end, int i) {
    view shape = get(get(get(end, 2).bytes, 1).bytes, 2).bytes;
    field f = {0};
    while (next(&shape, &f))
        if (f.number == 1 && !i--)
            return get(f.bytes, f.bytes.at[0] >> 3).number == 1 ? (int64_t)get(f.bytes, 1).integer : -1;
    fail_msg("no such side");
    return 0;
}

#endif
