/* Training runs. */
#include <stdio.h>

#include "api/context.h"
#include "io/args.h"
#include "train/compare.h"
#include "train/task.h"

struct revbifpn_trainer {
    revbifpn *ctx;
    rb_trainer inner;
    revbifpn_memory memory;
    uint64_t max_memory;
};

static revbifpn_train_config default_train(void) {
    return (revbifpn_train_config){.struct_size = sizeof(revbifpn_train_config),
                                   .epochs = 100,
                                   .batch = 32,
                                   .warmup_epochs = 1,
                                   .lr = 0.1,
                                   .momentum = 0.9,
                                   .weight_decay = 5e-5,
                                   .smoothing = 0.1,
                                   .scale_min = 0.35,
                                   .scale_max = 1,
                                   .ratio_min = 0.75,
                                   .ratio_max = 1.3333,
                                   .hflip = 0.5,
                                   .crop_pct = 0.875,
                                   .interpolation = "bicubic",
                                   .val_data = "",
                                   .mean = "",
                                   .std = "",
                                   .train_interpolation = "",
                                   .aa = "",
                                   .color_jitter = "",
                                   .remode = "pixel",
                                   .recount = 1,
                                   .mixup_mode = "batch",
                                   .mixup_prob = 1,
                                   .mixup_switch_prob = 0.5,
                                   .max_pixels = 178000000,
                                   .workers = 2,
                                   .max_bad = 50,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .accumulate = 1,
                                   .model_ema_decay = 0.9998,
                                   .warmup_lr = 1e-5,
                                   .decay_epochs = 90,
                                   .decay_rate = 0.1,
                                   .lr_noise_pct = 0.67,
                                   .lr_noise_std = 1,
                                   .lr_cycle_mul = 1,
                                   .lr_cycle_decay = 0.1,
                                   .lr_k_decay = 1,
                                   .lr_cycle_limit = 1,
                                   .tensorboard = 1,
                                   .hash = REVBIFPN_HASH_STEP,
                                   .weights = "",
                                   .freeze = "",
                                   .backbone_lr_scale = 1,
                                   .recipe = "",
                                   .origins = "",
                                   .fpn = 256,
                                   .fc = 1024,
                                   .long_side = 1333,
                                   .short_side = 800,
                                   .milestones = "",
                                   .warmup_ratio = 0.001,
                                   .close_mosaic = 10};
}

void revbifpn_init_train(revbifpn_train_config *out, size_t struct_size) {
    revbifpn_train_config options = default_train();
    rb_api_init(out, struct_size, &options, sizeof options);
}

static revbifpn_memory plan_of(rb_trainer *t, const rb_api_step *step) {
    rb_shape image = t->image;
    rb_step_bytes bytes = t->task->measure(t, image, true);
    revbifpn_memory m = rb_api_memory_of(t->model, &bytes, image, step);
    image.n++;
    bytes = t->task->measure(t, image, true);
    m.activation_bytes_per_sample =
        rb_api_memory_of(t->model, &bytes, image, step).activation_bytes - m.activation_bytes;
    return m;
}

/* Takes the plan, and refuses when it is larger than the limit. */
static revbifpn_status check_plan(void *user, rb_trainer *inner, rb_error *err) {
    revbifpn_trainer *t = user;
    const revbifpn_train_config *args = &inner->args;
    rb_api_step step = {.training = true, .stored = args->activations == REVBIFPN_STORED};
    step.optimizer = args->opt;
    step.average = args->model_ema;
    step.words = rb_raster_channels(args->model.input_channels, args->bits) > 0;
    t->memory = plan_of(inner, &step);
    t->inner.memory = t->memory;
    t->inner.kernels = rb_cpu_name(t->ctx->level);
    if (!t->max_memory || t->memory.total_bytes <= t->max_memory) return REVBIFPN_OK;
    return rb_fail(
        err, REVBIFPN_DOES_NOT_FIT,
        "the plan needs %llu bytes, --max-memory allows %llu; each picture less in the batch frees %llu",
        (unsigned long long)t->memory.total_bytes, (unsigned long long)t->max_memory,
        (unsigned long long)t->memory.activation_bytes_per_sample);
}

