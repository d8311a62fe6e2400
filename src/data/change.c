#include "data/change.h"

#include <math.h>
#include <string.h>

/* ---- from magnitudes to arguments; Python's order of operations, so that the bits are timm's ---- */

typedef enum level_map {
    NONE,
    ROTATE,
    BITS,
    BITS_INCREASING,
    BITS_ORIGINAL,
    THRESHOLD,
    THRESHOLD_INCREASING,
    ADD,
    FACTOR,
    FACTOR_INCREASING,
    SHEAR,
    SHIFT
} level_map;

static const struct {
    const char *name;
    rb_change_kind change;
    level_map map;
} levels[RB_LEVEL_KINDS] = {
    [RB_LEVEL_AUTO_CONTRAST] = {"AutoContrast", RB_CHANGE_AUTO_CONTRAST, NONE},
    [RB_LEVEL_EQUALIZE] = {"Equalize", RB_CHANGE_EQUALIZE, NONE},
    [RB_LEVEL_INVERT] = {"Invert", RB_CHANGE_INVERT, NONE},
    [RB_LEVEL_ROTATE] = {"Rotate", RB_CHANGE_ROTATE, ROTATE},
    [RB_LEVEL_POSTERIZE] = {"Posterize", RB_CHANGE_POSTERIZE, BITS},
    [RB_LEVEL_POSTERIZE_INCREASING] = {"PosterizeIncreasing", RB_CHANGE_POSTERIZE, BITS_INCREASING},
    [RB_LEVEL_POSTERIZE_ORIGINAL] = {"PosterizeOriginal", RB_CHANGE_POSTERIZE, BITS_ORIGINAL},
    [RB_LEVEL_SOLARIZE] = {"Solarize", RB_CHANGE_SOLARIZE, THRESHOLD},
    [RB_LEVEL_SOLARIZE_INCREASING] = {"SolarizeIncreasing", RB_CHANGE_SOLARIZE, THRESHOLD_INCREASING},
    [RB_LEVEL_SOLARIZE_ADD] = {"SolarizeAdd", RB_CHANGE_SOLARIZE_ADD, ADD},
    [RB_LEVEL_COLOR] = {"Color", RB_CHANGE_COLOR, FACTOR},
    [RB_LEVEL_COLOR_INCREASING] = {"ColorIncreasing", RB_CHANGE_COLOR, FACTOR_INCREASING},
    [RB_LEVEL_CONTRAST] = {"Contrast", RB_CHANGE_CONTRAST, FACTOR},
    [RB_LEVEL_CONTRAST_INCREASING] = {"ContrastIncreasing", RB_CHANGE_CONTRAST, FACTOR_INCREASING},
    [RB_LEVEL_BRIGHTNESS] = {"Brightness", RB_CHANGE_BRIGHTNESS, FACTOR},
    [RB_LEVEL_BRIGHTNESS_INCREASING] = {"BrightnessIncreasing", RB_CHANGE_BRIGHTNESS, FACTOR_INCREASING},
    [RB_LEVEL_SHARPNESS] = {"Sharpness", RB_CHANGE_SHARPNESS, FACTOR},
    [RB_LEVEL_SHARPNESS_INCREASING] = {"SharpnessIncreasing", RB_CHANGE_SHARPNESS, FACTOR_INCREASING},
    [RB_LEVEL_SHEAR_X] = {"ShearX", RB_CHANGE_SHEAR_X, SHEAR},
    [RB_LEVEL_SHEAR_Y] = {"ShearY", RB_CHANGE_SHEAR_Y, SHEAR},
    [RB_LEVEL_TRANSLATE_X_REL] = {"TranslateXRel", RB_CHANGE_TRANSLATE_X, SHIFT},
    [RB_LEVEL_TRANSLATE_Y_REL] = {"TranslateYRel", RB_CHANGE_TRANSLATE_Y, SHIFT},
};

const char *rb_level_name(rb_level_kind kind) { return levels[kind].name; }

bool rb_level_has_sign(rb_level_kind kind) {
    level_map map = levels[kind].map;
    return map == ROTATE || map == SHEAR || map == SHIFT || map == FACTOR_INCREASING;
}

