/* Detectors: their numbers, and inspection. */
#include <assert.h>

#include "api/context.h"
#include "detect/cost.h"
#include "image/raster.h"
#include "model/config.h"

static revbifpn_detector_config default_detector(void) {
    revbifpn_model_config backbone;
    rb_error err;
    revbifpn_status status = rb_config_named("s0", &backbone, &err);
    assert(status == REVBIFPN_OK);
    (void)status;
    return rb_config_detector(&backbone, 80, false);
}

void revbifpn_init_detector_config(revbifpn_detector_config *out, size_t struct_size) {
    revbifpn_detector_config config = default_detector();
    rb_api_init(out, struct_size, &config, sizeof config);
}

static revbifpn_status check_number(const char *what, int value, int least, int most, rb_error *err) {
    if (value >= least && value <= most) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "revbifpn_detector_config: %s is %d, must be %d … %d", what,
                   value, least, most);
}

static revbifpn_status check(const revbifpn_detector_config *c, rb_error *err) {
    revbifpn_status status;
    TRY(rb_api_check_config(&c->backbone, err));
    TRY(check_number("backbone.streams", c->backbone.streams, 4, 4, err));
    TRY(check_number("classes", c->classes, 1, 65535, err));
    TRY(check_number("channels", c->channels, 1, 4096, err));
    TRY(check_number("features", c->features, 1, 65536, err));
    TRY(check_number("train_per_level", c->train_per_level, 1, 1000000, err));
    TRY(check_number("train_proposals", c->train_proposals, 1, 1000000, err));
    TRY(check_number("test_per_level", c->test_per_level, 1, 1000000, err));
    TRY(check_number("test_proposals", c->test_proposals, 1, 1000000, err));
    TRY(check_number("anchors_drawn", c->anchors_drawn, 0, 1000000, err));
    TRY(check_number("boxes_drawn", c->boxes_drawn, 0, 1000000, err));
    TRY(check_number("most_objects", c->most_objects, 0, 10000000, err));
fail:
    return status;
}

revbifpn_status rb_api_take_detector(revbifpn_detector_config *own, const revbifpn_detector_config *given,
                                     rb_error *err) {
    revbifpn_status status;
    *own = default_detector();
    TRY(rb_api_take(own, sizeof *own, given, "detector_config", err));
    own->backbone.classes = 0;
    own->backbone.neck = true;
    status = check(own, err);
fail:
    return status;
}

revbifpn_status revbifpn_inspect_detector(revbifpn *ctx, const revbifpn_detector_config *given, int width,
                                          int height, void (*visit)(void *user, const revbifpn_layer *layer),
                                          void *user, revbifpn_detector_cost *total) {
    RB_ENTER(ctx);
    revbifpn_status status;
    revbifpn_detector_config config;
    rb_detector detector = {0};
    *total = (revbifpn_detector_cost){0};
    TRY(rb_api_take_detector(&config, given, &ctx->error));
    rb_shape image = {1, height, width, config.backbone.input_channels};
    TRY(rb_model_check_input(&config.backbone, image, false, &ctx->error));
    TRY(rb_detector_create(&detector, &config, &ctx->error));
    status = rb_detector_cost(&detector, width, height, visit, user, total, &ctx->error);
fail:
    rb_detector_close(&detector);
    return status;
}

static rb_step_bytes measure(revbifpn *ctx, rb_detector *d, rb_shape image, const rb_api_step *kind) {
    return rb_detector_measure(d, &ctx->ops, ctx->pool, image, kind->training, kind->stored);
}

static void plan(revbifpn *ctx, rb_detector *d, rb_shape image, const rb_api_step *kind,
                 revbifpn_memory *out) {
    rb_step_bytes step = measure(ctx, d, image, kind);
    *out = rb_api_memory_of(&d->model, &step, image, kind);
    image.n++;
    step = measure(ctx, d, image, kind);
    out->activation_bytes_per_sample =
        rb_api_memory_of(&d->model, &step, image, kind).activation_bytes - out->activation_bytes;
}

revbifpn_status revbifpn_plan_detector(revbifpn *ctx, const revbifpn_detector_config *given, int width,
                                       int height, int batch, int training, revbifpn_activations activations,
                                       revbifpn_memory *out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    revbifpn_detector_config config;
    rb_detector detector = {0};
    *out = (revbifpn_memory){0};
    if (batch < 1) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "batch %d: at least 1", batch);
    TRY(rb_api_take_detector(&config, given, &ctx->error));
    rb_shape image = {batch, height, width, config.backbone.input_channels};
    bool fixed = batch < RB_NORM_BATCH;
    TRY(rb_model_check_input(&config.backbone, image, training && !fixed, &ctx->error));
    TRY(rb_detector_create(&detector, &config, &ctx->error));
    if (fixed) rb_model_fix_norms(&detector.model);
    rb_api_step kind = {.training = training, .stored = activations == REVBIFPN_STORED};
    kind.optimizer = REVBIFPN_MOMENTUM;
    kind.words = rb_raster_channels(config.backbone.input_channels, 0) > 0;
    plan(ctx, &detector, image, &kind, out);
fail:
    rb_detector_close(&detector);
    return status;
}
