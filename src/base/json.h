/* JSON from a file, read from front to back and never held: for files of hundreds of megabytes.
 *
 *     rb_json *json;
 *     rb_json_text key;
 *     TRY(rb_json_open(&json, path, err));
 *     rb_json_object(json);
 *     while (rb_json_next_key(json, &key))
 *         if (rb_json_is(key, "id")) id = rb_json_integer(json);
 *         else rb_json_skip(json);
 *     status = rb_json_finish(json, err);
 *
 * The reader says what it expects, value by value. What it meets instead, or what is not JSON, is remembered
 * with its place; from then on loops end and values are 0, so that whoever reads asks once, at the end.
 * Accepts RFC 8259 (so no NaN) and no number that is infinite as a double; nesting up to 256, strings up to
 * 64 MiB. Whether strings are UTF-8 is not asked. */
#ifndef RB_BASE_JSON_H
#define RB_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rb_json rb_json;

/* Bytes of a string without its quotes, escapes undone; no zero follows. Lives until the reader moves on. */
typedef struct rb_json_text {
    const char *bytes;
    size_t size;
} rb_json_text;
bool rb_json_is(rb_json_text slice, const char *text);

typedef enum rb_json_kind {
    RB_JSON_NONE, /* the reader has failed */
    RB_JSON_OBJECT,
    RB_JSON_ARRAY,
    RB_JSON_STRING,
    RB_JSON_NUMBER,
    RB_JSON_BOOL,
    RB_JSON_NULL
} rb_json_kind;

revbifpn_status rb_json_open(rb_json **json, const char *path, rb_error *err) RB_CHECKED;
void rb_json_close(rb_json **json);

/* What the next value is; it stays the next. */
rb_json_kind rb_json_peek(rb_json *json);
/* Enters an object or an array. False when the next value is another. */
bool rb_json_object(rb_json *json);
bool rb_json_array(rb_json *json);
/* The next key of the object that was entered, or false, having left it. After a key its value must be read
 * or skipped. */
bool rb_json_next_key(rb_json *json, rb_json_text *key);
/* Whether the array that was entered goes on; false having left it. */
bool rb_json_next_item(rb_json *json);

double rb_json_number(rb_json *json);
/* A whole number of at most 2^53 in size, which may be written 7, 7.0 or 7e0. */
int64_t rb_json_integer(rb_json *json);
rb_json_text rb_json_string(rb_json *json);
/* true, false, or a number: whether it is other than 0. */
bool rb_json_flag(rb_json *json);
void rb_json_skip(rb_json *json);

/* Makes the reader fail at this place, for a value that is JSON but makes no sense. */
void rb_json_refuse(rb_json *json, const char *format, ...) RB_PRINTF(2, 3);
bool rb_json_failed(const rb_json *json);
/* Like refuse, but without a place: memory is out. */
void rb_json_out_of_memory(rb_json *json);
/* Wants the file to end here. OK, or what went wrong first: BAD_FILE with path, line and byte (both from 1),
 * IO_FAILED, OUT_OF_MEMORY. */
revbifpn_status rb_json_finish(rb_json *json, rb_error *err) RB_CHECKED;

#endif
