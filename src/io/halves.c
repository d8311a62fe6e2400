#include "io/halves.h"

#include <math.h>
#include <string.h>

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction. */
static float from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half >> 15) << 31, exponent = half >> 10 & 31u, fraction = half & 1023u;
    if (exponent == 31) return from_bits(sign | 255u << 23 | fraction << 13);
    if (exponent) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

void rb_floats_from(rb_dtype dtype, const void *src, size_t count, float *dst) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        double real;
        if (dtype == RB_DTYPE_F64) {
            memcpy(&real, (const char *)src + i * sizeof real, sizeof real);
            dst[i] = (float)real;
            continue;
        }
        memcpy(&half, (const char *)src + i * sizeof half, sizeof half);
        dst[i] = dtype == RB_DTYPE_F16 ? from_half(half) : from_bits((uint32_t)half << 16);
    }
}
