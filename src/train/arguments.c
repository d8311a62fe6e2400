/* The arguments of a run: copied, checked. */
#include <string.h>

#include "train/setup.h"

revbifpn_status rb_train_copy_args(rb_trainer *t, const revbifpn_train_config *config, rb_error *err) {
    revbifpn_train_config a = *config;
    const char **texts[] = {&a.data,     &a.interpolation, &a.out,    &a.train_interpolation,
                            &a.aa,       &a.color_jitter,  &a.remode, &a.mixup_mode,
                            &a.weights,  &a.freeze,        &a.recipe, &a.origins,
                            &a.val_data, &a.mean,          &a.std,    &a.milestones};
    enum { TEXTS = sizeof texts / sizeof *texts };
    size_t size = 0;
    for (int i = 0; i < TEXTS; i++) size += (*texts[i] ? strlen(*texts[i]) : 0) + 1;
    char *strings = rb_alloc(size), *next = strings;
    if (!strings) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the arguments");
    for (int i = 0; i < TEXTS; i++) {
        size_t length = *texts[i] ? strlen(*texts[i]) + 1 : 1;
        *texts[i] = *texts[i] ? memcpy(next, *texts[i], length) : next;
        next += length;
    }
    t->args = a;
    rb_free(t->strings);
    t->strings = strings;
    return REVBIFPN_OK;
}

typedef struct range {
    const char *name;
    double value, low, high;
} range;

revbifpn_status rb_train_check(const revbifpn_train_config *a, rb_error *err) {
    const range ranges[] = {
        {"epochs", a->epochs, 1, 1e6},
        {"batch", a->batch, 1, 65536},
        {"warmup-epochs", a->warmup_epochs, 0, 1e6},
        {"checkpoint-steps", a->checkpoint_steps, 0, 1e9},
        {"lr", a->lr, 0, 1e6},
        {"momentum", a->momentum, 0, 0.9999999},
        {"weight-decay", a->weight_decay, 0, 1},
        {"smoothing", a->smoothing, 0, 0.9999999},
        {"opt", a->opt, REVBIFPN_SGD, REVBIFPN_LAMBC},
        {"opt-eps", a->opt_eps, 0, 1},
        {"opt-betas", a->beta1, 0, 0.9999999},
        {"opt-betas", a->beta2, 0, 0.9999999},
        {"clip-grad", a->clip_grad, 0, 1e9},
        {"clip-mode", a->clip_mode, REVBIFPN_CLIP_NORM, REVBIFPN_CLIP_AGC},
        {"accumulate", a->accumulate, 1, 65536},
        {"model-ema-decay", a->model_ema_decay, 0, 1},
        {"sched", a->sched, REVBIFPN_RISE_FALL, REVBIFPN_MILESTONES},
        {"cooldown-epochs", a->cooldown_epochs, 0, 1e6},
        {"warmup-lr", a->warmup_lr, 0, 1e6},
        {"min-lr", a->min_lr, 0, 1e6},
        {"decay-epochs", a->decay_epochs, 1e-6, 1e6},
        {"decay-rate", a->decay_rate, 0, 100},
        {"lr-noise", a->lr_noise_from, 0, 1},
        {"lr-noise", a->lr_noise_to, 0, 1},
        {"lr-noise-pct", a->lr_noise_pct, 1e-3, 1},
        {"lr-noise-std", a->lr_noise_std, 0, 10},
        {"lr-cycle-mul", a->lr_cycle_mul, 0.01, 100},
        {"lr-cycle-decay", a->lr_cycle_decay, 0, 1},
        {"lr-cycle-limit", a->lr_cycle_limit, 1, 1000},
        {"lr-k-decay", a->lr_k_decay, 1e-3, 100},
        {"backbone-lr-scale", a->backbone_lr_scale, 0, 100},
        {"bce-target-thresh", a->bce_target_thresh, 0, 1},
        {"mixup-off-epoch", a->mixup_off_epoch, 0, 1e6},
        {"aug-repeats", a->aug_repeats, 0, 1000},
        {"val-fraction", a->val_fraction, 0, 0.9},
        {"crop-pct", a->crop_pct, 0.01, 1},
        {"workers", a->workers, 0, 256},
        {"max-bad", a->max_bad, 0, 1e9},
        {"task", a->task, REVBIFPN_CLASSIFY, REVBIFPN_SEGMENT},
        {"fpn", a->fpn, 8, 4096},
        {"fc", a->fc, 8, 65536},
        {"warmup-steps", a->warmup_steps, 0, 1e9},
        {"warmup-ratio", a->warmup_ratio, 0, 1},
        {"mosaic", a->mosaic, 0, 1},
        {"norm-affine", a->norm_affine, REVBIFPN_NORM_AFFINE_TRAINED, REVBIFPN_NORM_AFFINE_FIXED},
        {"close-mosaic", a->close_mosaic, 0, 1e6},
        {"hash", a->hash, REVBIFPN_HASH_NONE, REVBIFPN_HASH_TENSOR},
    };
    if (!*a->data) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "data: no folder named");
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high))
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s %g: from %g to %g", ranges[i].name,
                           ranges[i].value, ranges[i].low, ranges[i].high);
    if (a->bits != 0 && a->bits != 8 && a->bits != 16)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "bits %d: 8 or 16", a->bits);
    if (a->bits == 8 && a->model.input_channels != 3)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "bits 8: only for pictures of 3 channels; others are taken in 16");
    if (a->model.input_channels > RB_IMAGE_CHANNELS_MAX)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "channels %d: at most %d can be trained on",
                       a->model.input_channels, RB_IMAGE_CHANNELS_MAX);
    if (!a->task && (a->mosaic > 0 || a->scale_jitter_high > 0))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: only for detectors",
                       a->mosaic > 0 ? "mosaic" : "scale-jitter");
    if (a->sched == REVBIFPN_MILESTONES) {
        double epochs[RB_MILESTONES];
        if (rb_milestones_parse(a->milestones, epochs) <= 0)
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                           "milestones '%.60s': 1 … %d rising numbers of epochs, for instance 8,11",
                           a->milestones, RB_MILESTONES);
    }
    if (!a->max_pixels) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "max-pixels 0: at least 1");
    return REVBIFPN_OK;
}

rb_loss rb_train_loss(const revbifpn_train_config *a) {
    return (rb_loss){.smoothing = a->smoothing,
                     .binary = a->bce_loss,
                     .sum_classes = a->bce_sum,
                     .threshold = a->bce_target_thresh};
}

rb_optimizer_options rb_train_optimizer(const revbifpn_train_config *a) {
    return (rb_optimizer_options){.rule = a->opt,
                                  .momentum = a->momentum,
                                  .decay = a->weight_decay,
                                  .decay_all = a->decay_all,
                                  .beta1 = a->beta1,
                                  .beta2 = a->beta2,
                                  .epsilon = a->opt_eps,
                                  .clip = a->clip_grad,
                                  .clip_mode = a->clip_mode,
                                  .average = a->model_ema,
                                  .average_warmup = a->model_ema_warmup,
                                  .average_decay = a->model_ema_decay};
}

rb_checkpoint rb_train_checkpoint(const rb_optimizer *o) {
    rb_checkpoint c = {.blocks = o->slots};
    for (int i = 0; i < o->slots; i++)
        c.block[i] = (rb_checkpoint_block){rb_optimizer_slot_name(o->options.rule, i), o->slot[i], NULL};
    if (o->average) c.block[c.blocks++] = (rb_checkpoint_block){"ema", o->average, o->average_statistics};
    return c;
}
