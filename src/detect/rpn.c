/* The region proposal network (Ren et al. 2015; spec 5.2, 9). Its 3×3 layer is not kept: the losses look at a
 * few hundred cells only, for which it is formed again, and only these have a gradient. */
#include <math.h>
#include <string.h>

#include "detect/assign.h"
#include "detect/box.h"
#include "detect/detector.h"
#include "detect/propose.h"
#include "detect/rows.h"
#include "ops/conv3x3/conv3x3.h"

enum { LEARN_CHUNK = 512, A = RB_ANCHORS_PER_CELL };

static rb_conv3x3 conv_of(const rb_detector *d, int level) {
    return (rb_conv3x3){.shape = d->levels[level],
                        .src = d->features[level],
                        .oc = d->config.channels,
                        .wgt = rb_param_weight(&d->model.params, d->rpn_conv.wgt),
                        .bias = rb_param_weight(&d->model.params, d->rpn_conv.bias),
                        .relu = true};
}

static rb_rows rows_of(const rb_detector *d, rb_layer layer, int outputs, int count, const float *hidden) {
    return (rb_rows){.count = count,
                     .inputs = d->config.channels,
                     .outputs = outputs,
                     .src = hidden,
                     .wgt = rb_param_weight(&d->model.params, layer.wgt),
                     .bias = rb_param_weight(&d->model.params, layer.bias)};
}

/* ---- forward ---- */

typedef struct forming {
    rb_detector *d;
    rb_exec *x;
    int level;
} forming;

/* Scores and codes of some cells of a level. */
static void form_piece(void *arg, size_t first, size_t count, const float *hidden) {
    const forming *f = arg;
    rb_rows scores = rows_of(f->d, f->d->rpn_class, A, (int)count, hidden);
    rb_rows codes = rows_of(f->d, f->d->rpn_box, 4 * A, (int)count, hidden);
    rb_rows_forward(f->x, &scores, f->d->scores[f->level] + first * A);
    rb_rows_forward(f->x, &codes, f->d->codes[f->level] + first * 4 * A);
}

void rb_rpn_forward(rb_detector *d, rb_pass *pass) {
    rb_exec_enter(pass->exec, (rb_operation){.part = RB_PART_RPN});
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        size_t cells = rb_pixels(d->levels[l]);
        rb_conv3x3 conv = conv_of(d, l);
        forming f = {d, pass->exec, l};
        d->scores[l] = rb_arena_push(&pass->exec->kept, cells * A * sizeof(float));
        d->codes[l] = rb_arena_push(&pass->exec->kept, cells * 4 * A * sizeof(float));
        rb_conv3x3_forward_pieces(pass->exec, &conv, form_piece, &f);
    }
}

void rb_rpn_propose(rb_detector *d, rb_pass *pass, const rb_frame *frames) {
    const revbifpn_detector_config *c = &d->config;
    int n = d->model.image.n;
    rb_propose p = {.anchors = &d->anchors, .threshold = rb_proposal_overlap};
    p.per_level = pass->training ? c->train_per_level : c->test_per_level;
    p.most = pass->training ? c->train_proposals : c->test_proposals;
    d->proposals = rb_arena_push(&pass->exec->kept, (size_t)n * (size_t)p.most * 4 * sizeof(float));
    d->proposal_count = rb_arena_push(&pass->exec->kept, (size_t)n * sizeof(int));
    for (int i = 0; i < n; i++) {
        rb_rpn_maps maps;
        for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
            size_t cells = (size_t)(d->levels[l].h * d->levels[l].w);
            maps.scores[l] = d->scores[l] + (size_t)i * cells * A;
            maps.codes[l] = d->codes[l] + (size_t)i * cells * 4 * A;
        }
        rb_frame frame = frames ? frames[i] : (rb_frame){0};
        int found = rb_propose_run(pass->exec, &p, &maps, frame.width, frame.height,
                                   d->proposals + (size_t)i * (size_t)p.most * 4);
        if (!pass->exec->dry) d->proposal_count[i] = found;
    }
}

/* ---- learning ---- */

/* The anchors of a picture that take part, by rising index, and what they learn: 0, or 1 + the object. */
typedef struct learners {
    int count, positives, walked;
    int32_t *anchor, *learns;
} learners;

static int most_drawn(const rb_detector *d) {
    int all = d->anchors.first[RB_PYRAMID_LEVELS];
    return d->config.anchors_drawn && d->config.anchors_drawn < all ? d->config.anchors_drawn : all;
}

/* Both lists are rising; together they are the picture's. */
static void merge(learners *v, const rb_drawn *from, const int32_t *result) {
    int i = 0, j = 0;
    while (i < from->positives || j < from->negatives) {
        bool first = j == from->negatives || (i < from->positives && from->positive[i] < from->negative[j]);
        int32_t anchor = first ? from->positive[i++] : from->negative[j++];
        v->anchor[v->count] = anchor;
        v->learns[v->count++] = result[anchor];
    }
    v->positives = from->positives;
}

