/* Operators and blocks, written out. */
#include "onnx/layers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

typedef rb_onnx_name name; /* of a value */

name rb_onnx_name_of(const char *format, ...) {
    name n;
    va_list args;
    va_start(args, format);
    vsnprintf(n.text, sizeof n.text, format, args);
    va_end(args);
    return n;
}

/* ---- tensors ---- */

name rb_onnx_parameter(rb_exporter *e, int index, const float *scale) {
    const rb_param *p = &e->m->params.list[index];
    rb_onnx_tensor t = {.name = rb_onnx_name_of("%s", p->name), .ndim = p->ndim, .scale = scale};
    t.floats = p->kind == RB_PARAM_RUNNING ? rb_param_statistic(&e->m->params, index)
                                           : rb_param_weight(&e->m->params, index);
    for (int i = 0; i < p->ndim; i++) t.shape[i] = p->shape[i];
    rb_onnx_add_tensor(e->g, &t);
    return t.name;
}

name rb_onnx_floats(rb_exporter *e, name n, const float *values, int count) {
    rb_onnx_tensor t = {.name = n, .ndim = 1, .shape = {count}, .floats = values};
    rb_onnx_add_tensor(e->g, &t);
    return n;
}

name rb_onnx_counts(rb_exporter *e, name n, const int64_t *values, int count) {
    rb_onnx_tensor t = {.name = n, .ndim = 1, .shape = {count}, .counts = values};
    rb_onnx_add_tensor(e->g, &t);
    return n;
}

name rb_onnx_float(rb_exporter *e, name n, float value) {
    float *own = rb_onnx_own(e->g, sizeof *own);
    rb_onnx_tensor t = {.name = n, .floats = own};
    if (own) *own = value;
    rb_onnx_add_tensor(e->g, &t);
    return n;
}

name rb_onnx_count(rb_exporter *e, name n, int64_t value) {
    int64_t *own = rb_onnx_own(e->g, sizeof *own);
    rb_onnx_tensor t = {.name = n, .counts = own};
    if (own) *own = value;
    rb_onnx_add_tensor(e->g, &t);
    return n;
}

/* ---- layers ---- */

name rb_onnx_apply(rb_exporter *e, const rb_onnx_node *node) {
    rb_onnx_add_node(e->g, node);
    return rb_onnx_name_of("%s", node->name);
}

name rb_onnx_unary(rb_exporter *e, const char *op, name n, name src) {
    rb_onnx_node node = {.op = op, .name = n.text, .inputs = {src.text}};
    rb_onnx_add_node(e->g, &node);
    return n;
}

name rb_onnx_binary(rb_exporter *e, const char *op, name n, name a, name b) {
    rb_onnx_node node = {.op = op, .name = n.text, .inputs = {a.text, b.text}};
    rb_onnx_add_node(e->g, &node);
    return n;
}

