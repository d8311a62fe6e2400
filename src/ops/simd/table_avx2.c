#if defined(__x86_64__)
#include "ops/ops_simd.h"

void rb_ops_init_avx2(rb_ops *ops) {
    ops->level = RB_CPU_AVX2;
    RB_FILL_TABLE(ops, avx2);
    RB_FILL_BF16(ops, avx2);
}
#endif
