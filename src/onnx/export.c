/* A classifier's ends and its file. */
#include "onnx/export.h"

#include "io/config.h"
#include "io/weights_json.h"
#include "onnx/layers.h"

typedef rb_onnx_name name;

static void add_maps(rb_exporter *e) {
    for (int i = 0; i < e->config->streams; i++) {
        name out = rb_onnx_name_of("p%d", 2 + i), high = rb_onnx_name_of("%s_height", out.text),
             wide = rb_onnx_name_of("%s_width", out.text);
        const revbifpn_model_config *c = e->config;
        bool free_size = e->o->dynamic_size;
        rb_onnx_side sides[] = {{0, "batch"},
                                {e->m->map_widths[i], NULL},
                                {c->image_height / (4 << i), free_size ? high.text : NULL},
                                {c->image_width / (4 << i), free_size ? wide.text : NULL}};
        rb_onnx_unary(e, "Identity", out, rb_onnx_map(e, i));
        rb_onnx_add_output(e->g, out.text, sides, 4);
    }
}

/* Fine to coarse, out = map + F(finer out); 1×1, hardswish, mean over the pixels, linear. */
static void add_head(rb_exporter *e) {
    const rb_model *m = e->m;
    name x = rb_onnx_map(e, 0);
    for (int i = 1; i < e->config->streams; i++) {
        name f = rb_onnx_mbconv(e, m->head[i - 1], x);
        x = rb_onnx_binary(e, "Add", rb_onnx_name_of("%s.add", m->head[i - 1]->name), rb_onnx_map(e, i), f);
    }
    x = rb_onnx_conv_norm(e, &m->final, rb_onnx_name_of("head.final_conv"), x, 1, 1, 1);
    x = rb_onnx_unary(e, "HardSwish", rb_onnx_name_of("head.final_conv.act"), x);
    x = rb_onnx_unary(e, "GlobalAveragePool", rb_onnx_name_of("head.mean"), x);
    x = rb_onnx_unary(e, "Flatten", rb_onnx_name_of("head.flatten"), x);
    name weight = rb_onnx_parameter(e, m->fc_weight, NULL), bias = rb_onnx_parameter(e, m->fc_bias, NULL);
    rb_onnx_node linear = {.op = "Gemm",
                           .name = "logits",
                           .inputs = {x.text, weight.text, bias.text},
                           .attributes = {RB_ONNX_INTEGER_OF("transB", 1)}};
    rb_onnx_side sides[] = {{0, "batch"}, {e->config->classes, NULL}};
    rb_onnx_add_node(e->g, &linear);
    rb_onnx_add_output(e->g, "logits", sides, 2);
}

/* What a program needs to prepare pictures and to read the answer. */
static revbifpn_status add_metadata(rb_exporter *e, const rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    char *config = NULL, *classes = NULL, *preprocess = NULL;
    TRY(rb_config_to_json(&info->config, &config, err));
    TRY(rb_classes_to_json(info, &classes, err));
    TRY(rb_preprocess_to_json(&info->preprocess, info->config.input_channels, &preprocess, err));
    name size = rb_onnx_name_of("%dx%d", info->config.image_width, info->config.image_height);
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
    rb_exporter e = {.m = model, .config = &info->config, .o = o, .g = &graph};
    rb_onnx_backbone(&e, 0);
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