/* The norm as an affine map: scale = γ/√(v + ε), shift = β − mean·scale; 2,c. NULL when memory is out. */
static const float *affine_of(rb_exporter *e, const rb_conv_norm *l) {
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

static name batch_norm(rb_exporter *e, const rb_conv_norm *l, name prefix, name src) {
    name gamma = rb_onnx_parameter(e, l->gamma, NULL), beta = rb_onnx_parameter(e, l->beta, NULL);
    name mean = rb_onnx_parameter(e, l->running_mean, NULL), var = rb_onnx_parameter(e, l->running_var, NULL);
    name out = rb_onnx_name_of("%s.norm", prefix.text);
    rb_onnx_node node = {.op = "BatchNormalization",
                         .name = out.text,
                         .inputs = {src.text, gamma.text, beta.text, mean.text, var.text},
                         .attributes = {RB_ONNX_FLOAT_OF("epsilon", (float)RB_NORM_EPSILON)}};
    rb_onnx_add_node(e->g, &node);
    return out;
}

name rb_onnx_conv_norm(rb_exporter *e, const rb_conv_norm *l, name prefix, name src, int kernel, int stride,
                       int groups) {
    const float *affine = e->o->keep_norms ? NULL : affine_of(e, l);
    name weight = rb_onnx_parameter(e, l->wgt, affine), bias = {""};
    name out = rb_onnx_name_of("%s.conv", prefix.text);
    if (affine) bias = rb_onnx_floats(e, rb_onnx_name_of("%s.conv.bias", prefix.text), affine + l->c, l->c);
    int64_t pad = (kernel - 1) / 2;
    rb_onnx_node node = {.op = "Conv",
                         .name = out.text,
                         .inputs = {src.text, weight.text, affine ? bias.text : NULL},
                         .attributes = {{"kernel_shape", RB_ONNX_INTEGERS, {kernel, kernel}, 2, 0, NULL},
                                        {"strides", RB_ONNX_INTEGERS, {stride, stride}, 2, 0, NULL},
                                        {"pads", RB_ONNX_INTEGERS, {pad, pad, pad, pad}, 4, 0, NULL},
                                        RB_ONNX_INTEGER_OF("group", groups)}};
    rb_onnx_add_node(e->g, &node);
    return e->o->keep_norms ? batch_norm(e, l, prefix, out) : out;
}

name rb_onnx_conv(rb_exporter *e, name n, name src, name weight, name bias, int pad) {
    rb_onnx_node node = {.op = "Conv", .name = n.text, .inputs = {src.text, weight.text, bias.text}};
    if (pad) node.attributes[0] = (rb_onnx_attribute)RB_ONNX_FOUR_OF("pads", pad);
    return rb_onnx_apply(e, &node);
}

static name conv_bias(rb_exporter *e, name out, name src, int weight, int bias) {
    name w = rb_onnx_parameter(e, weight, NULL), b = rb_onnx_parameter(e, bias, NULL);
    return rb_onnx_conv(e, out, src, w, b, 0);
}

/* x · hardsigmoid(w2·h(w1·mean(x) + b1) + b2) */
static name squeeze_excite(rb_exporter *e, const rb_mbconv *b, name src) {
    const char *p = b->name;
    name mean = rb_onnx_unary(e, "GlobalAveragePool", rb_onnx_name_of("%s.se.mean", p), src);
    name hidden = conv_bias(e, rb_onnx_name_of("%s.se.se.1", p), mean, b->w1, b->b1);
    hidden = rb_onnx_unary(e, "HardSwish", rb_onnx_name_of("%s.se.se.2", p), hidden);
    name gate = conv_bias(e, rb_onnx_name_of("%s.se.se.3", p), hidden, b->w2, b->b2),
         open = rb_onnx_name_of("%s.se.gate", p);
    rb_onnx_node node = {.op = "HardSigmoid",
                         .name = open.text,
                         .inputs = {gate.text},
                         .attributes = {RB_ONNX_FLOAT_OF("alpha", 1.0f / 6), RB_ONNX_FLOAT_OF("beta", 0.5f)}};
    rb_onnx_add_node(e->g, &node);
    return rb_onnx_binary(e, "Mul", rb_onnx_name_of("%s.se", p), src, open);
}

name rb_onnx_upsample(rb_exporter *e, const char *prefix, name src, int factor) {
    name out = rb_onnx_name_of("%s.upsample", prefix), scales = rb_onnx_name_of("%s.upsample.scales", prefix);
    float *values = rb_onnx_own(e->g, 4 * sizeof *values);
    if (!values) return out;
    values[0] = values[1] = 1;
    values[2] = values[3] = (float)factor;
    rb_onnx_floats(e, scales, values, 4);
    rb_onnx_node node = {.op = "Resize",
                         .name = out.text,
                         .inputs = {src.text, "", scales.text},
                         .attributes = {RB_ONNX_TEXT_OF("mode", "linear"),
                                        RB_ONNX_TEXT_OF("coordinate_transformation_mode", "half_pixel")}};
    rb_onnx_add_node(e->g, &node);
    return out;
}

name rb_onnx_mbconv(rb_exporter *e, const rb_mbconv *b, name x) {
    const char *p = b->name;
    if (b->expand.c) {
        x = rb_onnx_conv_norm(e, &b->expand, rb_onnx_name_of("%s.exp_conv", p), x, 1, 1, 1);
        x = rb_onnx_unary(e, "HardSwish", rb_onnx_name_of("%s.exp_conv.act", p), x);
    }
    x = rb_onnx_conv_norm(e, &b->depthwise, rb_onnx_name_of("%s.dw_conv", p), x, b->spec.kernel,
                          b->spec.stride, b->mid);
    x = rb_onnx_unary(e, "HardSwish", rb_onnx_name_of("%s.dw_conv.act", p), x);
    if (b->squeeze) x = squeeze_excite(e, b, x);
    x = rb_onnx_conv_norm(e, &b->project, rb_onnx_name_of("%s.project_conv", p), x, 1, 1, 1);
    return b->spec.factor > 1 ? rb_onnx_upsample(e, p, x, b->spec.factor) : x;
}
