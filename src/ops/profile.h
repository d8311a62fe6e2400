/* Where the time of a step goes: seconds, operations, bytes and their floor, by operator (kernel family) and
 * by operation (part of the network, forward or backward). The operators gather them when the executor has a
 * profile. Bytes are those that must move once: operands read, results written; what a kernel reads twice
 * counts once. */
#ifndef RB_OPS_PROFILE_H
#define RB_OPS_PROFILE_H

#include "base/peak.h"
#include "ops/ops.h"

typedef enum rb_profile_op {
    RB_PROFILE_POINTWISE_FORWARD,
    RB_PROFILE_POINTWISE_BACKWARD,
    RB_PROFILE_DEPTHWISE_FORWARD,
    RB_PROFILE_DEPTHWISE_BACKWARD,
    RB_PROFILE_ACT_SUMS,
    RB_PROFILE_NORM_SUMS,
    RB_PROFILE_NORM_STORE,
    RB_PROFILE_NORM_COEFFICIENTS,
    RB_PROFILE_SQUEEZE_POOL,
    RB_PROFILE_SQUEEZE_GATE,
    RB_PROFILE_SQUEEZE_BACKWARD,
    RB_PROFILE_STATE_ADD,
    RB_PROFILE_UPSAMPLE_BACKWARD,
    RB_PROFILE_STEM,
    RB_PROFILE_CONV3X3, /* its products are pointwise convolutions */
    RB_PROFILE_ROI_ALIGN_FORWARD,
    RB_PROFILE_ROI_ALIGN_BACKWARD,
    RB_PROFILE_MAPS,
    RB_PROFILE_MASK_TARGET,
    RB_PROFILE_COPY,
    RB_PROFILE_LINEAR_BIAS,
    RB_PROFILE_LOSS,
    RB_PROFILE_FINITE,
    RB_PROFILE_CLIP,
    RB_PROFILE_UPDATE,
    RB_PROFILE_OPS
} rb_profile_op;

typedef struct rb_profile_row {
    double seconds, flops, bytes;
    double floor; /* seconds: Σ over the calls of max(flops / peak flops, bytes / peak bandwidth) */
    uint64_t calls;
} rb_profile_row;

typedef struct rb_profile_operation {
    rb_operation operation;
    rb_profile_row row;
    double
        elapsed; /* seconds from entering it to entering the next: row.seconds, and what no operator covers */
} rb_profile_operation;

typedef struct rb_profile {
    rb_peak peak;
    rb_profile_row operators[RB_PROFILE_OPS];
    rb_profile_operation *operations; /* owned; in the order of the step */
    int count, capacity, current;
    double entered; /* rb_profile_now() when the current operation began */
} rb_profile;

/* Room for `capacity` operations. OUT_OF_MEMORY. */
revbifpn_status rb_profile_open(rb_profile *profile, const rb_peak *peak, int capacity,
                                rb_error *err) RB_CHECKED;
void rb_profile_close(rb_profile *profile);
/* Around a step. What runs before the first rb_exec_enter belongs to the first operation. */
void rb_profile_begin(rb_profile *profile);
void rb_profile_end(rb_profile *profile);
/* A call that took so long belongs to the operator and to the current operation. */
void rb_profile_add(rb_profile *profile, rb_profile_op op, double seconds, double flops, double bytes);

/* "pointwise forward", … */
const char *rb_profile_name(rb_profile_op op);
/* Monotonic seconds. */
double rb_profile_now(void);

/* Runs a call unless the run is dry; with a profile, timed. */
#define RB_RUN(x, op, flops, bytes, call)                                                                    \
    do {                                                                                                     \
        if ((x)->dry) break;                                                                                 \
        double start_ = (x)->profile ? rb_profile_now() : 0;                                                 \
        call;                                                                                                \
        if ((x)->profile) rb_profile_add((x)->profile, op, rb_profile_now() - start_, flops, bytes);         \
    } while (0)

#endif
