/* From the proposal network's maps to the boxes that the heads look at, as detect/propose.c has it. Of each
 * level only the best anchors are formed, from their index. */
#include "onnx/detector.h"

typedef rb_onnx_name name;

static name reshape(rb_detector_exporter *x, name n, name src, const int64_t *sides, int count) {
    name shape = rb_onnx_counts(&x->e, rb_onnx_at(n, "sides"), sides, count);
    return rb_onnx_binary(&x->e, "Reshape", n, src, shape);
}

/* 1,c,h,w as rows: cells row after row, of each its anchors. */
static name rows_of(rb_detector_exporter *x, name n, name src, const int64_t *sides, int count) {
    name turned = rb_onnx_at(n, "turned");
    rb_onnx_node node = {.op = "Transpose",
                         .name = turned.text,
                         .inputs = {src.text},
                         .attributes = {{"perm", RB_ONNX_INTEGERS, {0, 2, 3, 1}, 4, 0, NULL}}};
    return reshape(x, n, rb_onnx_apply(&x->e, &node), sides, count);
}

/* Anchors (k,4) of these indices: their cell's first corner and their base. */
static name anchors_of(rb_detector_exporter *x, name p, int level, name index) {
    rb_exporter *e = &x->e;
    float *base = rb_onnx_own(e->g, RB_ANCHORS_PER_CELL * 4 * sizeof *base);
    rb_anchors a = rb_anchors_of(64, 64); /* bases are the same for every size */
    for (int i = 0; base && i < RB_ANCHORS_PER_CELL * 4; i++) base[i] = a.base[level][i / 4][i % 4];
    rb_onnx_tensor bases = {
        .name = rb_onnx_at(p, "bases"), .ndim = 2, .shape = {RB_ANCHORS_PER_CELL, 4}, .floats = base};
    rb_onnx_add_tensor(e->g, &bases);
    name per_cell = rb_onnx_scalar(x, RB_ANCHORS_PER_CELL);
    name cell = rb_onnx_binary(e, "Div", rb_onnx_at(p, "cell"), index, per_cell);
    name which = rb_onnx_binary(e, "Mod", rb_onnx_at(p, "which"), index, per_cell);
    name map = rb_onnx_unary(e, "Shape", rb_onnx_at(p, "map"), x->objectness[level]);
    name width = rb_onnx_gather(x, rb_onnx_at(p, "width"), map, rb_onnx_scalar(x, 3), 0);
    name column = rb_onnx_binary(e, "Mod", rb_onnx_at(p, "column"), cell, width);
    name row = rb_onnx_binary(e, "Div", rb_onnx_at(p, "row"), cell, width), axis = rb_onnx_list(x, 1);
    name cx = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "x"), column, axis);
    name cy = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "y"), row, axis), at = rb_onnx_at(p, "at");
    rb_onnx_node both = {.op = "Concat",
                         .name = at.text,
                         .inputs = {cx.text, cy.text, cx.text, cy.text},
                         .attributes = {RB_ONNX_INTEGER_OF("axis", 1)}};
    rb_onnx_add_node(e->g, &both);
    name cells = rb_onnx_at(p, "cells"),
         stride = rb_onnx_float(e, rb_onnx_at(p, "stride"), (float)rb_level_stride(level));
    rb_onnx_node cast = {.op = "Cast",
                         .name = cells.text,
                         .inputs = {at.text},
                         .attributes = {RB_ONNX_INTEGER_OF("to", RB_ONNX_FLOAT32)}};
    rb_onnx_add_node(e->g, &cast);
    name corner = rb_onnx_binary(e, "Mul", rb_onnx_at(p, "corner"), cells, stride);
    name form = rb_onnx_gather(x, rb_onnx_at(p, "base"), bases.name, which, 0);
    return rb_onnx_binary(e, "Add", rb_onnx_at(p, "anchor"), form, corner);
}

static name compress(rb_detector_exporter *x, name n, name src, name which) {
    rb_onnx_node node = {.op = "Compress",
                         .name = n.text,
                         .inputs = {src.text, which.text},
                         .attributes = {RB_ONNX_INTEGER_OF("axis", 0)}};
    return rb_onnx_apply(&x->e, &node);
}

