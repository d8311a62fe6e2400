#include "api/options.h"

#include <string.h>

#include "model/config.h"

enum { SIZE_MOST = 1 << 16 }; /* no struct of ours will ever be larger: what is read must not be anything */

void rb_api_init(void *out, size_t struct_size, const void *defaults, size_t size) {
    if (struct_size < sizeof struct_size) return;
    memset(out, 0, struct_size);
    memcpy(out, defaults, struct_size < size ? struct_size : size);
    memcpy(out, &struct_size, sizeof struct_size);
}

revbifpn_status rb_api_take(void *own, size_t size, const void *given, const char *what, rb_error *err) {
    size_t theirs;
    const unsigned char *bytes = given;
    memcpy(&theirs, given, sizeof theirs);
    if (theirs < sizeof theirs || theirs > SIZE_MOST)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "revbifpn_%s: struct_size %zu is no size: begin with its default function", what,
                       theirs);
    for (size_t i = size; i < theirs; i++)
        if (bytes[i])
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                           "revbifpn_%s: struct_size %zu is of a newer library (this one's is %zu), and byte "
                           "%zu is set, of an option that is not known here",
                           what, theirs, size, i);
    memcpy(own, given, theirs < size ? theirs : size);
    memcpy(own, &size, sizeof size);
    return REVBIFPN_OK;
}

revbifpn_status rb_api_check_config_size(const revbifpn_model_config *config, rb_error *err) {
    if (config->struct_size == sizeof *config) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                   "revbifpn_model_config: struct_size %zu, here %zu: begin with revbifpn_config()",
                   config->struct_size, sizeof *config);
}

revbifpn_status rb_api_check_config(const revbifpn_model_config *config, rb_error *err) {
    revbifpn_status status = rb_api_check_config_size(config, err);
    return status ? status : rb_config_check(config, err);
}
