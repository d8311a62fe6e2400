/* Judging detections; checking and converting their data sets. */
#include "api/context.h"
#include "base/memory.h"
#include "data/check_objects.h"
#include "data/objects_write.h"
#include "eval/detections.h"

static revbifpn_coco_options default_coco(void) {
    return (revbifpn_coco_options){.struct_size = sizeof(revbifpn_coco_options)};
}

void revbifpn_init_coco(revbifpn_coco_options *out, size_t struct_size) {
    revbifpn_coco_options options = default_coco();
    rb_api_init(out, struct_size, &options, sizeof options);
}

/* Both files are read at once: task 0 reads the annotations, task 1 the results. */
typedef struct reading {
    const revbifpn_coco_options *options;
    rb_coco truth;
    rb_coco_results results;
    revbifpn_status status[2];
    rb_error error[2];
} reading;

static void read_one(void *arg, int task, int thread) {
    reading *r = arg;
    bool masks = r->options->masks != 0;
    (void)thread;
    r->status[task] = task ? rb_coco_results_open(&r->results, r->options->dt, masks, &r->error[1])
                           : rb_coco_open(&r->truth, r->options->gt, masks, &r->error[0]);
}

static void tell_classes(const reading *r, const rb_coco_score *scores) {
    for (size_t k = 0; r->options->class_stats && k < r->truth.category_count; k++) {
        const rb_coco_category *c = &r->truth.categories[k];
        revbifpn_coco_class one = {.id = c->id,
                                   .name = r->truth.text.bytes + c->name,
                                   .objects = scores[k].objects,
                                   .detections = scores[k].detections};
        rb_coco_stats(&scores[k], one.stats);
        r->options->class_stats(r->options->user, &one);
    }
}

static revbifpn_status judge(revbifpn *ctx, reading *r, revbifpn_coco_report *out) {
    revbifpn_status status;
    rb_coco_options options = rb_coco_default_options();
    rb_coco_score *scores = rb_alloc(rb_size_mul(r->truth.category_count, sizeof *scores));
    options.masks = r->options->masks != 0;
    if (!scores) {
        status = rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for the categories",
                         r->options->gt);
        goto fail;
    }
    TRY(rb_coco_results_resolve(&r->results, &r->truth, r->options->dt, &ctx->error));
    TRY(rb_coco_evaluate(&r->truth, &r->results, &options, (rb_coco_paths){r->options->gt, r->options->dt},
                         ctx->pool, scores, NULL, &ctx->error));
    rb_coco_score mean = rb_coco_mean(scores, r->truth.category_count, &options);
    *out = (revbifpn_coco_report){.images = r->truth.image_count,
                                  .categories = r->truth.category_count,
                                  .objects = mean.objects,
                                  .detections = mean.detections,
                                  .objects_left_out = r->truth.left_out,
                                  .detections_left_out = r->results.left_out};
    rb_coco_stats(&mean, out->stats);
    tell_classes(r, scores);
fail:
    rb_free(scores);
    return status;
}

revbifpn_status revbifpn_eval_coco(revbifpn *ctx, const revbifpn_coco_options *given,
                                   revbifpn_coco_report *out) {
    RB_ENTER(ctx);
    revbifpn_coco_options own = default_coco(), *o = &own;
    *out = (revbifpn_coco_report){0};
    revbifpn_status status = rb_api_take(o, sizeof *o, given, "coco_options", &ctx->error);
    if (status) return status;
    if (!o->gt || !*o->gt || !o->dt || !*o->dt)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "%s: no file named",
                       o->gt && *o->gt ? "dt" : "gt");
    reading *r = rb_alloc(sizeof *r);
    if (!r) return rb_fail(&ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory");
    r->options = o;
    rb_pool_run(ctx->pool, 2, read_one, r);
    int worse = r->status[0] ? 0 : 1;
    status = r->status[worse];
    if (status)
        ctx->error = r->error[worse];
    else
        status = judge(ctx, r, out);
    rb_coco_close(&r->truth);
    rb_coco_results_close(&r->results);
    rb_free(r);
    return status;
}

