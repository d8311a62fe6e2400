/* Options whose size a program and the library need not agree on. Who adds a field adds it at the end, and
 * not where padding was: an older program has rubbish there, and its struct_size covers it. */
#ifndef RB_API_OPTIONS_H
#define RB_API_OPTIONS_H

#include "base/status.h"

/* Fills a program's struct of `struct_size` bytes with `defaults` of `size`, as far as both go; 0 beyond. */
void rb_api_init(void *out, size_t struct_size, const void *defaults, size_t size);
/* Lays a program's struct over `own`, which holds the defaults and is `size` bytes. BAD_ARGUMENT, naming it
 * `what`, when its struct_size is none, or when it is a newer one that has something beyond `size`. */
revbifpn_status rb_api_take(void *own, size_t size, const void *given, const char *what,
                            rb_error *err) RB_CHECKED;
/* A program's network: struct_size must be the library's, and then the rest make sense. */
revbifpn_status rb_api_check_config_size(const revbifpn_model_config *config, rb_error *err) RB_CHECKED;
revbifpn_status rb_api_check_config(const revbifpn_model_config *config, rb_error *err) RB_CHECKED;

#endif
