#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/plan.h"

static calls *list; /* where the recorders write; they have no argument of their own */

static bool same(call a, call b) {
    return a.kind == b.kind && a.backward == b.backward && !memcmp(&a.shape, &b.shape, sizeof a.shape) &&
           a.ld == b.ld && a.load == b.load && a.gate == b.gate && a.oc == b.oc && a.kernel == b.kernel &&
           a.stride == b.stride && a.factor == b.factor;
}

static size_t record(call c) {
    for (int i = 0; i < list->count; i++)
        if (same(list->item[i], c)) {
            list->item[i].count++;
            return 0;
        }
    if (list->count == CALLS_MAX) exit(1);
    c.count = 1;
    list->item[list->count++] = c;
    return 0; /* no scratch */
}

static call convolution(call_kind kind, const rb_source *s, bool backward) {
    return (call){.kind = kind,
                  .backward = backward,
                  .shape = s->shape,
                  .ld = s->ld,
                  .load = s->load,
                  .gate = s->gate != NULL,
                  .kernel = 1,
                  .stride = 1,
                  .factor = 1};
}
static call pointwise(const rb_pointwise *p, bool backward) {
    call c = convolution(CALL_POINTWISE, &p->src, backward);
    c.oc = p->oc;
    return c;
}
static call depthwise(const rb_depthwise *p, bool backward) {
    call c = convolution(CALL_DEPTHWISE, &p->src, backward);
    c.oc = p->src.shape.c;
    c.kernel = p->kernel;
    c.stride = p->stride;
    return c;
}
static call pass(call_kind kind, rb_shape s, int ld, int factor) {
    return (call){.kind = kind, .shape = s, .ld = ld, .oc = s.c, .kernel = 1, .stride = 1, .factor = factor};
}

static size_t pointwise_forward(const rb_pointwise *p, int t) { return (void)t, record(pointwise(p, false)); }
static size_t pointwise_backward(const rb_pointwise *p, int t) { return (void)t, record(pointwise(p, true)); }
static size_t depthwise_forward(const rb_depthwise *p, int t) { return (void)t, record(depthwise(p, false)); }
static size_t depthwise_backward(const rb_depthwise *p, int t) { return (void)t, record(depthwise(p, true)); }
static size_t act_sums(rb_shape s, int t) { return (void)t, record(pass(CALL_ACT_SUMS, s, s.c, 1)); }
static size_t norm_sums(rb_shape s, int t) { return (void)t, record(pass(CALL_NORM_SUMS, s, s.c, 1)); }
static size_t squeeze_pool(rb_shape s, int t) { return (void)t, record(pass(CALL_SQUEEZE_POOL, s, s.c, 1)); }
static size_t state_add(const rb_state_add *a, int t) {
    return (void)t, record(pass(CALL_STATE_ADD, a->shape, a->ld, a->factor));
}
static size_t upsample(rb_shape low, int factor, int t) {
    return (void)t, record(pass(CALL_UPSAMPLE, low, low.c, factor));
}

void calls_of(calls *out, const char *name, int side, int batch, rb_pool *pool) {
    revbifpn_model_config config;
    rb_model model;
    rb_error err;
    rb_ops ops;
    rb_ops_fill(&ops, RB_CPU_REF);
    ops.pointwise_forward_scratch = pointwise_forward;
    ops.pointwise_backward_scratch = pointwise_backward;
    ops.depthwise_forward_scratch = depthwise_forward;
    ops.depthwise_backward_scratch = depthwise_backward;
    ops.act_sums_scratch = act_sums;
    ops.norm_sums_scratch = norm_sums;
    ops.squeeze_pool_scratch = squeeze_pool;
    ops.state_add_scratch = state_add;
    ops.upsample_backward_scratch = upsample;
    *out = (calls){.count = 0};
    list = out;
    rb_shape image = {batch, side, side, 3};
    if (rb_config_named(name, &config, &err) || rb_model_check_input(&config, image, true, &err) ||
        rb_model_create(&model, &config, &err) || rb_params_allocate(&model.params, true, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    (void)rb_model_measure(&model, &ops, pool, image, true, false);
    rb_model_close(&model);
}

const char *call_name(const call *c) {
    static const char *const names[] = {"pointwise",    "depthwise", "act sums",         "norm sums",
                                        "squeeze pool", "state add", "upsample backward"};
    return names[c->kind];
}

rb_shape call_result(const call *c) {
    rb_shape s = c->shape;
    s.h = (s.h + c->stride - 1) / c->stride;
    s.w = (s.w + c->stride - 1) / c->stride;
    s.c = c->oc;
    return s;
}

size_t call_weights(const call *c) {
    size_t taps = (size_t)c->kernel * (size_t)c->kernel;
    return (size_t)c->oc * (c->kind == CALL_POINTWISE ? (size_t)c->shape.c : taps);
}

double call_flops(const call *c) {
    if (c->kind > CALL_DEPTHWISE) return 0;
    double result = (double)rb_pixels(call_result(c));
    return (c->backward ? 4 : 2) * result * (double)call_weights(c);
}

double call_bytes(const call *c) {
    double in = 4 * (double)rb_elements(c->shape), out = 4 * (double)rb_elements(call_result(c));
    double high = in * c->factor * c->factor;
    switch (c->kind) {
    case CALL_POINTWISE:
    case CALL_DEPTHWISE: return (c->backward ? 2 : 1) * (in + out) + 4 * (double)call_weights(c);
    case CALL_NORM_SUMS: return 2 * in;
    case CALL_STATE_ADD: return in + 2 * high;
    case CALL_UPSAMPLE: return in + high;
    default: return in;
    }
}
