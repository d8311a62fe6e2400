#include "ours.h"

#include <stdlib.h>

#include "base/rng.h"

static void *memory(size_t bytes) {
    void *p = rb_alloc(bytes);
    if (!p) exit(1);
    return p;
}

static float *floats(size_t count, double range) {
    float *p = memory(count * sizeof *p);
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, count, 0);
    for (size_t i = 0; i < count; i++) p[i] = (float)(range * (2 * rb_rng_uniform(&rng) - 1));
    return p;
}

static float *integers(size_t count) {
    int32_t *p = memory(count * sizeof *p);
    rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, count, 0);
    for (size_t i = 0; i < count; i++) p[i] = (int32_t)(rb_rng_u32(&rng) >> 9) - (1 << 22);
    return (float *)(void *)p;
}

static size_t high_pixels(const call *c) {
    return rb_pixels(c->shape) * (size_t)c->factor * (size_t)c->factor;
}

void ours_open(ours *o, const call *c) {
    size_t in = rb_pixels(c->shape) * (size_t)c->ld, out = rb_elements(call_result(c));
    size_t most = (size_t)(c->shape.c > c->oc ? c->shape.c : c->oc), n = (size_t)c->shape.n;
    if (c->kind == CALL_UPSAMPLE) out = high_pixels(c) * (size_t)c->oc;
    o->c = c;
    o->src = c->load == RB_LOAD_FIXED && c->kind <= CALL_DEPTHWISE ? integers(in) : floats(in, 1);
    o->plain = floats(rb_elements(c->shape), 1);
    o->z = floats(out, 1), o->d_dst = floats(out, 1);
    o->dst = floats(out, 0), o->d_src = floats(in, 0);
    o->wgt = floats(call_weights(c), 0.1), o->d_wgt = floats(call_weights(c), 0);
    o->gate = floats(n * most, 1);
    for (int i = 0; i < 6; i++) o->channel[i] = floats(most, 1);
    o->state = memory(c->kind == CALL_STATE_ADD ? high_pixels(c) * (size_t)c->ld * sizeof *o->state : 1);
    o->sums = memory(n * RB_ACT_SUMS * most * sizeof *o->sums);
}

