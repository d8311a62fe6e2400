/* A linear layer with bias and, if asked, ReLU on rows of numbers: pixels or boxes. */
#ifndef RB_DETECT_ROWS_H
#define RB_DETECT_ROWS_H

#include "ops/ops.h"

typedef struct rb_rows {
    int count, inputs, outputs;
    const float *src;        /* count,inputs */
    const float *wgt, *bias; /* outputs,inputs  outputs */
    bool relu;
} rb_rows;

/* dst: count,outputs. */
void rb_rows_forward(rb_exec *x, const rb_rows *r, float *dst);
/* d_dst: the gradient of dst, which is set to 0 where ReLU gave 0; d_wgt, d_bias: added to; d_src: written,
 * or added to when `accumulate`; NULL: not asked. */
void rb_rows_backward(rb_exec *x, const rb_rows *r, const float *dst, float *d_dst, float *d_wgt,
                      float *d_bias, float *d_src, bool accumulate);

#endif
