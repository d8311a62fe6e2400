#include "eval/evaluate.h"

#include <math.h>

#include "eval/topk.h"

rb_step_bytes rb_step_bytes_join(rb_step_bytes a, rb_step_bytes b) {
    size_t kept_a = a.state + a.kept, kept_b = b.state + b.kept;
    size_t scratch_a = a.gradient + a.scratch, scratch_b = b.gradient + b.scratch;
    return (rb_step_bytes){.kept = kept_a > kept_b ? kept_a : kept_b,
                           .scratch = scratch_a > scratch_b ? scratch_a : scratch_b};
}

rb_step_bytes rb_evaluation_bytes(rb_model *model, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                                  int last) {
    rb_step_bytes whole = rb_model_measure(model, ops, pool, image, false, false);
    if (last <= 0) return whole;
    image.n = last;
    return rb_step_bytes_join(whole, rb_model_measure(model, ops, pool, image, false, false));
}

typedef struct sums {
    int top1, top5, images;
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

/* `first`: the batch's first sample. */
static revbifpn_status judge(const rb_evaluation *e, const rb_loader *loader, const rb_batch *batch,
                             int first, sums *s, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    int classes = e->model->config.classes;
    for (int i = 0; i < batch->count; i++) {
        const float *logits = e->model->logits + (size_t)i * (size_t)classes;
        const char *path = e->data->split->samples[first + i].path;
        if (is_unreadable(loader, path)) continue;
        double loss;
        rb_softmax_loss(e->exec, 1, classes, logits, &batch->labels[i], 0, &loss, NULL);
        int rank = rb_rank_of(logits, classes, batch->labels[i]);
        s->top1 += rank == 0;
        s->top5 += rank < 5;
        s->loss += loss;
        s->images++;
        if (e->judged) TRY(tell_judgement(e, batch, i, path, logits, err));
    }
fail:
    return status;
}

static revbifpn_status run(const rb_evaluation *e, rb_loader *loader, sums *s, rb_error *err) {
    revbifpn_status status;
    rb_batch batch;
    for (int seen = 0;; seen += batch.count) {
        TRY(rb_loader_next(loader, &batch, err));
        if (!batch.count) return REVBIFPN_OK;
        rb_images images = {.shape = {batch.count, batch.height, batch.width, batch.channels},
                            .bytes = batch.images,
                            .words = batch.words};
        images.mean = e->mean;
        images.std = e->std;
        rb_pass pass = {.exec = e->exec, .err = err, .k = e->k};
        TRY(rb_model_forward_on_a_grid(e->model, &pass, &images));
        TRY(judge(e, loader, &batch, seen, s, err));
        if (e->progress) e->progress(e->user, seen + batch.count, e->data->split->count);
    }
fail:
    return status;
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
