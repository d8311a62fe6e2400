/* The mask head (He et al. 2017; spec 5.4, 12): RoIAlign to 14 × 14, four 3×3 layers, a transposed
 * convolution to 28 × 28, and of the last layer's classes the box's own alone: no other is ever looked at.
 *
 * The transposed convolution has kernel = stride = 2, so it is a product for each of the 14 × 14 cells that
 * gives the four pixels of the cell: pixels lie in memory cell by cell. Training goes through chunks of
 * boxes, forward and backward at once. */
#include <math.h>
#include <string.h>

#include "detect/detector.h"
#include "detect/roi_maps.h"
#include "detect/rows.h"
#include "ops/conv3x3/conv3x3.h"

enum {
    CHUNK = 16,
    CELLS = RB_MASK_IN * RB_MASK_IN,
    PIXELS = RB_MASK_SIDE * RB_MASK_SIDE,
    IN_CELL = 4 /* pixels of a cell */
};

/* Where pixel y, x of a mask lies. */
static int place_of(int pixel) {
    int y = pixel / RB_MASK_SIDE, x = pixel % RB_MASK_SIDE;
    return (y / 2 * RB_MASK_IN + x / 2) * IN_CELL + y % 2 * 2 + x % 2;
}

typedef struct chunk {
    rb_detector *d;
    rb_exec *x;
    int count;
    const int32_t *label;
    float *maps[RB_MASK_CONVS + 1]; /* count,14,14,c: pooled, and after each layer */
    float *up;                      /* count,784,c */
    float *logits;                  /* count,784 */
    float *wgt, *bias;              /* of the transposed convolution as a product: 4·c,c  4·c */
} chunk;

static float *push(rb_exec *x, size_t floats) { return rb_arena_push(&x->scratch, floats * sizeof(float)); }

static size_t channels(const chunk *k) { return (size_t)k->d->config.channels; }

static chunk open_chunk(rb_detector *d, rb_exec *x, int count, const int32_t *label) {
    chunk k = {.d = d, .x = x, .count = count, .label = label};
    size_t n = (size_t)count, c = channels(&k);
    for (int i = 0; i <= RB_MASK_CONVS; i++) k.maps[i] = push(x, n * CELLS * c);
    k.up = push(x, n * PIXELS * c);
    k.logits = push(x, n * PIXELS);
    k.wgt = push(x, IN_CELL * c * c);
    k.bias = push(x, IN_CELL * c);
    return k;
}

/* PyTorch's order of a transposed convolution is in,out,2,2. With `add` the other way: gradients back. */
static void turn_up_weight(rb_exec *x, size_t c, float *theirs, float *ours, bool add) {
    for (size_t i = 0; !x->dry && i < c; i++)
        for (size_t o = 0; o < c; o++)
            for (size_t s = 0; s < IN_CELL; s++) {
                float *a = theirs + (i * c + o) * IN_CELL + s, *b = ours + (s * c + o) * c + i;
                if (add)
                    *a += *b;
                else
                    *b = *a;
            }
}

static void pack_up(chunk *k) {
    size_t c = channels(k);
    const float *bias = rb_param_weight(&k->d->model.params, k->d->upsample.bias);
    turn_up_weight(k->x, c, rb_param_weight(&k->d->model.params, k->d->upsample.wgt), k->wgt, false);
    for (size_t s = 0; !k->x->dry && s < IN_CELL; s++) memcpy(k->bias + s * c, bias, c * sizeof(float));
}

static rb_conv3x3 conv_of(const chunk *k, int i) {
    const rb_params *params = &k->d->model.params;
    int c = k->d->config.channels;
    return (rb_conv3x3){.shape = {k->count, RB_MASK_IN, RB_MASK_IN, c},
                        .src = k->maps[i],
                        .oc = c,
                        .wgt = rb_param_weight(params, k->d->mask_conv[i].wgt),
                        .bias = rb_param_weight(params, k->d->mask_conv[i].bias),
                        .relu = true};
}

static rb_rows up_of(const chunk *k) {
    int c = k->d->config.channels;
    return (rb_rows){.count = k->count * CELLS,
                     .inputs = c,
                     .outputs = IN_CELL * c,
                     .src = k->maps[RB_MASK_CONVS],
                     .wgt = k->wgt,
                     .bias = k->bias,
                     .relu = true};
}

