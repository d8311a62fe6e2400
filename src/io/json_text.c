#include "io/json_text.h"

#include <jansson.h>

void rb_json_free(char *text) {
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    if (text) release(text);
}
