#include "train/optimizer.h"

#include <math.h>
#include <string.h>

static bool is_lamb(revbifpn_optimizer rule) { return rule == REVBIFPN_LAMB || rule == REVBIFPN_LAMBC; }

enum { LAMB_MOST_NORM = 1 };
static const double RMSPROP_ALPHA = 0.9, CLIP_EPSILON = 1e-6;

double rb_optimizer_epsilon(revbifpn_optimizer rule) {
    return rule == REVBIFPN_RMSPROPTF ? 1e-10 : rule == REVBIFPN_ADAMW ? 1e-8 : 1e-6;
}

const char *rb_optimizer_slot_name(revbifpn_optimizer rule, int slot) {
    if (rule == REVBIFPN_ADAMW || is_lamb(rule)) return slot ? "exp_avg_sq" : "exp_avg";
    return rule == REVBIFPN_RMSPROPTF && !slot ? "square_avg" : "momentum";
}

static size_t floats(size_t count) { return rb_size_align(rb_size_mul(count, sizeof(float))); }

size_t rb_optimizer_bytes(const rb_params *p, revbifpn_optimizer rule, bool average) {
    size_t bytes = rb_size_mul((size_t)rb_update_slots(rule), floats(p->trained));
    if (average) bytes = rb_size_add(bytes, rb_size_add(floats(p->trained), floats(p->running)));
    return bytes;
}

static void fill(float *to, size_t count, float value) {
    for (size_t i = 0; i < count; i++) to[i] = value;
}

static double scale_of(const rb_optimizer *o, int tensor) {
    if (o->params->list[tensor].held) return 0;
    return tensor < o->options.frozen ? 0 : tensor < o->options.backbone ? o->options.backbone_scale : 1;
}

/* Tensors in a row with the same factor, of those that decay or of those that do not. Groups touch: each ends
 * where the next begins. */
static void add_groups(rb_optimizer *o, bool decaying) {
    const rb_params *p = o->params;
    size_t first = decaying ? 0 : p->decayed, end = decaying ? p->decayed : p->trained;
    rb_param_group *g = NULL;
    for (int i = 0; i < p->count; i++) {
        const rb_param *t = &p->list[i];
        if (t->kind != RB_PARAM_TRAINED || t->offset < first || t->offset >= end) continue;
        if (g && g->scale == scale_of(o, i)) continue;
        if (g) g->count = t->offset - g->first;
        g = &o->group[o->groups++];
        double decay = decaying || o->options.decay_all ? o->options.decay : 0;
        *g = (rb_param_group){t->offset, 0, decay, scale_of(o, i)};
    }
    if (g) g->count = end - g->first;
}

revbifpn_status rb_optimizer_open(rb_optimizer *o, rb_params *p, const rb_optimizer_options *options,
                                  rb_error *err) {
    *o = (rb_optimizer){.options = *options, .params = p, .slots = rb_update_slots(options->rule)};
    if (options->epsilon == 0) o->options.epsilon = rb_optimizer_epsilon(options->rule);
    size_t bytes = rb_optimizer_bytes(p, options->rule, options->average);
    revbifpn_status status = rb_arena_open(&o->state, bytes, "the optimizer", err);
    if (status != REVBIFPN_OK) return status;
    o->group = rb_alloc(rb_size_mul((size_t)p->count, sizeof *o->group));
    if (!o->group) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the optimizer");
    for (int i = 0; i < o->slots; i++) o->slot[i] = rb_arena_push(&o->state, p->trained * sizeof(float));
    if (options->rule == REVBIFPN_RMSPROPTF) fill(o->slot[0], p->trained, 1);
    if (options->average) {
        o->average = rb_arena_push(&o->state, p->trained * sizeof(float));
        o->average_statistics = rb_arena_push(&o->state, p->running * sizeof(float));
    }
    add_groups(o, true);
    add_groups(o, false);
    return REVBIFPN_OK;
}

void rb_optimizer_close(rb_optimizer *o) {
    rb_arena_close(&o->state);
    rb_free(o->group);
    *o = (rb_optimizer){0};
}

void rb_optimizer_start(rb_optimizer *o) {
    if (!o->average) return;
    memcpy(o->average, o->params->weight, o->params->trained * sizeof(float));
    memcpy(o->average_statistics, o->params->statistics, o->params->running * sizeof(float));
}

/* ---- clipping (spec 10.6) */

static double norm_of_all(const rb_optimizer *o, rb_exec *x) {
    return sqrt(rb_sum_squares(x, o->params->trained, o->params->gradient));
}

/* Units are rows of the first axis; a tensor of one dimension is one unit. The classifier (the last two) is
 * left out.
 */
