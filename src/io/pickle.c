/* The stack machine of pickle.h: one function an opcode group, one switch. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/pickle_machine.h"

/* Opcodes by their names in pickletools. */
enum {
    PROTO = 0x80,
    FRAME = 0x95,
    STOP = '.',
    MARK = '(',
    NONE = 'N',
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    LONG1 = 0x8a,
    BINFLOAT = 'G',
    BINUNICODE = 'X',
    SHORT_BINUNICODE = 0x8c,
    BINUNICODE8 = 0x8d,
    BINSTRING = 'T',
    SHORT_BINSTRING = 'U',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    BINBYTES8 = 0x8e,
    EMPTY_TUPLE = ')',
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    TUPLE = 't',
    EMPTY_LIST = ']',
    APPEND = 'a',
    APPENDS = 'e',
    EMPTY_DICT = '}',
    SETITEM = 's',
    SETITEMS = 'u',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    MEMOIZE = 0x94,
    BINGET = 'h',
    LONG_BINGET = 'j',
    GLOBAL = 'c',
    STACK_GLOBAL = 0x93,
    REDUCE = 'R',
    NEWOBJ = 0x81,
    BUILD = 'b',
    BINPERSID = 'Q'
};

revbifpn_status rb_machine_refuse(rb_machine *m, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return rb_fail(m->err, REVBIFPN_BAD_FILE, "pickle, byte %zu: %s", m->opcode_at, text);
}

/* ---- storage ---- */