/* Which boxes have an area. */
static name has_area(rb_detector_exporter *x, name p, name boxes) {
    rb_exporter *e = &x->e;
    static const int64_t first[2] = {0, 1}, second[2] = {2, 3};
    name low = rb_onnx_gather(x, rb_onnx_at(p, "low"), boxes,
                              rb_onnx_counts(e, rb_onnx_at(p, "first"), first, 2), 1);
    name high = rb_onnx_gather(x, rb_onnx_at(p, "high"), boxes,
                               rb_onnx_counts(e, rb_onnx_at(p, "second"), second, 2), 1);
    name side = rb_onnx_binary(e, "Sub", rb_onnx_at(p, "side"), high, low), least = rb_onnx_at(p, "least");
    rb_onnx_node smaller = {
        .op = "ReduceMin",
        .name = least.text,
        .inputs = {side.text},
        .attributes = {{"axes", RB_ONNX_INTEGERS, {1}, 1, 0, NULL}, RB_ONNX_INTEGER_OF("keepdims", 0)}};
    rb_onnx_add_node(e->g, &smaller);
    return rb_onnx_binary(e, "Greater", rb_onnx_at(p, "has"), least,
                          rb_onnx_float(e, rb_onnx_at(p, "nothing"), 0));
}

/* Boxes (k,4) and scores (k) of a level that stand. */
static void propose_level(rb_detector_exporter *x, int level, name *boxes, name *scores) {
    static const int64_t list[1] = {-1}, fours[2] = {-1, 4};
    rb_exporter *e = &x->e;
    name p = rb_onnx_name_of("proposals.p%d", 2 + level), best = rb_onnx_at(p, "score");
    name index = rb_onnx_at(p, "index");
    name all = rows_of(x, rb_onnx_at(p, "scores"), x->objectness[level], list, 1);
    name codes = rows_of(x, rb_onnx_at(p, "codes"), x->codes[level], fours, 2);
    rb_onnx_best(x, best, index, all, x->d->config.test_per_level);
    name anchor = anchors_of(x, rb_onnx_at(p, "anchors"), level, index);
    name code = rb_onnx_gather(x, rb_onnx_at(p, "code"), codes, index, 0);
    name box = rb_onnx_decode(x, rb_onnx_at(p, "decode"), anchor, code);
    name has = has_area(x, rb_onnx_at(p, "area"), box);
    box = compress(x, rb_onnx_at(p, "candidates"), box, has);
    best = compress(x, rb_onnx_at(p, "candidate_scores"), best, has);
    name group = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "group"), box, rb_onnx_list(x, 0));
    name line = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "line"), best, rb_onnx_list(x, 0));
    line = rb_onnx_binary(e, "Unsqueeze", rb_onnx_at(p, "lines"), line, rb_onnx_list(x, 0));
    name stand = rb_onnx_suppress(x, rb_onnx_at(p, "suppress"), group, line, x->d->config.test_proposals,
                                  rb_proposal_overlap, NULL);
    name place = rb_onnx_gather(x, rb_onnx_at(p, "place"), stand, rb_onnx_scalar(x, 2), 1);
    *boxes = rb_onnx_gather(x, rb_onnx_at(p, "boxes"), box, place, 0);
    *scores = rb_onnx_gather(x, rb_onnx_at(p, "standing_scores"), best, place, 0);
}

name rb_onnx_proposals(rb_detector_exporter *x) {
    name boxes[RB_PYRAMID_LEVELS], scores[RB_PYRAMID_LEVELS], p = rb_onnx_name_of("proposals");
    rb_onnx_node both[2] = {{.op = "Concat", .attributes = {RB_ONNX_INTEGER_OF("axis", 0)}},
                            {.op = "Concat", .attributes = {RB_ONNX_INTEGER_OF("axis", 0)}}};
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        propose_level(x, l, &boxes[l], &scores[l]);
        both[0].inputs[l] = boxes[l].text;
        both[1].inputs[l] = scores[l].text;
    }
    name all = rb_onnx_at(p, "all"), all_scores = rb_onnx_at(p, "all_scores");
    both[0].name = all.text;
    both[1].name = all_scores.text;
    for (int i = 0; i < 2; i++) rb_onnx_add_node(x->e.g, &both[i]);
    name index = rb_onnx_at(p, "index");
    rb_onnx_best(x, rb_onnx_at(p, "score"), index, all_scores, x->d->config.test_proposals);
    return rb_onnx_gather(x, rb_onnx_at(p, "boxes"), all, index, 0);
}
