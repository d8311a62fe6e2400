/* A trained detector: loaded, run on pictures. */
#include <stdio.h>
#include <string.h>

#include "api/context.h"
#include "eval/detections.h"
#include "image/mark.h"

revbifpn_status revbifpn_weights_task(revbifpn *ctx, const char *path, revbifpn_task *out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    rb_weights_info info = {0};
    TRY(rb_tensor_file_open(&file, path, &ctx->error));
    TRY(rb_weights_read_info(file, &info, &ctx->error));
    *out = !info.detector.classes ? REVBIFPN_CLASSIFY
           : info.detector.masks  ? REVBIFPN_SEGMENT
                                  : REVBIFPN_DETECT;
fail:
    rb_weights_info_close(&info);
    rb_tensor_file_close(&file);
    return status;
}

void revbifpn_detector_free(revbifpn_detector **handle) {
    revbifpn_detector *d = *handle;
    if (!d) return;
    rb_exec_close(&d->exec);
    rb_detector_close(&d->network);
    rb_weights_info_close(&d->info);
    rb_detect_room_close(&d->room);
    rb_spans_close(&d->spans);
    rb_text_close(&d->masks);
    rb_free(d->numbers);
    rb_free(d->input);
    rb_free(d);
    *handle = NULL;
}

revbifpn_status revbifpn_detector_load(revbifpn *ctx, const char *path, revbifpn_detector **out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    revbifpn_detector *d = *out = rb_alloc(sizeof *d);
    if (!d) return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for a detector");
    d->ctx = ctx;
    TRY(rb_tensor_file_open(&file, path, &ctx->error));
    TRY(rb_weights_read_info(file, &d->info, &ctx->error));
    if (!d->info.detector.classes) {
        status = rb_fail(&ctx->error, REVBIFPN_UNSUPPORTED,
                         "%s: weights of a classifier; this needs a detector's", path);
        goto fail;
    }
    TRY(rb_detector_create(&d->network, &d->info.detector, &ctx->error));
    TRY(rb_params_allocate(&d->network.model.params, false, &ctx->error));
    TRY(rb_weights_read(file, &d->network.model.params, NULL, &ctx->error));
    if (!d->info.class_count) TRY(rb_api_number_classes(d->info.detector.classes, &d->numbers, &ctx->error));
fail:
    rb_tensor_file_close(&file);
    if (status) revbifpn_detector_free(out);
    return status;
}

const revbifpn_detector_config *revbifpn_detector_configuration(const revbifpn_detector *d) {
    return &d->info.detector;
}

const char *revbifpn_detector_class(const revbifpn_detector *d, int index) {
    return index >= 0 && index < d->info.class_count ? d->info.classes[index] : NULL;
}

revbifpn_status revbifpn_detector_limits(revbifpn_detector *d, int long_side, int short_side) {
    rb_detect_limits limits = {.long_side = long_side, .short_side = short_side};
    revbifpn_status status = rb_detect_limits_check(&limits, &d->ctx->error);
    if (status) return status;
    d->info.detector.long_side = long_side;
    d->info.detector.short_side = short_side;
    return REVBIFPN_OK;
}

/* ---- a picture ---- */

revbifpn_status rb_api_prepare_detector(revbifpn_detector *d, rb_shape shape) {
    revbifpn_status status;
    rb_error *err = &d->ctx->error;
    if (d->input && !memcmp(&d->ready, &shape, sizeof shape)) return REVBIFPN_OK;
    rb_exec_close(&d->exec);
    rb_free(d->input);
    d->input = NULL;
    TRY(rb_model_check_input(&d->info.config, shape, false, err));
    rb_step_bytes bytes = rb_detector_measure(&d->network, &d->ctx->ops, d->ctx->pool, shape, false, false);
    TRY(rb_exec_open(&d->exec, &d->ctx->ops, d->ctx->pool, &bytes, err));
    d->input = rb_alloc(rb_elements(shape));
    d->ready = shape;
    if (!d->input) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a picture");
fail:
    return status;
}

static revbifpn_status run(revbifpn_detector *d, const revbifpn_image *image, const rb_detect_draw *draw) {
    revbifpn_status status;
    rb_patch padding[2];
    rb_image view = {image->width, image->height, image->pixels};
    rb_shape shape = {1, rb_detect_padded(draw->height), rb_detect_padded(draw->width), 3};
    TRY(rb_api_prepare_detector(d, shape));
    TRY(rb_detect_change_image(draw, &view, d->input, (size_t)shape.w * 3, &d->room, &d->ctx->error));
    rb_images images = {.shape = shape, .bytes = d->input, .patches = padding};
    rb_frame frame = {draw->width, draw->height};
    images.patch_count = rb_detect_padding(shape.w, shape.h, 0, frame.width, frame.height, padding);
    images.mean = d->info.preprocess.mean;
    images.std = d->info.preprocess.std;
    rb_pass pass = {.exec = &d->exec, .err = &d->ctx->error, .k = d->info.grid};
    status = rb_detector_detect(&d->network, &pass, &images, &frame, &d->found);
fail:
    return status;
}

