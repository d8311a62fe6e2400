/* Use of a trained model: prediction and evaluation. */
#include <math.h>
#include <string.h>

#include "api/context.h"
#include "eval/evaluate.h"
#include "eval/topk.h"

enum { MAX_PIXELS = RB_API_MAX_PIXELS, BEST_MAX = 1000, BATCH = 32 };

rb_eval_transform rb_api_transform(const revbifpn_model *model, double crop_pct) {
    const rb_preprocess *p = &model->info.preprocess;
    return (rb_eval_transform){.width = model->info.config.image_width,
                               .height = model->info.config.image_height,
                               .crop_pct = crop_pct > 0 ? crop_pct : p->crop_pct,
                               .filter = strcmp(p->interpolation, "bilinear") ? RB_FILTER_BICUBIC
                                                                              : RB_FILTER_BILINEAR};
}

static revbifpn_status need_classifier(const revbifpn_model *model) {
    const revbifpn_model_config *c = &model->info.config;
    if (c->classes) return REVBIFPN_OK;
    return rb_fail(&model->ctx->error, REVBIFPN_UNSUPPORTED, "needs a network with classes");
}

int rb_api_raster(const revbifpn_model *model) {
    return rb_raster_channels(model->info.config.input_channels, model->info.preprocess.bits);
}

/* The picture as the network is to see it, in model->input or words. */
static revbifpn_status transform_picture(revbifpn_model *model, const revbifpn_image *image,
                                         rb_scratch *scratch) {
    rb_error *err = &model->ctx->error;
    rb_eval_transform transform = rb_api_transform(model, 0);
    rb_image view = {image->width, image->height, image->pixels};
    rb_raster raster = {image->width, image->height, image->channels, image->samples}, own = {0};
    int channels = rb_api_raster(model);
    if (!channels) return rb_eval_transform_apply(&transform, &view, model->input, scratch, err);
    if (raster.samples && raster.channels != channels)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "a picture of %d channels for a network of %d",
                       raster.channels, channels);
    revbifpn_status status = REVBIFPN_OK;
    if (!raster.samples) {
        status = rb_raster_from_image("the picture", &view, channels, &own, err);
        raster = own;
    }
    if (status == REVBIFPN_OK)
        status = rb_eval_transform_apply_raster(&transform, &raster, model->words, scratch, err);
    rb_raster_free(&own);
    return status;
}

revbifpn_status rb_api_forward(revbifpn_model *model, const revbifpn_image *image, bool differentiate,
                               rb_pass *pass) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    const revbifpn_model_config *c = &model->info.config;
    rb_shape shape = {1, c->image_height, c->image_width, c->input_channels};
    rb_scratch scratch = {0};
    TRY((differentiate ? rb_api_prepare_backward : rb_api_prepare)(model, shape));
    TRY(transform_picture(model, image, &scratch));
    rb_images images = {.shape = shape, .bytes = model->input, .words = model->words};
    images.mean = model->info.preprocess.mean;
    images.std = model->info.preprocess.std;
    *pass = (rb_pass){.exec = &model->exec, .err = &ctx->error, .k = model->info.grid};
    pass->differentiate = differentiate;
    status = rb_model_forward_on_a_grid(&model->network, pass, &images);
fail:
    rb_scratch_free(&scratch);
    return status;
}

/* Softmax over all classes, then the best of them. */
static void fill(const revbifpn_model *model, revbifpn_prediction *best, int count) {
    const float *logits = model->network.logits;
    int classes = model->info.config.classes, index[BEST_MAX];
    rb_top_k(logits, classes, count, index);
    double largest = (double)logits[index[0]], sum = 0;
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - largest);
    for (int i = 0; i < count; i++) {
        best[i].index = index[i];
        best[i].name = revbifpn_model_class(model, index[i]);
        if (!best[i].name) best[i].name = model->numbers[index[i]];
        best[i].probability = exp((double)logits[index[i]] - largest) / sum;
    }
}

