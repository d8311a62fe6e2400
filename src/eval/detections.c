#include "eval/detections.h"

#include <string.h>

#include "eval/evaluate.h"

void rb_coco_stats(const rb_coco_score *s, double stats[REVBIFPN_COCO_STATS]) {
    const double in_order[REVBIFPN_COCO_STATS] = {s->ap[0],        s->ap50,  s->ap75,         s->ap[1],
                                                  s->ap[2],        s->ap[3], s->ar_limits[0], s->ar_limits[1],
                                                  s->ar_limits[2], s->ar[1], s->ar[2],        s->ar[3]};
    for (int i = 0; i < REVBIFPN_COCO_STATS; i++) stats[i] = in_order[i];
}

void rb_detect_scores_close(rb_detect_scores *s) {
    rb_free(s->boxes);
    rb_free(s->masks);
    rb_free(s->box_curves);
    rb_free(s->mask_curves);
    rb_coco_results_close(&s->box_results);
    rb_coco_results_close(&s->mask_results);
    *s = (rb_detect_scores){0};
}

rb_step_bytes rb_detections_bytes(rb_detector *d, const struct rb_ops *ops, rb_pool *pool,
                                  const rb_detect_plan *plan, int batch, bool training, bool stored) {
    rb_step_bytes bytes = {0};
    for (int i = 0; i < plan->extent_count; i++) {
        rb_shape image = {batch, plan->extents[i].height, plan->extents[i].width,
                          d->config.backbone.input_channels};
        rb_step_bytes one = rb_detector_measure(d, ops, pool, image, training, stored);
        bytes = i ? rb_step_bytes_join(bytes, one) : one;
    }
    return bytes;
}

int rb_detect_padding(int batch_width, int batch_height, int image, int width, int height, rb_patch out[2]) {
    int count = 0, right = batch_width - width, below = batch_height - height;
    if (right > 0)
        out[count++] =
            (rb_patch){.image = image, .x = width, .w = right, .h = batch_height, .fill = RB_PATCH_ZERO};
    if (below > 0)
        out[count++] = (rb_patch){.image = image, .y = height, .w = width, .h = below, .fill = RB_PATCH_ZERO};
    return count;
}

/* ---- results ---- */

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the results of the validation");
}

static revbifpn_status add_result(rb_coco_results *all, const rb_coco_result *one, rb_error *err) {
    rb_coco_result *grown = rb_grow(all->at, &all->room, all->count + 1, sizeof *grown);
    if (!grown) return no_memory(err);
    all->at = grown;
    grown[all->count] = *one;
    grown[all->count].number = (uint32_t)all->count + 1;
    all->count++;
    return REVBIFPN_OK;
}

/* A box in the pixels of the original, which the scale factors lead back to. */
static void original_box(const rb_detect_item *item, const float box[4], float out[4]) {
    for (int i = 0; i < 4; i++) out[i] = box[i] / item->scale[i % 2];
}

static revbifpn_status add_mask(rb_detect_scores *s, const rb_detect_item *item, const float box[4],
                                const float *probabilities, const rb_coco_result *like, rb_spans *spans,
                                rb_error *err) {
    rb_coco_results *all = &s->mask_results;
    rb_coco_result r = *like;
    rb_mask_paste(probabilities, box, item->width, item->height, spans);
    rb_mask mask = {(uint32_t)item->height, (uint32_t)item->width, spans->at, spans->count};
    r.has_box = false;
    r.segment = (rb_segment){.offset = all->block.size, .form = RB_SEGMENT_RUNS};
    r.segment.height = mask.height;
    r.segment.width = mask.width;
    rb_runs_encode(mask, &all->block);
    if (spans->failed || all->block.failed) return no_memory(err);
    r.segment.size = (uint32_t)(all->block.size - r.segment.offset);
    return add_result(all, &r, err);
}

