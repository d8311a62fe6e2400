#if defined(__x86_64__)
#include "ops/simd/avx512.h"

#include "ops/conv3x3/conv3x3_simd.h"
#endif
