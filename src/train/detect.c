/* The task of training a detector: its data, its batches, its validation. */
#include <stdio.h>
#include <string.h>

#include "eval/evaluate.h"
#include "model/config.h"
#include "train/detect.h"
#include "train/setup.h"

enum { RING = 4, PATCHES = 2 /* of padding, for each picture */ };

static bool wants_masks(const rb_trainer *t) { return t->args.task == REVBIFPN_SEGMENT; }

static revbifpn_status set_limits(rb_trainer *t, rb_detect_limits *limits, rb_error *err) {
    const revbifpn_train_config *a = &t->args;
    *limits = (rb_detect_limits){.long_side = a->long_side,
                                 .short_side = a->short_side,
                                 .mirror = a->hflip,
                                 .scale_low = a->scale_jitter_low,
                                 .scale_high = a->scale_jitter_high};
    if (a->scale_high) {
        limits->short_side = a->scale_high;
        limits->short_least = a->scale_low;
    }
    revbifpn_status status = rb_jitter_parse(&limits->colors, a->color_jitter, err);
    return status ? status : rb_detect_limits_check(limits, err);
}

/* Arguments that a detector has no use for are refused rather than passed over. */
static revbifpn_status refuse_others(const revbifpn_train_config *a, rb_error *err) {
    const struct {
        const char *name;
        bool set;
    } others[] = {{"freeze features", !strcmp(a->freeze, "features")},
                  {"aa", *a->aa != 0},
                  {"mixup", a->mixup > 0},
                  {"cutmix", a->cutmix > 0},
                  {"reprob", a->reprob > 0},
                  {"aug-repeats", a->aug_repeats > 1},
                  {"vflip", a->vflip > 0},
                  {"val-fraction", a->val_fraction > 0},
                  {"val-data", *a->val_data != 0},
                  {"bce-loss", a->bce_loss},
                  {"bits", a->bits == 16},
                  {"channels", a->model.input_channels != 3}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].set)
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: not for detectors", others[i].name);
    return REVBIFPN_OK;
}

/* The epoch from which on there are no mosaics. */
static int mosaic_end(const revbifpn_train_config *a) { return rb_schedule_epochs(a) - a->close_mosaic; }

static revbifpn_status check_mosaic(const revbifpn_train_config *a, rb_error *err) {
    if (!(a->mosaic > 0) || mosaic_end(a) > 0) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                   "mosaic %g: nothing is left of %d epochs when the last %d are without (close-mosaic)",
                   a->mosaic, rb_schedule_epochs(a), a->close_mosaic);
}

static revbifpn_status check(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    const revbifpn_train_config *a = &t->args;
    rb_detect_run *d = t->detect = rb_alloc(sizeof *d);
    if (!d) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the run");
    TRY(refuse_others(a, err));
    TRY(check_mosaic(a, err));
    d->given_classes = a->model.classes;
    t->args.model.classes = 0;
    t->args.model.neck = true;
    TRY(rb_config_check(&a->model, err));
    d->train_options = (rb_detect_loader_options){.pictures = &d->data.train,
                                                  .batch = a->batch,
                                                  .training = true,
                                                  .masks = wants_masks(t),
                                                  .mosaic = a->mosaic,
                                                  .seed = a->seed,
                                                  .threads = a->workers,
                                                  .ring = RING,
                                                  .max_bad = a->max_bad,
                                                  .max_pixels = a->max_pixels,
                                                  .stop = &t->stop};
    TRY(set_limits(t, &d->train_options.limits, err));
    d->val_options = d->train_options;
    d->val_options.pictures = &d->data.val;
    d->val_options.training = d->val_options.masks = false;
    d->val_options.batch = 1; /* as published results are made: padding is the picture's own */
    d->val_options.limits.short_least = 0;
    d->val_options.end_epoch = 1;
fail:
    return status;
}

