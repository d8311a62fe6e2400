#include "io/card.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/config.h"
#include "io/json_text.h"
#include "io/weights_json.h"
#include "model/config.h"

enum { CARD_MAX = 1 << 24, PATH_BYTES = 4096 };

static const char FAMILY[] = "revbifpn_";

static revbifpn_status card_path(const char *weights, char path[PATH_BYTES], rb_error *err) {
    const char *slash = strrchr(weights, '/');
    int folder = slash ? (int)(slash - weights) + 1 : 0;
    int length = snprintf(path, PATH_BYTES, "%.*sconfig.json", folder, weights);
    if (length < PATH_BYTES) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", weights);
}

/* NULL when the file is not there. */
static revbifpn_status load(const char *path, json_t **root, rb_error *err) {
    unsigned char *text = NULL;
    size_t size = 0;
    json_error_t problem;
    *root = NULL;
    if (access(path, F_OK) && errno == ENOENT) return REVBIFPN_OK;
    revbifpn_status status = rb_file_read(path, CARD_MAX, &text, &size, err);
    if (status != REVBIFPN_OK) return status;
    *root = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &problem);
    rb_free(text);
    if (*root) return REVBIFPN_OK;
    if (json_error_code(&problem) == json_error_out_of_memory || !problem.text[0])
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s:%d: %s", path, problem.line, problem.text);
}

/* ---- writing ---- */

/* Whether a file of another kind has the name. Its text decides: nothing that is not a card has both words.
 */
static revbifpn_status check_free(const char *path, bool *foreign, rb_error *err) {
    unsigned char *old = NULL;
    size_t size = 0;
    *foreign = false;
    if (access(path, F_OK)) return REVBIFPN_OK;
    revbifpn_status status = rb_file_read(path, CARD_MAX, &old, &size, err);
    *foreign = status == REVBIFPN_BAD_FILE; /* a folder, or too long */
    if (status == REVBIFPN_OK)
        *foreign = !strstr((char *)old, "\"architecture\"") || !strstr((char *)old, "\"pretrained_cfg\"");
    rb_free(old);
    return *foreign ? REVBIFPN_OK : status;
}

/* Name and numbers as a JSON object without its last brace: jansson knows how to quote a name. */
static char *describe_network(const revbifpn_model_config *c) {
    char architecture[64];
    snprintf(architecture, sizeof architecture, "%s%s", FAMILY, c->name);
    json_t *object = json_pack("{s:s, s:i, s:i}", "architecture", architecture, "num_classes", c->classes,
                               "num_features", c->fc_features);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text) text[strlen(text) - 1] = 0;
    return text;
}

/* The parts are JSON texts already, and are put together as texts. */
static revbifpn_status write_parts(rb_file_writer *w, const rb_weights_info *info, const char *network,
                                   const char *classes, const char *preprocess, const char *config,
                                   rb_error *err) {
    revbifpn_status status;
    char size[120];
    const revbifpn_model_config *c = &info->config;
    snprintf(size, sizeof size,
             "\"pretrained_cfg\":{\"input_size\":[%d,%d,%d],\"num_classes\":%d,\"crop_mode\":\"center\",",
             c->input_channels, c->image_height, c->image_width, c->classes);
    const char *const parts[] = {network,
                                 info->class_count ? ",\n\"label_names\":" : "",
                                 info->class_count ? classes : "",
                                 ",\n",
                                 size,
                                 preprocess + 1,
                                 ",\n\"config\":",
                                 config,
                                 "}\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        TRY(rb_file_write(w, parts[i], strlen(parts[i]), err));
fail:
    return status;
}

revbifpn_status rb_card_write(const char *weights, const rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    char path[PATH_BYTES], *network = NULL, *config = NULL, *classes = NULL, *preprocess = NULL;
    rb_file_writer writer = {0};
    bool foreign;
    TRY(card_path(weights, path, err));
    TRY(check_free(path, &foreign, err));
    if (foreign) return REVBIFPN_OK;
    TRY(rb_config_to_json(&info->config, &config, err));
    TRY(rb_classes_to_json(info, &classes, err));
    TRY(rb_preprocess_to_json(&info->preprocess, info->config.input_channels, &preprocess, err));
    network = describe_network(&info->config);
    if (!network) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
        goto fail;
    }
    TRY(rb_file_begin(&writer, path, err));
    TRY(write_parts(&writer, info, network, classes, preprocess, config, err));
    status = rb_file_commit(&writer, err);
fail:
    rb_file_abandon(&writer);
    rb_json_free(network);
    rb_free(config);
    rb_free(classes);
    rb_free(preprocess);
    return status;
}

/* ---- reading ---- */

#define REFUSE(...) rb_fail(err, REVBIFPN_BAD_FILE, __VA_ARGS__)

