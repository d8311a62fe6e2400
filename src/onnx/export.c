/* The reversible network written out: every coupling y = x + F(x') is F's nodes and an Add. The state's grid
 * (2^-22 as a rule) is left out: it is there for the backward pass.
 *
 * A stream is one value, or two while residual blocks work on its halves: Split and Concat stand only where
 * the one follows the other. */
#include "onnx/export.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "io/config.h"
#include "io/weights_json.h"
#include "onnx/graph.h"

typedef rb_onnx_name name; /* of a value */

typedef struct stream {
    name whole, half[2]; /* empty: this form is not there */
} stream;

typedef struct exporter {
    const rb_model *m;
    const revbifpn_model_config *config; /* with the size that the weights are for now */
    const revbifpn_onnx_options *o;
    rb_onnx_graph *g;
    stream streams[RB_MAX_STREAMS];
} exporter;

static name RB_PRINTF(1, 2) name_of(const char *format, ...) {
    name n;
    va_list args;
    va_start(args, format);
    vsnprintf(n.text, sizeof n.text, format, args);
    va_end(args);
    return n;
}

#define INTEGER(key, value)                                                                                  \
    {                                                                                                        \
        .name = key, .kind = RB_ONNX_INTEGER, .integers = { value }                                          \
    }
#define NUMBER(key, value)                                                                                   \
    { .name = key, .kind = RB_ONNX_FLOAT, .number = value }
#define WORD(key, value)                                                                                     \
    { .name = key, .kind = RB_ONNX_TEXT, .text = value }

/* ---- tensors ---- */

static name add_parameter(exporter *e, int index, const float *scale) {
    const rb_param *p = &e->m->params.list[index];
    rb_onnx_tensor t = {.name = name_of("%s", p->name), .ndim = p->ndim, .scale = scale};
    t.floats = p->kind == RB_PARAM_RUNNING ? rb_param_statistic(&e->m->params, index)
                                           : rb_param_weight(&e->m->params, index);
    for (int i = 0; i < p->ndim; i++) t.shape[i] = p->shape[i];
    rb_onnx_add_tensor(e->g, &t);
    return t.name;
}

static name add_floats(exporter *e, name n, const float *values, int count) {
    rb_onnx_tensor t = {.name = n, .ndim = 1, .shape = {count}, .floats = values};
    rb_onnx_add_tensor(e->g, &t);
    return n;
}

static name add_counts(exporter *e, name n, const int64_t *values, int count) {
    rb_onnx_tensor t = {.name = n, .ndim = 1, .shape = {count}, .counts = values};
    rb_onnx_add_tensor(e->g, &t);
    return n;
}

/* ---- layers ---- */

static name unary(exporter *e, const char *op, name n, name src) {
    rb_onnx_node node = {.op = op, .name = n.text, .inputs = {src.text}};
    rb_onnx_add_node(e->g, &node);
    return n;
}

static name binary(exporter *e, const char *op, name n, name a, name b) {
    rb_onnx_node node = {.op = op, .name = n.text, .inputs = {a.text, b.text}};
    rb_onnx_add_node(e->g, &node);
    return n;
}

/* The norm as an affine map: scale = γ/√(v + ε), shift = β − mean·scale; 2,c. NULL when memory is out. */
static const float *affine_of(exporter *e, const rb_conv_norm *l) {
    float *affine = rb_onnx_own(e->g, 2 * (size_t)l->c * sizeof(float));
    const float *gamma = rb_param_weight(l->params, l->gamma), *beta = rb_param_weight(l->params, l->beta);
    const float *mean = rb_param_statistic(l->params, l->running_mean),
                *var = rb_param_statistic(l->params, l->running_var);
    for (int i = 0; affine && i < l->c; i++) {
        double scale = (double)gamma[i] / sqrt((double)var[i] + (double)RB_NORM_EPSILON);
        affine[i] = (float)scale;
        affine[l->c + i] = (float)((double)beta[i] - (double)mean[i] * scale);
    }
    return affine;
}

