/* What the report shows of a detector: batches as the network sees them, the worst pictures, precision. */
#include <stdio.h>
#include <string.h>

#include "eval/hits.h"
#include "image/mark.h"
#include "ops/mask_head/mask_head.h"
#include "train/detect.h"
#include "train/environment.h"

/* What counts as found in the pictures, and as right. */
static const double least_score = 0.3, least_overlap = 0.5;

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the pictures of the report");
}

static const char *class_name(const rb_trainer *t, int label) { return t->detect->data.classes[label].name; }

/* A copy of a picture whose rows lie `stride` bytes apart. */
static revbifpn_status copy_picture(const uint8_t *pixels, size_t stride, int width, int height,
                                    rb_image *out, rb_error *err) {
    revbifpn_status status;
    TRY(rb_image_alloc(out, width, height, err));
    for (int y = 0; y < height; y++)
        memcpy(out->pixels + (size_t)y * (size_t)width * 3, pixels + (size_t)y * stride, (size_t)width * 3);
fail:
    return status;
}

static void tint(rb_image *image, const rb_span *spans, size_t count, int label) {
    for (size_t s = 0; s < count; s++)
        rb_mark_tint(image, spans[s].begin, spans[s].end, rb_mark_color(label));
}

static rb_shot_box make_box(const float corners[4], int label, bool object) {
    rb_shot_box b = {.label = label, .object = object};
    for (int i = 0; i < 4; i++) b.corners[i] = (double)corners[i];
    return b;
}

/* ---- a batch as the network sees it ---- */

/* The picture without its padding, which the network sees as the mean colour. */
static revbifpn_status take_seen(rb_trainer *t, const rb_detect_batch *b, int index, rb_shot *shot,
                                 rb_error *err) {
    revbifpn_status status;
    const rb_truth *truth = &b->items[index].truth;
    size_t stride = (size_t)b->width * 3;
    rb_image picture = {0};
    rb_shot_box *boxes = rb_alloc(((size_t)truth->count + 1) * sizeof *boxes);
    if (!boxes) return no_memory(err);
    TRY(copy_picture(b->images + (size_t)index * (size_t)b->height * stride, stride, truth->width,
                     truth->height, &picture, err));
    for (int i = 0; i < truth->count; i++) {
        int label = truth->labels[i];
        boxes[i] = make_box(truth->boxes + 4 * (size_t)i, label, false);
        snprintf(boxes[i].text, sizeof boxes[i].text, "%.40s", class_name(t, label));
        if (truth->masks) tint(&picture, truth->masks[i].spans, truth->masks[i].count, label);
    }
    shot->objects = truth->count;
    status = rb_shot_take(shot, rb_picture_path(&t->detect->data.train, b->items[index].picture), &picture,
                          boxes, truth->count, err);
fail:
    rb_image_free(&picture);
    rb_free(boxes);
    return status;
}

revbifpn_status rb_record_detect_batch(rb_trainer *t, const rb_detect_batch *b, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    rb_shots *s = &t->detect->shots;
    for (s->seen_count = 0; s->seen_count < b->count && s->seen_count < RB_SHOTS_SEEN; s->seen_count++)
        TRY(take_seen(t, b, s->seen_count, &s->seen[s->seen_count], err));
fail:
    return status;
}

/* ---- a validation ---- */

void rb_record_detect_start(rb_trainer *t) {
    rb_shots_start(&t->detect->shots);
    t->detect->box_precision = t->detect->mask_precision = (rb_precision){0};
}

/* Detections of the score that counts; they come first. */
static int likely(const rb_detections *found) {
    int count = 0;
    while (count < found->count && (double)found->at[count].score >= least_score) count++;
    return count;
}

static revbifpn_status tint_found(const rb_detections *found, int count, rb_image *picture, rb_error *err) {
    rb_spans spans = {0};
    for (int i = count - 1; i >= 0 && found->masks; i--) { /* the most likely one over all others */
        float box[4];
        memcpy(box, found->at[i].box, sizeof box);
        rb_mask_paste(found->masks + (size_t)i * RB_MASK_SIDE * RB_MASK_SIDE, box, picture->width,
                      picture->height, &spans);
        tint(picture, spans.at, spans.count, found->at[i].label);
    }
    revbifpn_status status = spans.failed ? no_memory(err) : REVBIFPN_OK;
    rb_spans_close(&spans);
    return status;
}

