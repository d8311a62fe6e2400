/* A convolution and its batch norm: the parameters, and the statistics that live from forward to backward. */
#ifndef RB_BLOCKS_CONV_NORM_H
#define RB_BLOCKS_CONV_NORM_H

#include "blocks/params.h"
#include "ops/pass.h"

typedef struct rb_conv_norm {
    rb_params *params;
    int c;                /* output channels; 0: this layer does not exist */
    int wgt, gamma, beta; /* indices into the parameter list */
    int running_mean, running_var, tracked;
    float *mean, *var; /* kept: batch statistics of the last training forward, c each */
    size_t values;     /* values per channel that they are taken over */
    bool fixed;        /* running statistics also in training, and they do not move */
} rb_conv_norm;

/* Registers PREFIX.conv.weight (shape oc,ic/groups,k,k) and PREFIX.norm.…. */
revbifpn_status rb_conv_norm_create(rb_conv_norm *layer, rb_params *params, const char *prefix, int oc,
                                    int ic_per_group, int kernel, rb_error *err) RB_CHECKED;
/* Room for fresh statistics on the kept arena, to be filled by the convolution; none when they are fixed. */
rb_moments rb_conv_norm_keep(rb_conv_norm *layer, rb_pass *pass, rb_shape shape);
/* Forms the affine map of inference, from the running statistics. */
void rb_conv_norm_prepare(const rb_conv_norm *layer, rb_exec *exec);
/* The affine map: in training from kept statistics, scratch of the caller's frame; else the prepared one. */
rb_affine rb_conv_norm_affine(const rb_conv_norm *layer, rb_pass *pass);
/* Statistics in use: the mean that centres z in the backward pass. */
const float *rb_conv_norm_mean(const rb_conv_norm *layer, const rb_pass *pass);
/* Completes a gradient from its two sums (2,c): mean_d and slope on scratch, d_gamma and d_beta accumulated
 * unless these are held. */
void rb_conv_norm_backward(const rb_conv_norm *layer, rb_pass *pass, const double *sums, rb_gradient *g);
/* Moves the running statistics by the last batch, `times` times (1, or 2 for parity with the published code).
 */
void rb_conv_norm_move(const rb_conv_norm *layer, rb_exec *exec, int times);

static inline const float *rb_conv_norm_weight(const rb_conv_norm *layer) {
    return rb_param_weight(layer->params, layer->wgt);
}
static inline float *rb_conv_norm_weight_gradient(const rb_conv_norm *layer) {
    return rb_param_gradient(layer->params, layer->wgt);
}

#endif
