#include "detect/cost.h"

#include <stdio.h>

typedef struct walk {
    const rb_detector *d;
    rb_cost_visitor *visit;
    void *user;
    rb_anchors anchors;
    revbifpn_detector_cost total; /* the published figures without what the backbone adds of its own */
} walk;

static uint64_t cells(const walk *w, int level) {
    return (uint64_t)w->anchors.h[level] * (uint64_t)w->anchors.w[level];
}

/* A layer as it is reported: `places` outputs of oc values, each of `taps` products (of `run` as they are
 * done); `extra` is what the published rule counts on top for each output value. */
typedef struct one {
    const char *kind;
    int ic, oc, kernel, stride, in_h, in_w, out_h, out_w;
    uint64_t times, places, taps;
    uint64_t extra;
    uint64_t parameters; /* 0: counted with another layer */
    uint64_t run;        /* all products as they are done; 0: as they are counted */
} one;

static void report(walk *w, const one *o, const char *name) {
    uint64_t outputs = o->times * o->places * (uint64_t)o->oc, macs = outputs * o->taps;
    revbifpn_layer layer = {.in_channels = o->ic,
                            .in_height = o->in_h,
                            .in_width = o->in_w,
                            .out_channels = o->oc,
                            .out_height = o->out_h,
                            .out_width = o->out_w,
                            .kernel = o->kernel,
                            .stride = o->stride,
                            .cost = {o->parameters, macs, macs + outputs * o->extra}};
    snprintf(layer.name, sizeof layer.name, "%s", name);
    snprintf(layer.kind, sizeof layer.kind, "%s", o->kind);
    w->total.parameters += o->parameters;
    w->total.macs += macs;
    w->total.macs_run += o->run ? o->run : macs;
    w->total.macs_published += layer.cost.macs_published;
    if (w->visit) w->visit(w->user, &layer);
}

/* A convolution k × k with bias over h × w, `times` times. */
static one conv(int ic, int oc, int kernel, int h, int w, uint64_t times) {
    one o = {.kind = "conv", .ic = ic, .oc = oc, .kernel = kernel, .stride = 1, .times = times};
    o.in_h = o.out_h = h;
    o.in_w = o.out_w = w;
    o.places = (uint64_t)h * (uint64_t)w;
    o.taps = (uint64_t)ic * (uint64_t)kernel * (uint64_t)kernel;
    o.extra = 1;
    o.parameters = (uint64_t)oc * (o.taps + 1);
    return o;
}

static one linear(int inputs, int outputs, uint64_t times, bool relu) {
    one o = {.kind = "linear", .ic = inputs, .oc = outputs, .kernel = 1, .stride = 1, .times = times};
    o.in_h = o.out_h = o.in_w = o.out_w = 1;
    o.places = 1;
    o.taps = (uint64_t)inputs;
    o.extra = relu;
    o.parameters = (uint64_t)outputs * (o.taps + 1);
    return o;
}

static void visit_pyramid(walk *w) {
    const rb_detector *d = w->d;
    char name[64];
    int in = 0, c = d->config.channels, h = w->anchors.h[0], width = w->anchors.w[0];
    uint64_t run = 0;
    for (int i = 0; i < d->model.config.streams; i++) {
        in += d->model.map_widths[i];
        run += (uint64_t)(h >> i) * (uint64_t)(width >> i) * (uint64_t)d->model.map_widths[i] * (uint64_t)c;
    }
    one reduction = conv(in, c, 1, h, width, 1);
    reduction.run = run;
    report(w, &reduction, "neck.reduction_conv.conv");
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        one level = conv(c, c, 3, w->anchors.h[l], w->anchors.w[l], 1);
        snprintf(name, sizeof name, "neck.fpn_convs.%d.conv", l);
        report(w, &level, name);
    }
}

/* One layer for all levels: its places are summed. */
static void report_shared(walk *w, one o, const char *name) {
    o.places = 0;
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) o.places += cells(w, l);
    report(w, &o, name);
}

static void visit_rpn(walk *w) {
    int c = w->d->config.channels, h = w->anchors.h[0], width = w->anchors.w[0];
    report_shared(w, conv(c, c, 3, h, width, 1), "rpn_head.rpn_conv");
    report_shared(w, conv(c, RB_ANCHORS_PER_CELL, 1, h, width, 1), "rpn_head.rpn_cls");
    report_shared(w, conv(c, 4 * RB_ANCHORS_PER_CELL, 1, h, width, 1), "rpn_head.rpn_reg");
}

static void visit_box_head(walk *w) {
    const revbifpn_detector_config *c = &w->d->config;
    uint64_t boxes = (uint64_t)c->test_proposals;
    one fc[] = {linear(c->channels * RB_ROI_SIDE * RB_ROI_SIDE, c->features, boxes, true),
                linear(c->features, c->features, boxes, true)};
    one classes = linear(c->features, c->classes + 1, boxes, false);
    one codes = linear(c->features, 4 * c->classes, boxes, false);
    report(w, &fc[0], "roi_head.bbox_head.shared_fcs.0");
    report(w, &fc[1], "roi_head.bbox_head.shared_fcs.1");
    report(w, &classes, "roi_head.bbox_head.fc_cls");
    report(w, &codes, "roi_head.bbox_head.fc_reg");
}

static void visit_mask_head(walk *w) {
    int c = w->d->config.channels, side = RB_MASK_SIDE;
    char name[64];
    for (int i = 0; i < RB_MASK_CONVS; i++) {
        one layer = conv(c, c, 3, RB_MASK_IN, RB_MASK_IN, RB_DETECTIONS);
        layer.extra = 2; /* bias and ReLU */
        snprintf(name, sizeof name, "roi_head.mask_head.convs.%d.conv", i);
        report(w, &layer, name);
    }
    one up = conv(c, c, 1, side, side, RB_DETECTIONS); /* each output has one tap of the 2 × 2 */
    up.kind = "transposed_conv";
    up.kernel = up.stride = 2;
    up.in_h = up.in_w = RB_MASK_IN;
    up.extra = 2;
    up.parameters = (uint64_t)c * (4 * (uint64_t)c + 1);
    report(w, &up, "roi_head.mask_head.upsample");
    one logits = conv(c, w->d->config.classes, 1, side, side, RB_DETECTIONS);
    logits.run = RB_DETECTIONS * (uint64_t)side * (uint64_t)side * (uint64_t)c; /* the box's own class */
    report(w, &logits, "roi_head.mask_head.conv_logits");
}

revbifpn_status rb_detector_cost(const rb_detector *d, int width, int height, rb_cost_visitor *visit,
                                 void *user, revbifpn_detector_cost *total, rb_error *err) {
    revbifpn_cost backbone;
    rb_cost_parts parts;
    walk w = {.d = d, .visit = visit, .user = user, .anchors = rb_anchors_of(height, width)};
    revbifpn_status status = rb_model_cost(&d->model, width, height, visit, user, &backbone, &parts, err);
    if (status) return status;
    visit_pyramid(&w);
    visit_rpn(&w);
    visit_box_head(&w);
    if (d->config.masks) visit_mask_head(&w);
    w.total.parameters += backbone.parameters;
    w.total.macs += backbone.macs;
    w.total.macs_run += backbone.macs;
    w.total.macs_published += backbone.macs + parts.biases + parts.upsampled;
    w.total.macs_published_norms = w.total.macs_published + 2 * parts.normed + parts.pooled;
    *total = w.total;
    return REVBIFPN_OK;
}
