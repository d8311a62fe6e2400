#include "train/trainer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "eval/evaluate.h"
#include "train/schedule.h"

static double milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double rate_of(const rb_trainer *t) {
    int64_t steps = (int64_t)t->steps * t->args.epochs, warmup = (int64_t)t->steps * t->args.warmup_epochs;
    return rb_schedule_cosine(t->args.lr, (int64_t)t->progress.epoch * t->steps + t->progress.step, warmup,
                              steps);
}

/* Adds a line to what this step has to say; when there is no room, the last line counts the rest. */
static void add_note(void *user, const char *line) {
    rb_trainer *t = user;
    size_t used = strlen(t->note), room = sizeof t->note - used - 40;
    if (!t->unsaid && strlen(line) + 1 < room) {
        snprintf(t->note + used, sizeof t->note - used, "%s%s", used ? "\n" : "", line);
        t->said = strlen(t->note);
        return;
    }
    t->unsaid++;
    snprintf(t->note + t->said, sizeof t->note - t->said, "\n… and %d more", t->unsaid);
}

/* Files met since the last step, and what the step itself has to say. */
static void collect_notes(rb_trainer *t, const rb_step_report *step) {
    const rb_loader_issue *issues;
    size_t count = rb_loader_issues(t->loader, &issues);
    if (step->lowered) add_note(t, step->note);
    for (; t->told < count; t->told++) {
        char line[1200];
        rb_loader_issue_line(&issues[t->told], "replaced by the next picture", line, sizeof line);
        add_note(t, line);
    }
}

static revbifpn_status train_on_next(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    rb_batch batch;
    rb_step_report step;
    double start = milliseconds();
    TRY(rb_loader_next(t->loader, &batch, err));
    double ready = milliseconds();
    rb_images images = {.shape = {batch.count, batch.height, batch.width, 3}, .bytes = batch.images};
    images.mean = t->info.preprocess.mean;
    images.std = t->info.preprocess.std;
    r->lr = rate_of(t);
    uint64_t index = (uint64_t)t->progress.epoch * (uint64_t)t->steps + (uint64_t)t->progress.step;
    TRY(rb_step_run(&t->step, &images, batch.labels, r->lr, index, &step, err));
    t->info.grid = t->step.k;
    t->progress.step++;
    t->progress.loss_sum += step.loss;
    r->wait_ms = ready - start;
    r->step_ms = milliseconds() - ready;
    r->loss = step.loss;
    collect_notes(t, &step);
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_trainer_checkpoint(rb_trainer *t, rb_error *err) {
    char path[4096], training[160];
    t->info.grid = t->step.k;
    rb_progress_to_text(&t->progress, training);
    rb_checkpoint checkpoint = {.momentum = t->step.momentum, .training = training};
    return rb_weights_save(rb_run_file(&t->run, "checkpoint.safetensors", path), &t->model.params, &t->info,
                           &checkpoint, err);
}

static revbifpn_status validate(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    rb_evaluation e = {.model = &t->model,
                       .exec = &t->step.exec,
                       .k = t->step.k,
                       .mean = t->info.preprocess.mean,
                       .std = t->info.preprocess.std,
                       .data = &t->val_options,
                       .note = t->validated ? NULL : add_note, /* once is enough */
                       .user = t};
    t->validated = true;
    return rb_evaluate(&e, &r->val, err);
}

/* Validation, then the files in an order that a kill between any two does not hurt: the checkpoint last. */
static revbifpn_status end_epoch(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    char path[4096];
    TRY(validate(t, r, err));
    r->epoch_done = 1;
    r->improved = r->val.top1 > t->progress.best_top1;
    if (r->improved) t->progress.best_top1 = r->val.top1;
    rb_epoch_result row = {.epoch = t->progress.epoch + 1,
                           .grid = t->step.k,
                           .lr = r->lr,
                           .train_loss = r->mean_loss,
                           .val_loss = r->val.loss,
                           .top1 = r->val.top1,
                           .top5 = r->val.top5};
    if (r->improved)
        TRY(rb_weights_save(rb_run_file(&t->run, "weights/best.safetensors", path), &t->model.params,
                            &t->info, NULL, err));
    TRY(rb_weights_save(rb_run_file(&t->run, "weights/last.safetensors", path), &t->model.params, &t->info,
                        NULL, err));
    TRY(rb_run_add_result(&t->run, &row, err));
    t->progress.epoch++;
    t->progress.step = 0;
    t->progress.loss_sum = 0;
    t->finished = t->progress.epoch >= t->args.epochs;
    return rb_trainer_checkpoint(t, err);
fail:
    return status;
}

revbifpn_status rb_trainer_step(rb_trainer *t, revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    if (t->finished) return rb_fail(err, REVBIFPN_STOPPED, "the run has all its %d epochs", t->args.epochs);
    *r = (revbifpn_report){.epoch = t->progress.epoch + 1, .epochs = t->args.epochs, .steps = t->steps};
    t->note[0] = 0;
    t->said = 0;
    t->unsaid = 0;
    TRY(train_on_next(t, r, err));
    r->step = t->progress.step;
    r->mean_loss = t->progress.loss_sum / t->progress.step;
    r->grid = t->step.k;
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
