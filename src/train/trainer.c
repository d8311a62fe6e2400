#include "train/trainer.h"

#include <stdio.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "train/setup.h"
#include "train/task.h"

double rb_milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

double rb_milliseconds_since(double start) { return fmax(0, rb_milliseconds() - start); }

uint64_t rb_trainer_batch_index(const rb_trainer *t, int batch) {
    return (uint64_t)t->progress.epoch * (uint64_t)t->batches +
           (uint64_t)t->progress.step * (uint64_t)t->args.accumulate + (uint64_t)batch;
}

/* Of the step after `steps`, in the current epoch. */
static double rate_after(const rb_trainer *t, int64_t steps) {
    bool by_steps = t->args.sched_on_updates || t->args.sched == REVBIFPN_RISE_FALL;
    double rate = rb_schedule_rate(&t->schedule, by_steps ? (double)steps : t->progress.epoch);
    return rate * rb_schedule_warmth(&t->schedule, steps);
}

/* Adds a line to what this step has to say; when there is no room, the last line counts the rest. */
static void add_line(rb_trainer *t, revbifpn_log_level level, const char *line) {
    rb_log(level, line);
    size_t used = strlen(t->note), room = sizeof t->note - used - 40;
    if (!t->unsaid && strlen(line) + 1 < room) {
        snprintf(t->note + used, sizeof t->note - used, "%s%s", used ? "\n" : "", line);
        t->said = strlen(t->note);
        return;
    }
    t->unsaid++;
    snprintf(t->note + t->said, sizeof t->note - t->said, "\n… and %d more", t->unsaid);
}

void rb_trainer_note(void *user, const char *line) { add_line(user, REVBIFPN_LOG_WARNING, line); }

static revbifpn_status train_on_next(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    rb_step_report step = {0};
    double start = rb_milliseconds();
    int left = t->batches - t->progress.step * t->args.accumulate;
    int batches = left < t->args.accumulate ? left : t->args.accumulate;
    for (int batch = 0; batch < batches; batch++)
        TRY(t->task->add_batch(t, batch, batches, &step, &r->wait_ms, err));
    rb_trace_gradients(&t->trace, t->pool);
    rb_step_update(&t->step, r->lr);
    t->progress.step++;
    t->progress.loss_sum += step.loss;
    r->step_ms = fmax(0, rb_milliseconds_since(start) - r->wait_ms);
    r->loss = step.loss;
    if (step.lowered) add_line(t, REVBIFPN_LOG_NOTICE, step.note);
    t->task->tell_files(t);
    rb_step_record record = {
        .epoch = r->epoch, .step = t->progress.step, .grid = t->step.k, .lr = r->lr, .loss = r->loss};
    return rb_trace_step(&t->trace, t->pool, &record, err);
fail:
    return status;
}

revbifpn_status rb_trainer_checkpoint(rb_trainer *t, rb_error *err) {
    char path[4096], training[RB_PROGRESS_TEXT];
    revbifpn_status status = rb_trace_sync(&t->trace, err);
    if (status != REVBIFPN_OK) return status;
    t->info.grid = t->step.k;
    rb_progress_to_text(&t->progress, training);
    rb_checkpoint checkpoint = rb_train_checkpoint(&t->step.optimizer);
    checkpoint.training = training;
    return rb_weights_save(rb_run_file(&t->run, "checkpoint.safetensors", path), &t->model->params, &t->info,
                           &checkpoint, err);
}

/* Weights as they are now, in weights/NAME. */
static revbifpn_status save_weights(rb_trainer *t, const char *name, rb_error *err) {
    char file[64], path[4096];
    t->info.grid = t->step.k;
    snprintf(file, sizeof file, "weights/%s.safetensors", name);
    return rb_weights_save(rb_run_file(&t->run, file, path), &t->model->params, &t->info, NULL, err);
}

/* Judges what is in the weights now, and keeps it when it is the best so far. */
static revbifpn_status judge(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    char name[RB_RUN_BEST_NAME];
    TRY(t->task->validate(t, &r->val, err));
    double score = t->task->score(&r->val);
    r->improved = score > t->progress.best_score;
    if (!r->improved) return REVBIFPN_OK;
    t->progress.best_score = score;
    rb_run_best_name(t->progress.epoch + 1, name);
    status = save_weights(t, name, err);
fail:
    return status;
}

/* The same for the average, which takes the place of the weights meanwhile. */
static revbifpn_status judge_average(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    TRY(t->task->validate(t, &r->val_weights, err));
    rb_optimizer_swap_average(&t->step.optimizer);
    status = judge(t, r, err);
    if (status == REVBIFPN_OK) status = save_weights(t, "last_ema", err);
    rb_optimizer_swap_average(&t->step.optimizer);
fail:
    return status;
}

/* Validation, then the files in an order that a kill between any two does not hurt: the checkpoint last,
 * after which a new best takes its name. */
static revbifpn_status end_epoch(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    TRY((t->args.model_ema ? judge_average : judge)(t, r, err));
    r->epoch_done = 1;
    if (!t->args.model_ema) r->val_weights = r->val;
    double judged[RB_METRICS_MOST], weights[RB_METRICS_MOST];
    rb_epoch_result row = {.epoch = t->progress.epoch + 1, .grid = t->step.k, .lr = r->lr};
    row.train_loss = r->mean_loss;
    for (int i = 0; i < RB_PARTS; i++) t->parts[i] = t->progress.parts[i] / t->progress.step;
    row.parts = t->task->part_count;
    row.part = t->parts;
    row.metrics = t->task->values(&r->val, judged);
    row.judged = judged;
    t->task->values(&r->val_weights, weights);
    row.weights = weights;
    TRY(save_weights(t, "last", err));
    TRY(rb_run_add_result(&t->run, &row, err));
    t->progress.epoch++;
    t->progress.step = 0;
    t->progress.loss_sum = 0;
    memset(t->progress.parts, 0, sizeof t->progress.parts);
    t->finished = t->progress.epoch >= t->epochs;
    TRY(rb_record_epoch(t, r, err));
    TRY(rb_trainer_checkpoint(t, err));
    return rb_run_keep_best(&t->run, t->progress.epoch, err);
fail:
    return status;
}

revbifpn_status rb_trainer_step(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    *r = (revbifpn_report){.epoch = t->progress.epoch + 1, .epochs = t->epochs, .steps = t->steps};
    r->finished = t->finished;
    if (t->finished) return rb_fail(err, REVBIFPN_STOPPED, "the run has all its %d epochs", t->epochs);
    t->note[0] = 0;
    t->said = 0;
    t->unsaid = 0;
    if (t->start_note[0]) add_line(t, REVBIFPN_LOG_NOTICE, t->start_note);
    t->start_note[0] = 0;
    bool trained = t->progress.step < t->steps; /* else it was stopped before this epoch's validation */
    r->lr = rate_after(t, rb_trainer_steps_done(t) - !trained);
    if (trained) TRY(train_on_next(t, r, err));
    r->step = t->progress.step;
    r->mean_loss = t->progress.loss_sum / t->progress.step;
    r->grid = t->step.k;
    TRY(rb_record_step(t, r, err));
    if (t->progress.step == t->steps)
        TRY(end_epoch(t, r, err));
    else if (t->args.checkpoint_steps && t->progress.step % t->args.checkpoint_steps == 0)
        TRY(rb_trainer_checkpoint(t, err));
    r->finished = t->finished;
    r->note = t->note[0] ? t->note : NULL;
    return REVBIFPN_OK;
fail:
    return status;
}