static name batch_norm(exporter *e, const rb_conv_norm *l, name prefix, name src) {
    name gamma = add_parameter(e, l->gamma, NULL), beta = add_parameter(e, l->beta, NULL);
    name mean = add_parameter(e, l->running_mean, NULL), var = add_parameter(e, l->running_var, NULL);
    name out = name_of("%s.norm", prefix.text);
    rb_onnx_node node = {.op = "BatchNormalization",
                         .name = out.text,
                         .inputs = {src.text, gamma.text, beta.text, mean.text, var.text},
                         .attributes = {NUMBER("epsilon", (float)RB_NORM_EPSILON)}};
    rb_onnx_add_node(e->g, &node);
    return out;
}

/* A convolution k×k with stride and its norm, which is in the weights unless o->keep_norms. */
static name conv_norm(exporter *e, const rb_conv_norm *l, name prefix, name src, int kernel, int stride,
                      int groups) {
    const float *affine = e->o->keep_norms ? NULL : affine_of(e, l);
    name weight = add_parameter(e, l->wgt, affine), bias = {""};
    name out = name_of("%s.conv", prefix.text);
    if (affine) bias = add_floats(e, name_of("%s.conv.bias", prefix.text), affine + l->c, l->c);
    int64_t pad = (kernel - 1) / 2;
    rb_onnx_node node = {.op = "Conv",
                         .name = out.text,
                         .inputs = {src.text, weight.text, affine ? bias.text : NULL},
                         .attributes = {{"kernel_shape", RB_ONNX_INTEGERS, {kernel, kernel}, 2, 0, NULL},
                                        {"strides", RB_ONNX_INTEGERS, {stride, stride}, 2, 0, NULL},
                                        {"pads", RB_ONNX_INTEGERS, {pad, pad, pad, pad}, 4, 0, NULL},
                                        INTEGER("group", groups)}};
    rb_onnx_add_node(e->g, &node);
    return e->o->keep_norms ? batch_norm(e, l, prefix, out) : out;
}

static name conv_bias(exporter *e, name out, name src, int weight, int bias) {
    name w = add_parameter(e, weight, NULL), b = add_parameter(e, bias, NULL);
    rb_onnx_node node = {.op = "Conv", .name = out.text, .inputs = {src.text, w.text, b.text}};
    rb_onnx_add_node(e->g, &node);
    return out;
}

/* x · hardsigmoid(w2·h(w1·mean(x) + b1) + b2) */
static name squeeze_excite(exporter *e, const rb_mbconv *b, name src) {
    const char *p = b->name;
    name mean = unary(e, "GlobalAveragePool", name_of("%s.se.mean", p), src);
    name hidden = conv_bias(e, name_of("%s.se.se.1", p), mean, b->w1, b->b1);
    hidden = unary(e, "HardSwish", name_of("%s.se.se.2", p), hidden);
    name gate = conv_bias(e, name_of("%s.se.se.3", p), hidden, b->w2, b->b2), open = name_of("%s.se.gate", p);
    rb_onnx_node node = {.op = "HardSigmoid",
                         .name = open.text,
                         .inputs = {gate.text},
                         .attributes = {NUMBER("alpha", 1.0f / 6), NUMBER("beta", 0.5f)}};
    rb_onnx_add_node(e->g, &node);
    return binary(e, "Mul", name_of("%s.se", p), src, open);
}

/* Bilinear, half-pixel centres, no corner alignment. */
static name upsample(exporter *e, const char *prefix, name src, int factor) {
    name out = name_of("%s.upsample", prefix), scales = name_of("%s.upsample.scales", prefix);
    float *values = rb_onnx_own(e->g, 4 * sizeof *values);
    if (!values) return out;
    values[0] = values[1] = 1;
    values[2] = values[3] = (float)factor;
    add_floats(e, scales, values, 4);
    rb_onnx_node node = {
        .op = "Resize",
        .name = out.text,
        .inputs = {src.text, "", scales.text},
        .attributes = {WORD("mode", "linear"), WORD("coordinate_transformation_mode", "half_pixel")}};
    rb_onnx_add_node(e->g, &node);
    return out;
}

