#include "blocks/mbconv.h"

#include <math.h>
#include <stdio.h>

#include "base/rng.h"

static revbifpn_status add_squeeze(rb_mbconv *b, const char *leaf, rb_param shape, int *index,
                                   rb_error *err) {
    snprintf(shape.name, sizeof shape.name, "%s.se.se.%s", b->name, leaf);
    return rb_params_add(b->params, &shape, index, err);
}

static revbifpn_status create_squeeze(rb_mbconv *b, rb_error *err) {
    revbifpn_status status;
    int c = b->mid, r = b->squeeze;
    rb_param w1 = {.ndim = 4, .shape = {r, c, 1, 1}, .init = RB_INIT_NORMAL_FAN_OUT, .fan = r};
    rb_param w2 = {.ndim = 4, .shape = {c, r, 1, 1}, .init = RB_INIT_NORMAL_FAN_OUT, .fan = c};
    TRY(add_squeeze(b, "1.weight", w1, &b->w1, err));
    TRY(add_squeeze(b, "1.bias", (rb_param){.ndim = 1, .shape = {r}}, &b->b1, err));
    TRY(add_squeeze(b, "3.weight", w2, &b->w2, err));
    TRY(add_squeeze(b, "3.bias", (rb_param){.ndim = 1, .shape = {c}}, &b->b2, err));
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_mbconv_create(rb_mbconv *b, rb_params *params, const char *name, uint32_t id,
                                 const rb_mbconv_spec *spec, rb_error *err) {
    revbifpn_status status;
    char prefix[120];
    *b = (rb_mbconv){.spec = *spec, .mid = spec->ic * spec->expansion, .id = id, .params = params};
    snprintf(b->name, sizeof b->name, "%s", name);
    if (spec->expansion != 1) {
        snprintf(prefix, sizeof prefix, "%s.exp_conv", name);
        TRY(rb_conv_norm_create(&b->expand, params, prefix, b->mid, spec->ic, 1, err));
    }
    snprintf(prefix, sizeof prefix, "%s.dw_conv", name);
    TRY(rb_conv_norm_create(&b->depthwise, params, prefix, b->mid, 1, spec->kernel, err));
    if (spec->squeeze_ratio > 0) {
        b->squeeze = (int)(spec->ic * spec->squeeze_ratio);
        if (b->squeeze < 1) b->squeeze = 1;
        TRY(create_squeeze(b, err));
    }
    snprintf(prefix, sizeof prefix, "%s.project_conv", name);
    return rb_conv_norm_create(&b->project, params, prefix, spec->oc, b->mid, 1, err);
fail:
    return status;
}

/* ---- one evaluation: what forward and backward share ---- */

typedef struct frame {
    rb_mbconv *b;
    rb_pass *pass;
    rb_exec *x;
    bool fresh;            /* take statistics, rather than use kept or running ones */
    rb_shape in, mid, out; /* shapes of z0, z1, z2 */
    float *z0, *z1, *z2;
    float *place; /* of z2, when its norm is to be stored there anyway */
    rb_affine a0, a1, a2;
    const float *pooled, *gate, *sample;
} frame;

static float *push(frame *f, size_t floats) { return rb_arena_push(&f->x->scratch, floats * sizeof(float)); }

/* An intermediate: on scratch, or kept in stored mode. A stored backward finds the kept one. */
static float *push_z(frame *f, rb_shape shape, float **kept) {
    if (!f->pass->stored || !f->pass->training) return push(f, rb_elements(shape));
    if (f->fresh) *kept = rb_arena_push(&f->x->kept, rb_elements(shape) * sizeof(float));
    return *kept;
}

static frame open_frame(rb_mbconv *b, rb_pass *pass, const rb_source *src, bool fresh) {
    frame f = {.b = b, .pass = pass, .x = pass->exec, .fresh = fresh && pass->training};
    f.in = f.mid = src->shape;
    f.in.c = f.mid.c = b->mid;
    f.mid.h = (src->shape.h + b->spec.stride - 1) / b->spec.stride;
    f.mid.w = (src->shape.w + b->spec.stride - 1) / b->spec.stride;
    f.out = f.mid;
    f.out.c = b->spec.oc;
    return f;
}

static rb_moments moments_of(frame *f, rb_conv_norm *layer, rb_shape shape) {
    return f->fresh ? rb_conv_norm_keep(layer, f->pass, shape) : (rb_moments){0};
}

static rb_pointwise expand_of(const frame *f, const rb_source *src) {
    return (rb_pointwise){
        .src = *src, .oc = f->b->mid, .wgt = rb_conv_norm_weight(&f->b->expand), .bf16 = f->b->bf16};
}

static rb_source act_source(rb_shape shape, const float *z, rb_affine affine, const float *gate) {
    return (rb_source){
        .shape = shape, .ld = shape.c, .load = RB_LOAD_ACT, .data = z, .affine = affine, .gate = gate};
}

static rb_depthwise depthwise_of(const frame *f, const rb_source *src) {
    const rb_mbconv *b = f->b;
    rb_depthwise p = {
        .kernel = b->spec.kernel, .stride = b->spec.stride, .wgt = rb_conv_norm_weight(&b->depthwise)};
    p.src = b->expand.c ? act_source(f->in, f->z0, f->a0, NULL) : *src;
    return p;
}

static rb_pointwise project_of(const frame *f) {
    return (rb_pointwise){.src = act_source(f->mid, f->z1, f->a1, f->gate),
                          .oc = f->b->spec.oc,
                          .wgt = rb_conv_norm_weight(&f->b->project),
                          .bf16 = f->b->bf16};
}

static rb_squeeze squeeze_of(const frame *f) {
    const rb_mbconv *b = f->b;
    return (rb_squeeze){.n = f->mid.n,
                        .c = b->mid,
                        .r = b->squeeze,
                        .w1 = rb_param_weight(b->params, b->w1),
                        .b1 = rb_param_weight(b->params, b->b1),
                        .w2 = rb_param_weight(b->params, b->w2),
                        .b2 = rb_param_weight(b->params, b->b2)};
}

static void form_gate(frame *f) {
    rb_mbconv *b = f->b;
    size_t count = (size_t)f->mid.n * (size_t)b->mid;
    if (!b->squeeze) return;
    if (f->fresh) b->pooled = rb_arena_push(&f->x->kept, count * sizeof(float));
    float *gate = push(f, count), *pooled = f->pass->training ? b->pooled : push(f, count);
    if (f->fresh || !f->pass->training) rb_squeeze_pool(f->x, f->mid, f->z1, f->a1, pooled);
    rb_squeeze s = squeeze_of(f);
    rb_squeeze_gate(f->x, &s, pooled, gate);
    f->pooled = pooled;
    f->gate = gate;
}

/* Stochastic depth, per sample: 1/q with probability q = 1 − p, else 0 (spec 2.5). */
static void form_sample_factors(frame *f) {
    double p = f->b->spec.drop_path;
    if (!f->pass->training || p <= 0 || f->b->frozen) return;
    float *factor = push(f, (size_t)f->out.n);
    f->sample = factor;
    if (f->x->dry) return;
    rb_rng rng = rb_rng_open(f->pass->seed, RB_PURPOSE_DROP_PATH, f->pass->step, f->b->id);
    for (int n = 0; n < f->out.n; n++) factor[n] = rb_rng_uniform(&rng) < 1 - p ? (float)(1 / (1 - p)) : 0.0f;
}

static void form_depthwise(frame *f, const rb_source *src) {
    rb_mbconv *b = f->b;
    rb_depthwise p = depthwise_of(f, src);
    rb_depthwise_forward(f->x, &p, f->z1, moments_of(f, &b->depthwise, f->mid));
}

/* Forms z0, z1, gate and z2 with their affine maps. With `keep_z0` unset, z0's place is given back early. */
static void evaluate(frame *f, const rb_source *src, bool keep_z0) {
    rb_mbconv *b = f->b;
    bool have = f->pass->stored && f->pass->training && !f->fresh; /* stored backward: all is there */
    f->z1 = push_z(f, f->mid, &b->z1);
    size_t mark = rb_arena_mark(&f->x->scratch);
    if (b->expand.c) {
        f->z0 = push_z(f, f->in, &b->z0);
        rb_pointwise expand = expand_of(f, src);
        if (!have) rb_pointwise_forward(f->x, &expand, f->z0, moments_of(f, &b->expand, f->in));
        f->a0 = rb_conv_norm_affine(&b->expand, f->pass);
    }
    if (!have) form_depthwise(f, src);
    if (!keep_z0) rb_arena_release(&f->x->scratch, mark);
    f->a1 = rb_conv_norm_affine(&b->depthwise, f->pass);
    form_gate(f);
    form_sample_factors(f);
}

static void project(frame *f) {
    rb_mbconv *b = f->b;
    bool have = f->pass->stored && f->pass->training && !f->fresh;
    f->z2 = f->place && !f->pass->stored ? f->place : push_z(f, f->out, &b->z2);
    rb_pointwise p = project_of(f);
    if (!have) rb_pointwise_forward(f->x, &p, f->z2, moments_of(f, &b->project, f->out));
    f->a2 = rb_conv_norm_affine(&b->project, f->pass);
}

static rb_state_add addition(const frame *f, const rb_map *dst, int sign) {
    return (rb_state_add){.shape = f->out,
                          .z = f->z2,
                          .affine = f->a2,
                          .sample = f->sample,
                          .factor = f->b->spec.factor,
                          .k = f->pass->k,
                          .sign = sign,
                          .state = dst->x,
                          .ld = dst->x_ld};
}

static rb_source state_source(const rb_pass *pass, const rb_map *src) {
    return (rb_source){.shape = src->shape,
                       .ld = src->x_ld,
                       .load = RB_LOAD_FIXED,
                       .data = src->x,
                       .step = ldexpf(1, -pass->k)};
}

revbifpn_status rb_mbconv_couple(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst, int sign) {
    rb_mbconv *b = self;
    size_t mark = rb_arena_mark(&pass->exec->scratch);
    rb_source from = state_source(pass, src);
    frame f = open_frame(b, pass, &from, sign > 0);
    evaluate(&f, &from, false);
    project(&f);
    rb_state_add add = addition(&f, dst, sign);
    rb_watch watch = {0};
    rb_state_add_run(f.x, &add, sign > 0 ? &watch : NULL);
    rb_arena_release(&pass->exec->scratch, mark);
    return rb_pass_check(pass, &watch, b->name, dst->stream);
}

void rb_mbconv_map(rb_mbconv *b, rb_pass *pass, const rb_source *src, bool fresh, bool accumulate,
                   float *dst) {
    size_t mark = rb_arena_mark(&pass->exec->scratch);
    frame f = open_frame(b, pass, src, fresh);
    f.place = accumulate ? NULL : dst;
    evaluate(&f, src, false);
    project(&f);
    rb_norm_store(f.x, f.out, f.z2, f.a2, accumulate, dst);
    rb_arena_release(&pass->exec->scratch, mark);
}

/* ---- backward ---- */

static double *push_sums(frame *f, size_t rows, int c) {
    return rb_arena_push(&f->x->scratch, rows * (size_t)c * sizeof(double));
}

/* Backward 1: the gradient of z2 from that of F (DESIGN 6). */
static rb_gradient gradient_of_project(frame *f, const float *d, int ld) {
    rb_gradient g = {.shape = f->out, .d = d, .ld = ld, .z = f->z2, .sample = f->sample, .affine = f->a2};
    g.mean = rb_conv_norm_mean(&f->b->project, f->pass);
    double *sums = push_sums(f, 2, f->out.c);
    rb_norm_sums(f->x, &g, sums);
    rb_conv_norm_backward(&f->b->project, f->pass, sums, &g);
    return g;
}

static rb_sink act_sink(frame *f, float *d, rb_shape shape, const float *z, rb_affine affine,
                        const float *mean) {
    double *sums = push_sums(f, (size_t)shape.n * RB_ACT_SUMS, shape.c);
    return (rb_sink){.d = d, .ld = shape.c, .act = {.sums = sums, .z = z, .mean = mean, .affine = affine}};
}

/* The gradient of a raw output whose activation was read: from the act sums of what flowed into it. */
static rb_gradient gradient_of_act(frame *f, const rb_conv_norm *layer, const rb_sink *act, rb_shape shape,
                                   const float *gate, const float *pool) {
    rb_gradient g = {.shape = shape, .d = act->d, .ld = shape.c, .z = act->act.z, .act = true};
    g.gate = gate;
    g.pool = pool;
    g.affine = act->act.affine;
    g.mean = act->act.mean;
    double *sums = push_sums(f, 2, shape.c);
    rb_norm_sums_from_act(f->x, shape, act->act.sums, gate, pool, sums);
    rb_conv_norm_backward(layer, f->pass, sums, &g);
    return g;
}

static const float *squeeze_backward(frame *f, const double *act_sums) {
    const rb_mbconv *b = f->b;
    if (!b->squeeze) return NULL;
    float *pool = push(f, (size_t)f->mid.n * (size_t)b->mid);
    rb_squeeze s = squeeze_of(f);
    rb_squeeze_backward(f->x, &s, (size_t)f->mid.h * (size_t)f->mid.w, f->pooled, act_sums, pool,
                        rb_param_gradient(b->params, b->w1), rb_param_gradient(b->params, b->b1),
                        rb_param_gradient(b->params, b->w2), rb_param_gradient(b->params, b->b2));
    return pool;
}

/* Backward 3, and the expansion's: from the gradient of z1 to that of the source. */
static void backward_to_source(frame *f, const rb_source *src, const rb_gradient *d_z1, const rb_sink *sink) {
    rb_mbconv *b = f->b;
    rb_depthwise dw = depthwise_of(f, src);
    float *d_wgt = rb_conv_norm_weight_gradient(&b->depthwise);
    if (!b->expand.c) {
        rb_depthwise_backward(f->x, &dw, d_z1, d_wgt, sink);
        return;
    }
    rb_sink d_a0 =
        act_sink(f, push(f, rb_elements(f->in)), f->in, f->z0, f->a0, rb_conv_norm_mean(&b->expand, f->pass));
    rb_depthwise_backward(f->x, &dw, d_z1, d_wgt, &d_a0);
    rb_gradient d_z0 = gradient_of_act(f, &b->expand, &d_a0, f->in, NULL, NULL);
    rb_pointwise expand = expand_of(f, src);
    rb_pointwise_backward(f->x, &expand, &d_z0, rb_conv_norm_weight_gradient(&b->expand), sink);
}

/* Where the gradient of the gated activation goes: over z2, which it is formed from, when it has as many
 * channels. */
static rb_sink place_d_a1(frame *f) {
    float *d_a1 = f->b->mid == f->b->spec.oc ? f->z2 : push(f, rb_elements(f->mid));
    return act_sink(f, d_a1, f->mid, f->z1, f->a1, rb_conv_norm_mean(&f->b->depthwise, f->pass));
}

/* Backward 1 and 2: from the gradient of F to that of the gated activation; on the way the undoing. */
static void backward_to_act(frame *f, const float *d, int ld, const rb_sink *d_a1, const rb_map *undo) {
    rb_mbconv *b = f->b;
    if (undo) {
        rb_state_add add = addition(f, undo, -1);
        rb_state_add_run(f->x, &add, NULL);
    }
    if (b->spec.factor > 1) {
        float *d_low = push(f, rb_elements(f->out));
        rb_upsample_backward(f->x, f->out, b->spec.factor, d, ld, d_low);
        d = d_low;
        ld = f->out.c;
    }
    rb_gradient d_z2 = gradient_of_project(f, d, ld);
    rb_pointwise p = project_of(f);
    rb_pointwise_backward(f->x, &p, &d_z2, rb_conv_norm_weight_gradient(&b->project), d_a1);
}

/* All of the backward pass; `undo` (may be NULL) is the addition to take back on the way. What only z2 needs
 * is given back as soon as the gradient of the gated activation is there. */
static void backward(frame *f, const rb_source *src, const float *d, int ld, const rb_sink *sink,
                     const rb_map *undo) {
    rb_mbconv *b = f->b;
    bool in_place = b->mid == b->spec.oc;
    rb_sink d_a1;
    evaluate(f, src, true);
    if (in_place) project(f);
    d_a1 = place_d_a1(f);
    size_t mark = rb_arena_mark(&f->x->scratch);
    if (!in_place) project(f);
    backward_to_act(f, d, ld, &d_a1, undo);
    rb_arena_release(&f->x->scratch, mark);
    const float *pool = squeeze_backward(f, d_a1.act.sums);
    rb_gradient d_z1 = gradient_of_act(f, &b->depthwise, &d_a1, f->mid, f->gate, pool);
    backward_to_source(f, src, &d_z1, sink);
}

revbifpn_status rb_mbconv_uncouple(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst,
                                   bool undo) {
    size_t mark = rb_arena_mark(&pass->exec->scratch);
    rb_source from = state_source(pass, src);
    rb_sink sink = {.d = src->d, .ld = src->d_ld, .accumulate = true};
    frame f = open_frame(self, pass, &from, false);
    backward(&f, &from, dst->d, dst->d_ld, &sink, undo ? dst : NULL);
    rb_arena_release(&pass->exec->scratch, mark);
    return REVBIFPN_OK;
}

void rb_mbconv_map_backward(rb_mbconv *b, rb_pass *pass, const rb_source *src, const float *d,
                            const rb_sink *sink) {
    size_t mark = rb_arena_mark(&pass->exec->scratch);
    frame f = open_frame(b, pass, src, false);
    backward(&f, src, d, f.out.c, sink, NULL);
    rb_arena_release(&pass->exec->scratch, mark);
}
