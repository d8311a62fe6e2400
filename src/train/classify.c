/* The task of training a classifier: its data, its batches, its validation. */
#include <stdio.h>
#include <string.h>

#include "data/sampler.h"
#include "eval/evaluate.h"
#include "model/config.h"
#include "train/setup.h"
#include "train/task.h"

enum { RING = 4 };

static revbifpn_status set_loader_options(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    const revbifpn_train_config *a = &t->args;
    rb_loader_options *o = &t->classify.train_options;
    *o = (rb_loader_options){.split = &t->classify.data.train,
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
    TRY(rb_train_augmentation(a, &o->train, &t->classify.prepare_options, err));
    t->classify.val_options = *o;
    t->classify.val_options.training = false;
    t->classify.val_options.split = &t->classify.data.val;
    t->classify.val_options.end_epoch = 1;
    t->classify.val_options.eval = (rb_eval_transform){.width = o->train.width,
                                                       .height = o->train.height,
                                                       .crop_pct = a->crop_pct,
                                                       .filter = RB_FILTER_BICUBIC};
    if (!strcmp(a->interpolation, "bilinear")) t->classify.val_options.eval.filter = RB_FILTER_BILINEAR;
    return rb_eval_transform_check(&t->classify.val_options.eval, err);
fail:
    return status;
}

/* What can be refused before the data is looked at. */
static revbifpn_status check(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    TRY(set_loader_options(t, err));
    TRY(rb_config_check(&t->args.model, err));
    const revbifpn_model_config *c = &t->args.model;
    t->image = (rb_shape){t->args.batch, c->image_height, c->image_width, c->input_channels};
    rb_shape batch = t->image;
    if (rb_mix_used(&t->classify.prepare_options.mix) && t->classify.prepare_options.mix.mode == RB_MIX_HALF)
        batch.n /= 2;
    return rb_model_check_input(&t->args.model, batch, true, err);
fail:
    return status;
}

static revbifpn_status open_data(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_dataset *data = &t->classify.data;
    rb_dataset_options options = {
        .purpose = RB_DATASET_TRAIN, .val_fraction = t->args.val_fraction, .seed = t->args.seed};
    if (*t->args.val_data) options.val_root = t->args.val_data;
    TRY(rb_dataset_open(data, t->args.data, &options, err));
    revbifpn_model_config *c = &t->args.model;
    if (!c->classes) c->classes = data->classes;
    if (c->classes != data->classes)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s has %d classes, the network %d", t->args.data,
                       data->classes, c->classes);
    int entries = rb_sampler_entries(data->train.count, t->args.aug_repeats);
    t->pictures = data->train.count;
    t->batches = rb_sampler_batches(entries, t->args.batch, true);
    if (!t->batches)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: %d training pictures do not fill one batch of %d",
                       t->args.data, entries, t->args.batch);
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status build(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    TRY(rb_config_check(&t->args.model, err));
    TRY(rb_model_create(&t->classify.model, &t->args.model, err));
    t->model = &t->classify.model;
    rb_model_set_precision(&t->classify.model, t->args.precision);
    TRY(rb_train_freeze(&t->classify.model, &t->args, err));
    return REVBIFPN_OK;
fail:
    return status;
}

static rb_step_bytes measure(rb_trainer *t, rb_shape image, bool training) {
    rb_model *model = &t->classify.model;
    if (training)
        return rb_model_measure(model, t->ops, t->pool, image, true, t->args.activations == REVBIFPN_STORED);
    return rb_evaluation_bytes(model, t->ops, t->pool, image, t->classify.data.val.count % image.n);
}

static revbifpn_status prepare(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_classify_run *c = &t->classify;
    c->prepare_options.classes = c->data.classes;
    TRY(rb_prepare_open(&c->prepare, &c->prepare_options, err));
    t->info.preprocess.crop_pct = t->args.crop_pct;
    t->info.preprocess.bits = c->train_options.decode.channels ? 16 : 8;
    if (c->val_options.eval.filter == RB_FILTER_BILINEAR)
        strcpy(t->info.preprocess.interpolation, "bilinear");
    return rb_weights_info_set_classes(&t->info, c->data.class_names, c->data.classes, err);
fail:
    return status;
}

