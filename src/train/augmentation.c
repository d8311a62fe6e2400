/* The augmentation that a run's arguments ask for. */
#include <string.h>

#include "train/setup.h"

static revbifpn_status parse_interpolation(const char *option, const char *text, rb_interpolation *out,
                                           rb_error *err) {
    static const char *const names[] = {"bilinear", "bicubic", "random"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i])) return *out = (rb_interpolation)i, REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s '%.40s': bilinear, bicubic or random", option, text);
}

static revbifpn_status read_transform(const revbifpn_train_config *a, rb_train_transform *t, rb_error *err) {
    revbifpn_status status;
    t->scale[0] = a->scale_min;
    t->scale[1] = a->scale_max;
    t->ratio[0] = a->ratio_min;
    t->ratio[1] = a->ratio_max;
    t->hflip = a->hflip;
    t->vflip = a->vflip;
    TRY(parse_interpolation("interpolation", a->interpolation, &t->interpolation, err));
    if (*a->train_interpolation)
        TRY(parse_interpolation("train-interpolation", a->train_interpolation, &t->interpolation, err));
    if (rb_raster_channels(a->model.input_channels, a->bits) && (*a->aa || *a->color_jitter))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "%s '%.60s': changes colours, which only 8-bit pictures of 3 channels have",
                       *a->aa ? "aa" : "color-jitter", *a->aa ? a->aa : a->color_jitter);
    TRY(rb_policy_parse(&t->policy, a->aa, err));
    TRY(rb_jitter_parse(&t->jitter, a->color_jitter, err));
    return rb_train_transform_check(t, err);
fail:
    return status;
}

revbifpn_status rb_train_augmentation(const revbifpn_train_config *a, rb_train_transform *transform,
                                      rb_prepare_options *prepare, rb_error *err) {
    revbifpn_status status;
    *prepare =
        (rb_prepare_options){.mix = {.mixup = a->mixup,
                                     .cutmix = a->cutmix,
                                     .cut_min = a->cutmix_min,
                                     .cut_max = a->cutmix_max,
                                     .probability = a->mixup_prob,
                                     .switch_probability = a->mixup_switch_prob},
                             .mix_off_epoch = a->mixup_off_epoch,
                             .erase = {.probability = a->reprob, .count = a->recount, .mode = RB_ERASE_PIXEL},
                             .smoothing = a->smoothing,
                             .batch = a->batch,
                             .seed = a->seed};
    TRY(read_transform(a, transform, err));
    if (*a->mixup_mode) TRY(rb_mix_mode_parse(&prepare->mix.mode, a->mixup_mode, err));
    if (*a->remode) TRY(rb_erase_mode_parse(&prepare->erase.mode, a->remode, err));
    TRY(rb_mix_check(&prepare->mix, a->batch, transform->width, transform->height, err));
    return rb_erase_check(&prepare->erase, err);
fail:
    return status;
}
