#include "data/load_picture.h"

#include "data/sample.h"

static rb_train_draw draw_for(const rb_loader_options *o, int width, int height, uint64_t epoch,
                              uint64_t want) {
    rb_rng rng = rb_rng_open(o->seed, RB_PURPOSE_AUGMENT, epoch, want);
    return rb_train_transform_draw(&o->train, width, height, &rng);
}

static revbifpn_status load_image(const rb_loader_options *o, const rb_sample *sample, uint64_t epoch,
                                  uint64_t want, uint8_t *dst, rb_scratch *scratch, rb_decode_info *info,
                                  rb_error *err) {
    rb_image image;
    revbifpn_status status = rb_sample_read(sample, &o->decode, &image, info, err);
    if (status) return status;
    if (o->training) {
        rb_train_draw draw = draw_for(o, image.width, image.height, epoch, want);
        status = rb_train_transform_apply(&o->train, &draw, &image, dst, scratch, err);
    } else {
        status = rb_eval_transform_apply(&o->eval, &image, dst, scratch, err);
    }
    rb_image_free(&image);
    return status ? rb_fail_prefix(err, "%s: ", sample->path) : status;
}

static revbifpn_status load_raster(const rb_loader_options *o, const rb_sample *sample, uint64_t epoch,
                                   uint64_t want, uint16_t *dst, rb_scratch *scratch, rb_decode_info *info,
                                   rb_error *err) {
    rb_raster raster;
    revbifpn_status status = rb_sample_read_raster(sample, &o->decode, &raster, info, err);
    if (status) return status;
    if (o->training) {
        rb_train_draw draw = draw_for(o, raster.width, raster.height, epoch, want);
        status = rb_train_transform_apply_raster(&o->train, &draw, &raster, dst, scratch, err);
    } else {
        status = rb_eval_transform_apply_raster(&o->eval, &raster, dst, scratch, err);
    }
    rb_raster_free(&raster);
    return status ? rb_fail_prefix(err, "%s: ", sample->path) : status;
}

revbifpn_status rb_load_picture(const rb_loader_options *o, uint32_t from, uint64_t epoch, uint64_t want,
                                void *dst, rb_scratch *scratch, bool *damaged, rb_error *err) {
    rb_decode_info info = {0};
    const rb_sample *sample = &o->split->samples[from];
    revbifpn_status status = o->decode.channels
                                 ? load_raster(o, sample, epoch, want, dst, scratch, &info, err)
                                 : load_image(o, sample, epoch, want, dst, scratch, &info, err);
    *damaged = info.damaged;
    return status;
}
