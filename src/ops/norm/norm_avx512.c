#if defined(__x86_64__)
#include "ops/simd/avx512.h"

#include "ops/norm/norm_simd.h"
#endif
