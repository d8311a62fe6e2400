/* Opens a run: new, or where its checkpoint stands. */
#include "train/setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/sampler.h"
#include "eval/evaluate.h"
#include "model/config.h"

enum { RING = 4 };

/* On resume the run's own arguments hold, but for these. */
static revbifpn_status override(revbifpn_train_config *args, const revbifpn_train_config *given,
                                rb_error *err) {
    if (given->epochs && given->epochs < args->epochs)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "epochs %d: the run has %d, which can only be raised",
                       given->epochs, args->epochs);
    if (given->epochs) args->epochs = given->epochs;
    if (given->data && *given->data) args->data = given->data;
    if (given->val_data && *given->val_data) args->val_data = given->val_data;
    args->out = given->out;
    args->workers = given->workers;
    args->max_memory = given->max_memory;
    return REVBIFPN_OK;
}

/* What this resumption was told is from its own command line; the later line counts. */
static revbifpn_status join_origins(revbifpn_train_config *args, const char *given, char **joined,
                                    rb_error *err) {
    if (!given || !*given) return REVBIFPN_OK;
    *joined = rb_alloc(strlen(args->origins) + strlen(given) + 1);
    if (!*joined) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the arguments");
    args->origins = strcat(strcpy(*joined, args->origins), given);
    return REVBIFPN_OK;
}

static revbifpn_status find_arguments(rb_trainer *t, const revbifpn_train_config *given, bool resume,
                                      rb_error *err) {
    revbifpn_status status;
    revbifpn_train_config args = *given;
    char *strings = NULL, *origins = NULL;
    if (!given->out || !*given->out) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "out: no run folder named");
    if (resume) {
        TRY(rb_run_reopen(&t->run, given->out, &args, &strings, err));
        TRY(override(&args, given, err));
        TRY(join_origins(&args, given->origins, &origins, err));
    }
    TRY(rb_train_copy_args(t, &args, err));
    TRY(rb_train_check(&t->args, err));
    if (t->args.opt_eps == 0) t->args.opt_eps = rb_optimizer_epsilon(t->args.opt);
fail:
    rb_free(strings);
    rb_free(origins);
    return status;
}

static revbifpn_status open_data(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_dataset_options options = {
        .purpose = RB_DATASET_TRAIN, .val_fraction = t->args.val_fraction, .seed = t->args.seed};
    if (*t->args.val_data) options.val_root = t->args.val_data;
    TRY(rb_dataset_open(&t->data, t->args.data, &options, err));
    revbifpn_model_config *c = &t->args.model;
    if (!c->classes) c->classes = t->data.classes;
    if (c->classes != t->data.classes)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s has %d classes, the network %d", t->args.data,
                       t->data.classes, c->classes);
    int entries = rb_sampler_entries(t->data.train.count, t->args.aug_repeats);
    t->batches = rb_sampler_batches(entries, t->args.batch, true);
    t->steps = t->batches / t->args.accumulate + (t->batches % t->args.accumulate > 0);
    t->schedule = rb_schedule_of(&t->args, t->steps);
    t->epochs = rb_schedule_epochs(&t->args);
    if (!t->steps)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: %d training pictures do not fill one batch of %d",
                       t->args.data, entries, t->args.batch);
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status set_loader_options(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    const revbifpn_train_config *a = &t->args;
    rb_loader_options *o = &t->train_options;
    *o = (rb_loader_options){.split = &t->data.train,
                             .batch = a->batch,
                             .training = true,
                             .seed = a->seed,
                             .threads = a->workers,
                             .ring = RING,
                             .max_bad = a->max_bad,
                             .stop = &t->stop,
                             .repeats = a->aug_repeats,
                             .decode = {.max_pixels = a->max_pixels, .apply_exif = a->apply_exif}};
    o->decode.channels = rb_raster_channels(a->model.input_channels, a->bits);
    o->train = rb_train_transform_default(a->model.image_width, a->model.image_height);
    TRY(rb_train_augmentation(a, &o->train, &t->prepare_options, err));
    t->val_options = *o;
    t->val_options.training = false;
    t->val_options.split = &t->data.val;
    t->val_options.end_epoch = 1;
    t->val_options.eval = (rb_eval_transform){.width = o->train.width,
                                              .height = o->train.height,
                                              .crop_pct = a->crop_pct,
                                              .filter = RB_FILTER_BICUBIC};
    if (!strcmp(a->interpolation, "bilinear")) t->val_options.eval.filter = RB_FILTER_BILINEAR;
    return rb_eval_transform_check(&t->val_options.eval, err);
fail:
    return status;
}

