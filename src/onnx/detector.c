/* The detector's feature pyramid and proposal network (detect/pyramid.c, rpn.c), and its file. As there, the
 * 1×1 convolution of the pyramid comes before the upsampling, each map with its own columns of the weight. */
#include "onnx/detector.h"

#include "io/config.h"
#include "io/weights_json.h"

typedef rb_onnx_name name;

/* ---- feature pyramid ---- */

/* Columns of the reduction's weight that belong to map i, dense: c,width,1,1. */
static name columns_of(rb_detector_exporter *x, int i) {
    const rb_param *p = &x->e.m->params.list[x->d->reduction.wgt];
    size_t width = (size_t)x->e.m->map_widths[i], all = (size_t)p->shape[1], first = 0;
    for (int k = 0; k < i; k++) first += (size_t)x->e.m->map_widths[k];
    const float *src = rb_param_weight(&x->e.m->params, x->d->reduction.wgt) + first;
    float *own = rb_onnx_own(x->e.g, (size_t)p->shape[0] * width * sizeof *own);
    for (size_t o = 0; own && o < (size_t)p->shape[0]; o++)
        for (size_t c = 0; c < width; c++) own[o * width + c] = src[o * all + c];
    rb_onnx_tensor t = {.name = rb_onnx_name_of("%s.%d", p->name, i),
                        .ndim = 4,
                        .shape = {p->shape[0], (int64_t)width, 1, 1},
                        .floats = own};
    rb_onnx_add_tensor(x->e.g, &t);
    return t.name;
}

static name sum_of_maps(rb_detector_exporter *x) {
    rb_exporter *e = &x->e;
    name bias = rb_onnx_parameter(e, x->d->reduction.bias, NULL), sum = {""};
    for (int i = 0; i < e->config->streams; i++) {
        name p = rb_onnx_name_of("pyramid.reduction.%d", i), map = rb_onnx_map(e, i), wgt = columns_of(x, i);
        rb_onnx_node node = {
            .op = "Conv", .name = p.text, .inputs = {map.text, wgt.text, i ? NULL : bias.text}};
        name part = rb_onnx_apply(e, &node);
        if (i) part = rb_onnx_upsample(e, p.text, part, 1 << i);
        sum = i ? rb_onnx_binary(e, "Add", rb_onnx_at(p, "add"), sum, part) : part;
    }
    return sum;
}

static void add_pyramid(rb_detector_exporter *x) {
    rb_exporter *e = &x->e;
    name sum = sum_of_maps(x);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        name pooled = rb_onnx_name_of("pyramid.mean.%d", l), out = rb_onnx_name_of("p%d", 2 + l);
        rb_onnx_node pool = {
            .op = "AveragePool",
            .name = pooled.text,
            .inputs = {sum.text},
            .attributes = {RB_ONNX_PAIR_OF("kernel_shape", 1 << l), RB_ONNX_PAIR_OF("strides", 1 << l)}};
        name src = l ? rb_onnx_apply(e, &pool) : sum;
        rb_onnx_layer conv = rb_onnx_layer_of(x, x->d->fpn[l]);
        x->features[l] = rb_onnx_conv(e, out, src, conv.wgt, conv.bias, 1);
    }
}

/* ---- proposal network ---- */

static void add_rpn(rb_detector_exporter *x) {
    rb_exporter *e = &x->e;
    rb_onnx_layer conv = rb_onnx_layer_of(x, x->d->rpn_conv), score = rb_onnx_layer_of(x, x->d->rpn_class);
    rb_onnx_layer code = rb_onnx_layer_of(x, x->d->rpn_box);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        name p = rb_onnx_name_of("rpn.p%d", 2 + l);
        name hidden = rb_onnx_conv(e, p, x->features[l], conv.wgt, conv.bias, 1);
        hidden = rb_onnx_unary(e, "Relu", rb_onnx_at(p, "act"), hidden);
        x->objectness[l] =
            rb_onnx_conv(e, rb_onnx_name_of("objectness_p%d", 2 + l), hidden, score.wgt, score.bias, 0);
        x->codes[l] = rb_onnx_conv(e, rb_onnx_name_of("codes_p%d", 2 + l), hidden, code.wgt, code.bias, 0);
    }
}

/* ---- the ends ---- */

