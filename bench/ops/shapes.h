/* The calls that a network really makes: a training step is run dry with a kernel table that writes down what
 * it is asked for, and equal calls are counted together. */
#ifndef BENCH_OPS_SHAPES_H
#define BENCH_OPS_SHAPES_H

#include "ops/ops.h"

typedef enum call_kind {
    CALL_POINTWISE,
    CALL_DEPTHWISE,
    CALL_ACT_SUMS,
    CALL_NORM_SUMS,
    CALL_SQUEEZE_POOL,
    CALL_STATE_ADD,
    CALL_UPSAMPLE
} call_kind;

typedef struct call {
    call_kind kind;
    bool backward;      /* of a convolution: both gradients */
    rb_shape shape;     /* of the source; of state add and upsample: the low resolution */
    int ld;             /* of the source, or of the state */
    rb_load load;       /* of a convolution's source */
    bool gate;          /* … and whether it has a gate */
    int oc;             /* channels of the result */
    int kernel, stride; /* 1, 1 for pointwise */
    int factor;         /* of state add and upsample */
    int count;          /* such calls in a step */
} call;

enum { CALLS_MAX = 1024 };
typedef struct calls {
    call item[CALLS_MAX];
    int count;
} calls;

/* All calls of a training step of that network ("s0"); exits when there is none of that name or size. */
void calls_of(calls *out, const char *model, int side, int batch, rb_pool *pool);

/* "pointwise", … */
const char *call_name(const call *c);
rb_shape call_result(const call *c); /* the shape of the result */
size_t call_weights(const call *c);  /* elements of a convolution's weights */
double call_flops(const call *c);    /* of a convolution; backward: of both gradients */
double call_bytes(const call *c);    /* each operand and result once */

#endif