static revbifpn_status open_data(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_detect_run *d = t->detect;
    rb_objects_options options = {.purpose = RB_OBJECTS_TRAIN, .outlines = wants_masks(t)};
    options.max_pixels = t->args.max_pixels;
    TRY(rb_objects_open(&d->data, t->args.data, &options, err));
    if (d->given_classes && d->given_classes != d->data.class_count)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s has %d classes, the network %d", t->args.data,
                       d->data.class_count, d->given_classes);
    TRY(rb_detect_loader_plan(&d->train_options, &d->train_plan, err));
    TRY(rb_detect_loader_plan(&d->val_options, &d->val_plan, err));
    t->pictures = d->train_plan.pictures;
    t->batches = d->train_plan.batches;
    t->image = (rb_shape){t->args.batch, d->train_plan.extents[0].height, d->train_plan.extents[0].width, 3};
    if (!t->batches)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: %d training pictures do not fill one batch of %d",
                       t->args.data, t->pictures, t->args.batch);
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status build(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_detect_run *d = t->detect;
    revbifpn_detector_config c = rb_config_detector(&t->args.model, d->data.class_count, wants_masks(t));
    c.channels = t->args.fpn;
    c.features = t->args.fc;
    c.most_objects = d->train_plan.most_objects;
    c.long_side = t->args.long_side;
    c.short_side = t->args.short_side;
    TRY(rb_detector_create(&d->detector, &c, err));
    t->model = &d->detector.model;
    rb_model_set_precision(t->model, t->args.precision);
    for (int i = 0; i < d->train_plan.extent_count; i++) {
        rb_detect_extent e = d->train_plan.extents[i];
        rb_shape image = {t->args.batch, e.height, e.width, t->args.model.input_channels};
        TRY(rb_model_check_input(&t->args.model, image, !t->args.bn_eval, err));
    }
    status = rb_train_freeze(t->model, &t->args, err);
fail:
    return status;
}

static rb_step_bytes measure(rb_trainer *t, rb_shape image, bool training) {
    rb_detect_run *d = t->detect;
    const rb_detect_plan *plan = training ? &d->train_plan : &d->val_plan;
    bool stored = training && t->args.activations == REVBIFPN_STORED;
    return rb_detections_bytes(&d->detector, t->ops, t->pool, plan, training ? image.n : 1, training, stored);
}

static revbifpn_status prepare(rb_trainer *t, rb_error *err) {
    rb_detect_run *d = t->detect;
    int count = d->data.class_count;
    t->info.detector = d->detector.config;
    strcpy(t->info.preprocess.interpolation, "bilinear");
    d->padding = rb_alloc((size_t)t->args.batch * PATCHES * sizeof *d->padding);
    d->truth = rb_alloc((size_t)t->args.batch * sizeof *d->truth);
    char **names = rb_alloc((size_t)count * sizeof *names);
    revbifpn_status status = REVBIFPN_OK;
    if (!d->padding || !d->truth || !names)
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the run");
    for (int i = 0; !status && i < count; i++) names[i] = d->data.classes[i].name;
    if (!status) status = rb_weights_info_set_classes(&t->info, names, count, err);
    rb_free(names);
    return status;
}

static revbifpn_status begin(rb_trainer *t, rb_error *err) {
    rb_detect_loader_options *o = &t->detect->train_options;
    int first = t->progress.step * t->args.accumulate; /* the last step of an epoch may have had fewer */
    o->epoch = (uint64_t)t->progress.epoch;
    o->first_batch = first < t->batches ? first : t->batches;
    o->end_epoch = (uint64_t)t->epochs;
    if (o->mosaic > 0) o->mosaic_end = (uint64_t)mosaic_end(&t->args);
    return rb_detect_loader_open(&t->detect->loader, o, err);
}

/* ---- a step ---- */

typedef struct step_data {
    rb_detect_run *run;
    const rb_images *images;
    rb_detect_losses losses;
} step_data;

static revbifpn_status run_batch(void *user, rb_pass *pass, int batches, double *loss) {
    step_data *s = user;
    revbifpn_status status =
        rb_detector_train(&s->run->detector, pass, s->images, s->run->truth, batches, &s->losses);
    *loss = rb_detect_loss(&s->losses);
    return status;
}

static void add_parts(rb_trainer *t, const rb_detect_losses *l, int batches) {
    _Static_assert((int)RB_PARTS == (int)RB_LOSS_PARTS, "a place for each part");
    for (int i = 0; i < RB_PARTS; i++) t->progress.parts[i] += l->part[i] / batches;
}

