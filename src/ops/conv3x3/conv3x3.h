/* Dense 3×3 convolution, stride 1, zero padding 1, with bias and, if asked, ReLU: what the pyramid, the
 * region proposals and the masks of a detector are made of (Ren et al. 2015; He et al. 2017).
 *
 *   dst[p,o] = act(bias[o] + Σ_{ky,kx,i} wgt[o,i,ky,kx]·src[p + (ky − 1, kx − 1), i])
 *   act(v) = max(0, v), or v
 *
 * Maps are dense. The order of all sums depends on shapes (and on the list of pixels) alone. */
#ifndef RB_OPS_CONV3X3_H
#define RB_OPS_CONV3X3_H

#include "ops/ops.h"

typedef struct rb_conv3x3 {
    rb_shape shape; /* of src: n,h,w,ic */
    const float *src;
    int oc;
    const float *wgt, *bias; /* oc,ic,3,3  oc */
    bool relu;
} rb_conv3x3;

/* dst: n,h,w,oc. What is not a number stays so, with ReLU too. */
void rb_conv3x3_forward(rb_exec *x, const rb_conv3x3 *c, float *dst);
/* The same without dst: pixels `first` … first + count − 1 of it are given to `use`, piece after piece from
 * the first to the last; rows: count,oc. A dry run calls `use` for each piece, too, with rows that are not
 * there. */
typedef void rb_conv3x3_use(void *arg, size_t first, size_t count, const float *rows);
void rb_conv3x3_forward_pieces(rb_exec *x, const rb_conv3x3 *c, rb_conv3x3_use *use, void *arg);
/* d_dst: n,h,w,oc, the gradient of dst; with ReLU, `dst` is what the forward pass wrote, and d_dst is set to
 * zero where dst is 0, in place. d_wgt, d_bias: added to (both NULL: not asked). d_src: written, or added to
 * when `accumulate`; NULL: not asked; it may not be d_dst. */
void rb_conv3x3_backward(rb_exec *x, const rb_conv3x3 *c, const float *dst, float *d_dst, float *d_wgt,
                         float *d_bias, float *d_src, bool accumulate);

/* The same at some pixels only: `at` holds the indices (n·h + y)·w + x of `count` of them, rising, none
 * twice. rows: count,oc. */
void rb_conv3x3_forward_at(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, int count, float *rows);
/* d_rows: count,oc, masked in place as above; d_wgt, d_bias added to; d_src, the whole map n,h,w,ic, is added
 * to (NULL: not asked). `at` is read in a dry run neither. */
void rb_conv3x3_backward_at(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, int count, const float *rows,
                            float *d_rows, float *d_wgt, float *d_bias, float *d_src);

/* ---- what the tables hold. `at` NULL: all pixels, and count is their number. Both ways of the backward pass
 * add to d_src only when `accumulate`, which lists of pixels always do. */

/* Where results go: to `rows`, or in pieces to `use` when that is not NULL. */
typedef struct rb_conv3x3_result {
    float *rows;         /* count,oc */
    rb_conv3x3_use *use; /* only of all pixels */
    void *arg;
} rb_conv3x3_result;

typedef struct rb_conv3x3_grads {
    const int32_t *at;
    size_t count;
    const float *rows;             /* the forward's values; only with ReLU */
    float *d_rows;                 /* count,oc */
    float *d_wgt, *d_bias, *d_src; /* NULL: not asked; d_wgt and d_bias together */
    bool accumulate;
} rb_conv3x3_grads;

/* The reference, in plain loops. */
void rb_conv3x3_forward_ref(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, size_t count,
                            const rb_conv3x3_result *r);
void rb_conv3x3_backward_ref(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g);
/* As products of packed neighbourhoods, by the pointwise kernels of the table. */
void rb_conv3x3_forward_packed(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, size_t count,
                               const rb_conv3x3_result *r);
void rb_conv3x3_backward_packed(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g);

/* What both ways begin the backward pass with: ReLU's mask, then d_bias. */
void rb_conv3x3_mask(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g);

#endif
