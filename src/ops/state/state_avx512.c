#if defined(__x86_64__)
#include "ops/simd/avx512.h"

#include "ops/state/state_simd.h"
#endif