static revbifpn_status add_batch(rb_trainer *t, int batch, int batches, rb_step_report *step,
                                 double *waited_ms, rb_error *err) {
    revbifpn_status status;
    rb_detect_run *d = t->detect;
    rb_detect_batch next;
    double start = rb_milliseconds();
    t->stop.held = batch > 0; /* only the end of the step is a place to resume from */
    TRY(rb_detect_loader_next(d->loader, &next, err));
    t->stop.held = false;
    *waited_ms += rb_milliseconds_since(start);
    rb_images images = {.shape = {next.count, next.height, next.width, 3}, .bytes = next.images};
    images.mean = t->info.preprocess.mean;
    images.std = t->info.preprocess.std;
    images.patches = d->padding;
    for (int i = 0; i < next.count; i++) {
        const rb_truth *truth = &next.items[i].truth;
        d->truth[i] = *truth;
        images.patch_count += rb_detect_padding(next.width, next.height, i, truth->width, truth->height,
                                                d->padding + images.patch_count);
    }
    if (!d->shots.seen_count || (!batch && !t->progress.step)) TRY(rb_record_detect_batch(t, &next, err));
    step_data data = {.run = d, .images = &images};
    TRY(rb_step_add_body(&t->step, run_batch, &data, rb_trainer_batch_index(t, batch), batch, batches, step,
                         err));
    add_parts(t, &data.losses, batches);
fail:
    return status;
}

static void tell_files(rb_trainer *t) {
    const rb_loader_issue *issues;
    size_t count = rb_detect_loader_issues(t->detect->loader, &issues);
    rb_loader_issues_tell(issues + t->detect->told, count - t->detect->told, "replaced by the next picture",
                          rb_trainer_note, t);
    t->detect->told = count;
}

/* ---- validation ---- */

static revbifpn_status validate(rb_trainer *t, revbifpn_metrics *out, rb_error *err) {
    rb_detect_run *d = t->detect;
    rb_detect_scores scores;
    rb_detect_evaluation e = {.detector = &d->detector,
                              .exec = &t->step.exec,
                              .k = t->step.k,
                              .mean = t->info.preprocess.mean,
                              .std = t->info.preprocess.std,
                              .set = &d->data,
                              .data = &d->val_options,
                              .path = t->args.data,
                              .note = d->validated ? NULL : rb_trainer_note, /* once is enough */
                              .judged = rb_record_detected,
                              .user = t,
                              .curves = true};
    d->validated = true;
    rb_record_detect_start(t);
    *out = (revbifpn_metrics){0};
    revbifpn_status status = rb_detect_evaluate(&e, &scores, err);
    if (status) return status;
    rb_coco_stats(&scores.box, out->boxes);
    for (int i = 0; i < REVBIFPN_STATS; i++) out->masks[i] = -1;
    if (wants_masks(t)) rb_coco_stats(&scores.mask, out->masks);
    out->images = scores.images;
    out->bad_files = scores.bad_files;
    rb_record_detect_scores(t, &scores);
    rb_detect_scores_close(&scores);
    return REVBIFPN_OK;
}

static int box_values(const revbifpn_metrics *m, double *out) {
    memcpy(out, m->boxes, sizeof m->boxes);
    return REVBIFPN_STATS;
}
static int all_values(const revbifpn_metrics *m, double *out) {
    memcpy(out + box_values(m, out), m->masks, sizeof m->masks);
    return 2 * REVBIFPN_STATS;
}

static double box_score(const revbifpn_metrics *m) { return m->boxes[REVBIFPN_COCO_AP]; }
static double mask_score(const revbifpn_metrics *m) { return m->masks[REVBIFPN_COCO_AP]; }

static void close(rb_trainer *t) {
    rb_detect_run *d = t->detect;
    if (!d) return;
    rb_detect_loader_close(&d->loader);
    rb_detector_close(&d->detector);
    rb_objects_close(&d->data);
    rb_shots_close(&d->shots);
    rb_free(d->padding);
    rb_free(d->truth);
    rb_free(d);
    t->detect = NULL;
}

#define STATS(p)                                                                                             \
    p "ap," p "ap50," p "ap75," p "ap_small," p "ap_medium," p "ap_large," p "ar1," p "ar10," p "ar100," p   \
      "ar_small," p "ar_medium," p "ar_large"
#define PARTS "loss_rpn_cls,loss_rpn_bbox,loss_cls,loss_bbox"
#define DETECTOR_TASK(losses, loss_count, columns, row, best)                                                \
    {                                                                                                        \
        .check = check, .open_data = open_data, .build = build, .measure = measure, .prepare = prepare,      \
        .read_weights = rb_train_read_detector, .begin = begin, .add_batch = add_batch,                      \
        .tell_files = tell_files, .validate = validate, .record_epoch = rb_record_detect, .close = close,    \
        .parts = losses, .part_count = loss_count, .metrics = columns, .values = row, .score = best          \
    }
const rb_run_task rb_detect_task = DETECTOR_TASK(PARTS, 4, STATS(""), box_values, box_score);
const rb_run_task rb_segment_task =
    DETECTOR_TASK(PARTS ",loss_mask", RB_PARTS, STATS("") "," STATS("mask_"), all_values, mask_score);
