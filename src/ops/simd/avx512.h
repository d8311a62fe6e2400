/* The vector primitives on AVX-512. Kernel bodies are written once over these names and compiled once a
 * level; avx2.h has the same list. A tail is a count of lanes: `n` ≥ VL means all of them. Lanes beyond n
 * read as 0 and are not written. */
#ifndef RB_OPS_SIMD_AVX512_H
#define RB_OPS_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#if defined(RB_BF16_PAIRS) /* a kernel for processors with AVX512-BF16 */
#define RB_FEATURES target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
#else
#define RB_FEATURES target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
#define RB_TARGET __attribute__((RB_FEATURES))
#define RB_INLINE static inline __attribute__((always_inline, RB_FEATURES))
#define RB_WIDE 1 /* 32 registers of 16 floats */
#define RB_LEVEL(name) name##_avx512

/* VL floats a vector; a product's register tile is MR rows by at most NV vectors (24 of 32 registers). */
enum { VL = 16, MR = 8, NV = 3 };
typedef __m512 vf;
typedef __m512i vi;

RB_INLINE __mmask16 lanes(size_t n) { return (__mmask16)(n >= VL ? 0xffffu : (1u << n) - 1u); }

/* Asks for the cache line of an address, whatever it is. */
RB_INLINE void prefetch(uintptr_t at) { _mm_prefetch((const char *)at, _MM_HINT_T0); }

RB_INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
RB_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
RB_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
RB_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
RB_INLINE vf vf_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(lanes(n), p); }
RB_INLINE void vf_store_n(float *p, vf a, size_t n) { _mm512_mask_storeu_ps(p, lanes(n), a); }
RB_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
RB_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
RB_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
RB_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
RB_INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
RB_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }   /* a·b + c */
RB_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); } /* c − a·b */
RB_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
RB_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
/* a < b ? x : y, lane by lane */
RB_INLINE vf vf_less(vf a, vf b, vf x, vf y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

/* slot[0 … VL) += a, in double */
RB_INLINE void vf_add_to(double *slot, vf a) {
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
    _mm512_storeu_pd(slot, _mm512_add_pd(_mm512_loadu_pd(slot), low));
    _mm512_storeu_pd(slot + 8, _mm512_add_pd(_mm512_loadu_pd(slot + 8), high));
}

RB_INLINE vf vf_from_int_n(const int32_t *p, size_t n) {
    return _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(lanes(n), p));
}

/* to[i][0 … VL) = from[0 … VL)[i], i < VL; rows lie `stride` and `ld` floats apart. */
RB_INLINE void vf_transpose(const float *from, size_t ld, float *to, size_t stride) {
    __m512 a[VL], b[VL];
    for (size_t i = 0; i < VL; i++) a[i] = _mm512_loadu_ps(from + i * ld);
    for (size_t i = 0; i < VL; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    for (size_t i = 0; i < VL; i += 4) { /* a[i + k]: column k of each 4×4 block */
        __m512d x = _mm512_castps_pd(b[i]), y = _mm512_castps_pd(b[i + 2]);
        __m512d z = _mm512_castps_pd(b[i + 1]), w = _mm512_castps_pd(b[i + 3]);
        a[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
        a[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
        a[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(z, w));
        a[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(z, w));
    }
    for (size_t k = 0; k < 4; k++) {
        __m512 low = _mm512_shuffle_f32x4(a[k], a[k + 4], 0x88),
               high = _mm512_shuffle_f32x4(a[k], a[k + 4], 0xdd);
        __m512 low2 = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0x88),
               high2 = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0xdd);
        _mm512_storeu_ps(to + k * stride, _mm512_shuffle_f32x4(low, low2, 0x88));
        _mm512_storeu_ps(to + (k + 8) * stride, _mm512_shuffle_f32x4(low, low2, 0xdd));
        _mm512_storeu_ps(to + (k + 4) * stride, _mm512_shuffle_f32x4(high, high2, 0x88));
        _mm512_storeu_ps(to + (k + 12) * stride, _mm512_shuffle_f32x4(high, high2, 0xdd));
    }
}

#if defined(RB_BF16_PAIRS)
/* A word is a pair of bf16 numbers in the place of a float. */
/* Neighbours of 2·VL floats: word i is (a[2i], a[2i + 1]); rounded to nearest even. */
RB_INLINE vf vf_pair_neighbours(vf low, vf high) {
    return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high, low));
}
/* Lane by lane: word i is (a[i], b[i]). */
RB_INLINE vf vf_pair_lanes(vf a, vf b) {
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(b));
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}
/* c + a₀·b₀ + a₁·b₁, word by word */
RB_INLINE vf vf_dot(vf a, vf b, vf c) {
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}
#endif

/* state += rint(addend) where the bits of |addend| are below `limit` and the lane is one of n; elsewhere
 * state stays. `largest` takes the largest |result|, `size` the largest bits of |addend|: NaN and infinity
 * are above all numbers. */
RB_INLINE void vi_state_add(int32_t *state, vf addend, uint32_t limit, vi *largest, vi *size, size_t n) {
    vi bits = _mm512_and_si512(_mm512_castps_si512(addend), _mm512_set1_epi32(0x7fffffff));
    __mmask16 fits = _mm512_cmplt_epu32_mask(bits, _mm512_set1_epi32((int)limit));
    vi old = _mm512_maskz_loadu_epi32(lanes(n), state);
    vi sum = _mm512_mask_add_epi32(old, fits, old, _mm512_cvtps_epi32(addend));
    _mm512_mask_storeu_epi32(state, lanes(n), sum);
    *largest = _mm512_max_epu32(*largest, _mm512_abs_epi32(sum));
    *size = _mm512_max_epu32(*size, bits);
}
RB_INLINE vi vi_zero(void) { return _mm512_setzero_si512(); }
RB_INLINE uint32_t vi_largest(vi a) { return _mm512_reduce_max_epu32(a); }

#endif