void ours_close(ours *o) {
    void *all[] = {o->src, o->plain, o->z,    o->d_dst, o->dst,  o->d_src,
                   o->wgt, o->d_wgt, o->gate, o->state, o->sums, o->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rb_free(all[i]);
    for (int i = 0; i < 6; i++) rb_free(o->channel[i]);
    o->scratch = NULL;
    o->scratch_bytes = 0;
}

static void *scratch(ours *o, size_t bytes) {
    if (bytes > o->scratch_bytes) {
        rb_free(o->scratch);
        o->scratch = memory(bytes);
        o->scratch_bytes = bytes;
    }
    return o->scratch;
}

static rb_affine affine(const ours *o) { return (rb_affine){o->channel[0], o->channel[1]}; }

/* The call's source as the network has it, or dense floats. */
static rb_source source(const ours *o, bool plain) {
    const call *c = o->c;
    if (plain) return (rb_source){.shape = c->shape, .ld = c->shape.c, .load = RB_LOAD_MAP, .data = o->plain};
    return (rb_source){.shape = c->shape,
                       .ld = c->ld,
                       .load = c->load,
                       .data = o->src,
                       .step = 1.0f / (1 << 22),
                       .affine = affine(o),
                       .gate = c->gate ? o->gate : NULL};
}

/* The gradient of the result: through norm, of a depthwise convolution also through gate and activation. */
static rb_gradient gradient(const ours *o, bool plain) {
    rb_gradient g = {.shape = call_result(o->c), .d = o->d_dst, .ld = o->c->oc};
    if (plain) return g;
    g.z = o->z;
    g.act = o->c->kind == CALL_DEPTHWISE || o->c->load == RB_LOAD_FIXED;
    g.gate = g.act && o->c->kind == CALL_DEPTHWISE ? o->gate : NULL;
    g.pool = g.gate;
    g.affine = affine(o);
    g.mean = o->channel[2], g.mean_d = o->channel[3], g.slope = o->channel[4];
    return g;
}

/* Added to the gradient of a state, or dense; with its sums when the source is an activation. */
static rb_sink sink(const ours *o, bool plain) {
    const call *c = o->c;
    if (plain) return (rb_sink){.d = o->d_src, .ld = c->shape.c};
    rb_sink s = {.d = o->d_src, .ld = c->ld, .accumulate = c->load == RB_LOAD_FIXED};
    if (c->load == RB_LOAD_ACT) s.act = (rb_act_sums){o->sums, o->src, o->channel[2], affine(o)};
    return s;
}

static void forward(ours *o, bool plain) {
    int threads = rb_pool_threads(o->pool);
    rb_moments moments = {plain ? NULL : o->channel[4], plain ? NULL : o->channel[5]};
    rb_pointwise p = {.src = source(o, plain), .oc = o->c->oc, .wgt = o->wgt};
    rb_depthwise d = {.src = p.src, .kernel = o->c->kernel, .stride = o->c->stride, .wgt = o->wgt};
    if (o->c->kind == CALL_POINTWISE)
        o->ops.pointwise_forward(&p, o->dst, moments,
                                 scratch(o, o->ops.pointwise_forward_scratch(&p, threads)), o->pool);
    else
        o->ops.depthwise_forward(&d, o->dst, moments,
                                 scratch(o, o->ops.depthwise_forward_scratch(&d, threads)), o->pool);
}

static void backward(ours *o, bool plain, bool data, bool weights) {
    int threads = rb_pool_threads(o->pool);
    rb_gradient g = gradient(o, plain);
    rb_sink s = data ? sink(o, plain) : (rb_sink){0};
    float *d_wgt = weights ? o->d_wgt : NULL;
    rb_pointwise p = {.src = source(o, plain), .oc = o->c->oc, .wgt = o->wgt};
    rb_depthwise d = {.src = p.src, .kernel = o->c->kernel, .stride = o->c->stride, .wgt = o->wgt};
    if (o->c->kind == CALL_POINTWISE)
        o->ops.pointwise_backward(&p, &g, d_wgt, &s,
                                  scratch(o, o->ops.pointwise_backward_scratch(&p, threads)), o->pool);
    else
        o->ops.depthwise_backward(&d, &g, d_wgt, &s,
                                  scratch(o, o->ops.depthwise_backward_scratch(&d, threads)), o->pool);
}

static void act_sums(ours *o) {
    rb_act_sums act = {o->sums, o->plain, o->channel[2], affine(o)};
    rb_shape s = o->c->shape;
    void *memory = scratch(o, o->ops.act_sums_scratch(s, rb_pool_threads(o->pool)));
    o->ops.act_sums(s, NULL, act, memory, o->pool);
}
static void norm_sums(ours *o) {
    rb_gradient g = gradient(o, false);
    g.act = false, g.gate = g.pool = NULL;
    o->ops.norm_sums(&g, o->sums, scratch(o, o->ops.norm_sums_scratch(g.shape, rb_pool_threads(o->pool))),
                     o->pool);
}
static void squeeze_pool(ours *o) {
    rb_shape s = o->c->shape;
    void *memory = scratch(o, o->ops.squeeze_pool_scratch(s, rb_pool_threads(o->pool)));
    o->ops.squeeze_pool(s, o->plain, affine(o), o->gate, memory, o->pool);
}
static void state_add(ours *o) {
    rb_state_add a = {.shape = o->c->shape,
                      .z = o->plain,
                      .affine = affine(o),
                      .factor = o->c->factor,
                      .k = 10, /* small steps, so that many repeats stay in range */
                      .sign = 1,
                      .state = o->state,
                      .ld = o->c->ld};
    rb_watch watch = {0};
    o->ops.state_add(&a, &watch, scratch(o, o->ops.state_add_scratch(&a, rb_pool_threads(o->pool))), o->pool);
}
static void upsample_backward(ours *o) {
    const call *c = o->c;
    void *memory =
        scratch(o, o->ops.upsample_backward_scratch(c->shape, c->factor, rb_pool_threads(o->pool)));
    o->ops.upsample_backward(c->shape, c->factor, o->d_dst, c->oc, o->d_src, memory, o->pool);
}

void ours_fused(void *self) {
    ours *o = self;
    switch (o->c->kind) {
    case CALL_ACT_SUMS: act_sums(o); break;
    case CALL_NORM_SUMS: norm_sums(o); break;
    case CALL_SQUEEZE_POOL: squeeze_pool(o); break;
    case CALL_STATE_ADD: state_add(o); break;
    case CALL_UPSAMPLE: upsample_backward(o); break;
    default:
        if (o->c->backward)
            backward(o, false, true, true);
        else
            forward(o, false);
    }
}

void ours_plain(void *self) {
    ours *o = self;
    if (o->c->backward)
        backward(o, true, true, true);
    else
        forward(o, true);
}
void ours_plain_data(void *self) { backward(self, true, true, false); }
void ours_plain_weights(void *self) { backward(self, true, false, true); }
