#include "train/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/topk.h"
#include "train/environment.h"
#include "train/trainer.h"

enum { STEP_POINTS = 50, HISTOGRAMS = 50, GRID = 4, QUALITY = 85 };

/* A file that could not be written is told once, in the log. */
static revbifpn_status excuse(rb_trainer *t, revbifpn_status status, const rb_error *err) {
    if (status != REVBIFPN_IO_FAILED && status != REVBIFPN_BAD_ARGUMENT) return status;
    rb_trainer_note(t, err->text);
    return REVBIFPN_OK;
}

/* The same for events, which end there. */
static revbifpn_status excuse_events(rb_trainer *t, revbifpn_status status, const rb_error *err) {
    if (status != REVBIFPN_OK) rb_events_close(&t->record.events);
    return excuse(t, status, err);
}

revbifpn_status rb_record_open(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    TRY(rb_collection_open(&t->record.collection, t->data.classes, err));
    if (t->args.tensorboard)
        TRY(excuse_events(
            t, rb_events_open(&t->record.events, t->run.path, rb_trainer_steps_done(t) + 1, err), err));
    return REVBIFPN_OK;
fail:
    return status;
}

void rb_record_close(rb_record *r) {
    rb_events_close(&r->events);
    rb_collection_close(&r->collection);
    rb_free(r->speeds);
    *r = (rb_record){0};
}

/* ---- a batch as the network sees it ---- */

/* What picture i should be: its label, or the two largest of its soft targets. */
static void set_targets(const rb_trainer *t, const rb_batch *b, int i, rb_seen *seen) {
    seen->label = b->labels[i];
    seen->other = -1;
    seen->share = 1;
    if (!t->prepare.soft) return;
    int classes = t->data.classes, best[2];
    const float *soft = t->prepare.soft + (size_t)i * (size_t)classes;
    rb_top_k(soft, classes, 2, best);
    double low = soft[best[1]], first = soft[best[0]];
    for (int c = 0; c < classes; c++) low = fmin(low, soft[c]); /* what smoothing gives every class */
    double second = soft[best[1]] - low;
    first -= low;
    seen->label = best[0];
    if (second < 0.005 * first) return;
    seen->other = best[1];
    seen->share = first / (first + second);
}

/* A normalised value in units of 1/largest. */
static int unnormalised(float value, float mean, float std, float largest) {
    float v = rintf(largest * (value * std + mean));
    return (int)(v <= 0 ? 0 : v >= largest ? largest : v);
}

/* floats: height,width,channels as the network saw them → a picture to look at; `words`: room for as many,
 * NULL for 8-bit RGB. */
static void to_picture(const rb_images *images, const float *floats, uint16_t *words, rb_image *picture) {
    int channels = images->shape.c;
    size_t count = (size_t)picture->width * (size_t)picture->height * (size_t)channels;
    for (size_t i = 0; i < count; i++) {
        size_t c = i % (size_t)channels;
        int v = unnormalised(floats[i], images->mean[c], images->std[c], words ? 65535 : 255);
        if (words)
            words[i] = (uint16_t)v;
        else
            picture->pixels[i] = (uint8_t)v;
    }
    rb_raster raster = {picture->width, picture->height, channels, words};
    if (words) rb_raster_show(&raster, picture->pixels);
}

revbifpn_status rb_record_batch(rb_trainer *t, const rb_batch *b, const rb_images *images, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    rb_collection *c = &t->record.collection;
    rb_image picture = {0};
    size_t count = (size_t)b->height * (size_t)b->width * (size_t)images->shape.c;
    float *floats = rb_alloc(count * sizeof *floats);
    uint16_t *words = images->words ? rb_alloc(count * sizeof *words) : NULL;
    if (!floats || (images->words && !words)) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the pictures of the report");
        goto fail;
    }
    TRY(rb_image_alloc(&picture, b->width, b->height, err));
    rb_pass pass = {.exec = &t->step.exec, .err = err, .k = t->step.k};
    for (c->seen_count = 0; c->seen_count < images->shape.n && c->seen_count < RB_SEEN; c->seen_count++) {
        rb_seen *seen = &c->seen[c->seen_count];
        rb_model_seen(&t->model, &pass, images, c->seen_count, floats);
        to_picture(images, floats, words, &picture);
        TRY(rb_thumb_take(seen->thumb, &picture, err));
        set_targets(t, b, c->seen_count, seen);
    }
