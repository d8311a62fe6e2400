/* The box head (spec 5.3, 11): RoIAlign to 7 × 7, two shared layers, a score for each class and background, a
 * box code for each class. Training goes through chunks of boxes, forward and backward at once: the losses'
 * denominators are known before. */
#include <math.h>
#include <string.h>

#include "detect/box.h"
#include "detect/detector.h"
#include "detect/roi_maps.h"
#include "detect/rows.h"

enum { CHUNK = 256, CELLS = RB_ROI_SIDE * RB_ROI_SIDE };

/* A chunk's rows; all on scratch. */
typedef struct chunk {
    rb_detector *d;
    rb_exec *x;
    int count;
    float *pooled;         /* count,49,c */
    float *rows;           /* count,c,49: as the first layer's weights count */
    float *hidden[2];      /* count,features */
    float *scores, *codes; /* count,classes + 1  count,classes,4 */
    float *d_hidden, *d_scores, *d_codes;
} chunk;

static float *push(chunk *k, int width) {
    return rb_arena_push(&k->x->scratch, (size_t)k->count * (size_t)width * sizeof(float));
}

static chunk open_chunk(rb_detector *d, rb_exec *x, int count, bool learns) {
    const revbifpn_detector_config *c = &d->config;
    chunk k = {.d = d, .x = x, .count = count};
    k.pooled = push(&k, c->channels * CELLS);
    k.rows = push(&k, c->channels * CELLS);
    for (int i = 0; i < 2; i++) k.hidden[i] = push(&k, c->features);
    k.scores = push(&k, c->classes + 1);
    k.codes = push(&k, c->classes * 4);
    if (!learns) return k;
    k.d_hidden = push(&k, c->features);
    k.d_scores = push(&k, c->classes + 1);
    k.d_codes = push(&k, c->classes * 4);
    return k;
}

/* dst[i] = src[i] transposed, for `count` matrices of rows × columns. */
typedef struct turn_job {
    const float *src;
    float *dst;
    size_t rows, columns;
} turn_job;

static void turn_task(void *arg, int i, int thread) {
    (void)thread;
    const turn_job *j = arg;
    const float *src = j->src + (size_t)i * j->rows * j->columns;
    float *dst = j->dst + (size_t)i * j->rows * j->columns;
    for (size_t c = 0; c < j->columns; c++)
        for (size_t r = 0; r < j->rows; r++) dst[c * j->rows + r] = src[r * j->columns + c];
}

static void turn(rb_exec *x, int count, int rows, int columns, const float *src, float *dst) {
    turn_job job = {src, dst, (size_t)rows, (size_t)columns};
    if (!x->dry) rb_pool_run(x->pool, count, turn_task, &job);
}

static rb_rows layer_of(const chunk *k, rb_layer layer, int inputs, int outputs, const float *src,
                        bool relu) {
    const rb_params *params = &k->d->model.params;
    return (rb_rows){.count = k->count,
                     .inputs = inputs,
                     .outputs = outputs,
                     .src = src,
                     .wgt = rb_param_weight(params, layer.wgt),
                     .bias = rb_param_weight(params, layer.bias),
                     .relu = relu};
}

static rb_rows fc_of(const chunk *k, int i) {
    const revbifpn_detector_config *c = &k->d->config;
    return i ? layer_of(k, k->d->fc[1], c->features, c->features, k->hidden[0], true)
             : layer_of(k, k->d->fc[0], c->channels * CELLS, c->features, k->rows, true);
}
static rb_rows class_of(const chunk *k) {
    const revbifpn_detector_config *c = &k->d->config;
    return layer_of(k, k->d->box_class, c->features, c->classes + 1, k->hidden[1], false);
}
static rb_rows code_of(const chunk *k) {
    const revbifpn_detector_config *c = &k->d->config;
    return layer_of(k, k->d->box_code, c->features, 4 * c->classes, k->hidden[1], false);
}

