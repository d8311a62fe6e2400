/* Boxes in a graph: what detect/box.c, detect/propose.c and ops/roi_align/ compute, operator by operator and
 * in the same order, so that equal scores stay in their order and overlaps are counted alike. */
#include "detect/box.h"
#include "onnx/detector.h"

typedef rb_onnx_name name;

/* ---- small parts ---- */

name rb_onnx_at(name prefix, const char *part) { return rb_onnx_name_of("%.140s.%s", prefix.text, part); }

name rb_onnx_list(rb_detector_exporter *x, int value) {
    name n = rb_onnx_name_of("list_%d", value);
    int64_t *own;
    if (x->lists >> value & 1) return n;
    x->lists |= 1u << value;
    if (!(own = rb_onnx_own(x->e.g, sizeof *own))) return n;
    *own = value;
    return rb_onnx_counts(&x->e, n, own, 1);
}

name rb_onnx_scalar(rb_detector_exporter *x, int value) {
    name n = rb_onnx_name_of("number_%d", value);
    if (x->scalars >> value & 1) return n;
    x->scalars |= 1u << value;
    return rb_onnx_count(&x->e, n, value);
}

name rb_onnx_gather(rb_detector_exporter *x, name n, name src, name index, int axis) {
    rb_onnx_node node = {.op = "Gather",
                         .name = n.text,
                         .inputs = {src.text, index.text},
                         .attributes = {RB_ONNX_INTEGER_OF("axis", axis)}};
    return rb_onnx_apply(&x->e, &node);
}

static name concat(rb_detector_exporter *x, name n, const name *parts, int count, int axis) {
    rb_onnx_node node = {.op = "Concat", .name = n.text, .attributes = {RB_ONNX_INTEGER_OF("axis", axis)}};
    for (int i = 0; i < count; i++) node.inputs[i] = parts[i].text;
    return rb_onnx_apply(&x->e, &node);
}

/* src[…,0:2] and src[…,2:4]. */
static void halves(rb_detector_exporter *x, name n, name src, name *low, name *high) {
    *low = rb_onnx_at(n, "low");
    *high = rb_onnx_at(n, "high");
    rb_onnx_node node = {.op = "Split",
                         .name = n.text,
                         .inputs = {src.text},
                         .outputs = {low->text, high->text},
                         .attributes = {RB_ONNX_INTEGER_OF("axis", -1)}};
    rb_onnx_add_node(x->e.g, &node);
}

void rb_onnx_best(rb_detector_exporter *x, name values, name index, name src, int most) {
    rb_exporter *e = &x->e;
    int64_t *own = rb_onnx_own(e->g, sizeof *own);
    if (!own) return;
    *own = most;
    name limit = rb_onnx_counts(e, rb_onnx_at(values, "most"), own, 1);
    name count = rb_onnx_unary(e, "Shape", rb_onnx_at(values, "all"), src);
    name number = rb_onnx_binary(e, "Min", rb_onnx_at(values, "number"), count, limit);
    name n = rb_onnx_at(values, "best");
    rb_onnx_node node = {.op = "TopK",
                         .name = n.text,
                         .inputs = {src.text, number.text},
                         .outputs = {values.text, index.text}};
    rb_onnx_add_node(e->g, &node);
}

/* ---- boxes and codes ---- */

static name growth_of(rb_detector_exporter *x, name p, name growth) {
    name least = rb_onnx_float(&x->e, rb_onnx_at(p, "least_growth"), -rb_most_growth);
    name most = rb_onnx_float(&x->e, rb_onnx_at(p, "most_growth"), rb_most_growth);
    name n = rb_onnx_at(p, "growth");
    rb_onnx_node node = {.op = "Clip", .name = n.text, .inputs = {growth.text, least.text, most.text}};
    return rb_onnx_unary(&x->e, "Exp", rb_onnx_at(p, "factor"), rb_onnx_apply(&x->e, &node));
}