static rb_shape batch_shape(const rb_trainer *t) {
    const revbifpn_model_config *c = &t->args.model;
    return (rb_shape){t->args.batch, c->image_height, c->image_width, c->input_channels};
}

static revbifpn_status build_network(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    TRY(rb_config_check(&t->args.model, err));
    TRY(rb_model_create(&t->model, &t->args.model, err));
    rb_model_set_precision(&t->model, t->args.precision);
    TRY(rb_train_freeze(&t->model, &t->args, err));
    return REVBIFPN_OK;
fail:
    return status;
}

/* What can be refused before the data is looked at. */
static revbifpn_status check_network(const rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    TRY(rb_config_check(&t->args.model, err));
    rb_shape batch = batch_shape(t);
    if (rb_mix_used(&t->prepare_options.mix) && t->prepare_options.mix.mode == RB_MIX_HALF) batch.n /= 2;
    return rb_model_check_input(&t->args.model, batch, true, err);
fail:
    return status;
}

static revbifpn_status allocate(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    bool stored = t->args.activations == REVBIFPN_STORED;
    rb_shape image = batch_shape(t);
    int last = t->data.val.count % t->args.batch;
    rb_step_bytes bytes =
        rb_step_bytes_join(rb_model_measure(&t->model, t->ops, t->pool, image, true, stored),
                           rb_evaluation_bytes(&t->model, t->ops, t->pool, image, last));
    TRY(rb_params_allocate(&t->model.params, true, err));
    t->step = (rb_step){.model = &t->model,
                        .stored = stored,
                        .bn_update_double = t->args.bn_update_double,
                        .loss = rb_train_loss(&t->args),
                        .seed = t->args.seed};
    rb_optimizer_options options = rb_train_optimizer(&t->args);
    options.frozen = t->model.frozen_params;
    options.backbone = t->model.head_params;
    options.backbone_scale = t->args.backbone_lr_scale;
    TRY(rb_step_open(&t->step, t->ops, t->pool, &bytes, &options, err));
    TRY(rb_trace_open(&t->trace, &t->model.params, t->args.hash, err));
    t->prepare_options.classes = t->data.classes;
    TRY(rb_prepare_open(&t->prepare, &t->prepare_options, err));
    t->info = (rb_weights_info){.config = t->args.model, .preprocess = rb_preprocess_default()};
    TRY(rb_train_statistics(&t->args, &t->info.preprocess, err));
    t->info.preprocess.crop_pct = t->args.crop_pct;
    t->info.preprocess.bits = t->train_options.decode.channels ? 16 : 8;
    if (t->val_options.eval.filter == RB_FILTER_BILINEAR)
        strcpy(t->info.preprocess.interpolation, "bilinear");
    return rb_weights_info_set_classes(&t->info, t->data.class_names, t->data.classes, err);
fail:
    return status;
}

static revbifpn_status check_classes(const rb_trainer *t, const rb_weights_info *saved, const char *path,
                                     rb_error *err) {
    char difference[200];
    if (!rb_config_equal_architecture(&saved->config, &t->args.model, difference, sizeof difference))
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: of another network than args.json: %s", path, difference);
    for (int i = 0; i < saved->class_count; i++)
        if (strcmp(saved->classes[i], t->data.class_names[i]))
            return rb_fail(err, REVBIFPN_BAD_DATA, "%s: class %d is '%s', in %s it is '%s'", path, i,
                           saved->classes[i], t->args.data, t->data.class_names[i]);
    return REVBIFPN_OK;
}

/* Where the run stands, if that is a place in a run on these pictures. */
static revbifpn_status read_place(rb_trainer *t, const char *training, const char *path, rb_error *err) {
    rb_progress *p = &t->progress;
    bool read = rb_progress_from_text(training, p);
    if (read && p->pictures != t->data.train.count)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s has %d training pictures, but this run was started on %d",
                       t->args.data, t->data.train.count, p->pictures);
    t->step.optimizer.steps = (uint64_t)p->epoch * (uint64_t)t->steps + (uint64_t)p->step;
    if (read && p->step <= t->steps) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s: metadata: \"training\" says no place in this run", path);
}