static void clip_adaptively(const rb_optimizer *o, rb_exec *x) {
    const rb_params *p = o->params;
    int left = -2;
    for (int i = 0; i < p->count; i++) left += p->list[i].kind == RB_PARAM_TRAINED;
    for (int i = 0; i < p->count && left > 0; i++) {
        const rb_param *t = &p->list[i];
        if (t->kind != RB_PARAM_TRAINED) continue;
        size_t units = t->ndim > 1 ? (size_t)t->shape[0] : 1;
        rb_clip_units(x, units, t->count / units, o->options.clip, p->weight + t->offset,
                      p->gradient + t->offset);
        left--;
    }
}

static void clip(const rb_optimizer *o, rb_exec *x) {
    const rb_params *p = o->params;
    double limit = o->options.clip;
    switch (o->options.clip_mode) {
    case REVBIFPN_CLIP_NORM:
        limit /= norm_of_all(o, x) + CLIP_EPSILON;
        if (limit < 1) rb_scale(x, p->trained, limit, p->gradient);
        break;
    case REVBIFPN_CLIP_VALUE: rb_clamp(x, p->trained, limit, p->gradient); break;
    case REVBIFPN_CLIP_AGC: clip_adaptively(o, x); break;
    }
}

/* ---- the step */

static rb_update update_of(const rb_optimizer *o, const rb_param_group *g, double lr, size_t first,
                           size_t count) {
    const rb_optimizer_options *options = &o->options;
    rb_update u = {.rule = options->rule,
                   .count = count,
                   .lr = lr * g->scale,
                   .decay = g->decay,
                   .momentum = options->momentum,
                   .beta1 = options->beta1,
                   .beta2 = options->rule == REVBIFPN_RMSPROPTF ? RMSPROP_ALPHA : options->beta2,
                   .epsilon = options->epsilon,
                   .step = o->steps};
    u.p = o->params->weight + first;
    u.g = o->params->gradient + first;
    for (int i = 0; i < o->slots; i++) u.slot[i] = o->slot[i] + first;
    return u;
}

static const rb_param_group *group_of(const rb_optimizer *o, size_t offset) {
    const rb_param_group *g = o->group;
    while (offset - g->first >= g->count) g++;
    return g;
}

/* The direction is in the gradient: each tensor moves along it as far as its trust ratio says (spec 10.5). */
static void follow_directions(const rb_optimizer *o, rb_exec *x, double lr) {
    const rb_params *p = o->params;
    for (int i = 0; i < p->count; i++) {
        const rb_param *t = &p->list[i];
        if (t->kind != RB_PARAM_TRAINED) continue;
        const rb_param_group *g = group_of(o, t->offset);
        float *weight = p->weight + t->offset, *direction = p->gradient + t->offset;
        double trust = 1;
        if (g->decay != 0) {
            double size = sqrt(rb_sum_squares(x, t->count, weight));
            double step = sqrt(rb_sum_squares(x, t->count, direction));
            if (size > 0 && step > 0) trust = size / step;
            if (o->options.rule == REVBIFPN_LAMBC) trust = fmin(trust, 1);
        }
        rb_add_scaled(x, t->count, -lr * g->scale * trust, direction, weight);
    }
}

double rb_average_decay(double decay, bool warmup, uint64_t step) {
    return warmup ? fmin(decay, 1 - pow((double)step, -2.0 / 3)) : decay;
}

static void move_average(const rb_optimizer *o, rb_exec *x) {
    const rb_params *p = o->params;
    double decay = rb_average_decay(o->options.average_decay, o->options.average_warmup, o->steps);
    rb_average(x, p->trained, decay, p->weight, o->average);
    rb_average(x, p->running, decay, p->statistics, o->average_statistics);
}

void rb_optimizer_step(rb_optimizer *o, rb_exec *x, double lr) {
    o->steps++;
    if (o->options.clip > 0) clip(o, x);
    if (is_lamb(o->options.rule)) {
        double norm = norm_of_all(o, x) / LAMB_MOST_NORM;
        if (norm > 1) rb_scale(x, o->params->trained, 1 / norm, o->params->gradient);
    }
    for (int i = 0; i < o->groups; i++) {
        const rb_param_group *g = &o->group[i];
        rb_update u = update_of(o, g, lr, g->first, g->count);
        rb_update_run(x, &u);
    }
    if (is_lamb(o->options.rule)) follow_directions(o, x, lr);
    if (o->average) move_average(o, x);
    o->params->maps_current = false;
}

void rb_optimizer_swap_average(rb_optimizer *o) {
    rb_params *p = o->params;
    float *weight = p->weight, *statistics = p->statistics;
    p->weight = o->average;
    p->statistics = o->average_statistics;
    o->average = weight;
    o->average_statistics = statistics;
    p->maps_current = false;
}
