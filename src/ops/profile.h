/* Where the time of a step goes: seconds, operations and bytes by operator, gathered by the calls in ops.c
 * when the executor has a profile. Bytes are those that must move once: operands read, results written; what
 * a kernel reads twice counts once. */
#ifndef RB_OPS_PROFILE_H
#define RB_OPS_PROFILE_H

#include "ops/ops.h"

typedef enum rb_profile_op {
    RB_PROFILE_POINTWISE_FORWARD,
    RB_PROFILE_POINTWISE_BACKWARD,
    RB_PROFILE_DEPTHWISE_FORWARD,
    RB_PROFILE_DEPTHWISE_BACKWARD,
    RB_PROFILE_ACT_SUMS,
    RB_PROFILE_NORM_SUMS,
    RB_PROFILE_NORM_STORE,
    RB_PROFILE_SQUEEZE_POOL,
    RB_PROFILE_STATE_ADD,
    RB_PROFILE_UPSAMPLE_BACKWARD,
    RB_PROFILE_SGD,
    RB_PROFILE_OPS
} rb_profile_op;

typedef struct rb_profile_row {
    double seconds, flops, bytes;
    uint64_t calls;
} rb_profile_row;

typedef struct rb_profile {
    rb_profile_row rows[RB_PROFILE_OPS];
} rb_profile;

/* "pointwise forward", … */
const char *rb_profile_name(rb_profile_op op);
/* Monotonic seconds. */
double rb_profile_now(void);

#endif