static name clip(rb_detector_exporter *x, name p, name box) {
    name zero = rb_onnx_float(&x->e, rb_onnx_at(p, "zero"), 0);
    name inside = rb_onnx_binary(&x->e, "Max", rb_onnx_at(p, "inside"), box, zero);
    return rb_onnx_binary(&x->e, "Min", rb_onnx_at(p, "clipped"), inside, x->limit);
}

name rb_onnx_decode(rb_detector_exporter *x, name p, name from, name codes) {
    rb_exporter *e = &x->e;
    name low, high, shift, growth, corner[2];
    name half = rb_onnx_float(e, rb_onnx_at(p, "half"), 0.5f);
    halves(x, rb_onnx_at(p, "from"), from, &low, &high);
    halves(x, rb_onnx_at(p, "code"), codes, &shift, &growth);
    name side = rb_onnx_binary(e, "Sub", rb_onnx_at(p, "side"), high, low);
    name sum = rb_onnx_binary(e, "Add", rb_onnx_at(p, "sum"), low, high);
    name centre = rb_onnx_binary(e, "Mul", rb_onnx_at(p, "centre"), sum, half);
    name step = rb_onnx_binary(e, "Mul", rb_onnx_at(p, "step"), side, shift);
    name moved = rb_onnx_binary(e, "Add", rb_onnx_at(p, "moved"), centre, step);
    name factor = growth_of(x, p, growth);
    name grown = rb_onnx_binary(e, "Mul", rb_onnx_at(p, "grown"), side, factor);
    name reach = rb_onnx_binary(e, "Mul", rb_onnx_at(p, "reach"), grown, half);
    corner[0] = rb_onnx_binary(e, "Sub", rb_onnx_at(p, "first"), moved, reach);
    corner[1] = rb_onnx_binary(e, "Add", rb_onnx_at(p, "second"), moved, reach);
    return clip(x, p, concat(x, rb_onnx_at(p, "box"), corner, 2, -1));
}

name rb_onnx_suppress(rb_detector_exporter *x, name p, name boxes, name scores, int most, float overlap,
                      const float *least) {
    rb_exporter *e = &x->e;
    name number = rb_onnx_count(e, rb_onnx_at(p, "most"), most);
    name threshold = rb_onnx_float(e, rb_onnx_at(p, "overlap"), overlap), bound = {""};
    name n = rb_onnx_at(p, "nms");
    if (least) bound = rb_onnx_float(e, rb_onnx_at(p, "least"), *least);
    rb_onnx_node node = {
        .op = "NonMaxSuppression",
        .name = n.text,
        .inputs = {boxes.text, scores.text, number.text, threshold.text, least ? bound.text : NULL}};
    return rb_onnx_apply(e, &node);
}

/* ---- what a box sees ---- */

/* How many of 2, 4, 8 the box's √area / 56 reaches: rb_roi_level without a logarithm, whose rounding differs
 * between programs. */
static name level_of(rb_detector_exporter *x, name p, name boxes) {
    static const float reaches[RB_ROI_LEVELS - 1] = {2, 4, 8};
    rb_exporter *e = &x->e;
    name low, high;
    halves(x, rb_onnx_at(p, "corner"), boxes, &low, &high);
    name side = rb_onnx_binary(e, "Sub", rb_onnx_at(p, "side"), high, low), area = rb_onnx_at(p, "area");
    rb_onnx_node product = {
        .op = "ReduceProd",
        .name = area.text,
        .inputs = {side.text},
        .attributes = {{"axes", RB_ONNX_INTEGERS, {1}, 1, 0, NULL}, RB_ONNX_INTEGER_OF("keepdims", 1)}};
    name root = rb_onnx_unary(e, "Sqrt", rb_onnx_at(p, "root"), rb_onnx_apply(e, &product));
    name unit = rb_onnx_float(e, rb_onnx_at(p, "unit"), 56),
         bit = rb_onnx_float(e, rb_onnx_at(p, "bit"), 1e-6f);
    name share = rb_onnx_binary(e, "Div", rb_onnx_at(p, "share"), root, unit);
    name size = rb_onnx_binary(e, "Add", rb_onnx_at(p, "size"), share, bit);
    name steps = rb_onnx_floats(e, rb_onnx_at(p, "steps"), reaches, RB_ROI_LEVELS - 1);
    name above = rb_onnx_binary(e, "GreaterOrEqual", rb_onnx_at(p, "above"), size, steps);
    name ones = rb_onnx_at(p, "ones"), level = rb_onnx_at(p, "level"), axes = rb_onnx_list(x, 1);
    rb_onnx_node cast = {.op = "Cast",
                         .name = ones.text,
                         .inputs = {above.text},
                         .attributes = {RB_ONNX_INTEGER_OF("to", RB_ONNX_INT64)}};
    rb_onnx_add_node(e->g, &cast);
    rb_onnx_node sum = {.op = "ReduceSum",
                        .name = level.text,
                        .inputs = {ones.text, axes.text},
                        .attributes = {RB_ONNX_INTEGER_OF("keepdims", 0)}};
    return rb_onnx_apply(e, &sum);
}

