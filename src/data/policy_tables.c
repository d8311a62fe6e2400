/* The lists that policies draw from (spec 6.2 … 6.4). */
#include "data/policy.h"

const rb_level_kind rb_rand_choices[RB_POLICY_CHOICES] = {
    RB_LEVEL_AUTO_CONTRAST, RB_LEVEL_EQUALIZE,        RB_LEVEL_INVERT,         RB_LEVEL_ROTATE,
    RB_LEVEL_POSTERIZE,     RB_LEVEL_SOLARIZE,        RB_LEVEL_SOLARIZE_ADD,   RB_LEVEL_COLOR,
    RB_LEVEL_CONTRAST,      RB_LEVEL_BRIGHTNESS,      RB_LEVEL_SHARPNESS,      RB_LEVEL_SHEAR_X,
    RB_LEVEL_SHEAR_Y,       RB_LEVEL_TRANSLATE_X_REL, RB_LEVEL_TRANSLATE_Y_REL};
const rb_level_kind rb_rand_increasing[RB_POLICY_CHOICES] = {RB_LEVEL_AUTO_CONTRAST,
                                                             RB_LEVEL_EQUALIZE,
                                                             RB_LEVEL_INVERT,
                                                             RB_LEVEL_ROTATE,
                                                             RB_LEVEL_POSTERIZE_INCREASING,
                                                             RB_LEVEL_SOLARIZE_INCREASING,
                                                             RB_LEVEL_SOLARIZE_ADD,
                                                             RB_LEVEL_COLOR_INCREASING,
                                                             RB_LEVEL_CONTRAST_INCREASING,
                                                             RB_LEVEL_BRIGHTNESS_INCREASING,
                                                             RB_LEVEL_SHARPNESS_INCREASING,
                                                             RB_LEVEL_SHEAR_X,
                                                             RB_LEVEL_SHEAR_Y,
                                                             RB_LEVEL_TRANSLATE_X_REL,
                                                             RB_LEVEL_TRANSLATE_Y_REL};

/* Both add up to 1 only after division by their sum. */
const double rb_rand_weights[RB_POLICY_CHOICES] = {0.25, 0.05, 0.05, 3, 0.05, 0.05, 0.05, 0.25,
                                                   0.05, 0.05, 0.25, 2, 2,    1,    1};
const double rb_rand_w0[RB_POLICY_CHOICES] = {0.025, 0.005, 0,     0.3, 0,   0.005, 0.005, 0.025,
                                              0.005, 0.005, 0.025, 0.2, 0.2, 0.1,   0.1};

