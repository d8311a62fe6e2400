/* Our kernels on the operands of one call: as the network runs them, and plain, as another library has them.
 */
#ifndef BENCH_OPS_OURS_H
#define BENCH_OPS_OURS_H

#include "shapes.h"

typedef struct ours {
    rb_ops ops;
    rb_pool *pool;
    const call *c;
    float *src;         /* the source as the network has it, n,h,w,ld: float, or int32 under RB_LOAD_FIXED */
    float *plain;       /* a dense float source, n,h,w,c */
    float *z, *d_dst;   /* raw result and its gradient, dense */
    float *dst, *d_src; /* results; d_src has ld (fused) or is dense (plain) */
    float *wgt, *d_wgt;
    float *gate, *channel[6]; /* n,most channels; most channels */
    int32_t *state;           /* of state add, n,h·factor,w·factor,ld */
    double *sums;
    void *scratch;
    size_t scratch_bytes;
} ours;

/* Operands of random values for that call; exits when there is no memory. `ops` and `pool` are set before. */
void ours_open(ours *o, const call *c);
void ours_close(ours *o);

/* As the network runs it: prologue on load, statistics or sums on the way; backward: both gradients at once.
 */
void ours_fused(void *self);
/* Dense floats, no statistics, gradients as they are. */
void ours_plain(void *self);         /* forward: dst; backward: d_src and d_wgt */
void ours_plain_data(void *self);    /* d_src */
void ours_plain_weights(void *self); /* d_wgt, added to */

#endif