/* The boxes of one level: their places, and what they see. */
static void pool_level(rb_detector_exporter *x, name p, name boxes, name level, int l, int size, name *index,
                       name *pooled) {
    rb_exporter *e = &x->e;
    p = rb_onnx_name_of("%.140s.p%d", p.text, 2 + l);
    name mine = rb_onnx_binary(e, "Equal", rb_onnx_at(p, "mine"), level, rb_onnx_scalar(x, l));
    name places = rb_onnx_unary(e, "NonZero", rb_onnx_at(p, "places"), mine);
    *index = rb_onnx_binary(e, "Squeeze", rb_onnx_at(p, "index"), places, rb_onnx_list(x, 0));
    name some = rb_onnx_gather(x, rb_onnx_at(p, "boxes"), boxes, *index, 0);
    name picture = rb_onnx_binary(e, "Sub", rb_onnx_at(p, "picture"), *index, *index); /* 0 for each */
    *pooled = rb_onnx_at(p, "pooled");
    rb_onnx_node align = {
        .op = "RoiAlign",
        .name = pooled->text,
        .inputs = {x->features[l].text, some.text, picture.text},
        .attributes = {RB_ONNX_TEXT_OF("coordinate_transformation_mode", "half_pixel"),
                       RB_ONNX_INTEGER_OF("output_height", size), RB_ONNX_INTEGER_OF("output_width", size),
                       RB_ONNX_INTEGER_OF("sampling_ratio", 0),
                       RB_ONNX_FLOAT_OF("spatial_scale", 1.0f / (float)rb_level_stride(l))}};
    rb_onnx_add_node(e->g, &align);
}

name rb_onnx_pool(rb_detector_exporter *x, name p, name boxes, int size) {
    rb_exporter *e = &x->e;
    name level = level_of(x, p, boxes), index[RB_ROI_LEVELS], pooled[RB_ROI_LEVELS];
    for (int l = 0; l < RB_ROI_LEVELS; l++) pool_level(x, p, boxes, level, l, size, &index[l], &pooled[l]);
    name order = concat(x, rb_onnx_at(p, "order"), index, RB_ROI_LEVELS, 0);
    name all = concat(x, rb_onnx_at(p, "by_level"), pooled, RB_ROI_LEVELS, 0);
    name count = rb_onnx_unary(e, "Shape", rb_onnx_at(p, "count"), order);
    name n = rb_onnx_at(p, "sort"), sorted = rb_onnx_at(p, "sorted"), place = rb_onnx_at(p, "place");
    rb_onnx_node sort = {.op = "TopK", /* rising: where each box has come to lie */
                         .name = n.text,
                         .inputs = {order.text, count.text},
                         .outputs = {sorted.text, place.text},
                         .attributes = {RB_ONNX_INTEGER_OF("largest", 0)}};
    rb_onnx_add_node(e->g, &sort);
    return rb_onnx_gather(x, rb_onnx_at(p, "pooled"), all, place, 0);
}
