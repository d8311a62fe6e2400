/* float32 out of the other floating types of a tensor file. */
#ifndef RB_IO_HALVES_H
#define RB_IO_HALVES_H

#include "io/safetensors.h"

/* dst[i] = src[i] for F16, BF16 (both exact, NaN stays NaN) and F64 (to nearest). */
void rb_floats_from(rb_dtype dtype, const void *src, size_t count, float *dst);

#endif
