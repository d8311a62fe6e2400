/* A network's configuration as JSON: config.json, and the metadata of a weights file. Keys are the field
 * names of revbifpn_model_config; "base": "s0" starts from a published network and lets the other keys
 * override it. */
#ifndef RB_IO_CONFIG_H
#define RB_IO_CONFIG_H

#include <stddef.h>

#include "base/status.h"

/* Reads `size` bytes of JSON; `name` is what errors call the file. Without "base" every key must be there
 * (the head_… lists only with a neck or classes). The result keeps all rules of rb_config_check. Errors:
 * BAD_FILE with one line of file, key and reason. */
revbifpn_status rb_config_from_json(const char *name, const char *text, size_t size,
                                    revbifpn_model_config *out, rb_error *err) RB_CHECKED;

/* *text = the configuration as JSON, one key a line, keys in the order of the struct; freed with rb_free.
 * Reading it gives the same configuration, and equal ones give equal text. */
revbifpn_status rb_config_to_json(const revbifpn_model_config *config, char **text, rb_error *err) RB_CHECKED;

#endif
