/* The reference kernels: what every faster one is tested against, and what other processors run. */
#ifndef RB_OPS_REF_H
#define RB_OPS_REF_H

#include "ops/operand.h"

void rb_pointwise_forward_ref(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                              rb_pool *pool);
size_t rb_pointwise_backward_scratch_ref(const rb_pointwise *p, int threads);
void rb_pointwise_backward_ref(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                               const rb_sink *sink, void *scratch, rb_pool *pool);
void rb_depthwise_forward_ref(const rb_depthwise *p, float *dst, rb_moments moments, void *scratch,
                              rb_pool *pool);
void rb_depthwise_backward_ref(const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                               const rb_sink *sink, void *scratch, rb_pool *pool);
/* Mean and biased variance per channel, in two passes. */
void rb_moments_ref(rb_shape shape, const float *z, rb_moments moments, rb_pool *pool);
void rb_act_sums_ref(rb_shape shape, const float *d, rb_act_sums act, void *scratch, rb_pool *pool);
void rb_norm_sums_ref(const rb_gradient *g, double *sums, void *scratch, rb_pool *pool);
void rb_norm_store_ref(rb_shape shape, const float *z, rb_affine affine, bool accumulate, float *dst,
                       rb_pool *pool);
void rb_squeeze_pool_ref(rb_shape shape, const float *z, rb_affine affine, float *pooled, void *scratch,
                         rb_pool *pool);
void rb_state_add_ref(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool);
size_t rb_state_add_scratch_ref(const rb_state_add *a, int threads);
void rb_upsample_backward_ref(rb_shape low, int factor, const float *d, int ld, float *d_low, void *scratch,
                              rb_pool *pool);
void rb_update_ref(const rb_update *u, rb_pool *pool);
double rb_sum_squares_ref(size_t count, const float *data, rb_pool *pool);

#endif
