/* The vector kernels: one body a family, compiled for each level. On AVX-512 the bf16 products need
 * AVX512-BF16 as well. */
#ifndef RB_OPS_SIMD_H
#define RB_OPS_SIMD_H

#include "ops/conv3x3/conv3x3.h"
#include "ops/roi_align/roi_align.h"

#define RB_DECLARE_KERNELS(level)                                                                            \
    size_t rb_pointwise_forward_scratch_##level(const rb_pointwise *p, int threads);                         \
    void rb_pointwise_forward_##level(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,  \
                                      rb_pool *pool);                                                        \
    size_t rb_pointwise_backward_scratch_##level(const rb_pointwise *p, int threads);                        \
    void rb_pointwise_backward_##level(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,        \
                                       const rb_sink *sink, void *scratch, rb_pool *pool);                   \
    size_t rb_pointwise_forward_scratch_bf16_##level(const rb_pointwise *p, int threads);                    \
    void rb_pointwise_forward_bf16_##level(const rb_pointwise *p, float *dst, rb_moments moments,            \
                                           void *scratch, rb_pool *pool);                                    \
    size_t rb_pointwise_backward_scratch_bf16_##level(const rb_pointwise *p, int threads);                   \
    void rb_pointwise_backward_bf16_##level(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,   \
                                            const rb_sink *sink, void *scratch, rb_pool *pool);              \
    size_t rb_depthwise_forward_scratch_##level(const rb_depthwise *p, int threads);                         \
    void rb_depthwise_forward_##level(const rb_depthwise *p, float *dst, rb_moments moments, void *scratch,  \
                                      rb_pool *pool);                                                        \
    size_t rb_depthwise_backward_scratch_##level(const rb_depthwise *p, int threads);                        \
    void rb_depthwise_backward_##level(const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,        \
                                       const rb_sink *sink, void *scratch, rb_pool *pool);                   \
    size_t rb_act_sums_scratch_##level(rb_shape shape, int threads);                                         \
    void rb_act_sums_##level(rb_shape shape, const float *d, rb_act_sums act, void *scratch, rb_pool *pool); \
    size_t rb_norm_sums_scratch_##level(rb_shape shape, int threads);                                        \
    void rb_norm_sums_##level(const rb_gradient *g, double *sums, void *scratch, rb_pool *pool);             \
    void rb_norm_store_##level(rb_shape shape, const float *z, rb_affine affine, bool accumulate,            \
                               float *dst, rb_pool *pool);                                                   \
    size_t rb_squeeze_pool_scratch_##level(rb_shape shape, int threads);                                     \
    void rb_squeeze_pool_##level(rb_shape shape, const float *z, rb_affine affine, float *pooled,            \
                                 void *scratch, rb_pool *pool);                                              \
    size_t rb_state_add_scratch_##level(const rb_state_add *a, int threads);                                 \
    void rb_state_add_##level(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool);         \
    size_t rb_upsample_backward_scratch_##level(rb_shape low, int factor, int threads);                      \
    void rb_upsample_backward_##level(rb_shape low, int factor, const float *d, int ld, float *d_low,        \
                                      void *scratch, rb_pool *pool);                                         \
    void rb_conv3x3_forward_##level(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, size_t count,        \
                                    const rb_conv3x3_result *r);                                             \
    void rb_conv3x3_backward_##level(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g);            \
    size_t rb_roi_align_scratch_##level(const rb_roi_align *r, int threads);                                 \
    void rb_roi_align_forward_##level(const rb_roi_align *r, float *dst, void *scratch, rb_pool *pool);      \
    void rb_roi_align_backward_##level(const rb_roi_align *r, const float *d_dst, float *const d_map[],      \
                                       void *scratch, rb_pool *pool);                                        \
    void rb_update_##level(const rb_update *u, rb_pool *pool);                                               \
    double rb_sum_squares_##level(size_t count, const float *data, rb_pool *pool)

RB_DECLARE_KERNELS(avx2);
RB_DECLARE_KERNELS(avx512);

#define RB_FILL_TABLE(ops, l)                                                                                \
    do {                                                                                                     \
        (ops)->pointwise_forward_scratch = rb_pointwise_forward_scratch_##l;                                 \
        (ops)->pointwise_forward = rb_pointwise_forward_##l;                                                 \
        (ops)->pointwise_backward_scratch = rb_pointwise_backward_scratch_##l;                               \
        (ops)->pointwise_backward = rb_pointwise_backward_##l;                                               \
        (ops)->depthwise_forward_scratch = rb_depthwise_forward_scratch_##l;                                 \
        (ops)->depthwise_forward = rb_depthwise_forward_##l;                                                 \
        (ops)->depthwise_backward_scratch = rb_depthwise_backward_scratch_##l;                               \
        (ops)->depthwise_backward = rb_depthwise_backward_##l;                                               \
        (ops)->act_sums_scratch = rb_act_sums_scratch_##l;                                                   \
        (ops)->act_sums = rb_act_sums_##l;                                                                   \
        (ops)->norm_sums_scratch = rb_norm_sums_scratch_##l;                                                 \
        (ops)->norm_sums = rb_norm_sums_##l;                                                                 \
        (ops)->norm_store = rb_norm_store_##l;                                                               \
        (ops)->squeeze_pool_scratch = rb_squeeze_pool_scratch_##l;                                           \
        (ops)->squeeze_pool = rb_squeeze_pool_##l;                                                           \
        (ops)->state_add_scratch = rb_state_add_scratch_##l;                                                 \
        (ops)->state_add = rb_state_add_##l;                                                                 \
        (ops)->upsample_backward_scratch = rb_upsample_backward_scratch_##l;                                 \
        (ops)->upsample_backward = rb_upsample_backward_##l;                                                 \
        (ops)->conv3x3_forward = rb_conv3x3_forward_##l;                                                     \
        (ops)->conv3x3_backward = rb_conv3x3_backward_##l;                                                   \
        (ops)->roi_align_scratch = rb_roi_align_scratch_##l;                                                 \
        (ops)->roi_align_forward = rb_roi_align_forward_##l;                                                 \
        (ops)->roi_align_backward = rb_roi_align_backward_##l;                                               \
        (ops)->update = rb_update_##l;                                                                       \
        (ops)->sum_squares = rb_sum_squares_##l;                                                             \
    } while (0)

#define RB_FILL_BF16(ops, l)                                                                                 \
    do {                                                                                                     \
        (ops)->pointwise_forward_scratch_bf16 = rb_pointwise_forward_scratch_bf16_##l;                       \
        (ops)->pointwise_forward_bf16 = rb_pointwise_forward_bf16_##l;                                       \
        (ops)->pointwise_backward_scratch_bf16 = rb_pointwise_backward_scratch_bf16_##l;                     \
        (ops)->pointwise_backward_bf16 = rb_pointwise_backward_bf16_##l;                                     \
    } while (0)

#endif
