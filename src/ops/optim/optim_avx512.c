#if defined(__x86_64__)
#include "ops/simd/avx512.h"

#include "ops/optim/optim_simd.h"
#endif