/* boxes: room for all detections and objects. */
static revbifpn_status take_worst(rb_trainer *t, const rb_detected *one, rb_shot_box *boxes, rb_shot *shot,
                                  rb_error *err) {
    revbifpn_status status;
    const rb_truth *truth = &one->item->truth;
    const rb_detections *found = one->found;
    rb_image picture = {0};
    int count = likely(found);
    TRY(copy_picture(one->pixels, one->stride, truth->width, truth->height, &picture, err));
    TRY(tint_found(found, count, &picture, err));
    for (int i = 0; i < count; i++) {
        const rb_detection *d = &found->at[i];
        boxes[i] = make_box(d->box, d->label, false);
        snprintf(boxes[i].text, sizeof boxes[i].text, "%.40s %.0f", class_name(t, d->label),
                 100 * (double)d->score);
    }
    for (int i = 0; i < truth->count; i++) {
        rb_shot_box *b = &boxes[count + i];
        *b = make_box(truth->boxes + 4 * (size_t)i, truth->labels[i], true);
        snprintf(b->text, sizeof b->text, "%.40s", class_name(t, truth->labels[i]));
    }
    status = rb_shot_take(shot, rb_picture_path(&t->detect->data.val, one->item->picture), &picture, boxes,
                          count + truth->count, err);
fail:
    rb_image_free(&picture);
    return status;
}

revbifpn_status rb_record_detected(void *trainer, const rb_detected *one, rb_error *err) {
    rb_trainer *t = trainer;
    const rb_truth *truth = &one->item->truth;
    revbifpn_status status = REVBIFPN_OK;
    int found;
    bool *taken = rb_alloc((size_t)truth->count + 1);
    rb_shot_box *boxes = rb_alloc(((size_t)truth->count + RB_DETECTIONS) * sizeof *boxes);
    if (!taken || !boxes) {
        status = no_memory(err);
        goto fail;
    }
    int hits = rb_detect_hits(truth, one->found, least_score, least_overlap, taken, &found);
    rb_shot *shot = rb_shots_judged(&t->detect->shots, truth->count, found, hits);
    if (shot) status = take_worst(t, one, boxes, shot, err);
fail:
    rb_free(taken);
    rb_free(boxes);
    return status;
}

static void keep_precision(const rb_coco_score *scores, const rb_coco_curve *curves, int classes,
                           rb_precision *out) {
    for (int i = 0; curves && i < classes; i++) {
        if (curves[i].precision[RB_COCO_AT_50][0] < 0) continue; /* no object */
        rb_precision_add(out, i, scores[i].objects, curves[i].precision[RB_COCO_AT_50],
                         curves[i].precision[RB_COCO_AT_75]);
    }
    rb_precision_end(out);
}

void rb_record_detect_scores(rb_trainer *t, const rb_detect_scores *s) {
    _Static_assert((int)RB_PRECISION_POINTS == (int)RB_COCO_RECALLS,
                   "the page shows the evaluator's recalls");
    rb_detect_run *d = t->detect;
    keep_precision(s->boxes, s->box_curves, d->data.class_count, &d->box_precision);
    keep_precision(s->masks, s->mask_curves, d->data.class_count, &d->mask_precision);
}

/* ---- the page ---- */

static revbifpn_status write_report(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_facts arguments = {0}, environment = {0};
    rb_detect_run *d = t->detect;
    bool masks = t->args.task == REVBIFPN_SEGMENT;
    char path[4096], summary[512];
    rb_detect_report report = {.shots = &d->shots,
                               .least_score = least_score,
                               .boxes = &d->box_precision,
                               .masks = masks ? &d->mask_precision : NULL};
    const char **names = rb_alloc(((size_t)d->data.class_count + 1) * sizeof *names);
    if (!names) return no_memory(err);
    for (int i = 0; i < d->data.class_count; i++) names[i] = class_name(t, i);
    report.classes = names;
    snprintf(summary, sizeof summary,
             "%s R-CNN on %s, %d classes, %d training and %d validation pictures, %zu parameters",
             masks ? "Mask" : "Faster", t->args.model.name, d->data.class_count, t->pictures,
             d->data.val.count, t->model->params.parameters);
    TRY(rb_record_page(t, summary, &arguments, &environment, &report.page, err));
    status = rb_detect_report_write(&report, rb_run_file(&t->run, "report.html", path), err);
fail:
    rb_facts_close(&arguments);
    rb_facts_close(&environment);
    rb_free(names);
    return status;
}

revbifpn_status rb_record_detect(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    (void)r;
    return rb_record_excuse(t, write_report(t, err), err);
}
