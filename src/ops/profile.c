#include "ops/profile.h"

#include <time.h>

const char *rb_profile_name(rb_profile_op op) {
    static const char *const names[RB_PROFILE_OPS] = {
        "pointwise forward",
        "pointwise backward",
        "depthwise forward",
        "depthwise backward",
        "activation sums",
        "norm sums",
        "norm store",
        "squeeze pool",
        "state add",
        "upsample backward",
        "sgd",
    };
    return names[op];
}

double rb_profile_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
