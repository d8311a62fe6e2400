/* What a product multiplies: floats; floats rounded to bf16 (the emulation, RB_BF16_ROUNDED); or words of two
 * bf16 numbers, of which a processor with AVX512-BF16 multiplies and adds both at once (RB_BF16_PAIRS). Sums
 * are float32 everywhere. Included after tile.h. */
#ifndef RB_OPS_POINTWISE_TERMS_H
#define RB_OPS_POINTWISE_TERMS_H

#include "ops/simd/tile.h"

/* PAIR: terms in a word. CHAIN: words of a product that are summed in one chain. A chain of k rounds about as
 * √k: the products of wide layers are sums of short chains, which keeps whole-network gradients as near to
 * float64 as those of PyTorch or nearer. In bf16 the factors' own rounding is far larger. */
#if defined(RB_BF16_PAIRS)
enum { PAIR = 2, CHAIN = 128 };
#define RB_KERNEL(name) RB_LEVEL(name##_bf16)
#elif defined(RB_BF16_ROUNDED)
enum { PAIR = 1, CHAIN = 128 };
#define RB_KERNEL(name) RB_LEVEL(name##_bf16)
#else
enum { PAIR = 1, CHAIN = 32 };
#define RB_KERNEL(name) RB_LEVEL(name)
#endif

static inline size_t words(size_t terms) { return ceil_div(terms, PAIR); }

/* sum + a·b, of words */
RB_INLINE vf vf_product(vf a, vf b, vf sum) {
#if defined(RB_BF16_PAIRS)
    return vf_dot(a, b, sum);
#else
    return vf_fma(a, b, sum);
#endif
}

/* Rows of floats (`stride`, a multiple of VL, apart) into words of neighbouring channels, at the start of the
 * row's place in `to`; from == to is allowed. */
RB_TARGET static inline void words_of_channels(const float *from, size_t rows, size_t stride, float *to,
                                               size_t to_stride) {
#if defined(RB_BF16_PAIRS)
    for (size_t r = 0; r < rows; r++, from += stride, to += to_stride)
        for (size_t c = 0; c < stride; c += 2 * VL)
            vf_store(to + c / 2, vf_pair_neighbours(vf_load(from + c),
                                                    c + VL < stride ? vf_load(from + c + VL) : vf_zero()));
#elif defined(RB_BF16_ROUNDED)
    for (size_t r = 0; r < rows; r++, from += stride, to += to_stride)
        for (size_t c = 0; c < stride; c += VL) vf_store(to + c, vf_round_bf16(vf_load(from + c)));
#else
    for (size_t r = 0; r < rows && from != to; r++)
        memcpy(to + r * to_stride, from + r * stride, stride * sizeof *to);
#endif
}

/* Rows of floats into words of neighbouring rows, in place: those of rows r and r + 1 lie where row r was. An
 * odd number of rows is filled up with zeros. */
RB_TARGET static inline void words_of_rows(float *tile, size_t rows, size_t stride) {
#if defined(RB_BF16_PAIRS)
    for (size_t r = 0; r < rows; r += 2, tile += 2 * stride)
        for (size_t c = 0; c < stride; c += VL)
            vf_store(tile + c,
                     vf_pair_lanes(vf_load(tile + c), r + 1 < rows ? vf_load(tile + stride + c) : vf_zero()));
#else
    words_of_channels(tile, rows, stride, tile, stride);
#endif
}

/* The word of the first of n terms. */
RB_TARGET static inline float word_at(const float *p, size_t n) {
    float word[VL];
#if defined(RB_BF16_PAIRS)
    vf_store(word, vf_pair_lanes(vf_set1(p[0]), vf_set1(n > 1 ? p[1] : 0)));
#elif defined(RB_BF16_ROUNDED)
    (void)n;
    vf_store(word, vf_round_bf16(vf_set1(p[0])));
#else
    (void)n;
    word[0] = p[0];
#endif
    return word[0];
}

/* Weights of VL outputs (rows, ld apart) and PAIR·VL inputs: to[i][o] = word i of output o. */
RB_TARGET static inline void words_transposed(const float *wgt, size_t ld, float *to, size_t stride) {
#if defined(RB_BF16_PAIRS)
    float block[VL * VL];
    for (size_t o = 0; o < VL; o++, wgt += ld)
        vf_store(block + o * VL, vf_pair_neighbours(vf_load(wgt), vf_load(wgt + VL)));
    vf_transpose(block, VL, to, stride);
#elif defined(RB_BF16_ROUNDED)
    vf_transpose(wgt, ld, to, stride);
    for (size_t i = 0; i < VL; i++) vf_store(to + i * stride, vf_round_bf16(vf_load(to + i * stride)));
#else
    vf_transpose(wgt, ld, to, stride);
#endif
}

/* One vector (n lanes) of PAIR rows of weights (ld apart, of which `rows` are there) as words. */
RB_INLINE vf words_of_outputs(const float *wgt, size_t ld, size_t rows, size_t n) {
#if defined(RB_BF16_PAIRS)
    return vf_pair_lanes(vf_load_n(wgt, n), rows > 1 ? vf_load_n(wgt + ld, n) : vf_zero());
#elif defined(RB_BF16_ROUNDED)
    (void)ld, (void)rows;
    return vf_round_bf16(vf_load_n(wgt, n));
#else
    (void)ld, (void)rows;
    return vf_load_n(wgt, n);
#endif
}

#endif