fail:
    rb_image_free(&picture);
    rb_free(words);
    rb_free(floats);
    return status;
}

revbifpn_status rb_record_judged(void *user, const rb_judgement *j, rb_error *err) {
    rb_trainer *t = user;
    rb_image picture = {j->width, j->height, (uint8_t *)j->pixels}, shown = {0};
    if (j->words && j->label != j->predicted) { /* of the others no picture is kept */
        rb_raster raster = {j->width, j->height, j->channels, (uint16_t *)j->words};
        revbifpn_status status = rb_image_alloc(&shown, j->width, j->height, err);
        if (status != REVBIFPN_OK) return status;
        rb_raster_show(&raster, shown.pixels);
        picture = shown;
    }
    revbifpn_status status = rb_collection_add(&t->record.collection, j->label, j->predicted, j->probability,
                                               j->path, &picture, err);
    rb_image_free(&shown);
    return status;
}

/* ---- events ---- */

/* Pictures of a step; the last of an epoch may have fewer batches. */
static double pictures_of(const rb_trainer *t, const revbifpn_report *r) {
    int left = t->batches - (r->step - 1) * t->args.accumulate;
    return (double)t->args.batch * (left < t->args.accumulate ? left : t->args.accumulate);
}

static revbifpn_status step_events(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    rb_events *e = t->record.events;
    double ms = r->step_ms + r->wait_ms;
    rb_events_scalar(e, "train/loss", r->loss);
    rb_events_scalar(e, "train/learning_rate", r->lr);
    rb_events_scalar(e, "train/grid", r->grid);
    if (ms > 0) rb_events_scalar(e, "train/pictures_per_second", 1000 * pictures_of(t, r) / ms);
    TRY(rb_events_write(e, rb_trainer_steps_done(t), err));
    status = rb_events_flush(e, err);
fail:
    return status;
}

revbifpn_status rb_record_step(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    rb_record *record = &t->record;
    record->pictures += pictures_of(t, r);
    record->step_ms += r->step_ms;
    record->wait_ms += r->wait_ms;
    int every = (t->steps + STEP_POINTS - 1) / STEP_POINTS;
    if (!record->events || (r->step % every && r->step != t->steps)) return REVBIFPN_OK;
    return excuse_events(t, step_events(t, r, err), err);
}

/* The pictures of the batch in one, GRID by GRID. */
static revbifpn_status batch_event(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_collection *c = &t->record.collection;
    rb_image sheet = {0};
    uint8_t *jpeg = NULL;
    size_t size;
    if (!c->seen_count) return REVBIFPN_OK;
    int w = c->seen[0].thumb->width, h = c->seen[0].thumb->height;
    TRY(rb_image_alloc(&sheet, GRID * w, GRID * h, err));
    for (int i = 0; i < c->seen_count; i++)
        for (int y = 0; y < h; y++) {
            size_t at = (size_t)(i / GRID * h + y) * (size_t)sheet.width + (size_t)(i % GRID * w);
            memcpy(sheet.pixels + 3 * at, c->seen[i].thumb->pixels + 3 * (size_t)y * (size_t)w,
                   3 * (size_t)w);
        }
    TRY(rb_image_encode_jpeg(&sheet, QUALITY, &jpeg, &size, err));
    rb_events_image(t->record.events, "train/batch", sheet.width, sheet.height, jpeg, size);
fail:
    rb_image_free(&sheet);
    rb_free(jpeg);
    return status;
}

/* Of each tensor, HISTOGRAMS times in a run and at its end: a file of every epoch of a long run would grow
 * without use. */