/* Room for one more entry of `bytes`. */
static revbifpn_status grow(rb_machine *m, rb_vector *v, size_t bytes) {
    if (v->count < v->capacity) return REVBIFPN_OK;
    if (v->count >= RB_PICKLE_MAX) return REFUSE(m, "more than %d values", RB_PICKLE_MAX);
    size_t capacity = v->capacity ? 2 * v->capacity : 64;
    void *data = rb_alloc(capacity * bytes);
    if (!data) return rb_fail(m->err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %zu values", capacity);
    if (v->count) memcpy(data, v->data, v->count * bytes);
    rb_free(v->data);
    v->data = data;
    v->capacity = capacity;
    return REVBIFPN_OK;
}

revbifpn_status rb_machine_push(rb_machine *m, uint32_t v) {
    revbifpn_status status = grow(m, &m->stack, sizeof(uint32_t));
    if (status == REVBIFPN_OK) *stack_at(m, m->stack.count++) = v;
    return status;
}

revbifpn_status rb_machine_push_new(rb_machine *m, rb_pickle_value value) {
    revbifpn_status status = grow(m, &m->values, sizeof value);
    if (status != REVBIFPN_OK) return status;
    *value_at(m, (uint32_t)m->values.count) = value;
    return rb_machine_push(m, (uint32_t)m->values.count++);
}

/* Height of the stack above the last mark: what an opcode may take. */
static size_t above_mark(const rb_machine *m) {
    size_t mark = m->marks.count ? ((uint32_t *)m->marks.data)[m->marks.count - 1] : 0;
    return m->stack.count - mark;
}

revbifpn_status rb_machine_need(rb_machine *m, size_t count) {
    if (above_mark(m) >= count) return REVBIFPN_OK;
    return REFUSE(m, "takes %zu values, the stack has %zu", count, above_mark(m));
}

/* Appends to a tuple, list or dict. */
static revbifpn_status add_item(rb_machine *m, uint32_t container, uint32_t item) {
    revbifpn_status status = grow(m, &m->cells, sizeof(rb_pickle_cell));
    if (status != REVBIFPN_OK) return status;
    uint32_t cell = (uint32_t)m->cells.count++;
    rb_pickle_value *c = value_at(m, container);
    *cell_at(m, cell) = (rb_pickle_cell){.value = item};
    if (c->as.items.count++)
        cell_at(m, c->as.items.last)->next = cell;
    else
        c->as.items.first = cell;
    c->as.items.last = cell;
    return REVBIFPN_OK;
}

/* Appends the upper `count` values of the stack, and drops them. */
static revbifpn_status add_items(rb_machine *m, uint32_t container, size_t count) {
    for (size_t i = m->stack.count - count; i < m->stack.count; i++) {
        revbifpn_status status = add_item(m, container, *stack_at(m, i));
        if (status != REVBIFPN_OK) return status;
    }
    m->stack.count -= count;
    return REVBIFPN_OK;
}

/* ---- the bytes ---- */

static revbifpn_status take(rb_machine *m, size_t count, const unsigned char **bytes) {
    if (count > m->size - m->at) {
        m->out->ran_out = true;
        return REFUSE(m, "needs %zu bytes more, %zu are left: truncated?", count, m->size - m->at);
    }
    *bytes = m->out->bytes + m->at;
    m->at += count;
    return REVBIFPN_OK;
}

static revbifpn_status take_number(rb_machine *m, int bytes, uint64_t *number) {
    const unsigned char *p = NULL;
    revbifpn_status status = take(m, (size_t)bytes, &p);
    *number = 0;
    for (int i = bytes - 1; status == REVBIFPN_OK && i >= 0; i--) *number = *number << 8 | p[i];
    return status;
}

/* A text or bytes with a length of `bytes` bytes before it. */
static revbifpn_status text(rb_machine *m, rb_pickle_kind kind, int bytes) {
    revbifpn_status status;
    uint64_t length;
    const unsigned char *p = NULL;
    TRY(take_number(m, bytes, &length));
    TRY(take(m, length > SIZE_MAX ? SIZE_MAX : (size_t)length, &p));
    rb_pickle_value value = {.kind = (uint8_t)kind};
    value.as.text.start = (uint32_t)(p - m->out->bytes);
    value.as.text.length = (uint32_t)length;
    status = rb_machine_push_new(m, value);
fail:
    return status;
}

static revbifpn_status integer(rb_machine *m, rb_pickle_kind kind, int64_t number) {
    return rb_machine_push_new(m, (rb_pickle_value){.kind = (uint8_t)kind, .as.integer = number});
}

static revbifpn_status unsigned_integer(rb_machine *m, int bytes) {
    uint64_t number;
    revbifpn_status status = take_number(m, bytes, &number);
    if (status != REVBIFPN_OK) return status;
    return integer(m, RB_PICKLE_INTEGER, bytes == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

/* Two's complement, little endian; of more than 8 bytes only the bytes are kept. */
static revbifpn_status long_integer(rb_machine *m) {
    revbifpn_status status;
    uint64_t length, number = 0;
    const unsigned char *p = NULL;
    if (m->at < m->size && m->out->bytes[m->at] > 8) return text(m, RB_PICKLE_BYTES, 1);
    TRY(take_number(m, 1, &length));
    TRY(take(m, (size_t)length, &p));
    if (length && p[length - 1] & 0x80) number = UINT64_MAX;
    for (uint64_t i = length; i-- > 0;) number = number << 8 | p[i];
    status = integer(m, RB_PICKLE_INTEGER, (int64_t)number);
fail:
    return status;
}

static revbifpn_status real(rb_machine *m) {
    const unsigned char *p = NULL;
    uint64_t bits = 0;
    rb_pickle_value value = {.kind = RB_PICKLE_REAL};
    revbifpn_status status = take(m, 8, &p);
    if (status != REVBIFPN_OK) return status;
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    memcpy(&value.as.real, &bits, sizeof bits);
    return rb_machine_push_new(m, value);
}

/* ---- containers and memo ---- */

static revbifpn_status tuple(rb_machine *m, size_t count) {
    revbifpn_status status;
    TRY(rb_machine_need(m, count));
    uint32_t made = (uint32_t)m->values.count;
    TRY(rb_machine_push_new(m, (rb_pickle_value){.kind = RB_PICKLE_TUPLE}));
    m->stack.count--;
    TRY(add_items(m, made, count));
    status = rb_machine_push(m, made);
fail:
    return status;
}

static revbifpn_status mark(rb_machine *m) {
    revbifpn_status status = grow(m, &m->marks, sizeof(uint32_t));
    if (status == REVBIFPN_OK) ((uint32_t *)m->marks.data)[m->marks.count++] = (uint32_t)m->stack.count;
    return status;
}

/* Takes the last mark away; *count values lie above it. */
static revbifpn_status pop_mark(rb_machine *m, size_t *count) {
    if (!m->marks.count) return REFUSE(m, "no mark on the stack");
    *count = above_mark(m);
    m->marks.count--;
    return REVBIFPN_OK;
}

static revbifpn_status marked_tuple(rb_machine *m) {
    size_t count = 0;
    revbifpn_status status = pop_mark(m, &count);
    return status == REVBIFPN_OK ? tuple(m, count) : status;
}

/* Items for the list or dict below them: `count` of them, or all above the mark. */
static revbifpn_status extend(rb_machine *m, rb_pickle_kind kind, bool marked, size_t count) {
    revbifpn_status status;
    if (marked) TRY(pop_mark(m, &count));
    TRY(rb_machine_need(m, count + 1));
    uint32_t container = *stack_at(m, m->stack.count - count - 1);
    if (value_at(m, container)->kind != kind)
        return REFUSE(m, "items for something that is no %s", kind == RB_PICKLE_LIST ? "list" : "dictionary");
    if (kind == RB_PICKLE_DICT && count % 2) return REFUSE(m, "a key without a value");
    status = add_items(m, container, count);
fail:
    return status;
}

static revbifpn_status memo_put(rb_machine *m, int bytes) {
    revbifpn_status status;
    uint64_t index = m->memo.count;
    TRY(rb_machine_need(m, 1));
    if (bytes) TRY(take_number(m, bytes, &index));
    if (index >= RB_PICKLE_MAX) return REFUSE(m, "memo entry %llu is too many", (unsigned long long)index);
    while (m->memo.count <= index) {
        TRY(grow(m, &m->memo, sizeof(uint32_t)));
        ((uint32_t *)m->memo.data)[m->memo.count++] = 0;
    }
    ((uint32_t *)m->memo.data)[index] = top(m) + 1;
fail:
    return status;
}

static revbifpn_status memo_get(rb_machine *m, int bytes) {
    uint64_t index;
    revbifpn_status status = take_number(m, bytes, &index);
    if (status != REVBIFPN_OK) return status;
    uint32_t entry = index < m->memo.count ? ((uint32_t *)m->memo.data)[index] : 0;
    return entry ? rb_machine_push(m, entry - 1)
                 : REFUSE(m, "memo entry %llu is empty", (unsigned long long)index);
}

/* A line of a GLOBAL opcode. */
static revbifpn_status take_line(rb_machine *m, const unsigned char **line, size_t *length) {
    const unsigned char *begin = m->out->bytes + m->at, *end = memchr(begin, '\n', m->size - m->at);
    if (!end) {
        m->out->ran_out = true;
        return REFUSE(m, "a line does not end: truncated?");
    }
    *line = begin;
    *length = (size_t)(end - begin);
    m->at += *length + 1;
    return REVBIFPN_OK;
}

static revbifpn_status global(rb_machine *m) {
    revbifpn_status status;
    const unsigned char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    TRY(take_line(m, &module, &module_length));
    TRY(take_line(m, &name, &name_length));
    status = rb_machine_global(m, module, module_length, name, name_length);
fail:
    return status;
}

static revbifpn_status stack_global(rb_machine *m) {
    revbifpn_status status;
    TRY(rb_machine_need(m, 2));
    rb_pickle_value name = *value_at(m, pop(m)), module = *value_at(m, pop(m));
    if (name.kind != RB_PICKLE_TEXT || module.kind != RB_PICKLE_TEXT)
        return REFUSE(m, "a global without a name");
    const unsigned char *bytes = m->out->bytes;
    status = rb_machine_global(m, bytes + module.as.text.start, module.as.text.length,
                               bytes + name.as.text.start, name.as.text.length);
fail:
    return status;
}

/* ---- the loop ---- */

static revbifpn_status protocol(rb_machine *m) {
    uint64_t version;
    revbifpn_status status = take_number(m, 1, &version);
    if (status == REVBIFPN_OK && (version < 2 || version > 5))
        status = REFUSE(m, "protocol %d; those of torch.save are 2 to 5", (int)version);
    return status;
}

static revbifpn_status step(rb_machine *m, int opcode) {
    uint64_t ignored;
    switch (opcode) {
    case PROTO: return protocol(m);
    case FRAME: return take_number(m, 8, &ignored); /* where to cut for reading ahead: no need */
    case MARK: return mark(m);
    case NONE: return rb_machine_push(m, 0);
    case NEWTRUE: return integer(m, RB_PICKLE_BOOL, 1);
    case NEWFALSE: return integer(m, RB_PICKLE_BOOL, 0);
    case BININT: return unsigned_integer(m, 4);
    case BININT1: return unsigned_integer(m, 1);
    case BININT2: return unsigned_integer(m, 2);
    case LONG1: return long_integer(m);
    case BINFLOAT: return real(m);
    case BINUNICODE: return text(m, RB_PICKLE_TEXT, 4);
    case SHORT_BINUNICODE: return text(m, RB_PICKLE_TEXT, 1);
    case BINUNICODE8: return text(m, RB_PICKLE_TEXT, 8);
    case BINSTRING: return text(m, RB_PICKLE_TEXT, 4); /* Python 2's str: a name */
    case SHORT_BINSTRING: return text(m, RB_PICKLE_TEXT, 1);
    case BINBYTES: return text(m, RB_PICKLE_BYTES, 4);
    case SHORT_BINBYTES: return text(m, RB_PICKLE_BYTES, 1);
    case BINBYTES8: return text(m, RB_PICKLE_BYTES, 8);
    case EMPTY_TUPLE: return tuple(m, 0);
    case TUPLE1: return tuple(m, 1);
    case TUPLE2: return tuple(m, 2);
    case TUPLE3: return tuple(m, 3);
    case TUPLE: return marked_tuple(m);
    case EMPTY_LIST: return rb_machine_push_new(m, (rb_pickle_value){.kind = RB_PICKLE_LIST});
    case APPEND: return extend(m, RB_PICKLE_LIST, false, 1);
    case APPENDS: return extend(m, RB_PICKLE_LIST, true, 0);
    case EMPTY_DICT: return rb_machine_push_new(m, (rb_pickle_value){.kind = RB_PICKLE_DICT});
    case SETITEM: return extend(m, RB_PICKLE_DICT, false, 2);
    case SETITEMS: return extend(m, RB_PICKLE_DICT, true, 0);
    case BINPUT: return memo_put(m, 1);
    case LONG_BINPUT: return memo_put(m, 4);
    case MEMOIZE: return memo_put(m, 0);
    case BINGET: return memo_get(m, 1);
    case LONG_BINGET: return memo_get(m, 4);
    case GLOBAL: return global(m);
    case STACK_GLOBAL: return stack_global(m);
    case REDUCE: return rb_machine_call(m, false);
    case NEWOBJ: return rb_machine_call(m, true);
    case BUILD: return rb_machine_build(m);
    case BINPERSID: return rb_machine_persistent(m);
    default:
        return REFUSE(m, "opcode 0x%02x is none of those that torch.save writes: refused", (unsigned)opcode);
    }
}

static revbifpn_status run(rb_machine *m) {
    revbifpn_status status;
    const unsigned char *opcode = NULL;
    TRY(grow(m, &m->values, sizeof(rb_pickle_value)));
    TRY(grow(m, &m->cells, sizeof(rb_pickle_cell)));
    m->values.count = m->cells.count = 1; /* value 0 is None, cell 0 nothing */
    for (;;) {
        m->opcode_at = m->at;
        TRY(take(m, 1, &opcode));
        if (*opcode == STOP) break;
        TRY(step(m, *opcode));
    }
    if (m->stack.count != 1 || m->marks.count)
        return REFUSE(m, "ends with %zu values on the stack", m->stack.count);
    m->out->root = pop(m);
    m->out->used = m->at;
fail:
    return status;
}

revbifpn_status rb_pickle_read(rb_pickle *p, const unsigned char *bytes, size_t size, rb_error *err) {
    *p = (rb_pickle){.bytes = bytes};
    rb_machine m = {.out = p, .size = size < INT32_MAX ? size : INT32_MAX, .err = err};
    revbifpn_status status = run(&m);
    rb_free(m.stack.data);
    rb_free(m.marks.data);
    rb_free(m.memo.data);
    p->values = m.values.data;
    p->value_count = m.values.count;
    p->cells = m.cells.data;
    p->cell_count = m.cells.count;
    return status;
}

void rb_pickle_close(rb_pickle *p) {
    rb_free(p->values);
    rb_free(p->cells);
    *p = (rb_pickle){0};
}

/* ---- looking into it ---- */

bool rb_pickle_is_text(const rb_pickle *p, uint32_t v, const char *wanted) {
    const rb_pickle_value *value = &p->values[v];
    return value->kind == RB_PICKLE_TEXT && value->as.text.length == strlen(wanted) &&
           !memcmp(p->bytes + value->as.text.start, wanted, value->as.text.length);
}

uint32_t rb_pickle_item(const rb_pickle *p, uint32_t v, uint32_t i) {
    uint32_t cell = p->values[v].as.items.first;
    while (i--) cell = p->cells[cell].next;
    return p->cells[cell].value;
}

uint32_t rb_pickle_get(const rb_pickle *p, uint32_t v, const char *key) {
    uint32_t found = 0;
    if (p->values[v].kind != RB_PICKLE_DICT) return 0;
    for (uint32_t cell = p->values[v].as.items.first; cell;) {
        uint32_t value = p->cells[cell].next;
        if (rb_pickle_is_text(p, p->cells[cell].value, key)) found = p->cells[value].value;
        cell = p->cells[value].next;
    }
    return found;
}
