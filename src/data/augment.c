#include "data/augment.h"

#include <math.h>

#include "base/memory.h"

rb_train_transform rb_train_transform_default(int width, int height) {
    return (rb_train_transform){.width = width,
                                .height = height,
                                .scale = {0.08, 1},
                                .ratio = {3.0 / 4, 4.0 / 3},
                                .interpolation = RB_INTERPOLATION_RANDOM,
                                .hflip = 0.5};
}

static revbifpn_status check_size(int width, int height, rb_error *err) {
    if (width > 0 && height > 0 && width <= 65536 && height <= 65536) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "an input size of %d x %d pixels cannot be", width, height);
}

revbifpn_status rb_train_transform_check(const rb_train_transform *t, rb_error *err) {
    revbifpn_status status = check_size(t->width, t->height, err);
    if (status) return status;
    if (!(t->scale[0] > 0 && t->scale[0] <= t->scale[1] && t->scale[1] <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--scale %g,%g: not a range within 0 … 1", t->scale[0],
                       t->scale[1]);
    if (!(t->ratio[0] > 0 && t->ratio[0] <= t->ratio[1] && t->ratio[1] <= 1e6))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--ratio %g,%g: not a range of positive numbers",
                       t->ratio[0], t->ratio[1]);
    if (!(t->hflip >= 0 && t->hflip <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--hflip %g: not a probability", t->hflip);
    if (!(t->vflip >= 0 && t->vflip <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--vflip %g: not a probability", t->vflip);
    if ((unsigned)t->interpolation > RB_INTERPOLATION_RANDOM)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "an interpolation of number %d cannot be",
                       (int)t->interpolation);
    return REVBIFPN_OK;
}

static double uniform(rb_rng *rng, double low, double high) {
    return low + (high - low) * rb_rng_uniform(rng);
}

/* The largest central crop whose ratio is in range (spec 5, after ten failures). */
static void central_crop(const rb_train_transform *t, int width, int height, rb_train_draw *d) {
    d->w = width;
    d->h = height;
    if ((double)width / height < t->ratio[0])
        d->h = (int)nearbyint(width / t->ratio[0]);
    else if ((double)width / height > t->ratio[1])
        d->w = (int)nearbyint(height * t->ratio[1]);
    /* a ratio range of one's own may round to nothing on a thin picture */
    d->w = d->w < 1 ? 1 : d->w > width ? width : d->w;
    d->h = d->h < 1 ? 1 : d->h > height ? height : d->h;
    d->x = (width - d->w) / 2;
    d->y = (height - d->h) / 2;
}

/* One try: whether the crop drawn fits into the picture. A crop that rounds to no pixel does not. */
static bool random_crop(const rb_train_transform *t, int width, int height, rb_rng *rng, rb_train_draw *d) {
    double area = uniform(rng, t->scale[0], t->scale[1]) * ((double)width * height);
    double ratio = exp(uniform(rng, log(t->ratio[0]), log(t->ratio[1])));
    double w = nearbyint(sqrt(area * ratio)), h = nearbyint(sqrt(area / ratio));
    if (!(w >= 1 && w <= width && h >= 1 && h <= height)) return false;
    d->w = (int)w;
    d->h = (int)h;
    d->y = (int)rb_rng_below(rng, (uint32_t)(height - d->h) + 1);
    d->x = (int)rb_rng_below(rng, (uint32_t)(width - d->w) + 1);
    return true;
}

rb_train_draw rb_train_transform_draw(const rb_train_transform *t, int width, int height, rb_rng *rng) {
    rb_train_draw d = {0};
    bool found = false;
    for (int i = 0; i < 10 && !found; i++) found = random_crop(t, width, height, rng, &d);
    if (!found) central_crop(t, width, height, &d);
    d.filter = rb_interpolation_draw(t->interpolation, rng) ? RB_FILTER_BICUBIC : RB_FILTER_BILINEAR;
    if (t->rows_first) d.filter |= RB_FILTER_ROWS_FIRST;
    d.flip = rb_rng_uniform(rng) < t->hflip;
    d.flip_rows = rb_rng_uniform(rng) < t->vflip;
    if (t->policy.layers || t->policy.pairs)
        d.change_count = rb_policy_draw(&t->policy, t->interpolation, rng, d.changes);
    else
        d.change_count = rb_jitter_draw(&t->jitter, rng, d.changes);
    return d;
}

void rb_scratch_free(rb_scratch *scratch) {
    rb_free(scratch->bytes);
    *scratch = (rb_scratch){0};
}

static revbifpn_status make_room(rb_scratch *scratch, size_t size, const char *what, rb_error *err) {
    if (size <= scratch->size) return REVBIFPN_OK;
    rb_scratch_free(scratch);
    scratch->bytes = rb_alloc(size);
    if (!scratch->bytes) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %s", what);
    scratch->size = size;
    return REVBIFPN_OK;
}

static revbifpn_status resize(const rb_resize *r, const rb_image *image, uint8_t *dst, rb_scratch *scratch,
                              rb_error *err) {
    revbifpn_status status = make_room(scratch, rb_resize_scratch(r), "resizing", err);
    if (!status) rb_resize_run(r, image, dst, scratch->bytes);
    return status;
}

revbifpn_status rb_train_transform_apply(const rb_train_transform *t, const rb_train_draw *draw,
                                         const rb_image *image, uint8_t *dst, rb_scratch *scratch,
                                         rb_error *err) {
    rb_resize r = rb_resize_whole(draw->x, draw->y, draw->w, draw->h, t->width, t->height, draw->filter);
    revbifpn_status status = resize(&r, image, dst, scratch, err);
    if (status) return status;
    if (draw->flip) rb_image_flip(dst, t->width, t->height);
    if (draw->flip_rows) rb_image_flip_rows(dst, t->width, t->height);
    if (!draw->change_count) return REVBIFPN_OK;
    status = make_room(scratch, (size_t)t->width * (size_t)t->height * 3, "augmenting", err);
    for (int i = 0; !status && i < draw->change_count; i++)
        rb_change_apply(&draw->changes[i], dst, t->width, t->height, scratch->bytes);
    return status;
}

revbifpn_status rb_eval_transform_check(const rb_eval_transform *t, rb_error *err) {
    revbifpn_status status = check_size(t->width, t->height, err);
    if (status) return status;
    if (t->crop_pct > 0 && t->crop_pct <= 1 && t->width / t->crop_pct < 1e6 && t->height / t->crop_pct < 1e6)
        return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--crop-pct %g: not above 0 and at most 1", t->crop_pct);
}

/* What is resized of a picture of w × h pixels. */
static revbifpn_status eval_resize(const rb_eval_transform *t, int64_t w, int64_t h, rb_resize *r,
                                   rb_error *err) {
    int64_t across = (int64_t)floor(t->width / t->crop_pct), down = (int64_t)floor(t->height / t->crop_pct);
    int64_t width = across, height = down;
    if (across * h >= down * w)
        height = across * h / w;
    else
        width = down * w / h;
    if (width > INT32_MAX || height > INT32_MAX)
        return rb_fail(err, REVBIFPN_BAD_FILE, "%d x %d pixels are too long to resize", (int)w, (int)h);
    *r = rb_resize_whole(0, 0, (int)w, (int)h, (int)width, (int)height, t->filter);
    r->part_width = t->width;
    r->part_height = t->height;
    r->left = (int)nearbyint((double)(width - t->width) / 2); /* half to even, as torchvision's CenterCrop */
    r->top = (int)nearbyint((double)(height - t->height) / 2);
    return REVBIFPN_OK;
}

revbifpn_status rb_eval_transform_apply(const rb_eval_transform *t, const rb_image *image, uint8_t *dst,
                                        rb_scratch *scratch, rb_error *err) {
    rb_resize r;
    revbifpn_status status = eval_resize(t, image->width, image->height, &r, err);
    return status ? status : resize(&r, image, dst, scratch, err);
}

/* ---- rasters ---- */

static revbifpn_status resize_raster(const rb_resize *r, const rb_raster *raster, uint16_t *dst,
                                     rb_scratch *scratch, rb_error *err) {
    size_t size = rb_raster_resize_scratch(r, raster->channels);
    revbifpn_status status = make_room(scratch, size, "resizing", err);
    if (!status) rb_raster_resize(r, raster, dst, scratch->bytes);
    return status;
}

revbifpn_status rb_train_transform_apply_raster(const rb_train_transform *t, const rb_train_draw *draw,
                                                const rb_raster *raster, uint16_t *dst, rb_scratch *scratch,
                                                rb_error *err) {
    rb_resize r = rb_resize_whole(draw->x, draw->y, draw->w, draw->h, t->width, t->height, draw->filter);
    revbifpn_status status = resize_raster(&r, raster, dst, scratch, err);
    if (status) return status;
    if (draw->flip) rb_raster_flip(dst, t->width, t->height, raster->channels);
    if (draw->flip_rows) rb_raster_flip_rows(dst, t->width, t->height, raster->channels);
    return REVBIFPN_OK;
}

revbifpn_status rb_eval_transform_apply_raster(const rb_eval_transform *t, const rb_raster *raster,
                                               uint16_t *dst, rb_scratch *scratch, rb_error *err) {
    rb_resize r;
    revbifpn_status status = eval_resize(t, raster->width, raster->height, &r, err);
    return status ? status : resize_raster(&r, raster, dst, scratch, err);
}
