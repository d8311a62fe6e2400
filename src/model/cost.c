#include "model/cost.h"

#include <stdio.h>

typedef struct walk {
    const rb_model *model;
    rb_cost_visitor *visit;
    void *user;
    revbifpn_cost total;
    rb_cost_parts parts;
} walk;

static uint64_t area(int height, int width) { return (uint64_t)height * (uint64_t)width; }

static void report(walk *w, revbifpn_layer *layer, const rb_cost_parts *parts) {
    layer->cost.macs_published = layer->cost.macs + parts->biases + 2 * parts->normed + 11 * parts->upsampled;
    w->parts.biases += parts->biases;
    w->parts.normed += parts->normed;
    w->parts.pooled += parts->pooled;
    w->parts.upsampled += parts->upsampled;
    w->total.parameters += layer->cost.parameters;
    w->total.macs += layer->cost.macs;
    w->total.macs_published += layer->cost.macs_published;
    if (w->visit) w->visit(w->user, layer);
}

/* A convolution with norm: `outputs` values of `taps` products each. */
static void add_conv(revbifpn_cost *cost, rb_cost_parts *parts, uint64_t outputs, uint64_t channels,
                     uint64_t taps) {
    cost->parameters += channels * taps + 2 * channels;
    cost->macs += outputs * taps;
    parts->normed += outputs;
}

static void add_squeeze(revbifpn_cost *cost, rb_cost_parts *parts, uint64_t pixels, uint64_t c, uint64_t r) {
    cost->parameters += 2 * c * r + c + r;
    cost->macs += 2 * c * r;
    parts->biases += c + r;
    parts->pooled += pixels * c;
}

static void visit_block(walk *w, const rb_mbconv *b, int height, int width) {
    const rb_mbconv_spec *s = &b->spec;
    revbifpn_layer layer = {.kind = "mbconv",
                            .in_channels = s->ic,
                            .in_height = height,
                            .in_width = width,
                            .out_channels = s->oc,
                            .out_height = (height + s->stride - 1) / s->stride,
                            .out_width = (width + s->stride - 1) / s->stride,
                            .kernel = s->kernel,
                            .stride = s->stride,
                            .expansion = s->expansion,
                            .squeeze = b->squeeze};
    snprintf(layer.name, sizeof layer.name, "%s", b->name);
    uint64_t ic = (uint64_t)s->ic, mid = (uint64_t)b->mid, oc = (uint64_t)s->oc, k = (uint64_t)s->kernel;
    uint64_t in = area(height, width), out = area(layer.out_height, layer.out_width);
    rb_cost_parts parts = {0};
    if (b->expand.c) add_conv(&layer.cost, &parts, in * mid, mid, ic);
    add_conv(&layer.cost, &parts, out * mid, mid, k * k);
    if (b->squeeze) add_squeeze(&layer.cost, &parts, out, mid, (uint64_t)b->squeeze);
    add_conv(&layer.cost, &parts, out * oc, oc, mid);
    layer.out_height *= s->factor;
    layer.out_width *= s->factor;
    if (s->factor > 1) parts.upsampled = oc * area(layer.out_height, layer.out_width);
    report(w, &layer, &parts);
}

static void visit_stem(walk *w, int height, int width) {
    const revbifpn_model_config *c = &w->model->config;
    revbifpn_layer layer = {.name = "rev_stack.0",
                            .kind = "space_to_depth",
                            .in_channels = c->input_channels,
                            .in_height = height,
                            .in_width = width,
                            .out_channels = c->widths[0],
                            .out_height = height / 4,
                            .out_width = width / 4,
                            .stride = 4};
    report(w, &layer, &(rb_cost_parts){0});
}

static void visit_classifier(walk *w, int height, int width) {
    const rb_model *m = w->model;
    int last = m->config.streams - 1, features = m->config.fc_features, classes = m->config.classes;
    revbifpn_layer conv = {.name = "head.final_conv",
                           .kind = "conv_norm_act",
                           .in_channels = m->map_widths[last],
                           .in_height = height,
                           .in_width = width,
                           .out_channels = features,
                           .out_height = height,
                           .out_width = width,
                           .kernel = 1,
                           .stride = 1};
    rb_cost_parts parts = {0};
    add_conv(&conv.cost, &parts, area(height, width) * (uint64_t)features, (uint64_t)features,
             (uint64_t)m->map_widths[last]);
    report(w, &conv, &parts);
    revbifpn_layer fc = {.name = "head.fc",
                         .kind = "linear",
                         .in_channels = features,
                         .in_height = 1,
                         .in_width = 1,
                         .out_channels = classes,
                         .out_height = 1,
                         .out_width = 1};
    fc.cost.macs = (uint64_t)features * (uint64_t)classes;
    fc.cost.parameters = fc.cost.macs + (uint64_t)classes;
    report(w, &fc, &(rb_cost_parts){0});
}

/* The stream that each block reads. */
static void find_levels(const rb_model *m, int *level) {
    for (int i = 0; i < m->stack.count; i++)
        level[(const rb_mbconv *)m->stack.couplings[i].f.self - m->blocks] = m->stack.couplings[i].src.stream;
    for (int i = 0; i < m->config.streams; i++) {
        if (m->neck[i]) level[m->neck[i] - m->blocks] = i;
        if (m->head[i]) level[m->head[i] - m->blocks] = i;
    }
}

revbifpn_status rb_model_cost(const rb_model *m, int width, int height, rb_cost_visitor *visit, void *user,
                              revbifpn_cost *total, rb_cost_parts *parts, rb_error *err) {
    walk w = {.model = m, .visit = visit, .user = user};
    int *level = rb_alloc((size_t)m->block_count * sizeof *level);
    if (!level) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of layers");
    find_levels(m, level);
    visit_stem(&w, height, width);
    for (int i = 0; i < m->block_count; i++)
        visit_block(&w, &m->blocks[i], height / (4 << level[i]), width / (4 << level[i]));
    int coarsest = rb_model_stride(&m->config);
    if (m->config.classes) visit_classifier(&w, height / coarsest, width / coarsest);
    rb_free(level);
    *total = w.total;
    if (parts) *parts = w.parts;
    return REVBIFPN_OK;
}