static revbifpn_status add_found(rb_detect_scores *s, const rb_detect_item *item, const rb_detections *found,
                                 rb_spans *spans, rb_error *err) {
    revbifpn_status status;
    for (int i = 0; i < found->count; i++) {
        const rb_detection *d = &found->at[i];
        float box[4];
        original_box(item, d->box, box);
        rb_coco_result r = {.score = (double)d->score, .image = item->picture, .category = d->label};
        r.has_box = true;
        r.box[0] = (double)box[0];
        r.box[1] = (double)box[1];
        r.box[2] = (double)(box[2] - box[0]);
        r.box[3] = (double)(box[3] - box[1]);
        TRY(add_result(&s->box_results, &r, err));
        if (found->masks)
            TRY(add_mask(s, item, box, found->masks + (size_t)i * RB_MASK_SIDE * RB_MASK_SIDE, &r, spans,
                         err));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

/* ---- the pictures ---- */

static revbifpn_status judge(const rb_detect_evaluation *e, rb_detect_batch *batch, rb_detections *found,
                             rb_error *err) {
    rb_patch padding[2];
    rb_images images = {.shape = {1, batch->height, batch->width, 3}, .bytes = batch->images};
    rb_frame frame = {batch->items[0].truth.width, batch->items[0].truth.height};
    rb_pass pass = {.exec = e->exec, .err = err, .k = e->k};
    images.mean = e->mean;
    images.std = e->std;
    images.patches = padding;
    images.patch_count =
        rb_detect_padding(batch->width, batch->height, 0, frame.width, frame.height, padding);
    return rb_detector_detect(e->detector, &pass, &images, &frame, found);
}

static revbifpn_status run(const rb_detect_evaluation *e, rb_detect_loader *loader, rb_detect_scores *s,
                           rb_spans *spans, rb_detections *found, rb_error *err) {
    revbifpn_status status;
    rb_detect_batch batch;
    for (int seen = 1;; seen++) {
        TRY(rb_detect_loader_next(loader, &batch, err));
        if (!batch.count) return REVBIFPN_OK;
        const rb_detect_item *item = &batch.items[0];
        if (item->stands_in) continue;
        TRY(judge(e, &batch, found, err));
        TRY(add_found(s, item, found, spans, err));
        rb_detected one = {item, batch.images, (size_t)batch.width * 3, found};
        if (e->judged) TRY(e->judged(e->user, &one, err));
        s->images++;
        if (e->progress) e->progress(e->user, seen, e->data->pictures->count);
    }
fail:
    return status;
}

static void tell_issues(const rb_detect_evaluation *e, const rb_detect_loader *loader) {
    const rb_loader_issue *issues;
    size_t count = rb_detect_loader_issues(loader, &issues);
    rb_loader_issues_tell(issues, count, "left out", e->note, e->user);
}

/* ---- the measure ---- */

/* The split as COCO's files would have it; the outlines stay the split's. */
static revbifpn_status make_truth(const rb_detect_evaluation *e, rb_coco *t, rb_error *err) {
    const rb_pictures *p = e->data->pictures;
    *t = (rb_coco){.image_count = (size_t)p->count, .object_count = p->object_count, .block = p->block};
    t->category_count = (size_t)e->set->class_count;
    t->images = rb_alloc((t->image_count + 1) * sizeof *t->images);
    t->categories = rb_alloc((t->category_count + 1) * sizeof *t->categories);
    t->objects = rb_alloc((t->object_count + 1) * sizeof *t->objects);
    if (!t->images || !t->categories || !t->objects) return no_memory(err);
    for (size_t i = 0; i <= t->image_count; i++) {
        const rb_picture *from = &p->pictures[i];
        t->images[i] = (rb_coco_image){from->id, from->width, from->height, 0, from->first};
    }
    for (size_t i = 0; i < t->category_count; i++) t->categories[i].id = e->set->classes[i].id;
    for (size_t i = 0; i < t->image_count; i++)
        for (size_t o = p->pictures[i].first; o < p->pictures[i + 1].first; o++) {
            const rb_object *from = &p->objects[o];
            t->objects[o] = (rb_coco_object){.id = from->id,
                                             .image = (int64_t)i,
                                             .category = from->label,
                                             .area = from->area,
                                             .has_box = true,
                                             .has_area = true,
                                             .crowd = from->crowd,
                                             .ignore = from->ignore,
                                             .segment = from->segment};
            memcpy(t->objects[o].box, from->box, sizeof from->box);
        }
    return REVBIFPN_OK;
}

static void close_truth(rb_coco *t) {
    rb_free(t->images);
    rb_free(t->categories);
    rb_free(t->objects);
}

static revbifpn_status measure_one(const rb_detect_evaluation *e, const rb_coco *truth, bool masks,
                                   const rb_coco_results *results, rb_coco_score **classes,
                                   rb_coco_curve **curves, rb_coco_score *mean, rb_error *err) {
    rb_coco_options options = rb_coco_default_options();
    options.masks = masks;
    *classes = rb_alloc((truth->category_count + 1) * sizeof **classes);
    if (e->curves) *curves = rb_alloc((truth->category_count + 1) * sizeof **curves);
    if (!*classes || (e->curves && !*curves)) return no_memory(err);
    revbifpn_status status =
        rb_coco_evaluate(truth, results, &options, (rb_coco_paths){e->path, "the results"}, e->exec->pool,
                         *classes, *curves, err);
    if (status == REVBIFPN_OK) *mean = rb_coco_mean(*classes, truth->category_count, &options);
    return status;
}

static revbifpn_status measure(const rb_detect_evaluation *e, rb_detect_scores *s, rb_error *err) {
    revbifpn_status status;
    rb_coco truth;
    TRY(make_truth(e, &truth, err));
    TRY(measure_one(e, &truth, false, &s->box_results, &s->boxes, &s->box_curves, &s->box, err));
    if (e->detector->config.masks)
        TRY(measure_one(e, &truth, true, &s->mask_results, &s->masks, &s->mask_curves, &s->mask, err));
fail:
    close_truth(&truth);
    return status;
}

revbifpn_status rb_detect_evaluate(const rb_detect_evaluation *e, rb_detect_scores *out, rb_error *err) {
    revbifpn_status status;
    rb_detect_loader *loader = NULL;
    rb_spans spans = {0};
    rb_detections *found = rb_alloc(sizeof *found);
    *out = (rb_detect_scores){0};
    if (!found) return no_memory(err);
    TRY(rb_detect_loader_open(&loader, e->data, err));
    TRY(run(e, loader, out, &spans, found, err));
    if (e->note) tell_issues(e, loader);
    out->bad_files = e->data->pictures->count - out->images;
    if (!out->images) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "no validation picture could be read");
        goto fail;
    }
    status = measure(e, out, err);
fail:
    if (status) rb_detect_scores_close(out);
    rb_detect_loader_close(&loader);
    rb_spans_close(&spans);
    rb_free(found);
    return status;
}