static void form(chunk *k, const rb_roi_align *pool) {
    rb_roi_align_forward(k->x, pool, k->pooled);
    turn(k->x, k->count, CELLS, k->d->config.channels, k->pooled, k->rows);
    for (int i = 0; i < 2; i++) {
        rb_rows fc = fc_of(k, i);
        rb_rows_forward(k->x, &fc, k->hidden[i]);
    }
    rb_rows classes = class_of(k), codes = code_of(k);
    rb_rows_forward(k->x, &classes, k->scores);
    rb_rows_forward(k->x, &codes, k->codes);
}

static void softmax(const float *logits, int count, double *out) {
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) most = fmax(most, (double)logits[i]);
    for (int i = 0; i < count; i++) sum += out[i] = exp((double)logits[i] - most);
    for (int i = 0; i < count; i++) out[i] /= sum;
}

/* ---- losses ---- */

typedef struct learning {
    const rb_truth *truth;
    double denominator, scale; /* boxes; gradients: 1 / (denominator · batches) */
    double *probabilities;     /* classes + 1 */
    rb_detect_losses *losses;
} learning;

static int largest(const float *values, int count) {
    int at = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[at]) at = i;
    return at;
}

static void learn_class(chunk *k, learning *v, int i, int label) {
    int n = k->d->config.classes + 1;
    const float *logits = k->scores + (size_t)i * (size_t)n;
    float *d = k->d_scores + (size_t)i * (size_t)n;
    softmax(logits, n, v->probabilities);
    v->losses->part[RB_LOSS_CLASS] -= log(v->probabilities[label]) / v->denominator;
    v->losses->accuracy += (largest(logits, n) == label) / v->denominator;
    for (int c = 0; c < n; c++) d[c] = (float)((v->probabilities[c] - (c == label)) * v->scale);
}

static void learn_box(chunk *k, learning *v, int i, int label, const float *box, const float *truth) {
    size_t at = ((size_t)i * (size_t)k->d->config.classes + (size_t)label) * 4;
    float code[4];
    rb_box_encode(box, truth, rb_deviation_roi, code);
    for (size_t c = 0; c < 4; c++) {
        double off = (double)k->codes[at + c] - (double)code[c];
        v->losses->part[RB_LOSS_BOX] += fabs(off) / v->denominator;
        k->d_codes[at + c] = (float)(((off > 0) - (off < 0)) * v->scale);
    }
}

static void take_losses(chunk *k, learning *v, const rb_rois *rois, int first) {
    memset(k->d_codes, 0, (size_t)k->count * (size_t)k->d->config.classes * 4 * sizeof(float));
    for (int i = 0; i < k->count; i++) {
        int at = first + i, object = rois->truth[at];
        learn_class(k, v, i, rois->label[at]);
        if (object < 0) continue;
        learn_box(k, v, i, rois->label[at], rois->boxes + 4 * (size_t)at,
                  v->truth[rois->image[at]].boxes + 4 * (size_t)object);
    }
}

/* ---- backward ---- */

static void layer_backward(chunk *k, rb_layer layer, const rb_rows *r, const float *dst, float *d_dst,
                           float *d_src, bool accumulate) {
    const rb_params *params = &k->d->model.params;
    rb_rows_backward(k->x, r, dst, d_dst, rb_param_gradient(params, layer.wgt),
                     rb_param_gradient(params, layer.bias), d_src, accumulate);
}

/* The gradient of the rows goes over the pooled maps, and turned over the rows. */
static void backward(chunk *k, const rb_roi_align *pool) {
    rb_rows classes = class_of(k), codes = code_of(k), first = fc_of(k, 0), second = fc_of(k, 1);
    layer_backward(k, k->d->box_class, &classes, NULL, k->d_scores, k->d_hidden, false);
    layer_backward(k, k->d->box_code, &codes, NULL, k->d_codes, k->d_hidden, true);
    size_t mark = rb_arena_mark(&k->x->scratch);
    float *d_first = push(k, k->d->config.features);
    layer_backward(k, k->d->fc[1], &second, k->hidden[1], k->d_hidden, d_first, false);
    layer_backward(k, k->d->fc[0], &first, k->hidden[0], d_first, k->pooled, false);
    rb_arena_release(&k->x->scratch, mark);
    turn(k->x, k->count, k->d->config.channels, CELLS, k->pooled, k->rows);
    rb_roi_align_backward(k->x, pool, k->rows, k->d->d_features);
}

