/* The box head, the choice among its boxes, and the mask head, as detect/box_head.c, find.c and mask_head.c
 * have them. */
#include "detect/box.h"
#include "onnx/detector.h"

typedef rb_onnx_name name;

rb_onnx_layer rb_onnx_layer_of(rb_detector_exporter *x, rb_layer layer) {
    rb_onnx_layer l = {.wgt = rb_onnx_parameter(&x->e, layer.wgt, NULL)};
    l.bias = rb_onnx_parameter(&x->e, layer.bias, NULL);
    return l;
}

/* ---- box head ---- */

static name linear(rb_detector_exporter *x, name n, rb_layer layer, name src) {
    rb_onnx_layer l = rb_onnx_layer_of(x, layer);
    rb_onnx_node node = {.op = "Gemm",
                         .name = n.text,
                         .inputs = {src.text, l.wgt.text, l.bias.text},
                         .attributes = {RB_ONNX_INTEGER_OF("transB", 1)}};
    return rb_onnx_apply(&x->e, &node);
}

static name transpose(rb_detector_exporter *x, name n, name src, int count) {
    rb_onnx_node node = {.op = "Transpose",
                         .name = n.text,
                         .inputs = {src.text},
                         .attributes = {{"perm", RB_ONNX_INTEGERS, {1, 0, 2}, count, 0, NULL}}};
    return rb_onnx_apply(&x->e, &node);
}

/* Probabilities of the classes without background: classes,k. */
static name scores_of(rb_detector_exporter *x, name p, name hidden) {
    rb_exporter *e = &x->e;
    int64_t *end = rb_onnx_own(e->g, sizeof *end);
    name logits = linear(x, rb_onnx_at(p, "fc_cls"), x->d->box_class, hidden),
         soft = rb_onnx_at(p, "softmax");
    if (!end) return logits;
    *end = x->d->config.classes;
    rb_onnx_node softmax = {.op = "Softmax",
                            .name = soft.text,
                            .inputs = {logits.text},
                            .attributes = {RB_ONNX_INTEGER_OF("axis", 1)}};
    rb_onnx_add_node(e->g, &softmax);
    name zero = rb_onnx_list(x, 0), axis = rb_onnx_list(x, 1), n = rb_onnx_at(p, "of_classes");
    name ends = rb_onnx_counts(e, rb_onnx_at(p, "classes"), end, 1);
    rb_onnx_node slice = {
        .op = "Slice", .name = n.text, .inputs = {soft.text, zero.text, ends.text, axis.text}};
    return transpose(x, rb_onnx_at(p, "scores"), rb_onnx_apply(e, &slice), 2);
}

/* Boxes of each class: classes,k,4. */
static name boxes_of(rb_detector_exporter *x, name p, name hidden, name proposals) {
    rb_exporter *e = &x->e;
    int64_t *sides = rb_onnx_own(e->g, 3 * sizeof *sides);
    name flat = linear(x, rb_onnx_at(p, "fc_reg"), x->d->box_code, hidden);
    if (!sides) return flat;
    sides[1] = x->d->config.classes; /* sides[0] = 0: as it is */
    sides[2] = 4;
    name shape = rb_onnx_counts(e, rb_onnx_at(p, "code_sides"), sides, 3);
    name codes = rb_onnx_binary(e, "Reshape", rb_onnx_at(p, "codes"), flat, shape);
    name deviation = rb_onnx_floats(e, rb_onnx_at(p, "deviation"), rb_deviation_roi, 4);
    codes = rb_onnx_binary(e, "Mul", rb_onnx_at(p, "scaled"), codes, deviation);
    name from = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "from"), proposals, rb_onnx_list(x, 1));
    return transpose(x, rb_onnx_at(p, "boxes"), rb_onnx_decode(x, rb_onnx_at(p, "decode"), from, codes), 3);
}

/* Suppression sees a class as a picture of its own: boxes belong to their class. Of each class at most as
 * many are kept as are given in the end. */
static name choose(rb_detector_exporter *x, name p, name boxes, name scores, name *chosen) {
    static const int64_t columns[2] = {0, 2};
    rb_exporter *e = &x->e;
    name line = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "line"), scores, rb_onnx_list(x, 1));
    name stand = rb_onnx_suppress(x, rb_onnx_at(p, "suppress"), boxes, line, RB_DETECTIONS,
                                  rb_detection_overlap, &rb_least_score);
    name pair = rb_onnx_counts(e, rb_onnx_at(p, "pair"), columns, 2);
    name where = rb_onnx_gather(x, rb_onnx_at(p, "where"), stand, pair, 1);
    name score = rb_onnx_binary(e, "GatherND", rb_onnx_at(p, "standing_scores"), scores, where);
    name best = rb_onnx_at(p, "best");
    rb_onnx_best(x, rb_onnx_name_of("scores"), best, score, RB_DETECTIONS);
    *chosen = rb_onnx_gather(x, rb_onnx_at(p, "chosen"), where, best, 0);
    name labels = rb_onnx_gather(x, rb_onnx_name_of("labels"), *chosen, rb_onnx_scalar(x, 0), 1);
    return labels;
}

