/* Mixup and CutMix on a collated 8-bit batch, and the soft targets that go with it (spec 8).
 *
 * Picture i is mixed with picture batch − 1 − i. As elsewhere the draws come first: one rb_mixture for each
 * picture; mixing pictures and targets is then without chance. */
#ifndef RB_DATA_MIX_H
#define RB_DATA_MIX_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/status.h"

typedef enum rb_mix_mode {
    RB_MIX_BATCH, /* one draw for all */
    RB_MIX_PAIR,  /* one for each pair of pictures that are mixed with each other */
    RB_MIX_ELEM,  /* one for each picture */
    RB_MIX_HALF /* … of the first half of the batch, which alone is trained on; the others are left alone */
} rb_mix_mode;

typedef struct rb_mix {
    double mixup, cutmix; /* α of their Beta(α, α); 0: not used */
    double cut_min,
        cut_max; /* cutmix: the box's sides as shares of the picture's, instead of α; both 0: not used */
    double probability;        /* of mixing at all */
    double switch_probability; /* of cutmix, where both can be */
    rb_mix_mode mode;
} rb_mix;

/* timm's: probability 1, switching ½, by batch; nothing to mix with. */
rb_mix rb_mix_default(void);
bool rb_mix_used(const rb_mix *mix);
/* "batch", "pair", "elem" or "half". BAD_ARGUMENT. */
revbifpn_status rb_mix_mode_parse(rb_mix_mode *mode, const char *text, rb_error *err) RB_CHECKED;
/* BAD_ARGUMENT naming the option; also for an odd batch, whose middle picture has no partner, and, with
 * cut_min and cut_max, for pictures of a size that leaves no whole number of pixels between the two. */
revbifpn_status rb_mix_check(const rb_mix *mix, int batch, int width, int height, rb_error *err) RB_CHECKED;

/* A box of rows y0 … y1 − 1 and columns x0 … x1 − 1. */
typedef struct rb_box {
    int y0, y1, x0, x1;
} rb_box;

/* How a picture is mixed: the share that remains of it, in float32 as timm rounds it, and 1 minus that. */
typedef struct rb_mixture {
    float share, rest;
    bool cut; /* the partner's box is pasted; else both are added up by share */
    rb_box box;
} rb_mixture;

/* CutMix's box about pixel (cy, cx) that takes 1 − λ of the picture before it is cut off at the border. λ is
 * a float32 where each picture has its own (`single`): then sides are worked out in float32, as timm does. */
rb_box rb_cut_box(int height, int width, double lambda, bool single, int cy, int cx);
/* The mixture of a box: λ is what the box leaves. */
rb_mixture rb_cut_mixture(int height, int width, rb_box box, bool single);
/* The mixture of mixup; λ 1 is no mixing. */
rb_mixture rb_mixup_mixture(double lambda, bool single);

/* Draws mixtures[batch] for batch `index` of `epoch`. */
void rb_mix_draw(const rb_mix *mix, int batch, int height, int width, uint64_t seed, uint64_t epoch,
                 uint64_t index, rb_mixture *mixtures);
/* Mixes images (batch,height,width,3) in place, each with its unmixed partner; sums are rounded half to even.
 */
void rb_mix_images(const rb_mixture *mixtures, int batch, int height, int width, uint8_t *images);
/* The same for rasters, images (batch,height,width,channels). */
void rb_mix_words(const rb_mixture *mixtures, int batch, int height, int width, int channels,
                  uint16_t *images);
/* targets[batch,classes] = share·t(labels[i]) + rest·t(labels[batch − 1 − i]), where t has 1 − smoothing +
 * smoothing/classes at its class and smoothing/classes elsewhere. Each row adds up to 1. */
void rb_mix_targets(const rb_mixture *mixtures, int batch, int classes, double smoothing,
                    const int32_t *labels, float *targets);

#endif
