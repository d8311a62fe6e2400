#include "io/weights_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_text.h"

rb_preprocess rb_preprocess_default(void) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    rb_preprocess p = {.crop_pct = 0.875, .interpolation = "bicubic"};
    for (int c = 0; c < RB_IMAGE_CHANNELS_MAX; c++) {
        p.mean[c] = mean[c % 3];
        p.std[c] = std[c % 3];
    }
    return p;
}

void rb_weights_info_close(rb_weights_info *info) {
    for (int i = 0; i < info->class_count; i++) rb_free(info->classes[i]);
    rb_free(info->classes);
    info->classes = NULL;
    info->class_count = 0;
}

revbifpn_status rb_weights_info_set_classes(rb_weights_info *info, char *const *names, int count,
                                            rb_error *err) {
    info->classes = rb_alloc((size_t)count * sizeof *info->classes);
    for (int i = 0; info->classes && i < count; i++) {
        info->classes[i] = rb_alloc(strlen(names[i]) + 1);
        if (!info->classes[i]) break;
        strcpy(info->classes[i], names[i]);
        info->class_count++;
    }
    if (info->class_count == count) return REVBIFPN_OK;
    rb_weights_info_close(info);
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the class names");
}

/* Serialises and releases `root`. */
static revbifpn_status dump(json_t *root, char **text, rb_error *err) {
    char *dumped = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    *text = dumped ? rb_alloc(strlen(dumped) + 1) : NULL;
    if (*text) strcpy(*text, dumped);
    rb_json_free(dumped);
    return *text ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the metadata");
}

revbifpn_status rb_classes_to_json(const rb_weights_info *info, char **text, rb_error *err) {
    json_t *list = json_array();
    for (int i = 0; i < info->class_count; i++)
        if (json_array_append_new(list, json_string(info->classes[i]))) {
            json_decref(list);
            return rb_fail(err, REVBIFPN_BAD_DATA,
                           "the class name '%s' is not valid UTF-8: rename its folder", info->classes[i]);
        }
    return dump(list, text, err);
}

revbifpn_status rb_classes_from_json(const char *path, const char *text, rb_weights_info *info,
                                     rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    json_t *list = json_loads(text, 0, NULL), *entry;
    size_t count = json_array_size(list), i;
    char **names = NULL;
    bool named = count != 0;
    int classes = info->detector.classes ? info->detector.classes : info->config.classes;
    if (!json_is_array(list) || (named && count != (size_t)classes)) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: metadata: \"classes\" is not a list of %d names", path,
                         classes);
        goto fail;
    }
    names = rb_alloc(count * sizeof *names);
    if (!names) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for the class names", path);
        goto fail;
    }
    json_array_foreach(list, i, entry) {
        names[i] = (char *)(uintptr_t)json_string_value(entry);
        if (names[i]) continue;
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: metadata: class name %zu is not a string", path, i);
        goto fail;
    }
    if (named) TRY(rb_weights_info_set_classes(info, names, (int)count, err));
fail:
    rb_free(names);
    json_decref(list);
    return status;
}

