/* One walk through the network, forward or backward: what every block needs to know about it. */
#ifndef RB_OPS_PASS_H
#define RB_OPS_PASS_H

#include "ops/ops.h"

/* k: a run starts at the first; training and batches fail below the second, inference with one picture below
 * the third. */
enum { RB_GRID_START = 22, RB_GRID_FLOOR = 10, RB_GRID_LAST = -64 };

typedef struct rb_pass {
    rb_exec *exec;
    rb_error *err;
    bool training;       /* batch statistics, stochastic depth, dropout; otherwise running statistics */
    bool differentiate;  /* in inference: a backward pass follows, with the running statistics as constants */
    bool stored;         /* keep every activation instead of recomputing it: the reference mode */
    int k;               /* the state's grid is 2^-k */
    uint64_t seed, step; /* name the random numbers of this step */
    uint32_t largest;    /* largest |integer| that any addition left in the state */
} rb_pass;

/* A slice of a residual stream, and of its gradient. */
typedef struct rb_map {
    rb_shape shape;
    int stream;
    int32_t *x;
    int x_ld; /* elements between neighbouring pixels of x */
    float *d;
    int d_ld; /* … and of d */
} rb_map;

/* What an addition saw, as a status: OUT_OF_RANGE asks the step to be repeated with a coarser grid,
 * NOT_FINITE is final. The text names the operation, the stream and the value. */
revbifpn_status rb_pass_check(rb_pass *pass, const rb_watch *watch, const char *operation,
                              int stream) RB_CHECKED;

#endif
