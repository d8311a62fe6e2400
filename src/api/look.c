/* Looking into a trained model: the maps of its pyramid, the gradient of its answer, text on pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/context.h"
#include "eval/topk.h"
#include "image/mark.h"
#include "image/raster.h"
#include "io/npy.h"

void revbifpn_map_free(revbifpn_map *map) {
    rb_free(map->values);
    *map = (revbifpn_map){0};
}

revbifpn_status revbifpn_map_write_npy(revbifpn *ctx, const char *path, const revbifpn_map *map) {
    RB_ENTER(ctx);
    const int shape[3] = {map->channels, map->height, map->width};
    return rb_npy_write(path, map->values, shape, 3, &ctx->error);
}

static revbifpn_status need(const revbifpn_model *model, bool classes) {
    if (model->info.config.classes || !classes) return REVBIFPN_OK;
    return rb_fail(&model->ctx->error, REVBIFPN_UNSUPPORTED, "needs a network with classes");
}

/* h,w,c → a map of its own. */
static revbifpn_status to_map(revbifpn *ctx, const float *values, int h, int w, int c, revbifpn_map *out) {
    size_t pixels = (size_t)h * (size_t)w, channels = (size_t)c;
    *out = (revbifpn_map){c, h, w, rb_alloc(rb_size_mul(pixels * channels, sizeof(float)))};
    if (!out->values) return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for a map");
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < channels; k++) out->values[k * pixels + i] = values[i * channels + k];
    return REVBIFPN_OK;
}

/* ---- the pyramid ---- */

static revbifpn_status take_maps(revbifpn_model *model, rb_pass *pass, revbifpn_map *maps) {
    revbifpn_status status = REVBIFPN_OK;
    revbifpn *ctx = model->ctx;
    rb_model *m = &model->network;
    float *buffers[RB_MAX_STREAMS] = {0};
    for (int i = 0; i < m->streams.count; i++) {
        rb_shape s = m->streams.shape[i];
        s.c = m->map_widths[i];
        buffers[i] = rb_alloc(rb_size_mul(rb_elements(s), sizeof(float)));
        if (buffers[i]) continue;
        status = rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the maps");
        goto fail;
    }
    rb_model_maps(m, pass, buffers);
    for (int i = 0; i < m->streams.count; i++) {
        rb_shape s = m->streams.shape[i];
        TRY(to_map(ctx, buffers[i], s.h, s.w, m->map_widths[i], &maps[i]));
    }
fail:
    for (int i = 0; i < RB_MAX_STREAMS; i++) rb_free(buffers[i]);
    return status;
}

revbifpn_status revbifpn_features(revbifpn_model *model, const revbifpn_image *image,
                                  revbifpn_map maps[REVBIFPN_MAX_STREAMS], int *count) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    rb_pass pass;
    *count = 0;
    for (int i = 0; i < REVBIFPN_MAX_STREAMS; i++) maps[i] = (revbifpn_map){0};
    TRY(need(model, false));
    TRY(rb_api_forward(model, image, false, &pass));
    TRY(take_maps(model, &pass, maps));
    *count = model->info.config.streams;
    return REVBIFPN_OK;
fail:
    for (int i = 0; i < REVBIFPN_MAX_STREAMS; i++) revbifpn_map_free(&maps[i]);
    return status;
}

/* ---- the gradient ---- */

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The value that 99 of 100 do not exceed; 1 when that is 0. Sorts them. */
static float scale_of(float *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    float scale = values[(count - 1) * 99 / 100];
    return scale > 0 ? scale : 1;
}

static uint8_t blend(double gray, double color, double heat) {
    return (uint8_t)(gray + (color - gray) * heat + 0.5);
}

/* A pixel of gray with heat 0 … 1: nothing, red, yellow, white. */
static void paint(const uint8_t *seen, double heat, uint8_t *out) {
    double gray = 0.4 * (0.299 * seen[0] + 0.587 * seen[1] + 0.114 * seen[2]);
    double share = fmin(1, 2 * heat);
    out[0] = blend(gray, 255, share);
    out[1] = blend(gray, 255 * fmin(1, fmax(0, 2 * heat - 0.6)), share);
    out[2] = blend(gray, 255 * fmax(0, 4 * heat - 3), share);
}

/* The largest magnitude of a pixel's gradient. */
static float heat_of(const float *gradient, int channels) {
    float heat = 0;
    for (int c = 0; c < channels; c++) heat = fmaxf(heat, fabsf(gradient[c]));
    return heat;
}

