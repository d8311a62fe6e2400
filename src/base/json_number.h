/* Numbers of JSON, to the nearest double. */
#ifndef RB_BASE_JSON_NUMBER_H
#define RB_BASE_JSON_NUMBER_H

#include <stddef.h>

/* Reads the number that `text` (which a zero byte ends, somewhere) begins with, whatever the locale is.
 * Returns its length, 0 when there is none; too large ones are infinite. */
size_t rb_json_number_parse(const char *text, double *value);

#endif