revbifpn_status revbifpn_predict(revbifpn_model *model, const revbifpn_image *image,
                                 revbifpn_prediction *best, int capacity, int *found) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    rb_pass pass;
    *found = 0;
    TRY(need_classifier(model));
    if (capacity < 1)
        return rb_fail(&model->ctx->error, REVBIFPN_BAD_ARGUMENT, "topk %d: at least 1", capacity);
    if (model->info.class_count < model->info.config.classes)
        TRY(rb_api_number_classes(model->info.config.classes, &model->numbers, &model->ctx->error));
    TRY(rb_api_forward(model, image, false, &pass));
    int count = capacity < model->info.config.classes ? capacity : model->info.config.classes;
    *found = count < BEST_MAX ? count : BEST_MAX;
    fill(model, best, *found);
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status revbifpn_predict_file(revbifpn_model *model, const char *path, revbifpn_prediction *best,
                                      int capacity, int *found) {
    RB_ENTER(model->ctx);
    revbifpn_image image = {0};
    revbifpn_status status = revbifpn_model_image(model, path, &image);
    if (status != REVBIFPN_OK) return status;
    status = revbifpn_predict(model, &image, best, capacity, found);
    revbifpn_image_free(&image);
    return status;
}

/* ---- evaluation ---- */

static revbifpn_val_options default_val(void) {
    return (revbifpn_val_options){
        .struct_size = sizeof(revbifpn_val_options), .workers = 2, .max_bad = 50, .max_pixels = MAX_PIXELS};
}

void revbifpn_init_val(revbifpn_val_options *out, size_t struct_size) {
    revbifpn_val_options options = default_val();
    rb_api_init(out, struct_size, &options, sizeof options);
}

static revbifpn_status open_split(const revbifpn_model *model, const revbifpn_val_options *o,
                                  rb_dataset *data) {
    revbifpn *ctx = model->ctx;
    rb_dataset_options options = {.purpose = RB_DATASET_EVALUATE,
                                  .val_root = o->val_data,
                                  .val_fraction = o->val_fraction,
                                  .seed = o->seed,
                                  .class_names = (const char *const *)model->info.classes,
                                  .classes = model->info.class_count};
    if (!o->data || !*o->data) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "data: no folder named");
    if (!(o->val_fraction >= 0 && o->val_fraction < 1))
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "val-fraction %g: from 0, below 1",
                       o->val_fraction);
    revbifpn_status status = rb_dataset_open(data, o->data, &options, &ctx->error);
    if (status != REVBIFPN_OK) return status;
    if (data->classes <= model->info.config.classes) return REVBIFPN_OK;
    return rb_fail(&ctx->error, REVBIFPN_BAD_DATA, "%s has %d classes, the network %d", o->data,
                   data->classes, model->info.config.classes);
}

/* The two things that the program is told meanwhile; `options` are its own. */
static void tell_progress(void *options, int done, int all) {
    const revbifpn_val_options *o = options;
    if (o->progress) o->progress(o->user, done, all);
}

static void tell_note(void *options, const char *line) {
    const revbifpn_val_options *o = options;
    rb_log(REVBIFPN_LOG_WARNING, line);
    if (o->note) o->note(o->user, line);
}

revbifpn_status revbifpn_evaluate(revbifpn_model *model, const revbifpn_val_options *given,
                                  revbifpn_metrics *out) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    revbifpn_val_options own = default_val(), *o = &own;
    revbifpn *ctx = model->ctx;
    rb_dataset data = {0};
    rb_exec exec = {0};
    TRY(rb_api_take(o, sizeof *o, given, "val_options", &ctx->error));
    TRY(need_classifier(model));
    TRY(open_split(model, o, &data));
    rb_loader_options loader = {.split = &data.val,
                                .batch = o->batch > 0 ? o->batch : BATCH,
                                .eval = rb_api_transform(model, o->crop_pct),
                                .end_epoch = 1,
                                .threads = o->workers,
                                .ring = 3,
                                .max_bad = o->max_bad,
                                .decode = {.max_pixels = o->max_pixels, .apply_exif = o->apply_exif}};
    loader.decode.channels = rb_api_raster(model);
    TRY(rb_eval_transform_check(&loader.eval, &ctx->error));
    if (loader.batch > data.val.count) loader.batch = data.val.count;
    rb_shape image = {loader.batch, loader.eval.height, loader.eval.width, model->info.config.input_channels};
    rb_step_bytes bytes =
        rb_evaluation_bytes(&model->network, &ctx->ops, ctx->pool, image, data.val.count % loader.batch);
    TRY(rb_exec_open(&exec, &ctx->ops, ctx->pool, &bytes, &ctx->error));
    rb_evaluation e = {.model = &model->network,
                       .exec = &exec,
                       .k = model->info.grid,
                       .mean = model->info.preprocess.mean,
                       .std = model->info.preprocess.std,
                       .data = &loader,
                       .progress = tell_progress,
                       .note = tell_note,
                       .user = o};
    status = rb_evaluate(&e, out, &ctx->error);
fail:
    rb_exec_close(&exec);
    rb_dataset_close(&data);
    return status;
}
