#include "io/args.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/config.h"
#include "io/json_text.h"

typedef enum kind {
    INT,
    REAL,
    U64,
    STRING,
    LINES,
    CHOICE
} kind; /* LINES: a string of "KEY=VALUE" lines, in JSON an object; CHOICE: an enum, in JSON its name */
typedef struct field {
    const char *key;
    kind kind;
    size_t offset;
    double fallback;  /* of `later` ones */
    const char *text; /* … that are strings; of a CHOICE all names, in the enum's order: "none|step" */
} field;

#define FIELD(name, kind)                                                                                    \
    { #name, kind, offsetof(revbifpn_train_config, name), 0, NULL }
#define LATER(name, kind, fallback)                                                                          \
    { #name, kind, offsetof(revbifpn_train_config, name), fallback, NULL }
#define LATER_TEXT(name, text)                                                                               \
    { #name, STRING, offsetof(revbifpn_train_config, name), 0, text }
#define CHOICES(name, fallback, names)                                                                       \
    { #name, CHOICE, offsetof(revbifpn_train_config, name), fallback, names }
static const field fields[] = {
    FIELD(data, STRING),
    FIELD(epochs, INT),
    FIELD(batch, INT),
    FIELD(warmup_epochs, INT),
    FIELD(checkpoint_steps, INT),
    FIELD(lr, REAL),
    FIELD(momentum, REAL),
    FIELD(weight_decay, REAL),
    FIELD(smoothing, REAL),
    FIELD(scale_min, REAL),
    FIELD(scale_max, REAL),
    FIELD(ratio_min, REAL),
    FIELD(ratio_max, REAL),
    FIELD(hflip, REAL),
    FIELD(crop_pct, REAL),
    FIELD(val_fraction, REAL),
    FIELD(interpolation, STRING),
    FIELD(seed, U64),
    FIELD(max_pixels, U64),
    FIELD(max_memory, U64),
    FIELD(workers, INT),
    FIELD(max_bad, INT),
    FIELD(apply_exif, INT),
    FIELD(bn_update_double, INT),
    CHOICES(activations, 0, "reversible|stored"),
    CHOICES(precision, 0, "float32|bf16"),
};
/* What older runs do not have in their args.json, and what it is for them. */
static const field later[] = {
    CHOICES(opt, REVBIFPN_SGD, "sgd|momentum|rmsproptf|adamw|lamb|lambc"),
    LATER(opt_eps, REAL, 0),
    LATER(beta1, REAL, 0.9),
    LATER(beta2, REAL, 0.999),
    LATER(clip_grad, REAL, 0),
    CHOICES(clip_mode, REVBIFPN_CLIP_NORM, "norm|value|agc"),
    LATER(accumulate, INT, 1),
    LATER(model_ema, INT, 0),
    LATER(model_ema_warmup, INT, 0),
    LATER(model_ema_decay, REAL, 0.9998),
    CHOICES(sched, REVBIFPN_RISE_FALL, "rise-fall|cosine|step|poly|constant|milestones"),
    LATER(sched_on_updates, INT, 0),
    LATER(warmup_prefix, INT, 0),
    LATER(cooldown_epochs, INT, 0),
    LATER(warmup_lr, REAL, 1e-5),
    LATER(min_lr, REAL, 0),
    LATER(decay_epochs, REAL, 90),
    LATER(decay_rate, REAL, 0.1),
    LATER(lr_noise_from, REAL, 0),
    LATER(lr_noise_to, REAL, 0),
    LATER(lr_noise_pct, REAL, 0.67),
    LATER(lr_noise_std, REAL, 1),
    LATER(lr_cycle_mul, REAL, 1),
    LATER(lr_cycle_decay, REAL, 0.1),
    LATER(lr_k_decay, REAL, 1),
    LATER(lr_cycle_limit, INT, 1),
    LATER(bce_loss, INT, 0),
    LATER(bce_sum, INT, 0),
    LATER(bce_target_thresh, REAL, 0),
    LATER_TEXT(val_data, ""),
    LATER_TEXT(mean, ""),
    LATER_TEXT(std, ""),
    LATER_TEXT(train_interpolation, ""),
    LATER_TEXT(aa, ""),
    LATER_TEXT(color_jitter, ""),
    LATER_TEXT(remode, "pixel"),
    LATER_TEXT(mixup_mode, "batch"),
    LATER(vflip, REAL, 0),
    LATER(reprob, REAL, 0),
    LATER(recount, INT, 1),
    LATER(mixup, REAL, 0),
    LATER(cutmix, REAL, 0),
    LATER(cutmix_min, REAL, 0),
    LATER(cutmix_max, REAL, 0),
    LATER(mixup_prob, REAL, 1),
    LATER(mixup_switch_prob, REAL, 0.5),
    LATER(mixup_off_epoch, INT, 0),
    LATER(aug_repeats, INT, 0),
    LATER(tensorboard, INT, 1),
    CHOICES(hash, REVBIFPN_HASH_STEP, "none|step|tensor"),
    LATER_TEXT(weights, ""),
    LATER_TEXT(freeze, ""),
    LATER(backbone_lr_scale, REAL, 1),
    LATER(bn_eval, INT, 0),
    LATER_TEXT(recipe, ""),
    LATER(bits, INT, 0),
    CHOICES(task, REVBIFPN_CLASSIFY, "classify|detect|segment"),
    LATER(fpn, INT, 256),
    LATER(fc, INT, 1024),
    LATER(long_side, INT, 1333),
    LATER(short_side, INT, 800),
    LATER(scale_low, INT, 0),
    LATER(scale_high, INT, 0),
    LATER_TEXT(milestones, ""),
    LATER(warmup_steps, INT, 0),
    LATER(warmup_ratio, REAL, 0.001),
    LATER(decay_all, INT, 0),
    LATER(mosaic, REAL, 0),
    LATER(close_mosaic, INT, 10),
    LATER(scale_jitter_low, REAL, 0),
    LATER(scale_jitter_high, REAL, 0),
    CHOICES(norm_affine, REVBIFPN_NORM_AFFINE_TRAINED, "trained|fixed"),
    {"origins", LINES, offsetof(revbifpn_train_config, origins), 0, ""},
};
enum { FIRST_FIELDS = sizeof fields / sizeof *fields, FIELDS = FIRST_FIELDS + sizeof later / sizeof *later };

static const field *field_at(int i) { return i < FIRST_FIELDS ? &fields[i] : &later[i - FIRST_FIELDS]; }

static const void *at(const revbifpn_train_config *args, const field *f) {
    return (const char *)args + f->offset;
}

static json_t *object_of(const char *lines) {
    json_t *object = json_object();
    for (const char *end; object && lines && (end = strchr(lines, '\n')); lines = end + 1) {
        const char *equals = memchr(lines, '=', (size_t)(end - lines));
        if (!equals) continue;
        json_t *value = json_stringn(equals + 1, (size_t)(end - equals - 1));
        if (json_object_setn_new(object, lines, (size_t)(equals - lines), value)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* The name of number `i`, *length bytes; NULL when there are not so many. */
static const char *choice_name(const char *names, int i, size_t *length) {
    for (; i > 0 && names; i--) names = strchr(names, '|') ? strchr(names, '|') + 1 : NULL;
    *length = names ? strcspn(names, "|") : 0;
    return i ? NULL : names;
}

static json_t *choice_of(int number, const char *names) {
    size_t length;
    const char *name = choice_name(names, number, &length);
    return name ? json_stringn(name, length) : json_integer(number); /* read_field() refuses it */
}

/* By name, or as its number, as runs before 2026-11-29 have it. */
static bool read_choice(const json_t *value, const char *names, int *number) {
    size_t length;
    const char *name, *text = json_string_value(value);
    for (int i = 0; (name = choice_name(names, i, &length)); i++) {
        *number = i;
        if (text ? strlen(text) == length && !memcmp(text, name, length)
                 : json_is_integer(value) && json_integer_value(value) == i)
            return true;
    }
    return false;
}

static json_t *value_of(const revbifpn_train_config *args, const field *f) {
    if (f->kind == CHOICE) return choice_of(*(const int *)at(args, f), f->text);
    if (f->kind == INT) return json_integer(*(const int *)at(args, f));
    if (f->kind == REAL) return json_real(*(const double *)at(args, f));
    if (f->kind == LINES) return object_of(*(const char *const *)at(args, f));
    if (f->kind == STRING) {
        const char *text = *(const char *const *)at(args, f);
        return json_string(text ? text : "");
    }
    return json_sprintf("%llu",
                        (unsigned long long)*(const uint64_t *)at(args, f)); /* JSON numbers end at 2^53 */
}

revbifpn_status rb_args_to_json(const revbifpn_train_config *args, char **text, rb_error *err) {
    revbifpn_status status;
    char *config = NULL, *dumped = NULL;
    json_t *root = json_object();
    TRY(rb_config_to_json(&args->model, &config, err));
    if (json_object_set_new(root, "model", json_loads(config, 0, NULL))) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for args.json");
        goto fail;
    }
    for (int i = 0; i < FIELDS; i++)
        if (json_object_set_new(root, field_at(i)->key, value_of(args, field_at(i)))) {
            status = rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: not valid UTF-8", field_at(i)->key);
            goto fail;
        }
    dumped = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    *text = dumped ? rb_alloc(strlen(dumped) + 2) : NULL;
    if (*text)
        strcat(strcpy(*text, dumped), "\n");
    else
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for args.json");
fail:
    rb_json_free(dumped);
    rb_free(config);
    json_decref(root);
    return status;
}

revbifpn_status rb_args_each(const revbifpn_train_config *args,
                             revbifpn_status (*visit)(void *user, const char *key, const char *value,
                                                      rb_error *err),
                             void *user, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; i < FIELDS && status == REVBIFPN_OK; i++) {
        json_t *value = value_of(args, field_at(i));
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
        if (text)
            status = visit(user, field_at(i)->key, text, err);
        else
            status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the arguments");
        rb_json_free(text);
        json_decref(value);
    }
    return status;
}

/* The lines of an object; no longer than its text. */
static bool read_lines(json_t *object, const char **target, char **strings) {
    const char *key;
    json_t *value;
    char *to = *strings;
    *target = to;
    if (!json_is_object(object)) return false;
    json_object_foreach(object, key, value) {
        if (!json_is_string(value)) return false;
        to += strlen(strcat(strcat(strcat(strcpy(to, key), "="), json_string_value(value)), "\n"));
    }
    *to = 0;
    *strings = to + 1;
    return true;
}

static bool read_field(json_t *value, const field *f, revbifpn_train_config *args, char **strings) {
    char *target = (char *)args + f->offset, *end;
    const char *text = json_string_value(value);
    if (f->kind == INT && json_is_integer(value) &&
        json_integer_value(value) == (int)json_integer_value(value))
        return *(int *)(void *)target = (int)json_integer_value(value), true;
    if (f->kind == REAL && json_is_number(value))
        return *(double *)(void *)target = json_number_value(value), true;
    if (f->kind == CHOICE) return read_choice(value, f->text, (int *)(void *)target);
    if (f->kind == LINES) return read_lines(value, (const char **)(void *)target, strings);
    if (f->kind == U64 && text) {
        *(uint64_t *)(void *)target = strtoull(text, &end, 10);
        return end != text && !*end;
    }
    if (f->kind != STRING || !text) return false;
    *(const char **)(void *)target = strcpy(*strings, text);
    *strings += strlen(text) + 1;
    return true;
}

static void set_fallback(const field *f, revbifpn_train_config *args) {
    void *target = (char *)args + f->offset;
    if (f->kind == INT || f->kind == CHOICE)
        *(int *)target = (int)f->fallback;
    else if (f->kind == STRING || f->kind == LINES)
        *(const char **)target = f->text;
    else
        *(double *)target = f->fallback;
}

static revbifpn_status read_model(const char *path, const json_t *root, revbifpn_train_config *args,
                                  rb_error *err) {
    char *config = json_dumps(json_object_get(root, "model"), 0);
    if (!config) return rb_fail(err, REVBIFPN_BAD_FILE, "%s: no \"model\"", path);
    revbifpn_status status = rb_config_from_json(path, config, strlen(config), &args->model, err);
    rb_json_free(config);
    return status;
}

revbifpn_status rb_args_from_json(const char *path, const char *text, size_t size,
                                  revbifpn_train_config *args, char **strings, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    json_error_t problem;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    char *next = *strings = rb_alloc(size + 1); /* no string is longer than its text */
    *args = (revbifpn_train_config){.struct_size = sizeof *args};
    if (!next) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
        goto fail;
    }
    if (!json_is_object(root)) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s:%d: %s", path, root ? 1 : problem.line,
                         root ? "not a JSON object" : problem.text);
        goto fail;
    }
    size_t known = 1; /* "model" */
    for (int i = 0; i < FIELDS; i++) {
        const field *f = field_at(i);
        json_t *value = json_object_get(root, f->key);
        known += value != NULL;
        if (!value && i >= FIRST_FIELDS) {
            set_fallback(f, args);
        } else if (!read_field(value, f, args, &next)) {
            status =
                rb_fail(err, REVBIFPN_BAD_FILE, "%s: \"%s\" is missing or of the wrong type", path, f->key);
            goto fail;
        }
    }
    TRY(read_model(path, root, args, err));
    if (json_object_size(root) != known)
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: has keys that this version does not know", path);
fail:
    json_decref(root);
    if (status == REVBIFPN_OK) return status;
    rb_free(*strings);
    *strings = NULL;
    return status;
}
