#include <jansson.h>
#include <string.h>

#include "data/shard.h"

bool rb_shard_json_label(const char *text, size_t size, char label[RB_LABEL_BYTES]) {
    static const char *const keys[] = {"cls", "label", "class", "class_name"};
    json_t *root = json_loadb(text, size, 0, NULL), *value = NULL;
    int length = -1;
    for (int i = 0; i < 4 && !value; i++) value = json_object_get(root, keys[i]);
    if (json_is_integer(value))
        length = snprintf(label, RB_LABEL_BYTES, "%lld", (long long)json_integer_value(value));
    else if (json_is_string(value))
        length = snprintf(label, RB_LABEL_BYTES, "%s", json_string_value(value));
    json_decref(root);
    return length > 0 && length < RB_LABEL_BYTES;
}
