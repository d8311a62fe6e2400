/* Pictures and the synthetic set. */
#include "api/context.h"
#include "data/dataset.h"
#include "data/synth.h"
#include "image/raster.h"

enum { MAX_PIXELS = 178000000 };

revbifpn_status revbifpn_image_read(revbifpn *ctx, const char *path, revbifpn_image *out) {
    RB_ENTER(ctx);
    rb_image image;
    rb_decode_options options = {.max_pixels = MAX_PIXELS};
    revbifpn_status status = rb_image_read(path, &options, &image, NULL, &ctx->error);
    if (status == REVBIFPN_OK)
        *out = (revbifpn_image){.width = image.width, .height = image.height, .pixels = image.pixels};
    return status;
}

revbifpn_status revbifpn_model_image(revbifpn_model *model, const char *path, revbifpn_image *out) {
    RB_ENTER(model->ctx);
    revbifpn_status status;
    rb_error *err = &model->ctx->error;
    rb_image shown = {0};
    rb_raster raster = {0};
    rb_decode_options options = {.max_pixels = MAX_PIXELS, .channels = rb_api_raster(model)};
    if (!options.channels) return revbifpn_image_read(model->ctx, path, out);
    TRY(rb_raster_read(path, &options, &raster, NULL, err));
    TRY(rb_image_alloc(&shown, raster.width, raster.height, err));
    rb_raster_show(&raster, shown.pixels);
    *out = (revbifpn_image){.width = raster.width,
                            .height = raster.height,
                            .pixels = shown.pixels,
                            .channels = raster.channels,
                            .samples = raster.samples};
    return REVBIFPN_OK;
fail:
    rb_raster_free(&raster);
    return status;
}

revbifpn_status revbifpn_image_write_png(revbifpn *ctx, const char *path, const revbifpn_image *image) {
    RB_ENTER(ctx);
    rb_image view = {image->width, image->height, image->pixels};
    return rb_image_write_png(path, &view, &ctx->error);
}

void revbifpn_image_free(revbifpn_image *image) {
    rb_free(image->pixels);
    rb_free(image->samples);
    *image = (revbifpn_image){0};
}

revbifpn_status revbifpn_find_pictures(revbifpn *ctx, const char *folder,
                                       int (*visit)(void *user, const char *path), void *user) {
    RB_ENTER(ctx);
    rb_split found;
    revbifpn_status status = rb_split_find(&found, folder, &ctx->error);
    if (status != REVBIFPN_OK) return status;
    for (int i = 0; i < found.count && !visit(user, found.samples[i].path); i++) continue;
    rb_split_close(&found);
    return REVBIFPN_OK;
}

static revbifpn_synth_options default_synth(void) {
    return (revbifpn_synth_options){.struct_size = sizeof(revbifpn_synth_options),
                                    .train_images = 600,
                                    .val_images = 150,
                                    .classes = 6,
                                    .side = 64};
}

void revbifpn_init_synth(revbifpn_synth_options *out, size_t struct_size) {
    revbifpn_synth_options options = default_synth();
    rb_api_init(out, struct_size, &options, sizeof options);
}

typedef struct synth_progress {
    void (*call)(void *user, int done, int all);
    void *user;
} synth_progress;

static int report_synth(void *arg, int done, int all) {
    const synth_progress *p = arg;
    if (p->call) p->call(p->user, done, all);
    return 0;
}

revbifpn_status revbifpn_synth(revbifpn *ctx, const revbifpn_synth_options *given,
                               void (*progress)(void *user, int done, int all), void *user) {
    RB_ENTER(ctx);
    revbifpn_synth_options own = default_synth(), *o = &own;
    revbifpn_status status = rb_api_take(o, sizeof *o, given, "synth_options", &ctx->error);
    if (status != REVBIFPN_OK) return status;
    if (!o->folder) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "synth: no folder named");
    rb_synth_options options = {.images_train = o->train_images,
                                .images_val = o->val_images,
                                .classes = o->classes,
                                .side = o->side,
                                .seed = o->seed};
    synth_progress report = {progress, user};
    options.objects = o->objects;
    return (o->objects ? rb_synth_objects : rb_synth_classify)(o->folder, &options, report_synth, &report,
                                                               &ctx->error);
}
