#if defined(__x86_64__)
#include "ops/simd/avx2.h"

#include "ops/roi_align/roi_align_simd.h"
#endif
