/* Two sets of arguments side by side, as args.json has them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/args.h"
#include "io/json_text.h"

enum { VALUE = 400, NAME = 80 };

static revbifpn_status as_json(const revbifpn_train_config *args, json_t **root, rb_error *err) {
    char *text = NULL;
    revbifpn_status status = rb_args_to_json(args, &text, err);
    if (status) return status;
    *root = json_loads(text, 0, NULL);
    rb_free(text);
    return *root ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for arguments");
}

/* A value as people write it; two different numbers never look the same. */
static bool value_text(const json_t *value, int digits, char text[VALUE]) {
    if (json_is_string(value)) {
        snprintf(text, VALUE, "%s", json_string_value(value));
    } else if (json_is_real(value)) {
        snprintf(text, VALUE, "%.*g", digits, json_real_value(value));
    } else {
        char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        if (value && !dumped) return false;
        snprintf(text, VALUE, "%s", value ? dumped : "nothing");
        rb_json_free(dumped);
    }
    return true;
}

/* Visits what `a` has otherwise than `b`; of an object its members, one level deep. */
static bool compare(json_t *a, json_t *b, const char *prefix, rb_args_visit *visit, void *user) {
    const char *key;
    json_t *old;
    json_object_foreach(a, key, old) {
        char name[NAME], text[2][VALUE];
        json_t *new = json_object_get(b, key);
        snprintf(name, sizeof name, "%s%s", prefix, key);
        if (json_equal(old, new)) continue;
        if (json_is_object(old) && json_is_object(new) && !*prefix) {
            char inner[NAME];
            snprintf(inner, sizeof inner, "%s.", key);
            if (!compare(old, new, inner, visit, user)) return false;
            continue;
        }
        if (!value_text(old, 9, text[0]) || !value_text(new, 9, text[1])) return false;
        if (!strcmp(text[0], text[1]) && (!value_text(old, 17, text[0]) || !value_text(new, 17, text[1])))
            return false;
        visit(user, name, text[0], text[1]);
    }
    return true;
}

revbifpn_status rb_args_compare(const revbifpn_train_config *a, const revbifpn_train_config *b,
                                rb_args_visit *visit, void *user, rb_error *err) {
    revbifpn_status status;
    json_t *old = NULL, *new = NULL;
    TRY(as_json(a, &old, err));
    TRY(as_json(b, &new, err));
    if (!compare(old, new, "", visit, user))
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for arguments");
fail:
    json_decref(old);
    json_decref(new);
    return status;
}
