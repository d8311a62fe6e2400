/* Products of bf16 pairs, for processors with AVX512-BF16. */
#if defined(__x86_64__)
#define RB_BF16_PAIRS
#include "ops/simd/avx512.h"

#include "ops/pointwise/pointwise_simd.h"
#endif