static name mbconv(exporter *e, const rb_mbconv *b, name x) {
    const char *p = b->name;
    if (b->expand.c) {
        x = conv_norm(e, &b->expand, name_of("%s.exp_conv", p), x, 1, 1, 1);
        x = unary(e, "HardSwish", name_of("%s.exp_conv.act", p), x);
    }
    x = conv_norm(e, &b->depthwise, name_of("%s.dw_conv", p), x, b->spec.kernel, b->spec.stride, b->mid);
    x = unary(e, "HardSwish", name_of("%s.dw_conv.act", p), x);
    if (b->squeeze) x = squeeze_excite(e, b, x);
    x = conv_norm(e, &b->project, name_of("%s.project_conv", p), x, 1, 1, 1);
    return b->spec.factor > 1 ? upsample(e, p, x, b->spec.factor) : x;
}

/* ---- the stack ---- */

static name whole_of(exporter *e, int s, int op) {
    stream *x = &e->streams[s];
    if (x->whole.text[0]) return x->whole;
    x->whole = name_of("rev_stack.%d.concat_%d", op, s);
    rb_onnx_node node = {.op = "Concat",
                         .name = x->whole.text,
                         .inputs = {x->half[0].text, x->half[1].text},
                         .attributes = {INTEGER("axis", 1)}};
    rb_onnx_add_node(e->g, &node);
    return x->whole;
}

static name half_of(exporter *e, int s, int half, int op) {
    stream *x = &e->streams[s];
    if (x->half[0].text[0]) return x->half[half];
    name n = name_of("rev_stack.%d.split_%d", op, s);
    int64_t *sizes = rb_onnx_own(e->g, 2 * sizeof *sizes);
    if (!sizes) return n;
    sizes[1] = e->config->widths[s] / 2;
    sizes[0] = e->config->widths[s] - sizes[1];
    name size = add_counts(e, name_of("%s.sizes", n.text), sizes, 2);
    for (int i = 0; i < 2; i++) x->half[i] = name_of("%s.%d", n.text, i);
    rb_onnx_node node = {.op = "Split",
                         .name = n.text,
                         .inputs = {x->whole.text, size.text},
                         .outputs = {x->half[0].text, x->half[1].text},
                         .attributes = {INTEGER("axis", 1)}};
    rb_onnx_add_node(e->g, &node);
    return x->half[half];
}

static bool is_whole(const exporter *e, rb_slice slice) {
    return slice.channels == e->config->widths[slice.stream];
}

static name value_of(exporter *e, rb_slice slice, int op) {
    return is_whole(e, slice) ? whole_of(e, slice.stream, op) : half_of(e, slice.stream, slice.first > 0, op);
}

/* The slice is from now on that value; the stream's other form is no longer true. */
static void set_value(exporter *e, rb_slice slice, name value) {
    stream *x = &e->streams[slice.stream];
    if (is_whole(e, slice)) {
        *x = (stream){.whole = value};
        return;
    }
    x->half[slice.first > 0] = value;
    x->whole = (name){""};
}

static void couple(exporter *e, const rb_coupling *c) {
    const rb_mbconv *b = c->f.self;
    name f = mbconv(e, b, value_of(e, c->src, c->op));
    if (!c->opens) f = binary(e, "Add", name_of("%s.add", b->name), value_of(e, c->dst, c->op), f);
    set_value(e, c->dst, f);
}

/* The picture's channels repeated cyclically, then each 4×4 cell into channels. */
static void stem(exporter *e) {
    int channels = e->config->input_channels, repeated = e->config->widths[0] / 16;
    int64_t *order = rb_onnx_own(e->g, (size_t)repeated * sizeof *order);
    name cells = name_of("rev_stack.0.space_to_depth"), wide = name_of("rev_stack.0.repeat");
    if (!order) return;
    for (int i = 0; i < repeated; i++) order[i] = i % channels;
    name channel = add_counts(e, name_of("rev_stack.0.channels"), order, repeated);
    rb_onnx_node repeat = {.op = "Gather",
                           .name = wide.text,
                           .inputs = {"input", channel.text},
                           .attributes = {INTEGER("axis", 1)}};
    rb_onnx_node depth = {.op = "SpaceToDepth",
                          .name = cells.text,
                          .inputs = {wide.text},
                          .attributes = {INTEGER("blocksize", 4)}};
    rb_onnx_add_node(e->g, &repeat);
    rb_onnx_add_node(e->g, &depth);
    e->streams[0].whole = cells;
}

/* ---- the ends ---- */

