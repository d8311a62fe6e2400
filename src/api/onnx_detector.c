/* ONNX of detectors: export, and what the exported files compute. */
#include <string.h>

#include "api/context.h"
#include "base/memory.h"
#include "onnx/detector.h"

_Static_assert((int)REVBIFPN_DETECTIONS == (int)RB_DETECTIONS &&
                   (int)REVBIFPN_MASK_SIDE == (int)RB_MASK_SIDE &&
                   (int)REVBIFPN_DETECTOR_LEVELS == (int)RB_PYRAMID_LEVELS,
               "the public numbers are the detector's");

revbifpn_status revbifpn_export_detector_onnx(revbifpn_detector *d, const char *path,
                                              const revbifpn_onnx_options *options) {
    RB_ENTER(d->ctx);
    revbifpn_status status;
    revbifpn_onnx_options own = revbifpn_default_onnx();
    if (options) TRY(rb_api_take(&own, sizeof own, options, "onnx_options", &d->ctx->error));
    if (own.features)
        return rb_fail(&d->ctx->error, REVBIFPN_BAD_ARGUMENT,
                       "onnx_options: features are a classifier's; heads have a detector's maps");
    return rb_onnx_export_detector(&d->network, &d->info, &own, path, &d->ctx->error);
fail:
    return status;
}

static revbifpn_status no_memory(revbifpn *ctx) {
    return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for inputs");
}

/* A forward pass on inputs n,c,h,w; found[n], frames[n] one for each. */
static revbifpn_status run(revbifpn_detector *d, const float *inputs, rb_shape shape, const rb_frame *frames,
                           rb_detections *found) {
    revbifpn_status status;
    float *pixels = NULL;
    TRY(rb_api_prepare_detector(d, shape));
    pixels = rb_alloc(rb_elements(shape) * sizeof *pixels);
    if (!pixels) return no_memory(d->ctx);
    rb_api_turn(inputs, shape, true, pixels);
    rb_images images = {.shape = shape, .floats = pixels};
    rb_pass pass = {.exec = &d->exec, .err = &d->ctx->error, .k = d->info.grid};
    status = rb_detector_detect(&d->network, &pass, &images, frames, found);
fail:
    rb_free(pixels);
    return status;
}

revbifpn_status revbifpn_detector_run_heads(revbifpn_detector *d, const float *inputs, int count, int width,
                                            int height, float *const *out) {
    RB_ENTER(d->ctx);
    rb_shape one = {1, height, width, d->info.config.input_channels};
    size_t size = rb_elements(one);
    rb_frame frame = {width, height};
    if (count < 1) return rb_fail(&d->ctx->error, REVBIFPN_BAD_ARGUMENT, "count %d: at least 1", count);
    for (int n = 0; n < count; n++) {
        revbifpn_status status = run(d, inputs + (size_t)n * size, one, &frame, &d->found);
        if (status) return status;
        for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
            const float *maps[3] = {d->network.features[l], d->network.scores[l], d->network.codes[l]};
            rb_shape shape = d->network.levels[l];
            const int channels[3] = {shape.c, RB_ANCHORS_PER_CELL, 4 * RB_ANCHORS_PER_CELL};
            for (int i = 0; i < 3; i++) {
                shape.c = channels[i];
                rb_api_turn(maps[i], shape, false,
                            out[i * RB_PYRAMID_LEVELS + l] + (size_t)n * rb_elements(shape));
            }
        }
    }
    return REVBIFPN_OK;
}

revbifpn_status revbifpn_detector_run(revbifpn_detector *d, const float *input, int width, int height,
                                      int seen_width, int seen_height, revbifpn_raw_detections *out) {
    RB_ENTER(d->ctx);
    rb_shape shape = {1, height, width, d->info.config.input_channels};
    rb_frame frame = {seen_width, seen_height};
    if (seen_width < 1 || seen_height < 1 || seen_width > width || seen_height > height)
        return rb_fail(&d->ctx->error, REVBIFPN_BAD_ARGUMENT, "a picture of %d × %d in an input of %d × %d",
                       seen_width, seen_height, width, height);
    revbifpn_status status = run(d, input, shape, &frame, &d->found);
    if (status) return status;
    out->count = d->found.count;
    for (int i = 0; i < d->found.count; i++) {
        memcpy(out->boxes[i], d->found.at[i].box, sizeof out->boxes[i]);
        out->scores[i] = d->found.at[i].score;
        out->labels[i] = d->found.at[i].label;
    }
    if (d->found.masks) memcpy(out->masks, d->found.masks, (size_t)d->found.count * sizeof out->masks[0]);
    return REVBIFPN_OK;
}

/* ---- a picture ---- */

/* h,w,3 bytes at the first corner of the input; the rest is 0. */
static void normalise(const revbifpn_detector *d, const uint8_t *bytes, const rb_detect_draw *draw, int width,
                      int height, float *input) {
    const rb_preprocess *p = &d->info.preprocess;
    size_t pixels = (size_t)width * (size_t)height, row = (size_t)draw->width * 3;
    memset(input, 0, 3 * pixels * sizeof *input);
    for (size_t y = 0; y < (size_t)draw->height; y++)
        for (size_t i = 0; i < row; i++) {
            size_t k = i % 3;
            input[k * pixels + y * (size_t)width + i / 3] =
                ((float)bytes[y * row + i] - 255 * p->mean[k]) / (255 * p->std[k]);
        }
}

/* The picture's sides when it is as large as fits; never more than the input's. */
static rb_detect_draw fit(const rb_image *image, int width, int height) {
    double across = (double)width / image->width, down = (double)height / image->height;
    double scale = across < down ? across : down;
    int to_width = (int)(image->width * scale + 0.5), to_height = (int)(image->height * scale + 0.5);
    return rb_detect_draw_whole(to_width < 1 ? 1 : to_width, to_height < 1 ? 1 : to_height, false);
}

revbifpn_status revbifpn_detector_input_read(revbifpn_detector *d, const char *path, int width, int height,
                                             float *input, int *seen_width, int *seen_height) {
    RB_ENTER(d->ctx);
    revbifpn_status status;
    rb_error *err = &d->ctx->error;
    rb_image image = {0};
    uint8_t *bytes = NULL;
    rb_decode_options decode = {.max_pixels = RB_API_MAX_PIXELS, .apply_exif = true};
    TRY(rb_model_check_input(&d->info.config, (rb_shape){1, height, width, 3}, false, err));
    TRY(rb_image_read(path, &decode, &image, NULL, err));
    rb_detect_draw draw = fit(&image, width, height);
    bytes = rb_alloc(3 * (size_t)draw.width * (size_t)draw.height);
    if (!bytes) {
        status = no_memory(d->ctx);
        goto fail;
    }
    TRY(rb_detect_change_image(&draw, &image, bytes, 3 * (size_t)draw.width, &d->room, err));
    normalise(d, bytes, &draw, width, height, input);
    *seen_width = draw.width;
    *seen_height = draw.height;
fail:
    rb_image_free(&image);
    rb_free(bytes);
    return status;
}
