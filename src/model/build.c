/* Lays out the network from its config: names, blocks, and the list of couplings. */
#include <stdarg.h>
#include <stdio.h>

#include "model/model.h"

typedef struct builder {
    rb_model *model;
    const revbifpn_model_config *config;
    int op; /* index in rev_stack; 0 is space to depth */
    rb_error *err;
} builder;

static RB_CHECKED revbifpn_status add_block(builder *b, rb_mbconv **out, const rb_mbconv_spec *spec,
                                            const char *format, ...) RB_PRINTF(4, 5);
static revbifpn_status add_block(builder *b, rb_mbconv **out, const rb_mbconv_spec *spec, const char *format,
                                 ...) {
    char name[104];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    *out = &b->model->blocks[b->model->block_count];
    uint32_t id = (uint32_t)b->model->block_count++;
    return rb_mbconv_create(*out, &b->model->params, name, id, spec, b->err);
}

static rb_transform transform_of(rb_mbconv *block) {
    return (rb_transform){block, rb_mbconv_couple, rb_mbconv_uncouple};
}

static revbifpn_status add_residual(builder *b, int stream, double drop_path) {
    revbifpn_status status;
    const revbifpn_model_config *c = b->config;
    int width = c->widths[stream];
    rb_mbconv *f, *g;
    rb_mbconv_spec spec = {.ic = width - width / 2,
                           .oc = width / 2,
                           .kernel = c->kernels[stream] + c->kernel_pads[stream],
                           .stride = 1,
                           .expansion = c->expansions[stream],
                           .factor = 1,
                           .squeeze_ratio = c->squeeze_ratios[stream],
                           .drop_path = drop_path};
    TRY(add_block(b, &f, &spec, "rev_stack.%d.rev_transform_%d.f.xform_0_1", b->op, stream));
    spec.ic = width / 2;
    spec.oc = width - width / 2;
    TRY(add_block(b, &g, &spec, "rev_stack.%d.rev_transform_%d.g.xform_0_1", b->op, stream));
    return rb_stack_add_residual(&b->model->stack, b->op, stream, width, transform_of(f), transform_of(g),
                                 b->err);
fail:
    return status;
}

/* F_ij, i < j: expansion and squeeze of the source, kernel 2·2^(j−i) − 1 + pad of the source. */
static revbifpn_status add_down(builder *b, int i, int j, double drop_path, rb_transform *out) {
    const revbifpn_model_config *c = b->config;
    rb_mbconv *block;
    rb_mbconv_spec spec = {.ic = c->widths[i],
                           .oc = c->widths[j],
                           .kernel = 2 * (1 << (j - i)) - 1 + c->kernel_pads[i],
                           .stride = 1 << (j - i),
                           .expansion = c->expansions[i],
                           .factor = 1,
                           .squeeze_ratio = c->squeeze_ratios[i],
                           .drop_path = drop_path};
    revbifpn_status status = add_block(b, &block, &spec, "rev_stack.%d.f.xform_%d_%d", b->op, i, j);
    *out = transform_of(block);
    return status;
}

/* G_ij, i > j: expansion and squeeze of the target. In names, streams count from the coarsest. */
static revbifpn_status add_up(builder *b, int count, int i, int j, double drop_path, rb_transform *out) {
    const revbifpn_model_config *c = b->config;
    rb_mbconv *block;
    rb_mbconv_spec spec = {.ic = c->widths[i],
                           .oc = c->widths[j],
                           .kernel = 3 + c->kernel_pads[i],
                           .stride = 1,
                           .expansion = c->expansions[j],
                           .factor = 1 << (i - j),
                           .squeeze_ratio = c->squeeze_ratios[j],
                           .drop_path = drop_path};
    revbifpn_status status =
        add_block(b, &block, &spec, "rev_stack.%d.g.xform_%d_%d.0", b->op, count - 1 - i, count - 1 - j);
    *out = transform_of(block);
    return status;
}

static revbifpn_status add_silo(builder *b, int count, bool created, double drop_path) {
    revbifpn_status status;
    rb_silo_transforms f = {0}, g = {0};
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            TRY(add_down(b, i, j, created && j == count - 1 ? 0 : drop_path, &f[i][j]));
    for (int i = count - 1; i > 0; i--)
        for (int j = i - 1; j >= 0; j--) TRY(add_up(b, count, i, j, drop_path, &g[i][j]));
    return rb_stack_add_silo(&b->model->stack, b->op, count, b->config->widths, created, f, g, b->err);
fail:
    return status;
}

