#if defined(__x86_64__)
#include "ops/simd/avx2.h"

#include "ops/resample/upsample_simd.h"
#endif