/* The network: this program's own "config", or the published one of that name with num_classes. */
static revbifpn_status read_network(const char *path, json_t *root, revbifpn_model_config *out,
                                    rb_error *err) {
    json_t *own = json_object_get(root, "config"), *classes = json_object_get(root, "num_classes");
    const char *architecture = json_string_value(json_object_get(root, "architecture"));
    if (json_is_object(own)) {
        char *text = json_dumps(own, JSON_COMPACT);
        if (!text) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
        revbifpn_status status = rb_config_from_json(path, text, strlen(text), out, err);
        rb_json_free(text);
        return status;
    }
    if (rb_config_named(architecture, out, err) != REVBIFPN_OK) {
        err->status = REVBIFPN_BAD_FILE;
        return rb_fail_prefix(err, "%s: 'architecture': ", path);
    }
    if (!classes) return REVBIFPN_OK;
    if (!json_is_integer(classes) || json_integer_value(classes) < 0 || json_integer_value(classes) > 1000000)
        return REFUSE("%s: 'num_classes' is no number of classes", path);
    out->classes = (int)json_integer_value(classes);
    if (rb_config_check(out, err) == REVBIFPN_OK) return REVBIFPN_OK;
    err->status = REVBIFPN_BAD_FILE;
    return rb_fail_prefix(err, "%s: 'num_classes': ", path);
}

/* [channels, height, width] */
static revbifpn_status read_size(const char *path, json_t *size, revbifpn_model_config *c, rb_error *err) {
    int channels = 0, height = 0, width = 0;
    if (!size) return REVBIFPN_OK;
    if (json_unpack(size, "[iii!]", &channels, &height, &width) || channels != c->input_channels ||
        height < 1 || width < 1)
        return REFUSE("%s: 'input_size' is not [%d, height, width]", path, c->input_channels);
    c->image_height = height;
    c->image_width = width;
    if (rb_config_check(c, err) == REVBIFPN_OK) return REVBIFPN_OK;
    err->status = REVBIFPN_BAD_FILE;
    return rb_fail_prefix(err, "%s: 'input_size': ", path);
}

/* mean, std, crop_pct and interpolation, each by default ImageNet's. */
static revbifpn_status read_preprocess(const char *path, json_t *given, int channels, rb_preprocess *out,
                                       rb_error *err) {
    static const char *const keys[] = {"mean", "std", "crop_pct", "interpolation", "bits"};
    char *standard = NULL;
    if (channels > RB_IMAGE_CHANNELS_MAX)
        return REFUSE("%s: %d input channels, more than the %d of a weights file", path, channels,
                      RB_IMAGE_CHANNELS_MAX);
    rb_preprocess usual = rb_preprocess_default();
    revbifpn_status status = rb_preprocess_to_json(&usual, channels, &standard, err);
    if (status != REVBIFPN_OK) return status;
    json_t *merged = json_loads(standard, 0, NULL);
    rb_free(standard);
    for (int i = 0; merged && i < 5; i++) {
        json_t *value = json_object_get(given, keys[i]);
        if (value && json_object_set(merged, keys[i], value)) json_object_del(merged, keys[i]);
    }
    char *text = merged ? json_dumps(merged, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(merged);
    if (!text) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    status = rb_preprocess_from_json(path, text, channels, out, err);
    rb_json_free(text);
    return status;
}

static revbifpn_status read_labels(const char *path, json_t *root, json_t *pretrained, rb_weights_info *info,
                                   rb_error *err) {
    json_t *labels = json_object_get(root, "label_names");
    if (!labels) labels = json_object_get(pretrained, "label_names");
    if (!json_is_array(labels)) return REVBIFPN_OK;
    char *text = json_dumps(labels, JSON_COMPACT);
    if (!text) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    revbifpn_status status = rb_classes_from_json(path, text, info, err);
    rb_json_free(text);
    return status;
}

revbifpn_status rb_card_read(const char *weights, bool *found, rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    char path[PATH_BYTES];
    json_t *root = NULL;
    rb_weights_info read = {0};
    *found = false;
    TRY(card_path(weights, path, err));
    TRY(load(path, &root, err));
    const char *architecture = json_string_value(json_object_get(root, "architecture"));
    if (!architecture || strncmp(architecture, FAMILY, sizeof FAMILY - 1)) goto fail;
    json_t *pretrained = json_object_get(root, "pretrained_cfg");
    TRY(read_network(path, root, &read.config, err));
    TRY(read_size(path, json_object_get(pretrained, "input_size"), &read.config, err));
    TRY(read_preprocess(path, pretrained, read.config.input_channels, &read.preprocess, err));
    TRY(read_labels(path, root, pretrained, &read, err));
    read.grid = info->grid;
    *info = read;
    *found = true;
fail:
    json_decref(root);
    return status;
}