bool rb_level_moves(rb_level_kind kind) {
    level_map map = levels[kind].map;
    return map == ROTATE || map == SHEAR || map == SHIFT;
}

static double argument_of(level_map map, double magnitude, bool negative) {
    double s = magnitude / 10.0, sign = negative ? -1 : 1;
    switch (map) {
    case NONE: return 0;
    case ROTATE: return sign * (s * 30.0);
    case BITS: return trunc(s * 4);
    case BITS_INCREASING: return 4 - trunc(s * 4);
    case BITS_ORIGINAL: return trunc(s * 4) + 4;
    case THRESHOLD: return fmin(256, trunc(s * 256));
    case THRESHOLD_INCREASING: return 256 - fmin(256, trunc(s * 256));
    case ADD: return fmin(128, trunc(s * 110));
    case FACTOR: return s * 1.8 + 0.1;
    case FACTOR_INCREASING: return fmax(0.1, 1.0 + sign * (s * 0.9));
    case SHEAR: return sign * (s * 0.3);
    case SHIFT: return sign * (s * 0.45);
    }
    return 0;
}

rb_change rb_level_change(rb_level_kind kind, double magnitude, bool negative, rb_sampling sampling) {
    return (rb_change){.kind = levels[kind].change,
                       .argument = argument_of(levels[kind].map, magnitude, negative),
                       .sampling = sampling};
}

/* ---- applying ---- */

const uint8_t rb_change_fill[3] = {124, 116, 104}; /* 255 times ImageNet's mean, rounded */

/* From `spare`, which has got the picture, into `pixels`. */
static void move_pixels(const rb_change *c, uint8_t *pixels, int width, int height, const uint8_t *spare) {
    double m[6] = {1, 0, 0, 0, 1, 0}, a = c->argument;
    if (c->kind == RB_CHANGE_ROTATE) {
        rb_image_rotate(spare, width, height, a, c->sampling, rb_change_fill, pixels);
        return;
    }
    if (c->kind == RB_CHANGE_SHEAR_X) m[1] = a;
    if (c->kind == RB_CHANGE_SHEAR_Y) m[3] = a;
    if (c->kind == RB_CHANGE_TRANSLATE_X) m[2] = a * width;
    if (c->kind == RB_CHANGE_TRANSLATE_Y) m[5] = a * height;
    rb_image_affine(spare, width, height, m, c->sampling, rb_change_fill, pixels);
}

void rb_change_apply(const rb_change *c, uint8_t *pixels, int width, int height, uint8_t *spare) {
    size_t count = (size_t)width * (size_t)height;
    double a = c->argument;
    switch (c->kind) {
    case RB_CHANGE_AUTO_CONTRAST: rb_image_autocontrast(pixels, count); break;
    case RB_CHANGE_EQUALIZE: rb_image_equalize(pixels, count); break;
    case RB_CHANGE_INVERT: rb_image_invert(pixels, count); break;
    case RB_CHANGE_POSTERIZE: rb_image_posterize(pixels, count, (int)a); break;
    case RB_CHANGE_SOLARIZE: rb_image_solarize(pixels, count, (int)a); break;
    case RB_CHANGE_SOLARIZE_ADD: rb_image_solarize_add(pixels, count, (int)a); break;
    case RB_CHANGE_COLOR: rb_image_color(pixels, count, a); break;
    case RB_CHANGE_CONTRAST: rb_image_contrast(pixels, count, a); break;
    case RB_CHANGE_BRIGHTNESS: rb_image_brightness(pixels, count, a); break;
    case RB_CHANGE_HUE: rb_image_shift_hue(pixels, count, a); break;
    case RB_CHANGE_SHARPNESS:
        memcpy(spare, pixels, count * 3);
        rb_image_sharpness(spare, width, height, a, pixels);
        break;
    case RB_CHANGE_ROTATE:
    case RB_CHANGE_SHEAR_X:
    case RB_CHANGE_SHEAR_Y:
    case RB_CHANGE_TRANSLATE_X:
    case RB_CHANGE_TRANSLATE_Y:
        memcpy(spare, pixels, count * 3);
        move_pixels(c, pixels, width, height, spare);
        break;
    }
}