/* ---- data sets of objects ---- */

int revbifpn_is_objects(const char *data) { return data && *data && rb_objects_is(data); }

static revbifpn_status open_set(revbifpn *ctx, const char *data, bool outlines, uint64_t max_pixels,
                                rb_objects *set) {
    rb_objects_options options = {.purpose = RB_OBJECTS_ALL, .outlines = outlines, .max_pixels = max_pixels};
    if (!data || !*data) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "data: no folder named");
    return rb_objects_open(set, data, &options, &ctx->error);
}

static revbifpn_object_check_options default_object_check(void) {
    return (revbifpn_object_check_options){.struct_size = sizeof(revbifpn_object_check_options),
                                           .max_pixels = RB_API_MAX_PIXELS};
}

void revbifpn_init_object_check(revbifpn_object_check_options *out, size_t struct_size) {
    revbifpn_object_check_options options = default_object_check();
    rb_api_init(out, struct_size, &options, sizeof options);
}

revbifpn_status revbifpn_check_objects(revbifpn *ctx, const revbifpn_object_check_options *given,
                                       revbifpn_object_check_report *out) {
    RB_ENTER(ctx);
    rb_objects set = {0};
    revbifpn_object_check_options own = default_object_check(), *o = &own;
    *out = (revbifpn_object_check_report){0};
    revbifpn_status status = rb_api_take(o, sizeof *o, given, "object_check_options", &ctx->error);
    if (!status) status = open_set(ctx, o->data, true, o->max_pixels, &set);
    if (!status) status = rb_check_objects(&set, o, ctx->pool, out, &ctx->error);
    rb_objects_close(&set);
    return status;
}

static revbifpn_object_convert_options default_object_convert(void) {
    return (revbifpn_object_convert_options){.struct_size = sizeof(revbifpn_object_convert_options),
                                             .max_pixels = RB_API_MAX_PIXELS};
}

void revbifpn_init_object_convert(revbifpn_object_convert_options *out, size_t struct_size) {
    revbifpn_object_convert_options options = default_object_convert();
    rb_api_init(out, struct_size, &options, sizeof options);
}

static revbifpn_status write_set(revbifpn *ctx, const revbifpn_object_convert_options *o,
                                 revbifpn_object_convert_report *out) {
    rb_objects set = {0};
    rb_objects_write_report report = {0};
    rb_objects_write_options options = {
        .outlines = o->outlines != 0, .progress = o->progress, .user = o->user};
    switch (o->form) {
    case REVBIFPN_COCO: options.form = RB_OBJECTS_COCO; break;
    case REVBIFPN_VOC: options.form = RB_OBJECTS_VOC; break;
    case REVBIFPN_YOLO: options.form = RB_OBJECTS_YOLO; break;
    default: return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "form: %d is none", (int)o->form);
    }
    if (!o->out || !*o->out) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "out: no folder named");
    revbifpn_status status = open_set(ctx, o->data, options.outlines, o->max_pixels, &set);
    if (!status) status = rb_objects_write(&set, o->out, &options, &report, &ctx->error);
    *out = (revbifpn_object_convert_report){.pictures = report.pictures,
                                            .classes = set.class_count,
                                            .objects = report.objects,
                                            .left_out = report.left_out,
                                            .outlines_dropped = report.outlines_dropped,
                                            .missing = report.missing};
    rb_objects_close(&set);
    return status;
}

revbifpn_status revbifpn_convert_objects(revbifpn *ctx, const revbifpn_object_convert_options *given,
                                         revbifpn_object_convert_report *out) {
    RB_ENTER(ctx);
    revbifpn_object_convert_options own = default_object_convert();
    *out = (revbifpn_object_convert_report){0};
    revbifpn_status status = rb_api_take(&own, sizeof own, given, "object_convert_options", &ctx->error);
    return status ? status : write_set(ctx, &own, out);
}
