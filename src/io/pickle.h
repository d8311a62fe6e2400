/* An interpreter of the pickle opcodes that torch.save writes (protocols 2 … 5; docs.python.org, "pickle",
 * and Lib/pickletools.py for the opcodes), which builds values and calls nothing. Only the globals of the
 * table in pickle_objects.c are known; any other, and any other opcode, is refused by name.
 *
 * Memory is bounded: at most RB_PICKLE_MAX values, cells, stack and memo entries, whatever the bytes say.
 * There is no recursion, and values that contain themselves are harmless: nobody walks deeper than asked. */
#ifndef RB_IO_PICKLE_H
#define RB_IO_PICKLE_H

#include "io/safetensors.h"

enum { RB_PICKLE_MAX = 1 << 21 };

typedef enum rb_pickle_kind {
    RB_PICKLE_NONE,
    RB_PICKLE_BOOL,    /* integer */
    RB_PICKLE_INTEGER, /* integer */
    RB_PICKLE_REAL,    /* real */
    RB_PICKLE_TEXT,    /* text: start, length */
    RB_PICKLE_BYTES,   /* the same; also whole numbers of more than 64 bits */
    RB_PICKLE_TUPLE,   /* items: first cell, count */
    RB_PICKLE_LIST,
    RB_PICKLE_DICT,    /* items: key, value, key, value, … in order; `more`: state of BUILD */
    RB_PICKLE_GLOBAL,  /* global, and for a storage its dtype */
    RB_PICKLE_STORAGE, /* more: the tuple of its persistent id */
    RB_PICKLE_TENSOR,  /* more: the tuple of arguments of _rebuild_tensor_v2 */
    RB_PICKLE_OPAQUE   /* allowed and of no interest: a numpy scalar */
} rb_pickle_kind;

typedef enum rb_pickle_global {
    RB_GLOBAL_ORDERED_DICT,
    RB_GLOBAL_TENSOR,
    RB_GLOBAL_PARAMETER,
    RB_GLOBAL_STORAGE,
    RB_GLOBAL_SIZE,
    RB_GLOBAL_NAMESPACE,
    RB_GLOBAL_NUMPY_DTYPE,
    RB_GLOBAL_NUMPY_SCALAR,
    RB_GLOBAL_ENCODE
} rb_pickle_global;

typedef struct rb_pickle_value {
    uint8_t kind, global, dtype;
    uint32_t more; /* another value; 0: none, value 0 is None */
    union {
        int64_t integer;
        double real;
        struct {
            uint32_t start, length;
        } text; /* in the bytes that were read */
        struct {
            uint32_t first, last, count;
        } items; /* cells */
    } as;
} rb_pickle_value;

typedef struct rb_pickle_cell {
    uint32_t value, next; /* next 0: the last; cell 0 is not used */
} rb_pickle_cell;

typedef struct rb_pickle {
    const unsigned char *bytes; /* borrowed: texts lie in them */
    rb_pickle_value *values;
    rb_pickle_cell *cells;
    size_t value_count, cell_count;
    uint32_t root;
    size_t used;  /* bytes up to and with STOP */
    bool ran_out; /* failed because `size` bytes were not enough */
} rb_pickle;

/* Reads one pickle of at most `size` < 2^31 bytes. Errors (place and reason, without a file's name):
 * BAD_FILE, OUT_OF_MEMORY. Closed with rb_pickle_close in every case. */
revbifpn_status rb_pickle_read(rb_pickle *p, const unsigned char *bytes, size_t size,
                               rb_error *err) RB_CHECKED;
void rb_pickle_close(rb_pickle *p);

/* Whether value v is that text. */
bool rb_pickle_is_text(const rb_pickle *p, uint32_t v, const char *text);
/* Item i of a tuple or list with more than i items: walks there, for small i. */
uint32_t rb_pickle_item(const rb_pickle *p, uint32_t v, uint32_t i);
/* The value under a text key of a dict, of several equal keys the last, as Python has it; 0 when v is no dict
 * or has no such key. */
uint32_t rb_pickle_get(const rb_pickle *p, uint32_t v, const char *key);

#endif
