#if defined(__x86_64__)
#include "ops/simd/avx2.h"

#include "ops/squeeze_excite/squeeze_simd.h"
#endif
