#include "eval/evaluate.h"

#include <math.h>
#include <stdio.h>

#include "eval/topk.h"

rb_step_bytes rb_step_bytes_join(rb_step_bytes a, rb_step_bytes b) {
    size_t kept_a = a.state + a.kept, kept_b = b.state + b.kept;
    size_t scratch_a = a.gradient + a.scratch, scratch_b = b.gradient + b.scratch;
    return (rb_step_bytes){.kept = kept_a > kept_b ? kept_a : kept_b,
                           .scratch = scratch_a > scratch_b ? scratch_a : scratch_b};
}

rb_step_bytes rb_evaluation_bytes(rb_model *model, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                                  int last) {
    const int counts[] = {image.n, last, 1};
    rb_step_bytes bytes = {0};
    for (int i = 0; i < 3; i++) {
        image.n = counts[i];
        if (image.n > 0)
            bytes = rb_step_bytes_join(bytes, rb_model_measure(model, ops, pool, image, false, false));
    }
    return bytes;
}

typedef struct sums {
    int top1, top5, images;
    int alone; /* pictures that had to be judged by themselves */
    double loss;
} sums;

/* In the place of a file that could not be read the loader puts another picture, which counts once, at its
 * own place. */
static bool is_unreadable(const rb_loader *loader, const char *path) {
    const rb_loader_issue *issues;
    size_t count = rb_loader_issues(loader, &issues);
    for (size_t i = 0; i < count; i++)
        if (issues[i].path == path && issues[i].reason) return true;
    return false;
}

/* Hands picture i of the batch on, with the class that the logits are for. */
static revbifpn_status tell_judgement(const rb_evaluation *e, const rb_batch *batch, int i, const char *path,
                                      const float *logits, rb_error *err) {
    int classes = e->model->config.classes, best;
    double sum = 0;
    rb_top_k(logits, classes, 1, &best);
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - (double)logits[best]);
    rb_judgement judgement = {.path = path,
                              .label = batch->labels[i],
                              .predicted = best,
                              .probability = 1 / sum,
                              .height = batch->height,
                              .width = batch->width,
                              .channels = batch->channels};
    size_t before = (size_t)i * (size_t)batch->height * (size_t)batch->width * (size_t)batch->channels;
    if (batch->images) judgement.pixels = batch->images + before;
    if (batch->words) judgement.words = batch->words + before;
    return e->judged(e->user, &judgement, err);
}

/* Some pictures of a batch that are judged together; `before`: samples before the batch. */
typedef struct part {
    const rb_batch *batch;
    int before, first, count;
} part;

static revbifpn_status forward(const rb_evaluation *e, const part *p, int k, rb_error *err) {
    const rb_batch *b = p->batch;
    size_t skipped = (size_t)p->first * (size_t)b->height * (size_t)b->width * (size_t)b->channels;
    rb_images images = {.shape = {p->count, b->height, b->width, b->channels}};
    if (b->images) images.bytes = b->images + skipped;
    if (b->words) images.words = b->words + skipped;
    images.mean = e->mean;
    images.std = e->std;
    rb_pass pass = {.exec = e->exec, .err = err, .k = k};
    return rb_model_forward_on_a_grid(e->model, &pass, &images);
}

/* By the logits of the last forward. */
static revbifpn_status judge(const rb_evaluation *e, const rb_loader *loader, const part *p, sums *s,
                             rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    int classes = e->model->config.classes;
    for (int i = p->first; i < p->first + p->count; i++) {
        const float *logits = e->model->logits + (size_t)(i - p->first) * (size_t)classes;
        const char *path = e->data->split->samples[p->before + i].path;
        int label = p->batch->labels[i];
        if (is_unreadable(loader, path)) continue;
        double loss;
        rb_softmax_loss(e->exec, 1, classes, logits, &p->batch->labels[i], 0, &loss, NULL);
        int rank = rb_rank_of(logits, classes, label);
        s->top1 += rank == 0;
        s->top5 += rank < 5;
        s->loss += loss;
        s->images++;
        if (e->judged) TRY(tell_judgement(e, p->batch, i, path, logits, err));
    }
fail:
    return status;
}

/* A batch that has a picture whose states leave the range of the coarsest grid that batches may have: each by
 * itself, so that it does not take the others along. */
static revbifpn_status judge_alone(const rb_evaluation *e, const rb_loader *loader, part p, sums *s,
                                   rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    int count = p.count;
    p.count = 1;
    for (; p.first < count; p.first++) {
        TRY(forward(e, &p, e->k < RB_GRID_FLOOR ? e->k : RB_GRID_FLOOR, err));
        TRY(judge(e, loader, &p, s, err));
    }
    s->alone += count;
fail:
    return status;
}

static revbifpn_status run(const rb_evaluation *e, rb_loader *loader, sums *s, rb_error *err) {
    revbifpn_status status;
    rb_batch batch;
    for (int seen = 0;; seen += batch.count) {
        TRY(rb_loader_next(loader, &batch, err));
        if (!batch.count) return REVBIFPN_OK;
        part all = {&batch, seen, 0, batch.count};
        status = forward(e, &all, e->k, err);
        if (status == REVBIFPN_NOT_FINITE && batch.count > 1)
            TRY(judge_alone(e, loader, all, s, err));
        else if (status == REVBIFPN_OK)
            TRY(judge(e, loader, &all, s, err));
        else
            goto fail;
        if (e->progress) e->progress(e->user, seen + batch.count, e->data->split->count);
    }
fail:
    return status;
}

static void tell_alone(const rb_evaluation *e, int count) {
    char line[160];
    snprintf(line, sizeof line,
             "states grew past the range of the grid 2^-%d: %d pictures were judged one by one",
             RB_GRID_FLOOR, count);
    e->note(e->user, line);
}

static void tell_issues(const rb_evaluation *e, const rb_loader *loader) {
    const rb_loader_issue *issues;
    size_t count = rb_loader_issues(loader, &issues);
    rb_loader_issues_tell(issues, count, "left out", e->note, e->user);
}

revbifpn_status rb_evaluate(const rb_evaluation *e, revbifpn_metrics *out, rb_error *err) {
    rb_loader *loader = NULL;
    sums s = {0};
    revbifpn_status status;
    TRY(rb_loader_open(&loader, e->data, err));
    TRY(run(e, loader, &s, err));
    if (e->note) tell_issues(e, loader);
    if (e->note && s.alone) tell_alone(e, s.alone);
    if (!s.images) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "no validation picture could be read");
        goto fail;
    }
    *out = (revbifpn_metrics){.top1 = (double)s.top1 / s.images,
                              .top5 = (double)s.top5 / s.images,
                              .loss = s.loss / s.images,
                              .images = s.images,
                              .bad_files = e->data->split->count - s.images};
fail:
    rb_loader_close(&loader);
    return status;
}