/* Short names for the tables below. */
#define STEP(kind, probability, magnitude)                                                                   \
    { RB_LEVEL_##kind, probability, magnitude }

/* With and without r they differ only in what posterizing means. */
#define V0(posterize)                                                                                        \
    {                                                                                                        \
        {STEP(EQUALIZE, 0.8, 1), STEP(SHEAR_Y, 0.8, 4)}, {STEP(COLOR, 0.4, 9), STEP(EQUALIZE, 0.6, 3)},      \
            {STEP(COLOR, 0.4, 1), STEP(ROTATE, 0.6, 8)}, {STEP(SOLARIZE, 0.8, 3), STEP(EQUALIZE, 0.4, 7)},   \
            {STEP(SOLARIZE, 0.4, 2), STEP(SOLARIZE, 0.6, 2)}, {STEP(COLOR, 0.2, 0), STEP(EQUALIZE, 0.8, 8)}, \
            {STEP(EQUALIZE, 0.4, 8), STEP(SOLARIZE_ADD, 0.8, 3)},                                            \
            {STEP(SHEAR_X, 0.2, 9), STEP(ROTATE, 0.6, 8)}, {STEP(COLOR, 0.6, 1), STEP(EQUALIZE, 1, 2)},      \
            {STEP(INVERT, 0.4, 9), STEP(ROTATE, 0.6, 0)}, {STEP(EQUALIZE, 1, 9), STEP(SHEAR_Y, 0.6, 3)},     \
            {STEP(COLOR, 0.4, 7), STEP(EQUALIZE, 0.6, 0)},                                                   \
            {{posterize, 0.4, 6}, STEP(AUTO_CONTRAST, 0.4, 7)},                                              \
            {STEP(SOLARIZE, 0.6, 8), STEP(COLOR, 0.6, 9)}, {STEP(SOLARIZE, 0.2, 4), STEP(ROTATE, 0.8, 9)},   \
            {STEP(ROTATE, 1, 7), STEP(TRANSLATE_Y_REL, 0.8, 9)},                                             \
            {STEP(SHEAR_X, 0, 0), STEP(SOLARIZE, 0.8, 4)}, {STEP(SHEAR_Y, 0.8, 0), STEP(COLOR, 0.6, 4)},     \
            {STEP(COLOR, 1, 0), STEP(ROTATE, 0.6, 2)}, {STEP(EQUALIZE, 0.8, 4), STEP(EQUALIZE, 0, 8)},       \
            {STEP(EQUALIZE, 1, 4), STEP(AUTO_CONTRAST, 0.6, 2)},                                             \
            {STEP(SHEAR_Y, 0.4, 7), STEP(SOLARIZE_ADD, 0.6, 7)},                                             \
            {{posterize, 0.8, 2}, STEP(SOLARIZE, 0.6, 10)},                                                  \
            {STEP(SOLARIZE, 0.6, 8), STEP(EQUALIZE, 0.6, 1)}, {STEP(COLOR, 0.8, 6), STEP(ROTATE, 0.4, 5)},   \
    }
#define ORIGINAL(posterize)                                                                                  \
    {                                                                                                        \
        {{posterize, 0.4, 8}, STEP(ROTATE, 0.6, 9)}, {STEP(SOLARIZE, 0.6, 5), STEP(AUTO_CONTRAST, 0.6, 5)},  \
            {STEP(EQUALIZE, 0.8, 8), STEP(EQUALIZE, 0.6, 3)}, {{posterize, 0.6, 7}, {posterize, 0.6, 6}},    \
            {STEP(EQUALIZE, 0.4, 7), STEP(SOLARIZE, 0.2, 4)},                                                \
            {STEP(EQUALIZE, 0.4, 4), STEP(ROTATE, 0.8, 8)},                                                  \
            {STEP(SOLARIZE, 0.6, 3), STEP(EQUALIZE, 0.6, 7)}, {{posterize, 0.8, 5}, STEP(EQUALIZE, 1, 2)},   \
            {STEP(ROTATE, 0.2, 3), STEP(SOLARIZE, 0.6, 8)}, {STEP(EQUALIZE, 0.6, 8), {posterize, 0.4, 6}},   \
            {STEP(ROTATE, 0.8, 8), STEP(COLOR, 0.4, 0)}, {STEP(ROTATE, 0.4, 9), STEP(EQUALIZE, 0.6, 2)},     \
            {STEP(EQUALIZE, 0, 7), STEP(EQUALIZE, 0.8, 8)}, {STEP(INVERT, 0.6, 4), STEP(EQUALIZE, 1, 8)},    \
            {STEP(COLOR, 0.6, 4), STEP(CONTRAST, 1, 8)}, {STEP(ROTATE, 0.8, 8), STEP(COLOR, 1, 2)},          \
            {STEP(COLOR, 0.8, 8), STEP(SOLARIZE, 0.8, 7)}, {STEP(SHARPNESS, 0.4, 7), STEP(INVERT, 0.6, 8)},  \
            {STEP(SHEAR_X, 0.6, 5), STEP(EQUALIZE, 1, 9)}, {STEP(COLOR, 0.4, 0), STEP(EQUALIZE, 0.6, 3)},    \
            {STEP(EQUALIZE, 0.4, 7), STEP(SOLARIZE, 0.2, 4)},                                                \
            {STEP(SOLARIZE, 0.6, 5), STEP(AUTO_CONTRAST, 0.6, 5)},                                           \
            {STEP(INVERT, 0.6, 4), STEP(EQUALIZE, 1, 8)}, {STEP(COLOR, 0.6, 4), STEP(CONTRAST, 1, 8)},       \
            {STEP(EQUALIZE, 0.8, 8), STEP(EQUALIZE, 0.6, 3)},                                                \
    }

const rb_auto_policy rb_auto_policies[4] = {{"v0", V0(RB_LEVEL_POSTERIZE)},
                                            {"v0r", V0(RB_LEVEL_POSTERIZE_INCREASING)},
                                            {"original", ORIGINAL(RB_LEVEL_POSTERIZE_ORIGINAL)},
                                            {"originalr", ORIGINAL(RB_LEVEL_POSTERIZE_INCREASING)}};
