#if defined(__x86_64__)
#include "ops/ops_simd.h"

void rb_ops_init_avx512(rb_ops *ops) {
    ops->level = RB_CPU_AVX512;
    RB_FILL_TABLE(ops, avx512);
    if (rb_cpu_has_bf16()) RB_FILL_BF16(ops, avx512); /* else the emulation of avx2 stays */
}
#endif