static name map_of(exporter *e, int i) {
    name x = whole_of(e, i, e->m->stack.ops);
    return e->config->neck ? mbconv(e, e->m->neck[i], x) : x;
}

static void add_maps(exporter *e) {
    for (int i = 0; i < e->config->streams; i++) {
        name out = name_of("p%d", 2 + i), high = name_of("%s_height", out.text),
             wide = name_of("%s_width", out.text);
        const revbifpn_model_config *c = e->config;
        bool free_size = e->o->dynamic_size;
        rb_onnx_side sides[] = {{0, "batch"},
                                {e->m->map_widths[i], NULL},
                                {c->image_height / (4 << i), free_size ? high.text : NULL},
                                {c->image_width / (4 << i), free_size ? wide.text : NULL}};
        unary(e, "Identity", out, map_of(e, i));
        rb_onnx_add_output(e->g, out.text, sides, 4);
    }
}

/* Fine to coarse, out = map + F(finer out); 1×1, hardswish, mean over the pixels, linear. */
static void add_head(exporter *e) {
    const rb_model *m = e->m;
    name x = map_of(e, 0);
    for (int i = 1; i < e->config->streams; i++) {
        name f = mbconv(e, m->head[i - 1], x);
        x = binary(e, "Add", name_of("%s.add", m->head[i - 1]->name), map_of(e, i), f);
    }
    x = conv_norm(e, &m->final, name_of("head.final_conv"), x, 1, 1, 1);
    x = unary(e, "HardSwish", name_of("head.final_conv.act"), x);
    x = unary(e, "GlobalAveragePool", name_of("head.mean"), x);
    x = unary(e, "Flatten", name_of("head.flatten"), x);
    name weight = add_parameter(e, m->fc_weight, NULL), bias = add_parameter(e, m->fc_bias, NULL);
    rb_onnx_node linear = {.op = "Gemm",
                           .name = "logits",
                           .inputs = {x.text, weight.text, bias.text},
                           .attributes = {INTEGER("transB", 1)}};
    rb_onnx_side sides[] = {{0, "batch"}, {e->config->classes, NULL}};
    rb_onnx_add_node(e->g, &linear);
    rb_onnx_add_output(e->g, "logits", sides, 2);
}

static void add_input(exporter *e) {
    const revbifpn_model_config *c = e->config;
    bool free_size = e->o->dynamic_size;
    rb_onnx_side sides[] = {{0, "batch"},
                            {c->input_channels, NULL},
                            {c->image_height, free_size ? "height" : NULL},
                            {c->image_width, free_size ? "width" : NULL}};
    rb_onnx_add_input(e->g, "input", sides, 4);
}

/* What a program needs to prepare pictures and to read the answer. */
static revbifpn_status add_metadata(exporter *e, const rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    char *config = NULL, *classes = NULL, *preprocess = NULL;
    TRY(rb_config_to_json(&info->config, &config, err));
    TRY(rb_classes_to_json(info, &classes, err));
    TRY(rb_preprocess_to_json(&info->preprocess, info->config.input_channels, &preprocess, err));
    name size = name_of("%dx%d", info->config.image_width, info->config.image_height);
    rb_onnx_add_metadata(e->g, "model", info->config.name);
    rb_onnx_add_metadata(e->g, "size", size.text);
    rb_onnx_add_metadata(e->g, "preprocessing", preprocess);
    rb_onnx_add_metadata(e->g, "classes", classes);
    rb_onnx_add_metadata(e->g, "config", config);
fail:
    rb_free(config);
    rb_free(classes);
    rb_free(preprocess);
    return status;
}

revbifpn_status rb_onnx_export(const rb_model *model, const rb_weights_info *info,
                               const revbifpn_onnx_options *o, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_onnx_graph graph = {0};
    exporter e = {.m = model, .config = &info->config, .o = o, .g = &graph};
    add_input(&e);
    stem(&e);
    for (int i = 0; i < model->stack.count; i++) couple(&e, &model->stack.couplings[i]);
    if (model->config.classes && !o->features)
        add_head(&e);
    else
        add_maps(&e);
    TRY(add_metadata(&e, info, err));
    status = rb_onnx_write(&graph, info->config.name[0] ? info->config.name : "revbifpn", path, err);
fail:
    rb_onnx_graph_close(&graph);
    return status;
}
