/* The stack machine of pickle.h, for its two parts: the loop with plain values (pickle.c), and what globals
 * make (pickle_objects.c). Only they include this. */
#ifndef RB_IO_PICKLE_MACHINE_H
#define RB_IO_PICKLE_MACHINE_H

#include "io/pickle.h"

/* A vector that grows to RB_PICKLE_MAX entries. */
typedef struct rb_vector {
    void *data;
    size_t count, capacity;
} rb_vector;

typedef struct rb_machine {
    rb_pickle *out;
    size_t size, at, opcode_at;
    rb_vector values, cells; /* rb_pickle_value, rb_pickle_cell */
    rb_vector stack;         /* uint32_t: values */
    rb_vector marks;         /* uint32_t: heights of the stack */
    rb_vector memo;          /* uint32_t: values + 1; 0: empty */
    rb_error *err;
} rb_machine;

/* BAD_FILE, naming the byte of the opcode. */
revbifpn_status rb_machine_refuse(rb_machine *m, const char *format, ...) RB_PRINTF(2, 3);
#define REFUSE(...) rb_machine_refuse(__VA_ARGS__)

static inline rb_pickle_value *value_at(const rb_machine *m, uint32_t v) {
    return (rb_pickle_value *)m->values.data + v;
}
static inline rb_pickle_cell *cell_at(const rb_machine *m, uint32_t c) {
    return (rb_pickle_cell *)m->cells.data + c;
}
static inline uint32_t *stack_at(const rb_machine *m, size_t i) { return (uint32_t *)m->stack.data + i; }
static inline uint32_t pop(rb_machine *m) { return *stack_at(m, --m->stack.count); }
static inline uint32_t top(const rb_machine *m) { return *stack_at(m, m->stack.count - 1); }

revbifpn_status rb_machine_push(rb_machine *m, uint32_t v) RB_CHECKED;
revbifpn_status rb_machine_push_new(rb_machine *m, rb_pickle_value value) RB_CHECKED;
/* Refuses when fewer than `count` values lie above the last mark. */
revbifpn_status rb_machine_need(rb_machine *m, size_t count) RB_CHECKED;

/* GLOBAL and STACK_GLOBAL: MODULE NAME, if it is in the table. */
revbifpn_status rb_machine_global(rb_machine *m, const unsigned char *module, size_t module_length,
                                  const unsigned char *name, size_t name_length) RB_CHECKED;
/* REDUCE, or NEWOBJ when `object`. */
revbifpn_status rb_machine_call(rb_machine *m, bool object) RB_CHECKED;
/* BUILD and BINPERSID. */
revbifpn_status rb_machine_build(rb_machine *m) RB_CHECKED;
revbifpn_status rb_machine_persistent(rb_machine *m) RB_CHECKED;

#endif