/* The runs of a mask, behind those before; they move when the text grows, so pointers come later. */
static void add_mask(revbifpn_detector *d, int i, const float box[4], int width, int height, size_t *offset) {
    const float *probabilities = d->found.masks + (size_t)i * RB_MASK_SIDE * RB_MASK_SIDE;
    rb_mask_paste(probabilities, box, width, height, &d->spans);
    *offset = d->masks.size;
    rb_runs_encode((rb_mask){(uint32_t)height, (uint32_t)width, d->spans.at, d->spans.count}, &d->masks);
    rb_text_add_bytes(&d->masks, "", 1);
}

static revbifpn_status tell(revbifpn_detector *d, const revbifpn_image *image, const float scale[2]) {
    size_t offset[RB_DETECTIONS] = {0};
    rb_text_clear(&d->masks);
    for (int i = 0; i < d->found.count; i++) {
        const rb_detection *from = &d->found.at[i];
        float box[4];
        for (int c = 0; c < 4; c++) box[c] = from->box[c] / scale[c % 2];
        const char *name = revbifpn_detector_class(d, from->label);
        d->at[i] = (revbifpn_detection){.x1 = (double)box[0],
                                        .y1 = (double)box[1],
                                        .x2 = (double)box[2],
                                        .y2 = (double)box[3],
                                        .score = (double)from->score,
                                        .label = from->label,
                                        .name = name ? name : d->numbers[from->label]};
        if (d->found.masks) add_mask(d, i, box, image->width, image->height, &offset[i]);
    }
    if (d->masks.failed || d->spans.failed)
        return rb_fail(&d->ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for masks");
    for (int i = 0; d->found.masks && i < d->found.count; i++) d->at[i].mask = d->masks.bytes + offset[i];
    return REVBIFPN_OK;
}

revbifpn_status revbifpn_detect(revbifpn_detector *d, const revbifpn_image *image,
                                const revbifpn_detection **detections, int *found) {
    RB_ENTER(d->ctx);
    revbifpn_status status;
    const revbifpn_detector_config *c = &d->info.detector;
    rb_detect_limits limits = {.long_side = c->long_side, .short_side = c->short_side};
    rb_picture picture = {.width = (uint32_t)image->width, .height = (uint32_t)image->height};
    float scale[2];
    *found = 0;
    *detections = d->at;
    if (!image->pixels || image->width < 1 || image->height < 1)
        return rb_fail(&d->ctx->error, REVBIFPN_BAD_ARGUMENT, "no picture to look at");
    rb_detect_draw draw = rb_detect_draw_for(&limits, image->width, image->height, false, NULL);
    TRY(run(d, image, &draw));
    rb_detect_scale(&draw, &picture, scale);
    TRY(tell(d, image, scale));
    *found = d->found.count;
fail:
    return status;
}

/* ---- masks and drawing ---- */

static revbifpn_status decode_mask(const char *mask, int width, int height, rb_spans *spans, rb_error *err) {
    if (!rb_mask_size_fits(height, width))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "a mask of %d × %d", width, height);
    revbifpn_status status =
        rb_runs_decode(mask, strlen(mask), (uint32_t)height, (uint32_t)width, spans, err);
    if (status == REVBIFPN_BAD_FILE) err->status = status = REVBIFPN_BAD_ARGUMENT;
    return status;
}

revbifpn_status revbifpn_mask_pixels(revbifpn *ctx, const char *mask, int width, int height,
                                     uint8_t *pixels) {
    RB_ENTER(ctx);
    rb_spans spans = {0};
    revbifpn_status status = decode_mask(mask, width, height, &spans, &ctx->error);
    if (status == REVBIFPN_OK)
        rb_mask_to_pixels((rb_mask){(uint32_t)height, (uint32_t)width, spans.at, spans.count}, pixels,
                          (size_t)width);
    rb_spans_close(&spans);
    return status;
}

static void draw_one(rb_image *image, const revbifpn_detection *d, int times, bool name) {
    const double corners[4] = {d->x1 * times, d->y1 * times, d->x2 * times, d->y2 * times};
    rb_color color = rb_mark_color(d->label);
    char text[120];
    if (!name) {
        rb_mark_box(image, corners, color);
        return;
    }
    snprintf(text, sizeof text, "%.80s %.0f", d->name, 100 * d->score);
    rb_mark_name(image, corners, color, text);
}

revbifpn_status revbifpn_image_draw(revbifpn *ctx, revbifpn_image *image,
                                    const revbifpn_detection *detections, int count) {
    RB_ENTER(ctx);
    revbifpn_status status = REVBIFPN_OK;
    rb_spans spans = {0};
    int times;
    rb_image view = {image->width, image->height, image->pixels};
    if (!image->pixels || image->width < 1)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "no picture to draw on");
    for (int i = count - 1; i >= 0; i--) { /* the most likely one over all others */
        if (!detections[i].mask) continue;
        TRY(decode_mask(detections[i].mask, image->width, image->height, &spans, &ctx->error));
        for (size_t s = 0; s < spans.count; s++)
            rb_mark_tint(&view, spans.at[s].begin, spans.at[s].end, rb_mark_color(detections[i].label));
    }
    TRY(rb_api_enlarge(ctx, image, &times));
    view = (rb_image){image->width, image->height, image->pixels};
    for (int i = count - 1; i >= 0; i--) draw_one(&view, &detections[i], times, false);
    for (int i = count - 1; i >= 0; i--) draw_one(&view, &detections[i], times, true);
fail:
    rb_spans_close(&spans);
    return status;
}