/* NULL when memory is out. */
static json_t *reals(const float *values, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        if (json_array_append_new(list, json_real((double)values[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

revbifpn_status rb_preprocess_to_json(const rb_preprocess *p, int channels, char **text, rb_error *err) {
    *text = NULL;
    if (channels > RB_IMAGE_CHANNELS_MAX)
        return rb_fail(err, REVBIFPN_UNSUPPORTED, "%d input channels: weights files have at most %d",
                       channels, RB_IMAGE_CHANNELS_MAX);
    json_t *root = json_object();
    bool whole =
        !json_object_set_new(root, "mean", reals(p->mean, channels)) &&
        !json_object_set_new(root, "std", reals(p->std, channels)) &&
        !json_object_set_new(root, "crop_pct", json_real(p->crop_pct)) &&
        !json_object_set_new(root, "interpolation", json_string(p->interpolation)) &&
        (!rb_raster_channels(channels, p->bits) || !json_object_set_new(root, "bits", json_integer(16)));
    if (!whole) {
        json_decref(root);
        root = NULL;
    }
    return dump(root, text, err);
}

revbifpn_status rb_detector_preprocess_to_json(const rb_weights_info *info, char **text, rb_error *err) {
    const revbifpn_detector_config *d = &info->detector;
    const rb_preprocess *p = &info->preprocess;
    int channels = info->config.input_channels;
    json_t *root = json_object();
    bool whole = !json_object_set_new(root, "mean", reals(p->mean, channels)) &&
                 !json_object_set_new(root, "std", reals(p->std, channels)) &&
                 !json_object_set_new(root, "long_side", json_integer(d->long_side)) &&
                 !json_object_set_new(root, "short_side", json_integer(d->short_side)) &&
                 !json_object_set_new(root, "keep_ratio", json_true()) &&
                 !json_object_set_new(root, "interpolation", json_string("bilinear")) &&
                 !json_object_set_new(root, "antialias", json_false()) &&
                 !json_object_set_new(root, "pad_multiple", json_integer(32)) &&
                 !json_object_set_new(root, "pad_value", json_integer(0));
    if (!whole) {
        json_decref(root);
        root = NULL;
    }
    *text = NULL;
    return dump(root, text, err);
}

static bool read_reals(const json_t *list, int count, float *out) {
    if (json_array_size(list) != (size_t)count) return false;
    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value)) return false;
        out[i] = (float)json_number_value(value);
        if (!isfinite(out[i])) return false;
    }
    return true;
}

revbifpn_status rb_preprocess_from_json(const char *path, const char *text, int channels, rb_preprocess *p,
                                        rb_error *err) {
    *p = (rb_preprocess){0};
    json_t *root = json_loads(text, 0, NULL);
    const char *filter = json_string_value(json_object_get(root, "interpolation"));
    const json_t *bits = json_object_get(root, "bits");
    p->crop_pct = json_number_value(json_object_get(root, "crop_pct"));
    p->bits = bits ? (int)json_integer_value(bits) : 8;
    bool possible = !bits || json_integer_value(bits) == 8 || json_integer_value(bits) == 16;
    bool good = possible && channels <= RB_IMAGE_CHANNELS_MAX &&
                read_reals(json_object_get(root, "mean"), channels, p->mean) &&
                read_reals(json_object_get(root, "std"), channels, p->std) && p->crop_pct > 0 &&
                p->crop_pct <= 1 && filter && (!strcmp(filter, "bicubic") || !strcmp(filter, "bilinear"));
    for (int c = 0; good && c < channels; c++) good = p->std[c] > 0;
    if (good) strcpy(p->interpolation, filter);
    json_decref(root);
    if (good) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_FILE,
                   "%s: metadata: \"preprocessing\" needs mean and std of %d channels, crop_pct in (0, 1], "
                   "interpolation bicubic or bilinear, and bits, if any, 8 or 16",
                   path, channels);
}

/* Names and places of a detector's numbers, with the least and the most that makes sense. */
typedef struct number {
    const char *name;
    int *value, least, most;
} number;
enum { NUMBERS = 12, MANY = 10000000 };

static void list_numbers(revbifpn_detector_config *d, number out[NUMBERS]) {
    const number all[NUMBERS] = {{"classes", &d->classes, 1, 65535},
                                 {"masks", &d->masks, 0, 1},
                                 {"channels", &d->channels, 1, 4096},
                                 {"features", &d->features, 1, 65536},
                                 {"train_per_level", &d->train_per_level, 1, MANY},
                                 {"train_proposals", &d->train_proposals, 1, MANY},
                                 {"test_per_level", &d->test_per_level, 1, MANY},
                                 {"test_proposals", &d->test_proposals, 1, MANY},
                                 {"anchors_drawn", &d->anchors_drawn, 0, MANY},
                                 {"boxes_drawn", &d->boxes_drawn, 0, MANY},
                                 {"long_side", &d->long_side, 32, 16384},
                                 {"short_side", &d->short_side, 32, 16384}};
    memcpy(out, all, sizeof all);
}

revbifpn_status rb_detector_to_json(const revbifpn_detector_config *d, char **text, rb_error *err) {
    revbifpn_detector_config copy = *d;
    number numbers[NUMBERS];
    json_t *root = json_object();
    list_numbers(&copy, numbers);
    *text = NULL;
    for (int i = 0; root && i < NUMBERS; i++) {
        if (!json_object_set_new(root, numbers[i].name, json_integer(*numbers[i].value))) continue;
        json_decref(root);
        root = NULL;
    }
    return dump(root, text, err);
}

revbifpn_status rb_detector_from_json(const char *path, const char *text,
                                      const revbifpn_model_config *backbone, revbifpn_detector_config *out,
                                      rb_error *err) {
    number numbers[NUMBERS];
    json_t *root = json_loads(text, 0, NULL);
    *out = (revbifpn_detector_config){.struct_size = sizeof *out, .backbone = *backbone};
    list_numbers(out, numbers);
    for (int i = 0; i < NUMBERS; i++) {
        json_t *value = json_object_get(root, numbers[i].name);
        json_int_t v = json_integer_value(value);
        *numbers[i].value = (int)v;
        if (json_is_integer(value) && v >= numbers[i].least && v <= numbers[i].most) continue;
        json_decref(root);
        *out = (revbifpn_detector_config){0};
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: metadata: \"detector\": %s is not a number in %d … %d",
                       path, numbers[i].name, numbers[i].least, numbers[i].most);
    }
    json_decref(root);
    return REVBIFPN_OK;
}
