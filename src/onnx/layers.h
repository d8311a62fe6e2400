/* What the exported networks share: tensors, single operators, and the blocks of the reversible network. A
 * value has the name of the node that makes it; names are handed on by value. */
#ifndef RB_ONNX_LAYERS_H
#define RB_ONNX_LAYERS_H

#include "model/model.h"
#include "onnx/graph.h"

/* A stream is one value, or two while residual blocks work on its halves: Split and Concat stand only where
 * the one follows the other. */
typedef struct rb_onnx_stream {
    rb_onnx_name whole, half[2]; /* empty: this form is not there */
} rb_onnx_stream;

typedef struct rb_exporter {
    const rb_model *m;
    const revbifpn_model_config *config; /* with the size that the input has */
    const revbifpn_onnx_options *o;
    rb_onnx_graph *g;
    rb_onnx_stream streams[RB_MAX_STREAMS];
} rb_exporter;

#define RB_ONNX_INTEGER_OF(key, value)                                                                       \
    {                                                                                                        \
        .name = key, .kind = RB_ONNX_INTEGER, .integers = { value }                                          \
    }
#define RB_ONNX_FLOAT_OF(key, value)                                                                         \
    { .name = key, .kind = RB_ONNX_FLOAT, .number = value }
#define RB_ONNX_TEXT_OF(key, value)                                                                          \
    { .name = key, .kind = RB_ONNX_TEXT, .text = value }
#define RB_ONNX_PAIR_OF(key, value)                                                                          \
    { .name = key, .kind = RB_ONNX_INTEGERS, .integers = {value, value}, .count = 2 }
#define RB_ONNX_FOUR_OF(key, value)                                                                          \
    { .name = key, .kind = RB_ONNX_INTEGERS, .integers = {value, value, value, value}, .count = 4 }

rb_onnx_name rb_onnx_name_of(const char *format, ...) RB_PRINTF(1, 2);

/* A tensor of the parameter list under its own name; scale: of its rows, or NULL. */
rb_onnx_name rb_onnx_parameter(rb_exporter *e, int index, const float *scale);
/* `count` constants, which live as long as the graph (static, or rb_onnx_own). */
rb_onnx_name rb_onnx_floats(rb_exporter *e, rb_onnx_name n, const float *values, int count);
rb_onnx_name rb_onnx_counts(rb_exporter *e, rb_onnx_name n, const int64_t *values, int count);
/* One constant, without sides; copied. */
rb_onnx_name rb_onnx_float(rb_exporter *e, rb_onnx_name n, float value);
rb_onnx_name rb_onnx_count(rb_exporter *e, rb_onnx_name n, int64_t value);

/* Adds the node; the name of its value. */
rb_onnx_name rb_onnx_apply(rb_exporter *e, const rb_onnx_node *node);
rb_onnx_name rb_onnx_unary(rb_exporter *e, const char *op, rb_onnx_name n, rb_onnx_name src);
rb_onnx_name rb_onnx_binary(rb_exporter *e, const char *op, rb_onnx_name n, rb_onnx_name a, rb_onnx_name b);
/* A convolution with bias: padded by `pad` on all sides. */
rb_onnx_name rb_onnx_conv(rb_exporter *e, rb_onnx_name n, rb_onnx_name src, rb_onnx_name weight,
                          rb_onnx_name bias, int pad);
/* A convolution k×k with stride and its norm, which is in the weights unless o->keep_norms. */
rb_onnx_name rb_onnx_conv_norm(rb_exporter *e, const rb_conv_norm *l, rb_onnx_name prefix, rb_onnx_name src,
                               int kernel, int stride, int groups);
/* Bilinear, half-pixel centres, no corner alignment; PREFIX.upsample. */
rb_onnx_name rb_onnx_upsample(rb_exporter *e, const char *prefix, rb_onnx_name src, int factor);
rb_onnx_name rb_onnx_mbconv(rb_exporter *e, const rb_mbconv *b, rb_onnx_name x);

/* backbone.c: the graph's input "input" (n,channels,height,width; `batch`: its first side, 0: free), the stem
 * and all couplings. */
void rb_onnx_backbone(rb_exporter *e, int batch);
/* After it: map i as the head reads it, through the neck if there is one. */
rb_onnx_name rb_onnx_map(rb_exporter *e, int i);

#endif
