#include "io/stats.h"

#include <jansson.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"

enum { FILE_MAX = 1 << 30 };

/* The numbers of list `key`, 0 … 1, as one text. */
static revbifpn_status read_list(const char *path, json_t *root, const char *key, char text[RB_STATS_TEXT],
                                 rb_error *err) {
    json_t *list = json_object_get(root, key);
    size_t count = json_array_size(list), used = 0;
    if (!count || count > RB_STATS_CHANNELS)
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: '%s' is no list of 1 … %d numbers", path, key,
                       RB_STATS_CHANNELS);
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(list, i);
        double value = json_number_value(item);
        if (!json_is_number(item) || !(value >= 0 && value <= 1))
            return rb_fail(err, REVBIFPN_BAD_FILE, "%s: '%s': not a list of numbers in 0 … 1", path, key);
        used += (size_t)snprintf(text + used, RB_STATS_TEXT - used, "%s%.10g", i ? "," : "", value);
    }
    return REVBIFPN_OK;
}

revbifpn_status rb_stats_read(const char *path, char mean[RB_STATS_TEXT], char std[RB_STATS_TEXT],
                              rb_error *err) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    json_error_t where;
    json_t *root = NULL;
    revbifpn_status status;
    TRY(rb_file_read(path, FILE_MAX, &bytes, &size, err));
    root = json_loadb((const char *)bytes, size, 0, &where);
    if (!root) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: line %d: %s", path, where.line, where.text);
        goto fail;
    }
    TRY(read_list(path, root, "mean", mean, err));
    status = read_list(path, root, "std", std, err);
fail:
    json_decref(root);
    rb_free(bytes);
    return status;
}