/* A level: layers of residual blocks on the streams present, then a silo, which may create the next stream.
 */
static revbifpn_status add_level(builder *b, int present, bool creates, double drop_path) {
    revbifpn_status status;
    for (int layer = 0; layer < b->config->blocks_per_level; layer++, b->op++)
        for (int s = 0; s < present; s++) TRY(add_residual(b, s, drop_path));
    TRY(add_silo(b, present + creates, creates, drop_path));
    b->op++;
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status add_stack(builder *b) {
    revbifpn_status status;
    const revbifpn_model_config *c = b->config;
    int levels = c->streams - 1 + c->extension_levels;
    for (int l = 1; l <= levels; l++) {
        bool creates = l < c->streams;
        TRY(add_level(b, creates ? l : c->streams, creates, c->drop_path * l / levels));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status add_neck(builder *b) {
    revbifpn_status status;
    const revbifpn_model_config *c = b->config;
    for (int i = 0; i < c->streams; i++) {
        rb_mbconv_spec spec = {.ic = c->widths[i],
                               .oc = c->head_widths[i],
                               .kernel = c->head_kernels[i] + c->head_kernel_pads[i],
                               .stride = 1,
                               .expansion = c->head_expansions[i],
                               .factor = 1,
                               .squeeze_ratio = c->head_squeeze_ratios[i]};
        TRY(add_block(b, &b->model->neck[i], &spec, "rev_stack.recomp_op.recomp_transform_%d", i));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status add_head(builder *b) {
    revbifpn_status status;
    rb_model *m = b->model;
    const revbifpn_model_config *c = b->config;
    for (int i = 0; i + 1 < c->streams; i++) {
        rb_mbconv_spec spec = {.ic = m->map_widths[i],
                               .oc = m->map_widths[i + 1],
                               .kernel = c->head_kernels[i + 1] + c->head_kernel_pads[i + 1],
                               .stride = 2,
                               .expansion = c->head_expansions[i],
                               .factor = 1,
                               .squeeze_ratio = c->head_squeeze_ratios[i]};
        TRY(add_block(b, &m->head[i], &spec, "head.pyramid_heads.%d", i));
    }
    TRY(rb_conv_norm_create(&m->final, &m->params, "head.final_conv", c->fc_features,
                            m->map_widths[c->streams - 1], 1, b->err));
    rb_param weight = {.name = "head.fc.weight", .ndim = 2, .shape = {c->classes, c->fc_features}};
    weight.init = RB_INIT_UNIFORM_FAN_IN;
    weight.fan = c->fc_features;
    rb_param bias = {
        .name = "head.fc.bias", .ndim = 1, .shape = {c->classes}, .init = weight.init, .fan = weight.fan};
    TRY(rb_params_add(&m->params, &weight, &m->fc_weight, b->err));
    return rb_params_add(&m->params, &bias, &m->fc_bias, b->err);
fail:
    return status;
}

/* At most this many blocks: the list must not move, couplings point into it. */
static size_t most_blocks(const revbifpn_model_config *c) {
    size_t s = (size_t)c->streams, levels = s - 1 + (size_t)c->extension_levels;
    return levels * (2 * s * (size_t)c->blocks_per_level + s * (s - 1)) + 2 * s;
}

revbifpn_status rb_model_create(rb_model *m, const revbifpn_model_config *config, rb_error *err) {
    revbifpn_status status;
    *m = (rb_model){.config = *config};
    builder b = {.model = m, .config = &m->config, .op = 1, .err = err};
    m->blocks = rb_alloc(rb_size_mul(most_blocks(config), sizeof *m->blocks));
    if (!m->blocks) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the network's blocks");
    for (int i = 0; i < config->streams; i++)
        m->map_widths[i] = config->neck ? config->head_widths[i] : config->widths[i];
    TRY(add_stack(&b));
    m->neck_params = m->params.count;
    if (config->neck) TRY(add_neck(&b));
    m->head_params = m->params.count;
    if (config->classes) TRY(add_head(&b));
    rb_params_layout(&m->params);
    return REVBIFPN_OK;
fail:
    rb_model_close(m);
    return status;
}

void rb_model_set_precision(rb_model *m, revbifpn_precision precision) {
    for (int i = 0; i < m->block_count; i++) m->blocks[i].bf16 = precision == REVBIFPN_BF16;
}

void rb_model_close(rb_model *m) {
    rb_stack_close(&m->stack);
    rb_params_close(&m->params);
    rb_free(m->blocks);
    *m = (rb_model){0};
}
