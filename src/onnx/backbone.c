/* The reversible network written out: every coupling y = x + F(x') is F's nodes and an Add. The state's grid
 * (2^-22 as a rule) is left out: it is there for the backward pass. */
#include "onnx/layers.h"

typedef rb_onnx_name name;

static void add_input(rb_exporter *e, int batch) {
    const revbifpn_model_config *c = e->config;
    bool free_size = e->o->dynamic_size;
    rb_onnx_side sides[] = {{batch, batch ? NULL : "batch"},
                            {c->input_channels, NULL},
                            {c->image_height, free_size ? "height" : NULL},
                            {c->image_width, free_size ? "width" : NULL}};
    rb_onnx_add_input(e->g, "input", sides, 4);
}

/* ---- the stack ---- */

static name whole_of(rb_exporter *e, int s, int op) {
    rb_onnx_stream *x = &e->streams[s];
    if (x->whole.text[0]) return x->whole;
    x->whole = rb_onnx_name_of("rev_stack.%d.concat_%d", op, s);
    rb_onnx_node node = {.op = "Concat",
                         .name = x->whole.text,
                         .inputs = {x->half[0].text, x->half[1].text},
                         .attributes = {RB_ONNX_INTEGER_OF("axis", 1)}};
    rb_onnx_add_node(e->g, &node);
    return x->whole;
}

static name half_of(rb_exporter *e, int s, int half, int op) {
    rb_onnx_stream *x = &e->streams[s];
    if (x->half[0].text[0]) return x->half[half];
    name n = rb_onnx_name_of("rev_stack.%d.split_%d", op, s);
    int64_t *sizes = rb_onnx_own(e->g, 2 * sizeof *sizes);
    if (!sizes) return n;
    sizes[1] = e->config->widths[s] / 2;
    sizes[0] = e->config->widths[s] - sizes[1];
    name size = rb_onnx_counts(e, rb_onnx_name_of("%s.sizes", n.text), sizes, 2);
    for (int i = 0; i < 2; i++) x->half[i] = rb_onnx_name_of("%s.%d", n.text, i);
    rb_onnx_node node = {.op = "Split",
                         .name = n.text,
                         .inputs = {x->whole.text, size.text},
                         .outputs = {x->half[0].text, x->half[1].text},
                         .attributes = {RB_ONNX_INTEGER_OF("axis", 1)}};
    rb_onnx_add_node(e->g, &node);
    return x->half[half];
}

static bool is_whole(const rb_exporter *e, rb_slice slice) {
    return slice.channels == e->config->widths[slice.stream];
}

static name value_of(rb_exporter *e, rb_slice slice, int op) {
    return is_whole(e, slice) ? whole_of(e, slice.stream, op) : half_of(e, slice.stream, slice.first > 0, op);
}

/* The slice is from now on that value; the stream's other form is no longer true. */
static void set_value(rb_exporter *e, rb_slice slice, name value) {
    rb_onnx_stream *x = &e->streams[slice.stream];
    if (is_whole(e, slice)) {
        *x = (rb_onnx_stream){.whole = value};
        return;
    }
    x->half[slice.first > 0] = value;
    x->whole = (name){""};
}

static void couple(rb_exporter *e, const rb_coupling *c) {
    const rb_mbconv *b = c->f.self;
    name f = rb_onnx_mbconv(e, b, value_of(e, c->src, c->op));
    if (!c->opens)
        f = rb_onnx_binary(e, "Add", rb_onnx_name_of("%s.add", b->name), value_of(e, c->dst, c->op), f);
    set_value(e, c->dst, f);
}

/* The picture's channels repeated cyclically, then each 4×4 cell into channels. */
static void stem(rb_exporter *e) {
    int channels = e->config->input_channels, repeated = e->config->widths[0] / 16;
    int64_t *order = rb_onnx_own(e->g, (size_t)repeated * sizeof *order);
    name cells = rb_onnx_name_of("rev_stack.0.space_to_depth"), wide = rb_onnx_name_of("rev_stack.0.repeat");
    if (!order) return;
    for (int i = 0; i < repeated; i++) order[i] = i % channels;
    name channel = rb_onnx_counts(e, rb_onnx_name_of("rev_stack.0.channels"), order, repeated);
    rb_onnx_node repeat = {.op = "Gather",
                           .name = wide.text,
                           .inputs = {"input", channel.text},
                           .attributes = {RB_ONNX_INTEGER_OF("axis", 1)}};
    rb_onnx_node depth = {.op = "SpaceToDepth",
                          .name = cells.text,
                          .inputs = {wide.text},
                          .attributes = {RB_ONNX_INTEGER_OF("blocksize", 4)}};
    rb_onnx_add_node(e->g, &repeat);
    rb_onnx_add_node(e->g, &depth);
    e->streams[0].whole = cells;
}

/* ---- the whole ---- */

void rb_onnx_backbone(rb_exporter *e, int batch) {
    add_input(e, batch);
    stem(e);
    for (int i = 0; i < e->m->stack.count; i++) couple(e, &e->m->stack.couplings[i]);
}

name rb_onnx_map(rb_exporter *e, int i) {
    name x = whole_of(e, i, e->m->stack.ops);
    return e->config->neck ? rb_onnx_mbconv(e, e->m->neck[i], x) : x;
}
