/* Text, or bytes, that grow. Running out of memory is remembered: what follows is dropped, and whoever takes
 * the result asks once. */
#ifndef RB_BASE_TEXT_H
#define RB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct rb_text {
    char *bytes; /* `size` of them and a zero; NULL while there are none; owned: rb_text_close */
    size_t size, room;
    bool failed; /* memory was out */
} rb_text;

void rb_text_close(rb_text *text);
/* Empties it and keeps its memory. */
void rb_text_clear(rb_text *text);
void rb_text_add_bytes(rb_text *text, const void *bytes, size_t size);
void rb_text_add(rb_text *text, const char *string);
void rb_text_format(rb_text *text, const char *format, ...) RB_PRINTF(2, 3);
/* OUT_OF_MEMORY when something was dropped; `what` names the text. */
revbifpn_status rb_text_check(const rb_text *text, const char *what, rb_error *err) RB_CHECKED;

#endif
