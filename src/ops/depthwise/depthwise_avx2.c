#if defined(__x86_64__)
#include "ops/simd/avx2.h"

#include "ops/depthwise/depthwise_simd.h"
#endif
