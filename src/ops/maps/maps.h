/* Float maps of any number of channels: bringing levels of a pyramid to one size, and the small passes around
 * products (bias, ReLU, their gradients). Maps are dense; sums are in an order that shapes alone fix. */
#ifndef RB_OPS_MAPS_H
#define RB_OPS_MAPS_H

#include "ops/ops.h"

/* dst += bias[c] + up(src): bilinear by `factor`, half-pixel centres, edges clamped (resample/bilinear.h).
 * src: n,h,w,c of `low`; dst: n,h·factor,w·factor,c; bias may be NULL = 0. factor = 1 adds src as it is. The
 * adjoint is rb_upsample_backward. */
void rb_upsample_add(rb_exec *x, rb_shape low, int factor, const float *src, const float *bias, float *dst);

/* dst: n,⌊h/k⌋,⌊w/k⌋,c of means over k×k windows; rows and columns that fill none are dropped. Backward:
 * d_src += d_dst/k² in each window. */
rb_shape rb_average_pool_shape(rb_shape shape, int k);
void rb_average_pool(rb_exec *x, rb_shape shape, int k, const float *src, float *dst);
void rb_average_pool_backward(rb_exec *x, rb_shape shape, int k, const float *d_dst, float *d_src);

/* data (rows,c) = act(data + bias), act = max(0, ·) with `relu`, none without. bias may be NULL = 0. What is
 * not a number stays so. */
void rb_bias_relu(rb_exec *x, size_t rows, int c, const float *bias, bool relu, float *data);
/* d_dst = 0 where dst is 0. */
void rb_relu_backward(rb_exec *x, size_t count, const float *dst, float *d_dst);
/* sums[c] += Σ over the rows of d (rows,c), in double: the gradient of a bias. */
void rb_channel_sums(rb_exec *x, size_t rows, int c, const float *d, float *sums);

#endif