/* ---- mask head ---- */

/* The last layer's rows of the boxes' labels alone: n,1,c and n,1,1. */
static name row_of(rb_detector_exporter *x, name p, const char *part, int index, int width, name labels) {
    rb_onnx_tensor t = {.name = rb_onnx_name_of("%s", x->e.m->params.list[index].name),
                        .ndim = 3,
                        .shape = {x->d->config.classes, 1, width},
                        .floats = rb_param_weight(&x->e.m->params, index)};
    rb_onnx_add_tensor(x->e.g, &t);
    return rb_onnx_gather(x, rb_onnx_at(p, part), t.name, labels, 0);
}

static name enlarge(rb_detector_exporter *x, name p, name src) {
    rb_onnx_layer l = rb_onnx_layer_of(x, x->d->upsample);
    name n = rb_onnx_at(p, "upsample");
    rb_onnx_node node = {.op = "ConvTranspose",
                         .name = n.text,
                         .inputs = {src.text, l.wgt.text, l.bias.text},
                         .attributes = {RB_ONNX_PAIR_OF("kernel_shape", 2), RB_ONNX_PAIR_OF("strides", 2)}};
    return rb_onnx_unary(&x->e, "Relu", rb_onnx_at(p, "upsample.act"), rb_onnx_apply(&x->e, &node));
}

static void add_masks(rb_detector_exporter *x, name boxes, name labels) {
    static const int64_t flat[3] = {0, 0, RB_MASK_SIDE * RB_MASK_SIDE}; /* 0: as it is */
    static const int64_t square[3] = {0, RB_MASK_SIDE, RB_MASK_SIDE};
    rb_exporter *e = &x->e;
    name p = rb_onnx_name_of("mask_head");
    name map = rb_onnx_pool(x, rb_onnx_at(p, "roi"), boxes, RB_MASK_IN);
    for (int i = 0; i < RB_MASK_CONVS; i++) {
        rb_onnx_layer l = rb_onnx_layer_of(x, x->d->mask_conv[i]);
        name conv = rb_onnx_name_of("%s.convs.%d", p.text, i);
        map = rb_onnx_conv(e, conv, map, l.wgt, l.bias, 1);
        map = rb_onnx_unary(e, "Relu", rb_onnx_at(conv, "act"), map);
    }
    map = enlarge(x, p, map);
    name sides = rb_onnx_counts(e, rb_onnx_at(p, "flat"), flat, 3);
    name pixels = rb_onnx_binary(e, "Reshape", rb_onnx_at(p, "pixels"), map, sides);
    name weight = row_of(x, p, "weight", x->d->mask_logits.wgt, x->d->config.channels, labels);
    name bias = row_of(x, p, "bias", x->d->mask_logits.bias, 1, labels);
    name product = rb_onnx_binary(e, "MatMul", rb_onnx_at(p, "product"), weight, pixels);
    name logits = rb_onnx_binary(e, "Add", rb_onnx_at(p, "logits"), product, bias);
    name shape = rb_onnx_counts(e, rb_onnx_at(p, "square"), square, 3);
    name masks = rb_onnx_binary(e, "Reshape", rb_onnx_at(p, "masks"), logits, shape);
    rb_onnx_side ends[] = {{0, "detections"}, {RB_MASK_SIDE, NULL}, {RB_MASK_SIDE, NULL}};
    rb_onnx_unary(e, "Sigmoid", rb_onnx_name_of("masks"), masks);
    rb_onnx_add_output(e->g, "masks", ends, 3);
}

/* ---- the whole ---- */

void rb_onnx_add_detections(rb_detector_exporter *x, name proposals) {
    rb_exporter *e = &x->e;
    name p = rb_onnx_name_of("box_head"), chosen;
    name hidden = rb_onnx_pool(x, rb_onnx_at(p, "roi"), proposals, RB_ROI_SIDE);
    hidden = rb_onnx_unary(e, "Flatten", rb_onnx_at(p, "rows"), hidden);
    for (int i = 0; i < 2; i++) {
        name fc = rb_onnx_name_of("%s.shared_fcs.%d", p.text, i);
        hidden = rb_onnx_unary(e, "Relu", rb_onnx_at(fc, "act"), linear(x, fc, x->d->fc[i], hidden));
    }
    name scores = scores_of(x, p, hidden), all = boxes_of(x, p, hidden, proposals);
    name labels = choose(x, p, all, scores, &chosen);
    name boxes = rb_onnx_binary(e, "GatherND", rb_onnx_name_of("boxes"), all, chosen);
    rb_onnx_side sides[] = {{0, "detections"}, {4, NULL}};
    rb_onnx_add_output(e->g, "boxes", sides, 2);
    rb_onnx_add_output(e->g, "scores", sides, 1);
    rb_onnx_add_count_output(e->g, "labels", sides, 1);
    if (x->d->config.masks) add_masks(x, boxes, labels);
}
