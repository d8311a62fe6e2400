#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_ROOM = 4096 };

void rb_text_close(rb_text *t) {
    rb_free(t->bytes);
    *t = (rb_text){0};
}

void rb_text_clear(rb_text *t) {
    t->size = 0;
    t->failed = false;
    if (t->bytes) t->bytes[0] = 0;
}

/* Room for `more` bytes and the zero behind them. */
static bool grow(rb_text *t, size_t more) {
    size_t need = rb_size_add(rb_size_add(t->size, more), 1);
    if (t->failed || need <= t->room) return !t->failed;
    if (need < FIRST_ROOM) need = FIRST_ROOM;
    char *bytes = rb_grow(t->bytes, &t->room, need, 1);
    t->failed = !bytes;
    if (!bytes) return false;
    t->bytes = bytes;
    return true;
}

void rb_text_add_bytes(rb_text *t, const void *bytes, size_t size) {
    if (!grow(t, size)) return;
    if (size) memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->bytes[t->size] = 0;
}

void rb_text_add(rb_text *t, const char *string) { rb_text_add_bytes(t, string, strlen(string)); }

void rb_text_format(rb_text *t, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && grow(t, (size_t)length)) {
        vsnprintf(t->bytes + t->size, (size_t)length + 1, format, again);
        t->size += (size_t)length;
    }
    va_end(again);
}

revbifpn_status rb_text_check(const rb_text *t, const char *what, rb_error *err) {
    if (!t->failed) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %s", what);
}
