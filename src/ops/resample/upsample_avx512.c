#if defined(__x86_64__)
#include "ops/simd/avx512.h"

#include "ops/resample/upsample_simd.h"
#endif
