/* The vector primitives on AVX2 with FMA: the list of avx512.h, see there. */
#ifndef RB_OPS_SIMD_AVX2_H
#define RB_OPS_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define RB_FEATURES target("avx2,fma")
#define RB_TARGET __attribute__((RB_FEATURES))
#define RB_INLINE static inline __attribute__((always_inline, RB_FEATURES))
#define RB_WIDE 0 /* 16 registers of 8 floats */
#define RB_LEVEL(name) name##_avx2

/* VL floats a vector; a product's register tile is MR rows by at most NV vectors (12 of 16 registers). */
enum { VL = 8, MR = 4, NV = 3 };
typedef __m256 vf;
typedef __m256i vi;

RB_INLINE __m256i lanes(size_t n) {
    static const int32_t table[2 * VL] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(table + VL - (n < VL ? n : VL)));
}

RB_INLINE void prefetch(uintptr_t at) { _mm_prefetch((const char *)at, _MM_HINT_T0); }

RB_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
RB_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
RB_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
RB_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
/* Masked moves are slow on some processors, masked stores above all: only tails take them. */
RB_INLINE vf vf_load_n(const float *p, size_t n) {
    return n >= VL ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lanes(n));
}
RB_INLINE void vf_store_n(float *p, vf a, size_t n) {
    if (n >= VL)
        _mm256_storeu_ps(p, a);
    else
        _mm256_maskstore_ps(p, lanes(n), a);
}
RB_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
RB_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
RB_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
RB_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
RB_INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
RB_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
RB_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
RB_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
RB_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
RB_INLINE vf vf_less(vf a, vf b, vf x, vf y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

RB_INLINE void vf_add_to(double *slot, vf a) {
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
    _mm256_storeu_pd(slot, _mm256_add_pd(_mm256_loadu_pd(slot), low));
    _mm256_storeu_pd(slot + 4, _mm256_add_pd(_mm256_loadu_pd(slot + 4), high));
}

RB_INLINE vf vf_from_int_n(const int32_t *p, size_t n) {
    return _mm256_cvtepi32_ps(n >= VL ? _mm256_loadu_si256((const __m256i *)(const void *)p)
                                      : _mm256_maskload_epi32(p, lanes(n)));
}

RB_INLINE void vf_transpose(const float *from, size_t ld, float *to, size_t stride) {
    __m256 a[VL], b[VL];
    for (size_t i = 0; i < VL; i++) a[i] = _mm256_loadu_ps(from + i * ld);
    for (size_t i = 0; i < VL; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (size_t i = 0; i < VL; i += 4) {
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (size_t k = 0; k < 4; k++) {
        _mm256_storeu_ps(to + k * stride, _mm256_permute2f128_ps(a[k], a[k + 4], 0x20));
        _mm256_storeu_ps(to + (k + 4) * stride, _mm256_permute2f128_ps(a[k], a[k + 4], 0x31));
    }
}

/* To the nearest bf16 number, ties to even; NaN stays. */
RB_INLINE vf vf_round_bf16(vf a) {
    vi bits = _mm256_castps_si256(a),
       odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    vi up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    vf rounded = _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32((int)0xffff0000)));
    return _mm256_blendv_ps(rounded, a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

RB_INLINE void vi_state_add(int32_t *state, vf addend, uint32_t limit, vi *largest, vi *size, size_t n) {
    vi bits = _mm256_and_si256(_mm256_castps_si256(addend), _mm256_set1_epi32(0x7fffffff));
    vi fits = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)limit), bits);
    vi old = n >= VL ? _mm256_loadu_si256((const __m256i *)(const void *)state)
                     : _mm256_maskload_epi32(state, lanes(n));
    vi sum = _mm256_add_epi32(old, _mm256_and_si256(_mm256_cvtps_epi32(addend), fits));
    if (n >= VL)
        _mm256_storeu_si256((__m256i *)(void *)state, sum);
    else
        _mm256_maskstore_epi32(state, lanes(n), sum);
    *largest = _mm256_max_epu32(*largest, _mm256_abs_epi32(sum));
    *size = _mm256_max_epu32(*size, bits);
}
RB_INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
RB_INLINE uint32_t vi_largest(vi a) {
    uint32_t lane[VL], largest = 0;
    _mm256_storeu_si256((__m256i *)(void *)lane, a);
    for (int i = 0; i < VL; i++) largest = lane[i] > largest ? lane[i] : largest;
    return largest;
}

#endif