/* Weights, what the optimizer keeps, grid and place of the checkpoint. */
static revbifpn_status read_checkpoint(rb_trainer *t, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    rb_weights_info saved = {0};
    rb_checkpoint checkpoint = rb_train_checkpoint(&t->step.optimizer);
    TRY(rb_tensor_file_open(&file, path, err));
    TRY(rb_weights_read_info(file, &saved, err));
    TRY(check_classes(t, &saved, path, err));
    TRY(rb_weights_read(file, &t->model.params, &checkpoint, err));
    t->step.k = saved.grid;
    memcpy(t->info.preprocess.mean, saved.preprocess.mean, sizeof saved.preprocess.mean);
    memcpy(t->info.preprocess.std, saved.preprocess.std, sizeof saved.preprocess.std);
    status = read_place(t, checkpoint.training, path, err);
fail:
    rb_free(checkpoint.training);
    rb_weights_info_close(&saved);
    rb_tensor_file_close(&file);
    return status;
}

/* There is nothing usual for other channels than red, green and blue. */
static void note_statistics(rb_trainer *t) {
    const revbifpn_train_config *a = &t->args;
    if (a->model.input_channels == 3 || *a->weights || (*a->mean && *a->std)) return;
    snprintf(t->start_note, sizeof t->start_note,
             "%d channels: mean 0.5 and deviation 0.25 are assumed; revbifpn check --channels %d --json FILE "
             "measures them, --data-stats FILE takes them",
             a->model.input_channels, a->model.input_channels);
}

/* Initial weights, or those of the checkpoint; then the loader at that place. */
static revbifpn_status start(rb_trainer *t, bool resume, const char *out, rb_error *err) {
    revbifpn_status status;
    char path[4096];
    t->progress = (rb_progress){.pictures = t->data.train.count, .best_top1 = -1};
    rb_params_init(&t->model.params, t->args.seed, t->pool);
    rb_run_file(&t->run, "checkpoint.safetensors", path);
    bool checkpoint = resume && !access(path, F_OK);
    if (*t->args.weights && !checkpoint) TRY(rb_train_read_weights(t, err));
    rb_optimizer_start(&t->step.optimizer);
    if (checkpoint) TRY(read_checkpoint(t, path, err));
    if (!resume) TRY(rb_run_create(&t->run, out, &t->args, err));
    if (!checkpoint) note_statistics(t);
    if (resume) {
        TRY(rb_run_save_args(&t->run, &t->args, err));
        TRY(rb_run_rewind_results(&t->run, t->progress.epoch, err));
        TRY(rb_run_keep_best(&t->run, t->progress.epoch, err));
    }
    t->finished = t->progress.epoch >= t->epochs;
    TRY(rb_trace_begin(&t->trace, &t->run, &t->progress, t->steps, err));
    int first = t->progress.step * t->args.accumulate; /* the last step of an epoch may have had fewer */
    t->train_options.epoch = (uint64_t)t->progress.epoch;
    t->train_options.first_batch = first < t->batches ? first : t->batches;
    t->train_options.end_epoch = (uint64_t)t->epochs;
    if (t->finished) return REVBIFPN_OK;
    TRY(rb_record_open(t, err));
    return rb_loader_open(&t->loader, &t->train_options, err);
fail:
    return status;
}

revbifpn_status rb_trainer_open(rb_trainer *t, const revbifpn_train_config *config, bool resume,
                                const struct rb_ops *ops, rb_pool *pool, rb_plan_check *check, void *user,
                                rb_error *err) {
    revbifpn_status status;
    *t = (rb_trainer){.ops = ops, .pool = pool};
    TRY(find_arguments(t, config, resume, err));
    TRY(set_loader_options(t, err));
    TRY(check_network(t, err));
    TRY(open_data(t, err));
    TRY(build_network(t, err));
    TRY(check(user, &t->model, batch_shape(t), &t->args, err));
    TRY(allocate(t, err));
    return start(t, resume, config->out, err);
fail:
    return status;
}

void rb_trainer_close(rb_trainer *t) {
    rb_loader_close(&t->loader);
    rb_record_close(&t->record);
    rb_prepare_close(&t->prepare);
    rb_trace_close(&t->trace);
    rb_step_close(&t->step);
    rb_model_close(&t->model);
    rb_weights_info_close(&t->info);
    rb_run_close(&t->run);
    rb_dataset_close(&t->data);
    rb_free(t->strings);
    *t = (rb_trainer){0};
}
