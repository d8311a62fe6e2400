/* Opens a run: new, or where its checkpoint stands. */
#include "train/setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "eval/evaluate.h"
#include "model/config.h"
#include "train/task.h"

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
    revbifpn_status status = t->task->open_data(t, err);
    t->steps = t->batches / t->args.accumulate + (t->batches % t->args.accumulate > 0);
    t->schedule = rb_schedule_of(&t->args, t->steps);
    t->epochs = rb_schedule_epochs(&t->args);
    return status;
}

static revbifpn_status allocate(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_shape image = t->image;
    rb_step_bytes bytes =
        rb_step_bytes_join(t->task->measure(t, image, true), t->task->measure(t, image, false));
    TRY(rb_params_allocate(&t->model->params, true, err));
    t->step = (rb_step){.model = t->model,
                        .stored = t->args.activations == REVBIFPN_STORED,
                        .bn_update_double = t->args.bn_update_double,
                        .loss = rb_train_loss(&t->args),
                        .seed = t->args.seed};
    rb_optimizer_options options = rb_train_optimizer(&t->args);
    options.frozen = t->model->frozen_params;
    options.backbone = t->model->head_params;
    options.backbone_scale = t->args.backbone_lr_scale;
    TRY(rb_step_open(&t->step, t->ops, t->pool, &bytes, &options, err));
    TRY(rb_trace_open(&t->trace, &t->model->params, t->args.hash, err));
    t->info = (rb_weights_info){.config = t->args.model, .preprocess = rb_preprocess_default()};
    TRY(rb_train_statistics(&t->args, &t->info.preprocess, err));
    return t->task->prepare(t, err);
fail:
    return status;
}

static revbifpn_status check_classes(const rb_trainer *t, const rb_weights_info *saved, const char *path,
                                     rb_error *err) {
    char difference[200];
    if (!rb_config_equal_architecture(&saved->config, &t->args.model, difference, sizeof difference))
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: of another network than args.json: %s", path, difference);
    for (int i = 0; i < saved->class_count && i < t->info.class_count; i++)
        if (strcmp(saved->classes[i], t->info.classes[i]))
            return rb_fail(err, REVBIFPN_BAD_DATA, "%s: class %d is '%s', in %s it is '%s'", path, i,
                           saved->classes[i], t->args.data, t->info.classes[i]);
    return REVBIFPN_OK;
}

/* Where the run stands, if that is a place in a run on these pictures. */
static revbifpn_status read_place(rb_trainer *t, const char *training, const char *path, rb_error *err) {
    rb_progress *p = &t->progress;
    bool read = rb_progress_from_text(training, p);
    if (read && p->pictures != t->pictures)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s has %d training pictures, but this run was started on %d",
                       t->args.data, t->pictures, p->pictures);
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
    TRY(rb_weights_read(file, &t->model->params, &checkpoint, err));
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
    t->progress = (rb_progress){.pictures = t->pictures, .best_score = -1};
    rb_params_init(&t->model->params, t->args.seed, t->pool);
    rb_run_file(&t->run, "checkpoint.safetensors", path);
    bool checkpoint = resume && !access(path, F_OK);
    if (*t->args.weights && !checkpoint) TRY(t->task->read_weights(t, err));
    rb_optimizer_start(&t->step.optimizer);
    if (checkpoint) TRY(read_checkpoint(t, path, err));
    if (!resume) TRY(rb_run_create(&t->run, out, &t->args, t->task->parts, t->task->metrics, err));
    if (!checkpoint) note_statistics(t);
    if (resume) {
        t->run.parts = t->task->parts;
        t->run.metrics = t->task->metrics;
        TRY(rb_run_save_args(&t->run, &t->args, err));
        TRY(rb_run_rewind_results(&t->run, t->progress.epoch, err));
        TRY(rb_run_keep_best(&t->run, t->progress.epoch, err));
    }
    t->finished = t->progress.epoch >= t->epochs;
    TRY(rb_trace_begin(&t->trace, &t->run, &t->progress, t->steps, err));
    if (t->finished) return REVBIFPN_OK;
    TRY(rb_record_open(t, err));
    return t->task->begin(t, err);
fail:
    return status;
}

static const rb_run_task *task_of(revbifpn_task task) {
    return task == REVBIFPN_DETECT    ? &rb_detect_task
           : task == REVBIFPN_SEGMENT ? &rb_segment_task
                                      : &rb_classify_task;
}

revbifpn_status rb_trainer_open(rb_trainer *t, const revbifpn_train_config *config, bool resume,
                                const struct rb_ops *ops, rb_pool *pool, rb_plan_check *check, void *user,
                                rb_error *err) {
    revbifpn_status status;
    *t = (rb_trainer){.ops = ops, .pool = pool};
    TRY(find_arguments(t, config, resume, err));
    t->task = task_of(t->args.task);
    TRY(t->task->check(t, err));
    TRY(open_data(t, err));
    TRY(t->task->build(t, err));
    TRY(check(user, t, err));
    TRY(allocate(t, err));
    return start(t, resume, config->out, err);
fail:
    return status;
}

void rb_trainer_close(rb_trainer *t) {
    rb_record_close(&t->record);
    rb_trace_close(&t->trace);
    rb_step_close(&t->step);
    if (t->task) t->task->close(t);
    rb_weights_info_close(&t->info);
    rb_run_close(&t->run);
    rb_free(t->strings);
    *t = (rb_trainer){0};
}
