#if defined(__x86_64__)
#include "ops/simd/avx2.h"

#include "ops/state/state_simd.h"
#endif
