/* Products of numbers rounded to bf16, for processors without such an instruction. */
#if defined(__x86_64__)
#define RB_BF16_ROUNDED
#include "ops/simd/avx2.h"

#include "ops/pointwise/pointwise_simd.h"
#endif
