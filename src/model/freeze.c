/* Parts of the network that do not learn. The parameter list and the list of blocks have the network's order,
 * so what is frozen is the beginning of both. */
#include "model/model.h"

int rb_model_levels(const revbifpn_model_config *c) { return c->streams - 1 + c->extension_levels; }

static void fix_block(rb_mbconv *b) { b->expand.fixed = b->depthwise.fixed = b->project.fixed = true; }

static void freeze_block(rb_mbconv *b) {
    b->frozen = true;
    fix_block(b);
}

/* The tensor after those of the block: the norm's counter of its last layer ends them. */
static int tensors_up_to(const rb_mbconv *b) { return b->project.tracked + 1; }

/* Operations are numbered from 1; a level has its layers of residual blocks and a silo. */
static void freeze_levels(rb_model *m, int levels) {
    int last = levels * (m->config.blocks_per_level + 1);
    for (int i = 0; i < m->stack.count && m->stack.couplings[i].op <= last; i++) {
        rb_mbconv *b = m->stack.couplings[i].f.self;
        freeze_block(b);
        if (tensors_up_to(b) > m->frozen_params) m->frozen_params = tensors_up_to(b);
        m->stack.frozen = i + 1;
    }
}

static void freeze_neck(rb_model *m) {
    for (int i = 0; m->config.neck && i < m->config.streams; i++) freeze_block(m->neck[i]);
    m->frozen_neck = true;
    m->frozen_params = m->head_params;
}

static void freeze_head(rb_model *m) {
    for (int i = 0; i + 1 < m->config.streams; i++) freeze_block(m->head[i]);
    m->final.fixed = true;
    m->frozen_head = true;
    m->frozen_params = m->fc_weight;
}

void rb_model_freeze(rb_model *m, rb_freeze freeze) {
    bool all = freeze.stage != RB_FREEZE_LEVELS;
    freeze_levels(m, all ? rb_model_levels(&m->config) : freeze.levels);
    if (all) freeze_neck(m);
    if (freeze.stage == RB_FREEZE_FEATURES && m->config.classes) freeze_head(m);
}

void rb_model_fix_norms(rb_model *m) {
    for (int i = 0; i < m->block_count; i++) fix_block(&m->blocks[i]);
    m->final.fixed = true;
}

static void hold(rb_model *m, const rb_conv_norm *l) {
    if (l->c) m->params.list[l->gamma].held = m->params.list[l->beta].held = true;
}

void rb_model_hold_affine(rb_model *m) {
    for (int i = 0; i < m->block_count; i++) {
        hold(m, &m->blocks[i].expand);
        hold(m, &m->blocks[i].depthwise);
        hold(m, &m->blocks[i].project);
    }
    hold(m, &m->final);
}
