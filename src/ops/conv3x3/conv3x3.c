/* The calls, and what both ways share: ReLU's mask and the gradient of the bias. */
#include "ops/conv3x3/conv3x3.h"

#include "ops/maps/maps.h"

void rb_conv3x3_forward(rb_exec *x, const rb_conv3x3 *c, float *dst) {
    x->ops->conv3x3_forward(x, c, NULL, rb_pixels(c->shape), &(rb_conv3x3_result){.rows = dst});
}

void rb_conv3x3_forward_pieces(rb_exec *x, const rb_conv3x3 *c, rb_conv3x3_use *use, void *arg) {
    x->ops->conv3x3_forward(x, c, NULL, rb_pixels(c->shape), &(rb_conv3x3_result){.use = use, .arg = arg});
}

void rb_conv3x3_forward_at(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, int count, float *rows) {
    if (count > 0) x->ops->conv3x3_forward(x, c, at, (size_t)count, &(rb_conv3x3_result){.rows = rows});
}

void rb_conv3x3_backward(rb_exec *x, const rb_conv3x3 *c, const float *dst, float *d_dst, float *d_wgt,
                         float *d_bias, float *d_src, bool accumulate) {
    rb_conv3x3_grads g = {.count = rb_pixels(c->shape),
                          .rows = dst,
                          .d_rows = d_dst,
                          .d_wgt = d_wgt,
                          .d_bias = d_bias,
                          .d_src = d_src,
                          .accumulate = accumulate};
    x->ops->conv3x3_backward(x, c, &g);
}

void rb_conv3x3_backward_at(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, int count, const float *rows,
                            float *d_rows, float *d_wgt, float *d_bias, float *d_src) {
    rb_conv3x3_grads g = {.at = at,
                          .count = (size_t)count,
                          .rows = rows,
                          .d_rows = d_rows,
                          .d_wgt = d_wgt,
                          .d_bias = d_bias,
                          .d_src = d_src,
                          .accumulate = true};
    if (count > 0) x->ops->conv3x3_backward(x, c, &g);
}

void rb_conv3x3_mask(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    if (c->relu) rb_relu_backward(x, g->count * (size_t)c->oc, g->rows, g->d_rows);
    if (g->d_bias) rb_channel_sums(x, g->count, c->oc, g->d_rows, g->d_bias);
}
