#include "onnx/wire.h"

#include <string.h>

#include "base/memory.h"

enum { VARINT = 0, LENGTH = 2, FIXED32 = 5, VARINT_MOST = 10 };

void rb_wire_close(rb_wire *w) {
    rb_free(w->bytes);
    *w = (rb_wire){0};
}

static void append(rb_wire *w, const void *bytes, size_t size) {
    if (w->failed || !size) return;
    if (w->capacity - w->size < size) {
        size_t capacity = rb_size_add(rb_size_mul(2, w->capacity), rb_size_add(size, 1024));
        unsigned char *grown = rb_alloc(capacity);
        if (!grown) {
            w->failed = true;
            return;
        }
        if (w->size) memcpy(grown, w->bytes, w->size);
        rb_free(w->bytes);
        w->bytes = grown;
        w->capacity = capacity;
    }
    memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

/* Seven bits a byte, the lowest first; all but the last have the top bit. */
static size_t varint(uint64_t value, unsigned char out[VARINT_MOST]) {
    size_t n = 0;
    for (; value > 0x7f; value >>= 7) out[n++] = (unsigned char)(value | 0x80);
    out[n++] = (unsigned char)value;
    return n;
}

static void append_varint(rb_wire *w, uint64_t value) {
    unsigned char bytes[VARINT_MOST];
    append(w, bytes, varint(value, bytes));
}

static void append_key(rb_wire *w, int field, int kind) {
    append_varint(w, (uint64_t)field << 3 | (uint64_t)kind);
}

void rb_wire_integer(rb_wire *w, int field, int64_t value) {
    append_key(w, field, VARINT);
    append_varint(w, (uint64_t)value);
}

void rb_wire_float(rb_wire *w, int field, float value) {
    append_key(w, field, FIXED32);
    append(w, &value, sizeof value);
}

void rb_wire_head(rb_wire *w, int field, size_t size) {
    append_key(w, field, LENGTH);
    append_varint(w, size);
}

size_t rb_wire_head_bytes(int field, size_t size) {
    unsigned char bytes[VARINT_MOST];
    return varint((uint64_t)field << 3, bytes) + varint(size, bytes);
}

void rb_wire_bytes(rb_wire *w, int field, const void *bytes, size_t size) {
    rb_wire_head(w, field, size);
    append(w, bytes, size);
}

void rb_wire_text(rb_wire *w, int field, const char *text) { rb_wire_bytes(w, field, text, strlen(text)); }

size_t rb_wire_begin(rb_wire *w, int field) {
    append_key(w, field, LENGTH);
    return w->size;
}

/* The length is known only now: it goes before what has been written. */
void rb_wire_end(rb_wire *w, size_t mark) {
    unsigned char length[VARINT_MOST];
    if (w->failed) return;
    size_t size = w->size - mark, n = varint(size, length);
    append(w, length, n); /* makes room */
    if (w->failed) return;
    memmove(w->bytes + mark + n, w->bytes + mark, size);
    memcpy(w->bytes + mark, length, n);
}
