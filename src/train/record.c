#include "train/record.h"

#include <stdio.h>
#include <string.h>

#include "train/environment.h"
#include "train/task.h"

enum { STEP_POINTS = 50, HISTOGRAMS = 50, GRID = 4, QUALITY = 85 };

revbifpn_status rb_record_excuse(rb_trainer *t, revbifpn_status status, const rb_error *err) {
    if (status != REVBIFPN_IO_FAILED && status != REVBIFPN_BAD_ARGUMENT) return status;
    rb_trainer_note(t, err->text);
    return REVBIFPN_OK;
}

/* The same for events, which end there. */
static revbifpn_status excuse_events(rb_trainer *t, revbifpn_status status, const rb_error *err) {
    if (status != REVBIFPN_OK) rb_events_close(&t->record.events);
    return rb_record_excuse(t, status, err);
}

revbifpn_status rb_record_open(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
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
    const rb_params *p = &t->model->params;
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

/* epoch/NAME for each of the names, which commas part. */
static void named_events(rb_events *e, const char *prefix, const char *name, const double *numbers,
                         int count) {
    for (int i = 0; i < count; i++) {
        char tag[80];
        int length = (int)strcspn(name, ",");
        snprintf(tag, sizeof tag, "epoch/%s%.*s", prefix, length, name);
        rb_events_scalar(e, tag, numbers[i]);
        name += length + (name[length] == ',');
    }
}

/* The numbers of a validation. */
static void metric_events(rb_trainer *t, const char *prefix, const revbifpn_metrics *m) {
    double numbers[RB_METRICS_MOST];
    int count = t->task->values(m, numbers);
    named_events(t->record.events, prefix, t->task->metrics, numbers, count);
}

static revbifpn_status epoch_events(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    rb_events *e = t->record.events;
    rb_events_scalar(e, "epoch/train_loss", r->mean_loss);
    named_events(e, "", t->task->parts, t->parts, t->task->part_count);
    metric_events(t, "", &r->val);
    rb_events_scalar(e, "epoch/number", t->progress.epoch);
    if (t->args.model_ema) metric_events(t, "weights_", &r->val_weights);
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

revbifpn_status rb_record_page(rb_trainer *t, const char *summary, rb_facts *arguments, rb_facts *environment,
                               rb_page *out, rb_error *err) {
    revbifpn_status status;
    TRY(rb_facts_of_arguments(arguments, &t->args, err));
    TRY(rb_facts_of_environment(environment, t->kernels, rb_pool_threads(t->pool), err));
    *out = (rb_page){.title = t->run.path,
                     .summary = summary,
                     .results = t->run.results,
                     .epochs = t->epochs,
                     .memory = &t->memory,
                     .speeds = t->record.speeds,
                     .speed_count = t->record.speed_count,
                     .arguments = arguments->list,
                     .argument_count = arguments->count,
                     .environment = environment->list,
                     .environment_count = environment->count};
fail:
    return status;
}

revbifpn_status rb_record_epoch(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    revbifpn_status status;
    TRY(add_speed(&t->record, t->progress.epoch, err));
    if (t->record.events) TRY(excuse_events(t, epoch_events(t, r, err), err));
    status = t->task->record_epoch(t, r, err);
fail:
    return status;
}