static void learn_chunk(rb_detector *d, rb_exec *x, learning *v, const rb_rois *rois, int first, int count) {
    size_t mark = rb_arena_mark(&x->scratch);
    chunk k = open_chunk(d, x, count, true);
    rb_roi_align pool =
        rb_roi_maps(d, RB_ROI_SIDE, count, rois->boxes ? rois->boxes + 4 * (size_t)first : NULL,
                    rois->image ? rois->image + first : NULL);
    form(&k, &pool);
    if (!x->dry) take_losses(&k, v, rois, first);
    backward(&k, &pool);
    rb_arena_release(&x->scratch, mark);
}

void rb_box_head_learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, const rb_rois *rois, int batches,
                       rb_detect_losses *losses) {
    rb_exec *x = pass->exec;
    rb_exec_enter(x, (rb_operation){.part = RB_PART_BOX_HEAD, .backward = true});
    size_t mark = rb_arena_mark(&x->scratch);
    learning v = {.truth = truth, .losses = losses, .denominator = rois->count > 1 ? rois->count : 1};
    v.scale = 1 / (v.denominator * batches);
    v.probabilities = rb_arena_push(&x->scratch, (size_t)(d->config.classes + 1) * sizeof(double));
    rb_rois none = {0};
    for (int count = 1; x->dry && count <= CHUNK; count++) learn_chunk(d, x, &v, &none, 0, count);
    for (int first = 0; !x->dry && first < rois->count; first += CHUNK)
        learn_chunk(d, x, &v, rois, first, rois->count - first < CHUNK ? rois->count - first : CHUNK);
    rb_arena_release(&x->scratch, mark);
}

/* ---- inference ---- */

static void judge_chunk(rb_detector *d, rb_exec *x, int count, const float *boxes, const int32_t *image,
                        float *scores, float *codes) {
    size_t mark = rb_arena_mark(&x->scratch), n = (size_t)d->config.classes + 1;
    chunk k = open_chunk(d, x, count, false);
    double *probabilities = rb_arena_push(&x->scratch, n * sizeof *probabilities);
    rb_roi_align pool = rb_roi_maps(d, RB_ROI_SIDE, count, boxes, image);
    form(&k, &pool);
    for (size_t i = 0; !x->dry && i < (size_t)count; i++) {
        softmax(k.scores + i * n, (int)n, probabilities);
        for (size_t c = 0; c < n; c++) scores[i * n + c] = (float)probabilities[c];
        memcpy(codes + i * (n - 1) * 4, k.codes + i * (n - 1) * 4, (n - 1) * 4 * sizeof(float));
    }
    rb_arena_release(&x->scratch, mark);
}

void rb_box_head_judge(rb_detector *d, rb_pass *pass, int count, const float *boxes, const int32_t *image,
                       float *scores, float *codes) {
    rb_exec *x = pass->exec;
    rb_exec_enter(x, (rb_operation){.part = RB_PART_BOX_HEAD});
    size_t n = (size_t)d->config.classes + 1;
    for (int some = 1; x->dry && some <= CHUNK; some++) judge_chunk(d, x, some, NULL, NULL, NULL, NULL);
    for (int first = 0; !x->dry && first < count; first += CHUNK) {
        size_t at = (size_t)first;
        judge_chunk(d, x, count - first < CHUNK ? count - first : CHUNK, boxes + 4 * at, image + at,
                    scores + at * n, codes + at * (n - 1) * 4);
    }
}
