/* Use of a trained model: prediction and evaluation. */
#include <math.h>
#include <stdio.h>
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
    if (c->classes && c->input_channels == 3) return REVBIFPN_OK;
    return rb_fail(&model->ctx->error, REVBIFPN_UNSUPPORTED,
                   "needs a network with classes and 3 input channels");
}

revbifpn_status rb_api_forward(revbifpn_model *model, const rb_image *image, bool differentiate,
                               rb_pass *pass) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    rb_eval_transform transform = rb_api_transform(model, 0);
    rb_shape shape = {1, transform.height, transform.width, 3};
    rb_scratch scratch = {0};
    TRY((differentiate ? rb_api_prepare_backward : rb_api_prepare)(model, shape));
    TRY(rb_eval_transform_apply(&transform, image, model->input, &scratch, &ctx->error));
    rb_images images = {.shape = shape, .bytes = model->input};
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
static void fill(revbifpn_model *model, revbifpn_prediction *best, int count) {
    const float *logits = model->network.logits;
    int classes = model->info.config.classes, index[BEST_MAX];
    rb_top_k(logits, classes, count, index);
    double largest = (double)logits[index[0]], sum = 0;
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - largest);
    for (int i = 0; i < count; i++) {
        best[i].index = index[i];
        best[i].name = revbifpn_model_class(model, index[i]);
        if (!best[i].name) best[i].name = "";
        best[i].probability = exp((double)logits[index[i]] - largest) / sum;
    }
}

static revbifpn_status predict(revbifpn_model *model, const rb_image *image, revbifpn_prediction *best,
                               int capacity, int *found) {
    revbifpn_status status;
    rb_pass pass;
    *found = 0;
    TRY(need_classifier(model));
    if (capacity < 1)
        return rb_fail(&model->ctx->error, REVBIFPN_BAD_ARGUMENT, "topk %d: at least 1", capacity);
    TRY(rb_api_forward(model, image, false, &pass));
    int count = capacity < model->info.config.classes ? capacity : model->info.config.classes;
    *found = count < BEST_MAX ? count : BEST_MAX;
    fill(model, best, *found);
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status revbifpn_predict(revbifpn_model *model, const revbifpn_image *image,
                                 revbifpn_prediction *best, int capacity, int *found) {
    rb_image view = {image->width, image->height, image->pixels};
    return predict(model, &view, best, capacity, found);
}

revbifpn_status revbifpn_predict_file(revbifpn_model *model, const char *path, revbifpn_prediction *best,
                                      int capacity, int *found) {
    rb_image image = {0};
    rb_decode_options options = {.max_pixels = MAX_PIXELS};
    revbifpn_status status = rb_image_read(path, &options, &image, NULL, &model->ctx->error);
    if (status != REVBIFPN_OK) return status;
    status = predict(model, &image, best, capacity, found);
    rb_image_free(&image);
    return status;
}

/* ---- evaluation ---- */

revbifpn_val_options revbifpn_default_val(void) {
    return (revbifpn_val_options){
        .struct_size = sizeof(revbifpn_val_options), .workers = 2, .max_bad = 50, .max_pixels = MAX_PIXELS};
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

revbifpn_status revbifpn_evaluate(revbifpn_model *model, const revbifpn_val_options *o,
                                  revbifpn_metrics *out) {
    revbifpn_status status;
    revbifpn *ctx = model->ctx;
    rb_dataset data = {0};
    rb_exec exec = {0};
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
    TRY(rb_eval_transform_check(&loader.eval, &ctx->error));
    if (loader.batch > data.val.count) loader.batch = data.val.count;
    rb_shape image = {loader.batch, loader.eval.height, loader.eval.width, 3};
    rb_step_bytes bytes =
        rb_evaluation_bytes(&model->network, &ctx->ops, ctx->pool, image, data.val.count % loader.batch);
    TRY(rb_exec_open(&exec, &ctx->ops, ctx->pool, &bytes, &ctx->error));
    rb_evaluation e = {.model = &model->network,
                       .exec = &exec,
                       .k = model->info.grid,
                       .mean = model->info.preprocess.mean,
                       .std = model->info.preprocess.std,
                       .data = &loader,
                       .progress = o->progress,
                       .note = o->note,
                       .user = o->user};
    status = rb_evaluate(&e, out, &ctx->error);
fail:
    rb_exec_close(&exec);
    rb_dataset_close(&data);
    return status;
}