static int up_to_multiple(int value, int of) { return (value + of - 1) / of * of; }

/* Matches the anchors of a picture and draws among them. */
static void draw_anchors(rb_detector *d, rb_pass *pass, int image, const rb_truth *truth, const float *boxes,
                         learners *v) {
    rb_exec *x = pass->exec;
    size_t all = (size_t)d->anchors.first[RB_PYRAMID_LEVELS], mark = rb_arena_mark(&x->scratch);
    int stride = rb_model_stride(&d->model.config);
    uint8_t *valid = rb_arena_push(&x->scratch, all);
    int32_t *result = rb_arena_push(&x->scratch, all * sizeof *result);
    rb_assignment a = {.boxes = boxes, .valid = valid, .count = (int)all, .truths = d->config.most_objects};
    a.positive = 0.7f;
    a.negative = a.least = 0.3f;
    if (!x->dry) {
        rb_anchors_valid(&d->anchors, up_to_multiple(truth->height, stride),
                         up_to_multiple(truth->width, stride), valid);
        a.truth = truth->boxes;
        a.truths = truth->count;
    }
    rb_assign(x, &a, result);
    rb_drawn drawn = {.positive = rb_arena_push(&x->scratch, all * sizeof(int32_t))};
    drawn.negative = rb_arena_push(&x->scratch, all * sizeof(int32_t));
    rb_rng rng = rb_rng_open(pass->seed, RB_PURPOSE_ANCHORS, pass->step, (uint64_t)image);
    if (!x->dry) {
        rb_draw_matched(&rng, result, (int)all, d->config.anchors_drawn ? most_drawn(d) : 0, 2, &drawn);
        merge(v, &drawn, result);
        d->anchor_counts[0] += drawn.positives;
        d->anchor_counts[1] += drawn.negatives;
    }
    rb_arena_release(&x->scratch, mark);
}

/* Cells of one level that are learned from: the gradients of their numbers. */
typedef struct cells {
    int count;
    int32_t *at;             /* count, rising */
    float *d_score, *d_code; /* count,3  count,3·4 */
} cells;

typedef struct learning {
    rb_detector *d;
    rb_exec *x;
    const rb_truth *truth;
    learners *learners;        /* by picture */
    double denominator, scale; /* of the losses, and of the gradients: 1 / (denominator · batches) */
    rb_detect_losses *losses;
} learning;

/* Σ BCE over the anchors, and |code − target| over those with an object; as gradients into their cell. */
static void learn_anchor(learning *v, int image, int level, int in_level, int learns, float *d_score,
                         float *d_code) {
    const rb_detector *d = v->d;
    size_t cells_before = (size_t)image * (size_t)(d->levels[level].h * d->levels[level].w) * A;
    size_t at = cells_before + (size_t)in_level;
    double logit = (double)d->scores[level][at], target = learns > 0;
    double loss = fmax(logit, 0) - logit * target + log1p(exp(-fabs(logit)));
    v->losses->part[RB_LOSS_RPN_CLASS] += loss / v->denominator;
    d_score[in_level % A] = (float)((1 / (1 + exp(-logit)) - target) * v->scale);
    if (learns <= 0) return;
    float anchor[4], code[4];
    rb_anchor_box(&d->anchors, d->anchors.first[level] + in_level, anchor);
    rb_box_encode(anchor, v->truth[image].boxes + 4 * (size_t)(learns - 1), rb_deviation_rpn, code);
    for (int i = 0; i < 4; i++) {
        double off = (double)d->codes[level][at * 4 + (size_t)i] - (double)code[i];
        v->losses->part[RB_LOSS_RPN_BOX] += fabs(off) / v->denominator;
        d_code[in_level % A * 4 + i] = (float)(((off > 0) - (off < 0)) * v->scale);
    }
}

/* The cells of a level that the drawn anchors of all pictures lie in. */
static void gather(learning *v, int level, cells *out) {
    const rb_detector *d = v->d;
    int per_image = d->levels[level].h * d->levels[level].w, first = d->anchors.first[level];
    out->count = 0;
    for (int n = 0; n < d->model.image.n; n++) {
        learners *of = &v->learners[n];
        for (; of->walked < of->count && of->anchor[of->walked] < d->anchors.first[level + 1]; of->walked++) {
            int in_level = of->anchor[of->walked] - first, at = n * per_image + in_level / A;
            size_t row = (size_t)out->count - 1;
            if (!out->count || out->at[row] != at) {
                row = (size_t)out->count++;
                out->at[row] = at;
                memset(out->d_score + row * A, 0, A * sizeof(float));
                memset(out->d_code + row * 4 * A, 0, 4 * A * sizeof(float));
            }
            learn_anchor(v, n, level, in_level, of->learns[of->walked], out->d_score + row * A,
                         out->d_code + row * 4 * A);
        }
    }
}

