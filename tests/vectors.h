/* Numbers of a committed vectors file (tests/golden/NAME). */
#ifndef RB_TESTS_VECTORS_H
#define RB_TESTS_VECTORS_H

#include <stddef.h>

#include <jansson.h>

/* The file's root; the test fails when it cannot be read. Released with json_decref. */
json_t *vectors_open(const char *name);
/* An array of numbers as an array of `count`, to be freed with free; the test fails when it is none of that
 * length. */
double *vectors_numbers(const json_t *object, const char *key, size_t count);
float *vectors_floats(const json_t *object, const char *key, size_t count);
/* A number, or `fallback` when there is none. */
double vectors_number(const json_t *object, const char *key, double fallback);

#endif
