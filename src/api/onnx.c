/* ONNX: export, and what the exported file computes. */
#include <string.h>

#include "api/context.h"
#include "image/image.h"
#include "onnx/export.h"

static revbifpn_onnx_options default_onnx(void) {
    return (revbifpn_onnx_options){.struct_size = sizeof(revbifpn_onnx_options)};
}

void revbifpn_init_onnx(revbifpn_onnx_options *out, size_t struct_size) {
    revbifpn_onnx_options options = default_onnx();
    rb_api_init(out, struct_size, &options, sizeof options);
}

revbifpn_status revbifpn_export_onnx(revbifpn_model *model, const char *path,
                                     const revbifpn_onnx_options *options) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    revbifpn_onnx_options own = default_onnx();
    if (options) TRY(rb_api_take(&own, sizeof own, options, "onnx_options", &model->ctx->error));
    if (own.heads)
        return rb_fail(&model->ctx->error, REVBIFPN_BAD_ARGUMENT, "onnx_options: heads are a detector's");
    return rb_onnx_export(&model->network, &model->info, &own, path, &model->ctx->error);
fail:
    return status;
}

void rb_api_turn(const float *src, rb_shape s, bool to_pixels, float *dst) {
    size_t pixels = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
    for (size_t n = 0; n < (size_t)s.n; n++, src += pixels * c, dst += pixels * c)
        for (size_t i = 0; i < pixels; i++)
            for (size_t k = 0; k < c; k++) {
                if (to_pixels)
                    dst[i * c + k] = src[k * pixels + i];
                else
                    dst[k * pixels + i] = src[i * c + k];
            }
}

static revbifpn_status no_memory(revbifpn *ctx) {
    return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for inputs and maps");
}

/* After a forward pass: the maps, each turned on its way out. */
static revbifpn_status give_maps(revbifpn_model *model, rb_pass *pass, float *const *out) {
    rb_model *m = &model->network;
    float *maps[RB_MAX_STREAMS] = {0};
    bool whole = true;
    for (int i = 0; i < m->streams.count; i++) {
        rb_shape shape = m->streams.shape[i];
        shape.c = m->map_widths[i];
        maps[i] = rb_alloc(rb_elements(shape) * sizeof(float));
        whole &= maps[i] != NULL;
    }
    rb_arena_release(&pass->exec->scratch, 0); /* the head is done */
    if (whole) rb_model_maps(m, pass, maps);
    for (int i = 0; i < m->streams.count; i++) {
        rb_shape shape = m->streams.shape[i];
        shape.c = m->map_widths[i];
        if (whole) rb_api_turn(maps[i], shape, false, out[i]);
        rb_free(maps[i]);
    }
    return whole ? REVBIFPN_OK : no_memory(model->ctx);
}

revbifpn_status revbifpn_run(revbifpn_model *model, const float *inputs, int count, int width, int height,
                             int features, float *const *out) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    const revbifpn_model_config *c = &model->info.config;
    rb_shape shape = {count, height, width, c->input_channels};
    float *pixels = NULL;
    if (count < 1) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "count %d: at least 1", count);
    TRY(rb_api_prepare(model, shape));
    pixels = rb_alloc(rb_elements(shape) * sizeof *pixels);
    if (!pixels) return no_memory(ctx);
    rb_api_turn(inputs, shape, true, pixels);
    rb_images images = {.shape = shape, .floats = pixels};
    rb_pass pass = {.exec = &model->exec, .err = &ctx->error, .k = model->info.grid};
    TRY(rb_model_forward_on_a_grid(&model->network, &pass, &images));
    if (features || !c->classes)
        TRY(give_maps(model, &pass, out));
    else
        memcpy(out[0], model->network.logits, (size_t)count * (size_t)c->classes * sizeof(float));
fail:
    rb_free(pixels);
    return status;
}

/* h,w,c words → c,h,w, normalised. */
static revbifpn_status read_raster(revbifpn_model *model, const char *path, int channels, float *input) {
    revbifpn_status status;
    rb_error *err = &model->ctx->error;
    rb_raster raster = {0};
    rb_scratch scratch = {0};
    uint16_t *words = NULL;
    rb_decode_options decode = {.max_pixels = RB_API_MAX_PIXELS, .channels = channels};
    rb_eval_transform transform = rb_api_transform(model, 0);
    const rb_preprocess *p = &model->info.preprocess;
    size_t pixels = (size_t)transform.width * (size_t)transform.height, step = (size_t)channels;
    TRY(rb_raster_read(path, &decode, &raster, NULL, err));
    words = rb_alloc(step * pixels * sizeof *words);
    if (!words) {
        status = no_memory(model->ctx);
        goto fail;
    }
    TRY(rb_eval_transform_apply_raster(&transform, &raster, words, &scratch, err));
    for (size_t i = 0; i < step * pixels; i++) {
        size_t k = i % step;
        input[k * pixels + i / step] = ((float)words[i] - 65535 * p->mean[k]) / (65535 * p->std[k]);
    }
fail:
    rb_scratch_free(&scratch);
    rb_raster_free(&raster);
    rb_free(words);
    return status;
}

revbifpn_status revbifpn_input_read(revbifpn_model *model, const char *path, float *input) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    rb_error *err = &model->ctx->error;
    rb_image image = {0};
    rb_scratch scratch = {0};
    uint8_t *bytes = NULL;
    rb_decode_options decode = {.max_pixels = RB_API_MAX_PIXELS};
    rb_eval_transform transform = rb_api_transform(model, 0);
    const rb_preprocess *p = &model->info.preprocess;
    size_t pixels = (size_t)transform.width * (size_t)transform.height;
    int channels = rb_api_raster(model);
    if (channels) return read_raster(model, path, channels, input);
    TRY(rb_image_read(path, &decode, &image, NULL, err));
    bytes = rb_alloc(3 * pixels);
    if (!bytes) {
        status = no_memory(model->ctx);
        goto fail;
    }
    TRY(rb_eval_transform_apply(&transform, &image, bytes, &scratch, err));
    for (size_t i = 0; i < 3 * pixels; i++) {
        size_t k = i % 3;
        input[k * pixels + i / 3] = ((float)bytes[i] - 255 * p->mean[k]) / (255 * p->std[k]);
    }
fail:
    rb_scratch_free(&scratch);
    rb_image_free(&image);
    rb_free(bytes);
    return status;
}
