/* One change to a training picture's colours or geometry, as AutoAugment, RandAugment and colour jitter make
 * them: what it is, with which argument, and how magnitudes become arguments (spec 6.3). */
#ifndef RB_DATA_CHANGE_H
#define RB_DATA_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/pillow.h"

typedef enum rb_change_kind {
    RB_CHANGE_AUTO_CONTRAST,
    RB_CHANGE_EQUALIZE,
    RB_CHANGE_INVERT,
    RB_CHANGE_ROTATE,       /* degrees */
    RB_CHANGE_POSTERIZE,    /* bits kept */
    RB_CHANGE_SOLARIZE,     /* threshold */
    RB_CHANGE_SOLARIZE_ADD, /* what is added */
    RB_CHANGE_COLOR,        /* factors */
    RB_CHANGE_CONTRAST,
    RB_CHANGE_BRIGHTNESS,
    RB_CHANGE_SHARPNESS,
    RB_CHANGE_SHEAR_X, /* pixels to the side for each pixel down */
    RB_CHANGE_SHEAR_Y,
    RB_CHANGE_TRANSLATE_X, /* share of the width */
    RB_CHANGE_TRANSLATE_Y,
    RB_CHANGE_HUE /* part of the circle, −½ … ½ */
} rb_change_kind;

typedef struct rb_change {
    rb_change_kind kind;
    double argument;
    rb_sampling sampling; /* of rotating, shearing and translating */
} rb_change;

/* The operations that policies name; the variants map the same magnitude to another argument. */
typedef enum rb_level_kind {
    RB_LEVEL_AUTO_CONTRAST,
    RB_LEVEL_EQUALIZE,
    RB_LEVEL_INVERT,
    RB_LEVEL_ROTATE,
    RB_LEVEL_POSTERIZE,
    RB_LEVEL_POSTERIZE_INCREASING,
    RB_LEVEL_POSTERIZE_ORIGINAL,
    RB_LEVEL_SOLARIZE,
    RB_LEVEL_SOLARIZE_INCREASING,
    RB_LEVEL_SOLARIZE_ADD,
    RB_LEVEL_COLOR,
    RB_LEVEL_COLOR_INCREASING,
    RB_LEVEL_CONTRAST,
    RB_LEVEL_CONTRAST_INCREASING,
    RB_LEVEL_BRIGHTNESS,
    RB_LEVEL_BRIGHTNESS_INCREASING,
    RB_LEVEL_SHARPNESS,
    RB_LEVEL_SHARPNESS_INCREASING,
    RB_LEVEL_SHEAR_X,
    RB_LEVEL_SHEAR_Y,
    RB_LEVEL_TRANSLATE_X_REL,
    RB_LEVEL_TRANSLATE_Y_REL,
    RB_LEVEL_KINDS
} rb_level_kind;

/* timm's name of it: "PosterizeIncreasing". */
const char *rb_level_name(rb_level_kind kind);
/* Whether the sign of its argument is a coin's: then `negative` counts in rb_level_change. */
bool rb_level_has_sign(rb_level_kind kind);
/* Whether it moves pixels: then `sampling` counts. */
bool rb_level_moves(rb_level_kind kind);
/* The change of that magnitude (0 … 10, or more where the policy allows it). */
rb_change rb_level_change(rb_level_kind kind, double magnitude, bool negative, rb_sampling sampling);

/* (124, 116, 104): the mean of ImageNet. */
extern const uint8_t rb_change_fill[3];

/* Changes pixels (height,width,3) in place; what comes in from outside gets the colour rb_change_fill.
 * `spare` has as many bytes as the picture. */
void rb_change_apply(const rb_change *change, uint8_t *pixels, int width, int height, uint8_t *spare);

#endif
