/* The detector's tensors, under MMDetection's names and in its order, with its initial values (spec 5). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detect/detector.h"

typedef struct builder {
    rb_detector *d;
    rb_error *err;
    revbifpn_status status; /* of the first tensor that failed; those after it are not added */
} builder;

/* Initial weights: all within ±bound, or normal with that deviation. */
typedef struct start {
    rb_init init;
    double scale;
} start;
static start within(double bound) { return (start){RB_INIT_UNIFORM, bound}; }
static start normal(double deviation) { return (start){RB_INIT_NORMAL, deviation}; }

static void add_tensor(builder *b, const rb_param *param, int *index) {
    if (b->status == REVBIFPN_OK) b->status = rb_params_add(&b->d->model.params, param, index, b->err);
}

/* NAME.weight of that shape and NAME.bias, which begins with zeros. */
static rb_layer add_layer(builder *b, rb_param weight, int outputs, start begin, const char *format, ...)
    RB_PRINTF(5, 6);
static rb_layer add_layer(builder *b, rb_param weight, int outputs, start begin, const char *format, ...) {
    char name[80];
    rb_layer layer = {-1, -1};
    rb_param bias = {.ndim = 1, .shape = {outputs}};
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    snprintf(weight.name, sizeof weight.name, "%s.weight", name);
    snprintf(bias.name, sizeof bias.name, "%s.bias", name);
    weight.init = begin.init;
    weight.scale = begin.scale;
    add_tensor(b, &weight, &layer.wgt);
    add_tensor(b, &bias, &layer.bias);
    return layer;
}

static rb_param conv(int oc, int ic, int kernel) {
    return (rb_param){.ndim = 4, .shape = {oc, ic, kernel, kernel}};
}
static rb_param linear(int outputs, int inputs) { return (rb_param){.ndim = 2, .shape = {outputs, inputs}}; }

static double fan_in_bound(int fan) { return sqrt(3.0 / fan); }
static double fan_both_bound(int in, int out) { return sqrt(6.0 / (in + out)); }

static void add_pyramid(builder *b) {
    rb_detector *d = b->d;
    int c = d->config.channels, in = 0;
    for (int i = 0; i < d->model.config.streams; i++) in += d->model.map_widths[i];
    d->reduction = add_layer(b, conv(c, in, 1), c, within(fan_in_bound(in)), "neck.reduction_conv.conv");
    for (int i = 0; i < RB_PYRAMID_LEVELS; i++)
        d->fpn[i] = add_layer(b, conv(c, c, 3), c, within(fan_in_bound(9 * c)), "neck.fpn_convs.%d.conv", i);
}

static void add_rpn(builder *b) {
    rb_detector *d = b->d;
    int c = d->config.channels, a = RB_ANCHORS_PER_CELL;
    d->rpn_conv = add_layer(b, conv(c, c, 3), c, normal(0.01), "rpn_head.rpn_conv");
    d->rpn_class = add_layer(b, conv(a, c, 1), a, normal(0.01), "rpn_head.rpn_cls");
    d->rpn_box = add_layer(b, conv(4 * a, c, 1), 4 * a, normal(0.01), "rpn_head.rpn_reg");
}

static void add_box_head(builder *b) {
    rb_detector *d = b->d;
    int in = d->config.channels * RB_ROI_SIDE * RB_ROI_SIDE, f = d->config.features, k = d->config.classes;
    for (int i = 0; i < 2; i++, in = f)
        d->fc[i] = add_layer(b, linear(f, in), f, within(fan_both_bound(in, f)),
                             "roi_head.bbox_head.shared_fcs.%d", i);
    d->box_class = add_layer(b, linear(k + 1, f), k + 1, normal(0.01), "roi_head.bbox_head.fc_cls");
    d->box_code = add_layer(b, linear(4 * k, f), 4 * k, normal(0.001), "roi_head.bbox_head.fc_reg");
}

static void add_mask_head(builder *b) {
    rb_detector *d = b->d;
    int c = d->config.channels, k = d->config.classes;
    start by_outputs = normal(sqrt(2.0 / (9 * c)));
    for (int i = 0; i < RB_MASK_CONVS; i++)
        d->mask_conv[i] = add_layer(b, conv(c, c, 3), c, by_outputs, "roi_head.mask_head.convs.%d.conv", i);
    d->upsample = add_layer(b, conv(c, c, 2), c, normal(sqrt(2.0 / (4 * c))), "roi_head.mask_head.upsample");
    d->mask_logits = add_layer(b, conv(k, c, 1), k, normal(sqrt(2.0 / k)), "roi_head.mask_head.conv_logits");
}

static void name_backbone(rb_params *params) {
    for (int i = 0; i < params->count; i++) {
        char name[sizeof params->list[i].name];
        snprintf(name, sizeof name, "%s", params->list[i].name);
        snprintf(params->list[i].name, sizeof name, "backbone.%.100s", name);
    }
}

revbifpn_status rb_detector_create(rb_detector *d, const revbifpn_detector_config *config, rb_error *err) {
    revbifpn_status status;
    *d = (rb_detector){.config = *config};
    builder b = {.d = d, .err = err};
    TRY(rb_model_create(&d->model, &config->backbone, err));
    name_backbone(&d->model.params);
    add_pyramid(&b);
    add_rpn(&b);
    add_box_head(&b);
    if (config->masks) add_mask_head(&b);
    TRY(b.status);
    rb_params_layout(&d->model.params);
    return REVBIFPN_OK;
fail:
    rb_detector_close(d);
    return status;
}

void rb_detector_close(rb_detector *d) {
    rb_model_close(&d->model);
    *d = (rb_detector){0};
}
