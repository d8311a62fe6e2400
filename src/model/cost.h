/* Parameters and multiply-accumulates, layer by layer, for one picture. Two counts of MACs: bare
 * (convolutions and linear layer), and by the rule of the published figures (spec 2.2): bare + one a conv
 * bias output, 2 a norm output, 11 an upsampled value. */
#ifndef RB_MODEL_COST_H
#define RB_MODEL_COST_H

#include "model/model.h"

/* What rules of counting treat differently, apart from the bare multiply-accumulates. */
typedef struct rb_cost_parts {
    uint64_t biases;    /* outputs of convolutions with a bias */
    uint64_t normed;    /* outputs of norms */
    uint64_t pooled;    /* inputs of squeeze-excite's means */
    uint64_t upsampled; /* outputs of upsampling */
} rb_cost_parts;

typedef void rb_cost_visitor(void *user, const revbifpn_layer *layer);
/* Sizes must have passed rb_model_check_input. `visit` and `parts` may be NULL. OUT_OF_MEMORY. */
revbifpn_status rb_model_cost(const rb_model *model, int width, int height, rb_cost_visitor *visit,
                              void *user, revbifpn_cost *total, rb_cost_parts *parts,
                              rb_error *err) RB_CHECKED;

#endif