/* gradient: height,width,channels, of the picture in model->input or words. */
static revbifpn_status draw_gradient(const revbifpn_model *model, const float *gradient, rb_shape shape,
                                     revbifpn_image *out) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    rb_image image = {0};
    int width = shape.w, height = shape.h;
    size_t pixels = (size_t)width * (size_t)height;
    float *heat = rb_alloc(rb_size_mul(2 * pixels, sizeof *heat));
    if (!heat)
        return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the gradient's picture");
    TRY(rb_image_alloc(&image, width, height, &ctx->error));
    for (size_t i = 0; i < pixels; i++)
        heat[i] = heat[pixels + i] = heat_of(gradient + (size_t)shape.c * i, shape.c);
    const uint8_t *seen = model->input;
    rb_raster raster = {width, height, shape.c, model->words};
    if (model->words) { /* painted over in place */
        rb_raster_show(&raster, image.pixels);
        seen = image.pixels;
    }
    float scale = scale_of(heat + pixels, pixels);
    for (size_t i = 0; i < pixels; i++)
        paint(seen + 3 * i, fmin(1, (double)heat[i] / (double)scale), image.pixels + 3 * i);
    *out = (revbifpn_image){.width = width, .height = height, .pixels = image.pixels};
fail:
    rb_free(heat);
    return status;
}

revbifpn_status revbifpn_saliency(revbifpn_model *model, const revbifpn_image *image, int *index,
                                  revbifpn_map *gradient, revbifpn_image *picture) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    rb_pass pass;
    float *floats = NULL;
    if (gradient) *gradient = (revbifpn_map){0};
    if (picture) *picture = (revbifpn_image){0};
    TRY(need(model, true));
    TRY(rb_api_forward(model, image, true, &pass));
    rb_shape shape = model->network.image;
    rb_top_k(model->network.logits, model->info.config.classes, 1, index);
    floats = rb_alloc(rb_size_mul(rb_elements(shape), sizeof *floats));
    if (!floats) return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the gradient");
    TRY(rb_model_input_gradient(&model->network, &pass, *index, floats));
    if (gradient) TRY(to_map(ctx, floats, shape.h, shape.w, shape.c, gradient));
    if (picture) TRY(draw_gradient(model, floats, shape, picture));
    rb_free(floats);
    return REVBIFPN_OK;
fail:
    if (gradient) revbifpn_map_free(gradient);
    rb_free(floats);
    return status;
}

/* ---- text on pictures ---- */

enum { MIN_WIDTH = 240, MAX_HEIGHT = 16384, SCALE_WIDTH = 140 };

revbifpn_status rb_api_enlarge(revbifpn *ctx, revbifpn_image *image, int *times) {
    revbifpn_status status;
    rb_image large = {0}, view = {image->width, image->height, image->pixels};
    *times = (MIN_WIDTH + image->width - 1) / image->width;
    while (*times > 1 && (int64_t)image->height * *times > MAX_HEIGHT) --*times;
    if (*times == 1) return REVBIFPN_OK;
    TRY(rb_image_enlarge(&view, *times, &large, &ctx->error));
    revbifpn_image_free(image);
    *image = (revbifpn_image){.width = large.width, .height = large.height, .pixels = large.pixels};
fail:
    return status;
}

revbifpn_status revbifpn_image_annotate(revbifpn *ctx, revbifpn_image *image, const char *const *lines,
                                        int count) {
    RB_ENTER(ctx);
    revbifpn_status status;
    int times;
    if (!image->pixels || image->width < 1)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "no picture to write on");
    TRY(rb_api_enlarge(ctx, image, &times));
    rb_image view = {image->width, image->height, image->pixels};
    int scale = image->width < SCALE_WIDTH ? 1 : image->width / SCALE_WIDTH, line = RB_FONT_HEIGHT * scale;
    double middle = (count * line + 2 * scale) / 2.0;
    rb_draw_line(&view, (rb_point){0, middle}, (rb_point){view.width, middle}, 2 * middle,
                 (rb_color){0, 0, 0}, 0.65);
    for (int i = 0; i < count; i++)
        rb_draw_text(&view, 2 * scale, 2 * scale + i * line, scale, (rb_color){255, 255, 255}, lines[i]);
    return REVBIFPN_OK;
fail:
    return status;
}
