/* From a decoded picture to network input: the transforms of training (spec 5) and of evaluation (spec 12).
 * The result is 8-bit RGB, height,width,3, or of rasters 16 bits a sample; normalising it is the model's
 * first step. */
#ifndef RB_DATA_AUGMENT_H
#define RB_DATA_AUGMENT_H

#include "base/rng.h"
#include "base/status.h"
#include "data/policy.h"
#include "image/raster.h"

/* Training, in this order: random resized crop, mirrored with probability hflip, upside down with probability
 * vflip, then the changes of the policy or, without one, colour jitter (never both, as in timm). */
typedef struct rb_train_transform {
    int width, height; /* of the result */
    double scale[2];   /* area of the crop as a share of the picture: 0 < scale[0] ≤ scale[1] ≤ 1 */
    double ratio[2];   /* width/height of the crop: 0 < ratio[0] ≤ ratio[1] */
    rb_interpolation interpolation;
    double hflip, vflip;
    rb_policy policy;
    rb_jitter jitter;
    bool rows_first; /* the order of passes of Pillow 9.4 (RB_FILTER_ROWS_FIRST) */
} rb_train_transform;

/* timm's defaults (spec 5): scale 0.08 … 1, ratio 3/4 … 4/3, random interpolation, hflip 0.5; but
 * no policy and no jitter. */
rb_train_transform rb_train_transform_default(int width, int height);
/* BAD_ARGUMENT naming the option that is out of range. */
revbifpn_status rb_train_transform_check(const rb_train_transform *t, rb_error *err) RB_CHECKED;

/* What one picture gets. */
typedef struct rb_train_draw {
    int x, y, w, h; /* the crop */
    rb_filter filter;
    bool flip, flip_rows;
    int change_count;
    rb_change changes[RB_POLICY_LAYERS];
} rb_train_draw;

/* Draws for a picture of that size; `rng` is the stream of (seed, RB_PURPOSE_AUGMENT, epoch, sample). In this
 * order: up to ten times area and logarithm of the ratio, then top and left of the first crop that fits (if
 * none does, spec 5's central one); the filter, when it is random; the flip; the flip of the rows; the
 * changes as data/policy.h says. */
rb_train_draw rb_train_transform_draw(const rb_train_transform *t, int width, int height, rb_rng *rng);

/* Memory that grows to what the largest picture needed. One per thread; start with zeros, end with
 * rb_scratch_free. */
typedef struct rb_scratch {
    void *bytes;
    size_t size;
} rb_scratch;

void rb_scratch_free(rb_scratch *scratch);

/* dst: t->height,t->width,3. OUT_OF_MEMORY. */
revbifpn_status rb_train_transform_apply(const rb_train_transform *t, const rb_train_draw *draw,
                                         const rb_image *image, uint8_t *dst, rb_scratch *scratch,
                                         rb_error *err) RB_CHECKED;

/* The same for rasters: crop and mirroring alone, no changes. dst: t->height,t->width,raster->channels. */
revbifpn_status rb_train_transform_apply_raster(const rb_train_transform *t, const rb_train_draw *draw,
                                                const rb_raster *raster, uint16_t *dst, rb_scratch *scratch,
                                                rb_error *err) RB_CHECKED;

/* Evaluation: resize, keeping the proportions, until the picture just covers ⌊width/crop_pct⌋ ×
 * ⌊height/crop_pct⌋, then take the centre. That is: with R and Q those two, if R/w ≥ Q/h the width becomes R
 * and the height ⌊R·h/w⌋, else the height becomes Q and the width ⌊Q·w/h⌋. For a square target this is
 * torchvision's Resize of the short side and CenterCrop. Only the part that is taken is computed. */
typedef struct rb_eval_transform {
    int width, height; /* of the result */
    double crop_pct;   /* 0 < crop_pct ≤ 1 */
    rb_filter filter;  /* with RB_FILTER_ROWS_FIRST if wanted */
} rb_eval_transform;

revbifpn_status rb_eval_transform_check(const rb_eval_transform *t, rb_error *err) RB_CHECKED;
/* dst: t->height,t->width,3. BAD_FILE when the resized picture would have a side past 2^31; OUT_OF_MEMORY. */
revbifpn_status rb_eval_transform_apply(const rb_eval_transform *t, const rb_image *image, uint8_t *dst,
                                        rb_scratch *scratch, rb_error *err) RB_CHECKED;
revbifpn_status rb_eval_transform_apply_raster(const rb_eval_transform *t, const rb_raster *raster,
                                               uint16_t *dst, rb_scratch *scratch, rb_error *err) RB_CHECKED;

#endif