/* The program's configuration; `resume`: its network does not matter. */
static revbifpn_status take_config(revbifpn_train_config *own, const revbifpn_train_config *given, int resume,
                                   rb_error *err) {
    *own = default_train();
    revbifpn_status status = rb_api_take(own, sizeof *own, given, "train_config", err);
    return status || resume ? status : rb_api_check_config_size(&own->model, err);
}

revbifpn_status revbifpn_train_differences(revbifpn *ctx, const revbifpn_train_config *given,
                                           void (*visit)(void *user, const char *name, const char *old,
                                                         const char *new_value),
                                           void *user) {
    RB_ENTER(ctx);
    revbifpn_status status;
    rb_run_folder run;
    revbifpn_train_config args = {0}, config;
    char *strings = NULL;
    TRY(take_config(&config, given, false, &ctx->error));
    TRY(rb_run_read_args(&run, config.out, &args, &strings, &ctx->error));
    status = rb_args_compare(&args, &config, visit, user, &ctx->error);
fail:
    rb_free(strings);
    return status;
}

revbifpn_status revbifpn_trainer_open(revbifpn *ctx, const revbifpn_train_config *given, int resume,
                                      revbifpn_trainer **out) {
    RB_ENTER(ctx);
    revbifpn_train_config config;
    *out = NULL;
    revbifpn_status status = take_config(&config, given, resume, &ctx->error);
    if (status != REVBIFPN_OK) return status;
    revbifpn_trainer *t = *out = rb_alloc(sizeof *t);
    if (!t) return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for a trainer");
    t->ctx = ctx;
    t->max_memory = config.max_memory;
    status = rb_trainer_open(&t->inner, &config, resume, &ctx->ops, ctx->pool, check_plan, t, &ctx->error);
    if (status != REVBIFPN_OK) revbifpn_trainer_close(out);
    return status;
}

void revbifpn_trainer_close(revbifpn_trainer **trainer) {
    if (!*trainer) return;
    rb_trainer_close(&(*trainer)->inner);
    rb_free(*trainer);
    *trainer = NULL;
}

const revbifpn_memory *revbifpn_trainer_memory(const revbifpn_trainer *trainer) { return &trainer->memory; }

const revbifpn_train_config *revbifpn_trainer_configuration(const revbifpn_trainer *trainer) {
    return &trainer->inner.args;
}

revbifpn_status revbifpn_compare_runs(revbifpn *ctx, const char *a, const char *b,
                                      void (*visit)(void *user, const char *name, const char *in_a,
                                                    const char *in_b),
                                      void *user, revbifpn_run_difference *out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    rb_run_folder run;
    revbifpn_train_config args[2] = {{0}, {0}};
    char *strings[2] = {NULL, NULL};
    TRY(rb_run_read_args(&run, a, &args[0], &strings[0], &ctx->error));
    TRY(rb_run_read_args(&run, b, &args[1], &strings[1], &ctx->error));
    if (visit) TRY(rb_args_compare(&args[0], &args[1], visit, user, &ctx->error));
    status = rb_run_compare(a, b, out, &ctx->error);
fail:
    rb_free(strings[0]);
    rb_free(strings[1]);
    return status;
}

void revbifpn_trainer_watch(revbifpn_trainer *trainer, int (*stop)(void *user), void *user) {
    trainer->inner.stop = (rb_stop){.asked = stop, .user = user};
}

revbifpn_status revbifpn_trainer_step(revbifpn_trainer *trainer, revbifpn_report *out) {
    RB_ENTER(trainer->ctx);
    return rb_trainer_step(&trainer->inner, out, &trainer->ctx->error);
}

revbifpn_status revbifpn_trainer_checkpoint(revbifpn_trainer *trainer) {
    RB_ENTER(trainer->ctx);
    return rb_trainer_checkpoint(&trainer->inner, &trainer->ctx->error);
}