static void add_map_output(rb_detector_exporter *x, name out, int level, int channels) {
    const revbifpn_model_config *c = x->e.config;
    bool free_size = x->e.o->dynamic_size;
    name high = rb_onnx_name_of("p%d_height", 2 + level), wide = rb_onnx_name_of("p%d_width", 2 + level);
    rb_onnx_side sides[] = {{0, "batch"},
                            {channels, NULL},
                            {c->image_height / 4 >> level, free_size ? high.text : NULL},
                            {c->image_width / 4 >> level, free_size ? wide.text : NULL}};
    rb_onnx_add_output(x->e.g, out.text, sides, 4);
}

static void add_raw_heads(rb_detector_exporter *x) {
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) add_map_output(x, x->features[l], l, x->d->config.channels);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) add_map_output(x, x->objectness[l], l, RB_ANCHORS_PER_CELL);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) add_map_output(x, x->codes[l], l, 4 * RB_ANCHORS_PER_CELL);
}

/* What boxes are clipped to: width, height, width, height. */
static void add_size(rb_detector_exporter *x) {
    static const int64_t order[4] = {1, 0, 1, 0};
    rb_onnx_side sides[] = {{2, NULL}};
    rb_onnx_add_input(x->e.g, "size", sides, 1);
    name turn = rb_onnx_counts(&x->e, rb_onnx_name_of("size.order"), order, 4);
    x->limit = rb_onnx_gather(x, rb_onnx_name_of("size.limit"), rb_onnx_name_of("size"), turn, 0);
}

static revbifpn_status add_metadata(rb_exporter *e, const rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    char *config = NULL, *classes = NULL, *detector = NULL, *preprocess = NULL;
    TRY(rb_config_to_json(&info->config, &config, err));
    TRY(rb_classes_to_json(info, &classes, err));
    TRY(rb_detector_to_json(&info->detector, &detector, err));
    TRY(rb_detector_preprocess_to_json(info, &preprocess, err));
    name size = rb_onnx_name_of("%dx%d", e->config->image_width, e->config->image_height);
    rb_onnx_add_metadata(e->g, "model", info->config.name);
    rb_onnx_add_metadata(e->g, "task", info->detector.masks ? "segment" : "detect");
    rb_onnx_add_metadata(e->g, "size", size.text);
    rb_onnx_add_metadata(e->g, "preprocessing", preprocess);
    rb_onnx_add_metadata(e->g, "classes", classes);
    rb_onnx_add_metadata(e->g, "config", config);
    rb_onnx_add_metadata(e->g, "detector", detector);
fail:
    rb_free(config);
    rb_free(classes);
    rb_free(detector);
    rb_free(preprocess);
    return status;
}

/* Wide pictures within the limits, padded. Below 64 the coarsest level would have no cell. */
static revbifpn_status set_size(revbifpn_model_config *config, const revbifpn_detector_config *d,
                                const revbifpn_onnx_options *o, rb_error *err) {
    int stride = rb_model_stride(config), least = rb_level_stride(RB_PYRAMID_LEVELS - 1);
    config->image_width = (d->long_side + stride - 1) / stride * stride;
    config->image_height = (d->short_side + stride - 1) / stride * stride;
    if (o->dynamic_size || config->image_height >= least) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%d × %d pixels: a detector's file is for at least %d a side",
                   config->image_width, config->image_height, least);
}

revbifpn_status rb_onnx_export_detector(const rb_detector *detector, const rb_weights_info *info,
                                        const revbifpn_onnx_options *o, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_onnx_graph graph = {0};
    revbifpn_model_config config = detector->model.config;
    rb_detector_exporter x = {.d = detector};
    TRY(set_size(&config, &info->detector, o, err));
    x.e = (rb_exporter){.m = &detector->model, .config = &config, .o = o, .g = &graph};
    rb_onnx_backbone(&x.e, o->heads ? 0 : 1);
    add_pyramid(&x);
    add_rpn(&x);
    if (o->heads) {
        add_raw_heads(&x);
    } else {
        add_size(&x);
        rb_onnx_add_detections(&x, rb_onnx_proposals(&x));
    }
    TRY(add_metadata(&x.e, info, err));
    status = rb_onnx_write(&graph, info->config.name[0] ? info->config.name : "revbifpn", path, err);
fail:
    rb_onnx_graph_close(&graph);
    return status;
}