static revbifpn_status begin(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_loader_options *o = &t->classify.train_options;
    int first = t->progress.step * t->args.accumulate; /* the last step of an epoch may have had fewer */
    o->epoch = (uint64_t)t->progress.epoch;
    o->first_batch = first < t->batches ? first : t->batches;
    o->end_epoch = (uint64_t)t->epochs;
    TRY(rb_collection_open(&t->record.collection, t->classify.data.classes, err));
    status = rb_loader_open(&t->classify.loader, o, err);
fail:
    return status;
}

static revbifpn_status add_batch(rb_trainer *t, int batch, int batches, rb_step_report *step,
                                 double *waited_ms, rb_error *err) {
    revbifpn_status status;
    rb_batch next;
    double start = rb_milliseconds();
    t->stop.held = batch > 0; /* statistics have moved: only the end of the step is a place to resume from */
    TRY(rb_loader_next(t->classify.loader, &next, err));
    t->stop.held = false;
    *waited_ms += rb_milliseconds_since(start);
    rb_images images = {.shape = {next.count, next.height, next.width, next.channels},
                        .bytes = next.images,
                        .words = next.words};
    images.mean = t->info.preprocess.mean;
    images.std = t->info.preprocess.std;
    rb_prepare_batch(&t->classify.prepare, &next, &images);
    if (!t->record.collection.seen_count || (!batch && !t->progress.step))
        TRY(rb_record_batch(t, &next, &images, err));
    rb_targets targets = {.labels = next.labels, .soft = t->classify.prepare.soft};
    return rb_step_add(&t->step, &images, targets, rb_trainer_batch_index(t, batch), batch, batches, step,
                       err);
fail:
    return status;
}

/* Files met since the last step. */
static void tell_files(rb_trainer *t) {
    const rb_loader_issue *issues;
    size_t count = rb_loader_issues(t->classify.loader, &issues);
    rb_loader_issues_tell(issues + t->classify.told, count - t->classify.told, "replaced by the next picture",
                          rb_trainer_note, t);
    t->classify.told = count;
}

static revbifpn_status validate(rb_trainer *t, revbifpn_metrics *out, rb_error *err) {
    rb_evaluation e = {.model = &t->classify.model,
                       .exec = &t->step.exec,
                       .k = t->step.k,
                       .mean = t->info.preprocess.mean,
                       .std = t->info.preprocess.std,
                       .data = &t->classify.val_options,
                       .note = t->classify.validated ? NULL : rb_trainer_note, /* once is enough */
                       .judged = rb_record_judged,
                       .user = t};
    rb_collection_start(&t->record.collection);
    t->classify.validated = true;
    return rb_evaluate(&e, out, err);
}

static int values(const revbifpn_metrics *m, double *out) {
    out[0] = m->loss;
    out[1] = m->top1;
    out[2] = m->top5;
    return 3;
}

static double score(const revbifpn_metrics *m) { return m->top1; }

static void close(rb_trainer *t) {
    rb_classify_run *c = &t->classify;
    rb_loader_close(&c->loader);
    rb_prepare_close(&c->prepare);
    rb_model_close(&c->model);
    rb_dataset_close(&c->data);
}

const rb_run_task rb_classify_task = {.check = check,
                                      .open_data = open_data,
                                      .build = build,
                                      .measure = measure,
                                      .prepare = prepare,
                                      .read_weights = rb_train_read_weights,
                                      .begin = begin,
                                      .add_batch = add_batch,
                                      .tell_files = tell_files,
                                      .validate = validate,
                                      .record_epoch = rb_record_classify,
                                      .close = close,
                                      .parts = "",
                                      .metrics = "val_loss,top1,top5",
                                      .values = values,
                                      .score = score};
