/* Judging detections. */
#include "api/context.h"
#include "base/memory.h"
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
                         ctx->pool, scores, &ctx->error));
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
