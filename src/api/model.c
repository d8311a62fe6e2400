/* Trained models: load, save, recover a picture from its pyramid. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/context.h"
#include "image/image.h"
#include "model/config.h"

static revbifpn_status prepare(revbifpn_model *model, rb_shape image, bool backward) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    if (!memcmp(&model->ready, &image, sizeof image) && model->backward >= backward) return REVBIFPN_OK;
    rb_exec_close(&model->exec);
    rb_free(model->input);
    rb_free(model->words);
    model->input = NULL;
    model->words = NULL;
    model->ready = (rb_shape){0};
    TRY(rb_model_check_input(&model->info.config, image, false, &ctx->error));
    rb_step_bytes bytes = backward
                              ? rb_model_measure_gradient(&model->network, &ctx->ops, ctx->pool, image)
                              : rb_model_measure(&model->network, &ctx->ops, ctx->pool, image, false, false);
    TRY(rb_exec_open(&model->exec, &ctx->ops, ctx->pool, &bytes, &ctx->error));
    if (rb_api_raster(model))
        model->words = rb_alloc(rb_elements(image) * sizeof *model->words);
    else
        model->input = rb_alloc(rb_elements(image));
    if (!model->input && !model->words)
        return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the batch");
    model->ready = image;
    model->backward = backward;
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_api_prepare(revbifpn_model *model, rb_shape image) { return prepare(model, image, false); }

revbifpn_status rb_api_prepare_backward(revbifpn_model *model, rb_shape image) {
    rb_params *p = &model->network.params;
    if (!p->gradient) p->gradient = rb_alloc(p->trained * sizeof(float));
    if (!p->gradient)
        return rb_fail(&model->ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the gradients");
    return prepare(model, image, true);
}

static revbifpn_status open_model(revbifpn *ctx, const revbifpn_model_config *config, revbifpn_model **out) {
    revbifpn_status status;
    revbifpn_model *model = *out = rb_alloc(sizeof *model);
    if (!model) return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for a model");
    model->ctx = ctx;
    TRY(rb_model_create(&model->network, config, &ctx->error));
    TRY(rb_params_allocate(&model->network.params, false, &ctx->error));
    return REVBIFPN_OK;
fail:
    revbifpn_model_free(out);
    return status;
}

revbifpn_status revbifpn_model_create(revbifpn *ctx, const revbifpn_model_config *config, uint64_t seed,
                                      revbifpn_model **out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    *out = NULL;
    TRY(rb_api_check_config(config, &ctx->error));
    TRY(open_model(ctx, config, out));
    (*out)->info =
        (rb_weights_info){.config = *config, .preprocess = rb_preprocess_default(), .grid = RB_GRID_START};
    rb_params_init(&(*out)->network.params, seed, ctx->pool);
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status revbifpn_model_load(revbifpn *ctx, const char *path, revbifpn_model **out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    rb_weights_info info = {0};
    *out = NULL;
    TRY(rb_tensor_file_open(&file, path, &ctx->error));
    TRY(rb_weights_read_info(file, &info, &ctx->error));
    if (info.detector.classes) {
        status = rb_fail(&ctx->error, REVBIFPN_UNSUPPORTED,
                         "%s: weights of a detector; this needs a classifier's", path);
        goto fail;
    }
    TRY(open_model(ctx, &info.config, out));
    TRY(rb_weights_read(file, &(*out)->network.params, NULL, &ctx->error));
    (*out)->info = info;
    rb_tensor_file_close(&file);
    return REVBIFPN_OK;
fail:
    rb_weights_info_close(&info);
    revbifpn_model_free(out);
    rb_tensor_file_close(&file);
    return status;
}

revbifpn_status revbifpn_model_save(revbifpn_model *model, const char *path) {
    RB_ENTER(model->ctx);
    return rb_weights_save(path, &model->network.params, &model->info, NULL, &model->ctx->error);
}

revbifpn_status revbifpn_model_prepare(revbifpn_model *model, int width, int height, double crop_pct,
                                       const char *interpolation) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    rb_error *err = &model->ctx->error;
    revbifpn_model_config config = model->info.config;
    rb_preprocess *p = &model->info.preprocess;
    if (width) config.image_width = width;
    if (height) config.image_height = height;
    TRY(rb_config_check(&config, err));
    if (crop_pct != 0 && !(crop_pct > 0 && crop_pct <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "crop-pct %g: above 0, at most 1", crop_pct);
    if (interpolation && strcmp(interpolation, "bicubic") != 0 && strcmp(interpolation, "bilinear") != 0)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "interpolation '%.40s': bilinear or bicubic",
                       interpolation);
    model->info.config = config;
    if (crop_pct != 0) p->crop_pct = crop_pct;
    if (interpolation) strcpy(p->interpolation, interpolation);
fail:
    return status;
}

void revbifpn_model_free(revbifpn_model **handle) {
    revbifpn_model *model = *handle;
    if (!model) return;
    rb_exec_close(&model->exec);
    rb_model_close(&model->network);
    rb_weights_info_close(&model->info);
    rb_free(model->input);
    rb_free(model->words);
    rb_free(model->numbers);
    rb_free(model);
    *handle = NULL;
}

const revbifpn_model_config *revbifpn_model_configuration(const revbifpn_model *model) {
    return &model->info.config;
}

revbifpn_status rb_api_number_classes(int classes, rb_class_number **numbers, rb_error *err) {
    if (*numbers) return REVBIFPN_OK;
    *numbers = rb_alloc(rb_size_mul((size_t)classes, sizeof **numbers));
    if (!*numbers) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the classes' numbers");
    for (int i = 0; i < classes; i++) snprintf((*numbers)[i], sizeof **numbers, "%d", i);
    return REVBIFPN_OK;
}

const char *revbifpn_model_class(const revbifpn_model *model, int index) {
    return index >= 0 && index < model->info.class_count ? model->info.classes[index] : NULL;
}

/* ---- recovery ---- */