static revbifpn_status histogram_events(rb_trainer *t, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    const rb_params *p = &t->model.params;
    int every = (t->epochs + HISTOGRAMS - 1) / HISTOGRAMS;
    if (t->progress.epoch % every && !t->finished) return REVBIFPN_OK;
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].kind != RB_PARAM_TRAINED) continue;
        rb_events_histogram(t->record.events, p->list[i].name, rb_param_weight(p, i), p->list[i].count);
        TRY(rb_events_write(t->record.events, rb_trainer_steps_done(t), err));
    }
fail:
    return status;
}

static revbifpn_status epoch_events(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    rb_events *e = t->record.events;
    rb_events_scalar(e, "epoch/train_loss", r->mean_loss);
    rb_events_scalar(e, "epoch/val_loss", r->val.loss);
    rb_events_scalar(e, "epoch/top1", r->val.top1);
    rb_events_scalar(e, "epoch/top5", r->val.top5);
    rb_events_scalar(e, "epoch/number", t->progress.epoch);
    if (t->args.model_ema) {
        rb_events_scalar(e, "epoch/weights_val_loss", r->val_weights.loss);
        rb_events_scalar(e, "epoch/weights_top1", r->val_weights.top1);
        rb_events_scalar(e, "epoch/weights_top5", r->val_weights.top5);
    }
    TRY(batch_event(t, err));
    TRY(rb_events_write(e, rb_trainer_steps_done(t), err));
    TRY(histogram_events(t, err));
    status = rb_events_flush(e, err);
fail:
    return status;
}

/* ---- the report ---- */

static revbifpn_status add_speed(rb_record *record, int epoch, rb_error *err) {
    if (record->speed_count == record->speed_room) {
        int room = record->speed_room ? 2 * record->speed_room : 64;
        rb_speed *grown = rb_alloc((size_t)room * sizeof *grown);
        if (!grown) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the curves of the report");
        if (record->speeds) memcpy(grown, record->speeds, (size_t)record->speed_count * sizeof *grown);
        rb_free(record->speeds);
        record->speeds = grown;
        record->speed_room = room;
    }
    double ms = record->step_ms + record->wait_ms;
    if (ms > 0)
        record->speeds[record->speed_count++] =
            (rb_speed){epoch, 1000 * record->pictures / ms, record->wait_ms / ms};
    record->pictures = record->step_ms = record->wait_ms = 0;
    return REVBIFPN_OK;
}

static revbifpn_status write_report(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_facts arguments = {0}, environment = {0};
    const revbifpn_model_config *c = &t->args.model;
    char path[4096], summary[512];
    TRY(rb_facts_of_arguments(&arguments, &t->args, err));
    TRY(rb_facts_of_environment(&environment, t->kernels, rb_pool_threads(t->pool), err));
    snprintf(summary, sizeof summary,
             "%s at %d × %d, %d classes, %d training and %d validation pictures, %zu parameters", c->name,
             c->image_width, c->image_height, c->classes, t->data.train.count, t->data.val.count,
             t->model.params.parameters);
    rb_report report = {.title = t->run.path,
                        .summary = summary,
                        .results = t->run.results,
                        .epochs = t->epochs,
                        .collection = &t->record.collection,
                        .classes = t->data.class_names,
                        .memory = &t->memory,
                        .speeds = t->record.speeds,
                        .speed_count = t->record.speed_count,
                        .arguments = arguments.list,
                        .argument_count = arguments.count,
                        .environment = environment.list,
                        .environment_count = environment.count};
    status = rb_report_write(&report, rb_run_file(&t->run, "report.html", path), err);
fail:
    rb_facts_close(&arguments);
    rb_facts_close(&environment);
    return status;
}

revbifpn_status rb_record_epoch(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    TRY(add_speed(&t->record, t->progress.epoch, err));
    if (t->record.events) TRY(excuse_events(t, epoch_events(t, r, err), err));
    status = excuse(t, write_report(t, err), err);
fail:
    return status;
}
