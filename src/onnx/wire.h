/* The wire format of protocol buffers, the part that ONNX needs for writing: a message is a row of fields, a
 * field a key (number · 8 + kind) and its value: a varint, four bytes, or a length and that many bytes.
 *
 * Running out of memory is remembered, not reported by each call: ask `failed` at the end. */
#ifndef RB_ONNX_WIRE_H
#define RB_ONNX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rb_wire {
    unsigned char *bytes; /* owned */
    size_t size, capacity;
    bool failed;
} rb_wire;

void rb_wire_close(rb_wire *w);
void rb_wire_integer(rb_wire *w, int field, int64_t value);
void rb_wire_float(rb_wire *w, int field, float value);
void rb_wire_bytes(rb_wire *w, int field, const void *bytes, size_t size);
void rb_wire_text(rb_wire *w, int field, const char *text);
/* What is written between begin and end is a message, the value of that field. */
size_t rb_wire_begin(rb_wire *w, int field);
void rb_wire_end(rb_wire *w, size_t mark);
/* Key and length of a field whose `size` bytes the caller writes elsewhere; and how many bytes these are. */
void rb_wire_head(rb_wire *w, int field, size_t size);
size_t rb_wire_head_bytes(int field, size_t size);

#endif