/* Scales the picture to the network's size, both sides alike to the target. */
static revbifpn_status scale_to_network(revbifpn_model *model, const revbifpn_image *image, rb_image *out) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    const revbifpn_model_config *c = &model->info.config;
    rb_image src = {image->width, image->height, image->pixels};
    TRY(rb_image_alloc(out, c->image_width, c->image_height, &ctx->error));
    rb_resize resize =
        rb_resize_whole(0, 0, src.width, src.height, out->width, out->height, RB_FILTER_BICUBIC);
    void *scratch = rb_alloc(rb_resize_scratch(&resize));
    if (!scratch) {
        rb_image_free(out);
        return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory to scale the picture");
    }
    rb_resize_run(&resize, &src, out->pixels, scratch);
    rb_free(scratch);
    return REVBIFPN_OK;
fail:
    return status;
}

static uint8_t to_byte(float value, float mean, float std) {
    float byte = rintf(value * (255.0f * std) + 255.0f * mean);
    return byte <= 0 ? 0 : byte >= 255 ? 255 : (uint8_t)byte;
}

/* Forward to the pyramid, then back: floats of the picture. */
static revbifpn_status there_and_back(revbifpn_model *model, const rb_image *seen, float *floats) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    rb_shape shape = {1, seen->height, seen->width, 3};
    TRY(rb_api_prepare(model, shape));
    rb_pass pass = {.exec = &model->exec, .err = &ctx->error, .k = model->info.grid};
    rb_images images = {.shape = shape, .bytes = seen->pixels};
    images.mean = model->info.preprocess.mean;
    images.std = model->info.preprocess.std;
    TRY(rb_model_forward_on_a_grid(&model->network, &pass, &images));
    status = rb_model_inverse(&model->network, &pass, floats);
fail:
    return status;
}

revbifpn_status revbifpn_recover(revbifpn_model *model, const revbifpn_image *image, revbifpn_image *seen,
                                 revbifpn_image *recovered) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    rb_image before = {0}, after = {0};
    float *floats = NULL;
    if (model->info.config.input_channels != 3)
        return rb_fail(&ctx->error, REVBIFPN_UNSUPPORTED,
                       "recovery of pictures needs a network of 3 channels");
    TRY(scale_to_network(model, image, &before));
    TRY(rb_image_alloc(&after, before.width, before.height, &ctx->error));
    size_t count = (size_t)before.width * (size_t)before.height * 3;
    floats = rb_alloc(count * sizeof *floats);
    if (!floats) {
        status = rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the recovered picture");
        goto fail;
    }
    TRY(there_and_back(model, &before, floats));
    const rb_preprocess *p = &model->info.preprocess;
    for (size_t i = 0; i < count; i++) after.pixels[i] = to_byte(floats[i], p->mean[i % 3], p->std[i % 3]);
    *seen = (revbifpn_image){.width = before.width, .height = before.height, .pixels = before.pixels};
    *recovered = (revbifpn_image){.width = after.width, .height = after.height, .pixels = after.pixels};
    rb_free(floats);
    return REVBIFPN_OK;
fail:
    rb_free(floats);
    rb_image_free(&before);
    rb_image_free(&after);
    return status;
}