static void layer_backward(const rb_detector *d, rb_exec *x, rb_layer layer, int outputs, int count,
                           const float *hidden, float *d_out, float *d_hidden, bool accumulate) {
    const rb_params *params = &d->model.params;
    rb_rows rows = rows_of(d, layer, outputs, count, hidden);
    rb_rows_backward(x, &rows, NULL, d_out, rb_param_gradient(params, layer.wgt),
                     rb_param_gradient(params, layer.bias), d_hidden, accumulate);
}

static void backward_chunk(rb_detector *d, rb_exec *x, int level, const int32_t *at, int count,
                           float *d_score, float *d_code) {
    size_t mark = rb_arena_mark(&x->scratch), size = (size_t)count * (size_t)d->config.channels;
    rb_conv3x3 conv = conv_of(d, level);
    float *hidden = rb_arena_push(&x->scratch, size * sizeof(float));
    float *d_hidden = rb_arena_push(&x->scratch, size * sizeof(float));
    rb_conv3x3_forward_at(x, &conv, at, count, hidden);
    layer_backward(d, x, d->rpn_class, A, count, hidden, d_score, d_hidden, false);
    layer_backward(d, x, d->rpn_box, 4 * A, count, hidden, d_code, d_hidden, true);
    rb_conv3x3_backward_at(x, &conv, at, count, hidden, d_hidden,
                           rb_param_gradient(&d->model.params, d->rpn_conv.wgt),
                           rb_param_gradient(&d->model.params, d->rpn_conv.bias), d->d_features[level]);
    rb_arena_release(&x->scratch, mark);
}

static void backward_level(learning *v, int level, cells *c) {
    gather(v, level, c);
    for (int first = 0; first < c->count; first += LEARN_CHUNK) {
        int count = c->count - first < LEARN_CHUNK ? c->count - first : LEARN_CHUNK;
        size_t row = (size_t)first;
        backward_chunk(v->d, v->x, level, c->at + row, count, c->d_score + row * A, c->d_code + row * 4 * A);
    }
}

/* A dry run tries every size that a chunk may have. */
static void count_level(rb_detector *d, rb_exec *x, int level) {
    for (int count = 1; count <= LEARN_CHUNK; count++) backward_chunk(d, x, level, NULL, count, NULL, NULL);
}

static void set_denominator(learning *v, int batches) {
    for (int n = 0; n < v->d->model.image.n; n++) {
        int positives = v->learners[n].positives, negatives = v->learners[n].count - positives;
        v->denominator += (positives > 1 ? positives : 1) + (negatives > 1 ? negatives : 1);
    }
    v->scale = 1 / (v->denominator * batches);
}

void rb_rpn_learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, int batches,
                  rb_detect_losses *losses) {
    rb_exec *x = pass->exec;
    size_t mark = rb_arena_mark(&x->scratch), most = (size_t)most_drawn(d), n = (size_t)d->model.image.n;
    rb_exec_enter(x, (rb_operation){.part = RB_PART_RPN, .backward = true});
    learning v = {.d = d, .x = x, .truth = truth, .losses = losses};
    v.learners = rb_arena_push(&x->scratch, n * sizeof *v.learners);
    int32_t *lists = rb_arena_push(&x->scratch, 2 * n * most * sizeof *lists);
    cells c = {.at = rb_arena_push(&x->scratch, n * most * sizeof(int32_t))};
    c.d_score = rb_arena_push(&x->scratch, n * most * A * sizeof(float));
    c.d_code = rb_arena_push(&x->scratch, n * most * 4 * A * sizeof(float));
    float *boxes =
        rb_arena_push(&x->scratch, (size_t)d->anchors.first[RB_PYRAMID_LEVELS] * 4 * sizeof(float));
    rb_anchors_fill(x, &d->anchors, boxes);
    memset(d->anchor_counts, 0, sizeof d->anchor_counts);
    for (size_t i = 0; i < n; i++) {
        learners one = {.anchor = lists + 2 * i * most, .learns = lists + (2 * i + 1) * most};
        draw_anchors(d, pass, (int)i, x->dry ? NULL : &truth[i], boxes, &one);
        if (!x->dry) v.learners[i] = one;
    }
    if (!x->dry) set_denominator(&v, batches);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        if (x->dry)
            count_level(d, x, l);
        else
            backward_level(&v, l, &c);
    }
    rb_arena_release(&x->scratch, mark);
}
