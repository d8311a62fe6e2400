#if defined(__x86_64__)
#include "ops/simd/avx2.h"

#include "ops/pointwise/pointwise_simd.h"
#endif