/* The logits of box i, of its label alone. */
static void logits_task(void *arg, int i, int thread) {
    (void)thread;
    const chunk *k = arg;
    size_t c = channels(k), label = (size_t)k->label[i];
    const float *wgt = rb_param_weight(&k->d->model.params, k->d->mask_logits.wgt) + label * c;
    float bias = rb_param_weight(&k->d->model.params, k->d->mask_logits.bias)[label];
    for (size_t p = (size_t)i * PIXELS; p < (size_t)(i + 1) * PIXELS; p++) {
        float sums[8] = {0};
        for (size_t at = 0; at < c; at++) sums[at % 8] += wgt[at] * k->up[p * c + at];
        k->logits[p] = bias + (((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                               ((sums[4] + sums[5]) + (sums[6] + sums[7])));
    }
}

static void form(chunk *k, const rb_roi_align *pool) {
    rb_roi_align_forward(k->x, pool, k->maps[0]);
    for (int i = 0; i < RB_MASK_CONVS; i++) {
        rb_conv3x3 conv = conv_of(k, i);
        rb_conv3x3_forward(k->x, &conv, k->maps[i + 1]);
    }
    pack_up(k);
    rb_rows up = up_of(k);
    rb_rows_forward(k->x, &up, k->up);
    if (!k->x->dry) rb_pool_run(k->x->pool, k->count, logits_task, k);
}

/* ---- learning ---- */

typedef struct learning {
    const rb_truth *truth;
    const rb_rois *rois;
    const int32_t *with_object; /* indices of the boxes that learn */
    double denominator, scale;  /* pixels; gradients: 1 / (denominator · batches) */
    rb_detect_losses *losses;
} learning;

/* The chunk's boxes side by side. */
typedef struct boxes {
    float *box;
    int32_t *image, *label;
    rb_mask *mask;
} boxes;

static boxes collect(rb_exec *x, const learning *v, int first, int count) {
    boxes b = {.box = push(x, 4 * (size_t)count)};
    b.image = rb_arena_push(&x->scratch, (size_t)count * sizeof(int32_t));
    b.label = rb_arena_push(&x->scratch, (size_t)count * sizeof(int32_t));
    b.mask = rb_arena_push(&x->scratch, (size_t)count * sizeof(rb_mask));
    for (int i = 0; !x->dry && i < count; i++) {
        int at = v->with_object[first + i];
        memcpy(b.box + 4 * (size_t)i, v->rois->boxes + 4 * (size_t)at, 4 * sizeof(float));
        b.image[i] = v->rois->image[at];
        b.label[i] = v->rois->label[at];
        b.mask[i] = v->truth[b.image[i]].masks[v->rois->truth[at]];
    }
    return b;
}

/* BCE of each pixel of a box; its gradient takes the logit's place. */
static void take_loss(learning *v, const uint8_t *target, float *logits) {
    for (int p = 0; p < PIXELS; p++) {
        float *value = &logits[place_of(p)];
        double logit = (double)*value;
        v->losses->part[RB_LOSS_MASK] +=
            (fmax(logit, 0) - logit * target[p] + log1p(exp(-fabs(logit)))) / v->denominator;
        *value = (float)((1 / (1 + exp(-logit)) - target[p]) * v->scale);
    }
}

static void take_losses(chunk *k, learning *v, const boxes *b) {
    rb_exec *x = k->x;
    size_t mark = rb_arena_mark(&x->scratch);
    uint8_t *target = rb_arena_push(&x->scratch, (size_t)k->count * PIXELS);
    rb_mask_targets t = {.count = k->count, .masks = b->mask, .rois = b->box};
    t.width = k->d->model.image.w;
    t.height = k->d->model.image.h;
    rb_mask_target(x, &t, target);
    for (size_t i = 0; !x->dry && i < (size_t)k->count; i++)
        take_loss(v, target + i * PIXELS, k->logits + i * PIXELS);
    rb_arena_release(&x->scratch, mark);
}

typedef struct spread_job {
    chunk *k;
    float *d_up;
} spread_job;

static void spread_task(void *arg, int i, int thread) {
    (void)thread;
    const spread_job *j = arg;
    size_t c = channels(j->k), label = (size_t)j->k->label[i];
    const float *wgt = rb_param_weight(&j->k->d->model.params, j->k->d->mask_logits.wgt) + label * c;
    for (size_t p = (size_t)i * PIXELS; p < (size_t)(i + 1) * PIXELS; p++)
        for (size_t at = 0; at < c; at++) j->d_up[p * c + at] = j->k->logits[p] * wgt[at];
}

/* The gradient of the last layer's rows, box after box. */
static void logits_weight_gradient(chunk *k) {
    size_t c = channels(k);
    float *d_wgt = rb_param_gradient(&k->d->model.params, k->d->mask_logits.wgt);
    float *d_bias = rb_param_gradient(&k->d->model.params, k->d->mask_logits.bias);
    for (int i = 0; i < k->count; i++) {
        size_t label = (size_t)k->label[i];
        double sum = 0;
        for (size_t p = (size_t)i * PIXELS; p < (size_t)(i + 1) * PIXELS; p++) {
            float d = k->logits[p];
            sum += (double)d;
            for (size_t at = 0; at < c; at++) d_wgt[label * c + at] += d * k->up[p * c + at];
        }
        d_bias[label] += (float)sum;
    }
}

/* From the gradient of `up` to that of the last map. */
static void up_backward(chunk *k, float *d_up, float *d_map) {
    rb_exec *x = k->x;
    size_t mark = rb_arena_mark(&x->scratch), c = channels(k);
    rb_params *params = &k->d->model.params;
    rb_rows up = up_of(k);
    float *d_wgt = push(x, IN_CELL * c * c), *d_bias = push(x, IN_CELL * c);
    rb_zero(x, d_wgt, IN_CELL * c * c * sizeof(float));
    rb_zero(x, d_bias, IN_CELL * c * sizeof(float));
    rb_rows_backward(x, &up, k->up, d_up, d_wgt, d_bias, d_map, false);
    turn_up_weight(x, c, rb_param_gradient(params, k->d->upsample.wgt), d_wgt, true);
    for (size_t i = 0; !x->dry && i < IN_CELL * c; i++)
        rb_param_gradient(params, k->d->upsample.bias)[i % c] += d_bias[i];
    rb_arena_release(&x->scratch, mark);
}

static void backward(chunk *k, const rb_roi_align *pool) {
    rb_exec *x = k->x;
    rb_params *params = &k->d->model.params;
    size_t map = (size_t)k->count * CELLS * channels(k);
    float *d_maps[2] = {push(x, map), push(x, map)};
    size_t mark = rb_arena_mark(&x->scratch);
    spread_job job = {k, push(x, (size_t)k->count * PIXELS * channels(k))};
    if (!x->dry) rb_pool_run(x->pool, k->count, spread_task, &job);
    if (!x->dry) logits_weight_gradient(k);
    up_backward(k, job.d_up, d_maps[0]);
    rb_arena_release(&x->scratch, mark);
    for (int i = RB_MASK_CONVS - 1; i >= 0; i--) {
        rb_conv3x3 conv = conv_of(k, i);
        rb_conv3x3_backward(x, &conv, k->maps[i + 1], d_maps[0],
                            rb_param_gradient(params, k->d->mask_conv[i].wgt),
                            rb_param_gradient(params, k->d->mask_conv[i].bias), d_maps[1], false);
        float *swap = d_maps[0];
        d_maps[0] = d_maps[1];
        d_maps[1] = swap;
    }
    rb_roi_align_backward(x, pool, d_maps[0], k->d->d_features);
}

static void learn_chunk(rb_detector *d, rb_exec *x, learning *v, int first, int count) {
    size_t mark = rb_arena_mark(&x->scratch);
    boxes b = collect(x, v, first, count);
    chunk k = open_chunk(d, x, count, b.label);
    rb_roi_align pool = rb_roi_maps(d, RB_MASK_IN, count, b.box, b.image);
    form(&k, &pool);
    take_losses(&k, v, &b);
    backward(&k, &pool);
    rb_arena_release(&x->scratch, mark);
}

void rb_mask_head_learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, const rb_rois *rois,
                        int batches, rb_detect_losses *losses) {
    rb_exec *x = pass->exec;
    rb_exec_enter(x, (rb_operation){.part = RB_PART_MASK_HEAD, .backward = true});
    size_t mark = rb_arena_mark(&x->scratch);
    size_t most = (size_t)d->model.image.n * (size_t)rb_rois_most(&d->config);
    int32_t *with_object = rb_arena_push(&x->scratch, most * sizeof *with_object);
    learning v = {.truth = truth, .rois = rois, .with_object = with_object, .losses = losses};
    int found = 0;
    for (int i = 0; !x->dry && i < rois->count; i++)
        if (rois->truth[i] >= 0) with_object[found++] = i;
    v.denominator = (double)PIXELS * (found ? found : 1);
    v.scale = 1 / (v.denominator * batches);
    for (int count = 1; x->dry && count <= CHUNK; count++) learn_chunk(d, x, &v, 0, count);
    for (int first = 0; first < found; first += CHUNK)
        learn_chunk(d, x, &v, first, found - first < CHUNK ? found - first : CHUNK);
    rb_arena_release(&x->scratch, mark);
}

/* ---- inference ---- */

static void form_chunk(rb_detector *d, rb_exec *x, int count, const float *box, const int32_t *image,
                       const int32_t *label, float *probabilities) {
    size_t mark = rb_arena_mark(&x->scratch);
    chunk k = open_chunk(d, x, count, label);
    rb_roi_align pool = rb_roi_maps(d, RB_MASK_IN, count, box, image);
    form(&k, &pool);
    for (int i = 0; !x->dry && i < count * PIXELS; i++) {
        double logit = (double)k.logits[i / PIXELS * PIXELS + place_of(i % PIXELS)];
        probabilities[i] = (float)(1 / (1 + exp(-logit)));
    }
    rb_arena_release(&x->scratch, mark);
}

void rb_mask_head_form(rb_detector *d, rb_pass *pass, int count, const float *box, const int32_t *image,
                       const int32_t *label, float *probabilities) {
    rb_exec *x = pass->exec;
    rb_exec_enter(x, (rb_operation){.part = RB_PART_MASK_HEAD});
    for (int some = 1; x->dry && some <= CHUNK; some++) form_chunk(d, x, some, NULL, NULL, NULL, NULL);
    for (int first = 0; !x->dry && first < count; first += CHUNK) {
        size_t at = (size_t)first;
        form_chunk(d, x, count - first < CHUNK ? count - first : CHUNK, box + 4 * at, image + at, label + at,
                   probabilities + at * PIXELS);
    }
}
