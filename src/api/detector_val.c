/* Judging a trained detector on a data set. */
#include <string.h>

#include "api/context.h"
#include "eval/detections.h"

enum { RING = 4 };

static revbifpn_detector_val_options default_val(void) {
    return (revbifpn_detector_val_options){.struct_size = sizeof(revbifpn_detector_val_options),
                                           .workers = 2,
                                           .max_bad = 50,
                                           .max_pixels = RB_API_MAX_PIXELS};
}

void revbifpn_init_detector_val(revbifpn_detector_val_options *out, size_t struct_size) {
    revbifpn_detector_val_options options = default_val();
    rb_api_init(out, struct_size, &options, sizeof options);
}

typedef struct judging {
    revbifpn_detector *d;
    const revbifpn_detector_val_options *options;
    rb_objects set;
    rb_detect_loader_options data;
    rb_detect_plan plan;
    rb_exec exec;
    rb_detect_scores scores;
} judging;

static revbifpn_status open_set(judging *j, rb_error *err) {
    revbifpn_status status;
    const rb_weights_info *info = &j->d->info;
    rb_objects_options options = {.purpose = RB_OBJECTS_EVALUATE, .outlines = info->detector.masks};
    options.max_pixels = j->options->max_pixels;
    options.class_names = (const char *const *)info->classes;
    options.classes = info->class_count;
    TRY(rb_objects_open(&j->set, j->options->data, &options, err));
    if (j->set.class_count != info->detector.classes) { /* weights without names take the data's */
        status =
            rb_fail(err, REVBIFPN_BAD_DATA, "%s: %d classes; the weights are for %d, and do not name them",
                    j->options->data, j->set.class_count, info->detector.classes);
        goto fail;
    }
    j->data = (rb_detect_loader_options){
        .pictures = &j->set.val,
        .batch = 1,
        .limits = {.long_side = info->detector.long_side, .short_side = info->detector.short_side},
        .end_epoch = 1,
        .threads = j->options->workers,
        .ring = RING,
        .max_bad = j->options->max_bad,
        .max_pixels = j->options->max_pixels};
    status = rb_detect_loader_plan(&j->data, &j->plan, err);
fail:
    return status;
}

static revbifpn_status judge(judging *j, rb_error *err) {
    revbifpn_status status;
    revbifpn_detector *d = j->d;
    rb_step_bytes bytes =
        rb_detections_bytes(&d->network, &d->ctx->ops, d->ctx->pool, &j->plan, 1, false, false);
    TRY(rb_exec_open(&j->exec, &d->ctx->ops, d->ctx->pool, &bytes, err));
    rb_detect_evaluation e = {.detector = &d->network,
                              .exec = &j->exec,
                              .k = d->info.grid,
                              .mean = d->info.preprocess.mean,
                              .std = d->info.preprocess.std,
                              .set = &j->set,
                              .data = &j->data,
                              .path = j->options->data,
                              .progress = j->options->progress,
                              .note = j->options->note,
                              .user = j->options->user};
    status = rb_detect_evaluate(&e, &j->scores, err);
fail:
    return status;
}

static void tell_classes(const judging *j, int masks, const rb_coco_score *scores) {
    for (int k = 0; scores && k < j->set.class_count; k++) {
        revbifpn_coco_class one = {.id = j->set.classes[k].id,
                                   .name = j->set.classes[k].name,
                                   .objects = scores[k].objects,
                                   .detections = scores[k].detections};
        rb_coco_stats(&scores[k], one.stats);
        j->options->class_stats(j->options->user, masks, &one);
    }
}

static void fill(const judging *j, revbifpn_metrics *out) {
    *out = (revbifpn_metrics){.images = j->scores.images, .bad_files = j->scores.bad_files};
    rb_coco_stats(&j->scores.box, out->boxes);
    for (int i = 0; i < REVBIFPN_STATS; i++) out->masks[i] = -1;
    if (j->scores.masks) rb_coco_stats(&j->scores.mask, out->masks);
}

revbifpn_status revbifpn_evaluate_detector(revbifpn_detector *d, const revbifpn_detector_val_options *given,
                                           revbifpn_metrics *out) {
    RB_ENTER(d->ctx);
    revbifpn_status status;
    rb_error *err = &d->ctx->error;
    revbifpn_detector_val_options own = default_val();
    judging j = {.d = d, .options = &own};
    *out = (revbifpn_metrics){0};
    TRY(rb_api_take(&own, sizeof own, given, "detector_val_options", err));
    if (!own.data || !*own.data) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "data: no folder named");
    TRY(open_set(&j, err));
    TRY(judge(&j, err));
    if (own.results && *own.results)
        TRY(rb_detect_results_write(own.results, &j.scores, &j.set, &j.set.val, err));
    if (own.class_stats) tell_classes(&j, 0, j.scores.boxes);
    if (own.class_stats) tell_classes(&j, 1, j.scores.masks);
    fill(&j, out);
fail:
    rb_detect_scores_close(&j.scores);
    rb_exec_close(&j.exec);
    rb_objects_close(&j.set);
    return status;
}
