/* What a product multiplies: floats; floats rounded to bf16 (the emulation, RB_BF16_ROUNDED); or words of two
 * bf16 numbers, of which a processor with AVX512-BF16 multiplies and adds both at once (RB_BF16_PAIRS). Sums
 * are float32 everywhere. Included after tile.h. */
#ifndef RB_OPS_POINTWISE_TERMS_H
#define RB_OPS_POINTWISE_TERMS_H

#include "ops/simd/tile.h"

/* PAIR: terms in a word. ROUNDS: factors are rounded. CHAIN: words of a product that are summed in one chain.
 * A chain of k rounds about as √k: the products of wide layers are sums of short chains, which keeps
 * whole-network gradients as near to float64 as those of PyTorch or nearer. In bf16 the factors' own rounding
 * is far larger. */
#if defined(RB_BF16_PAIRS)
enum { PAIR = 2, CHAIN = 128, ROUNDS = 1 };
#define RB_KERNEL(name) RB_LEVEL(name##_bf16)
#elif defined(RB_BF16_ROUNDED)
enum { PAIR = 1, CHAIN = 128, ROUNDS = 1 };
#define RB_KERNEL(name) RB_LEVEL(name##_bf16)
#else
enum { PAIR = 1, CHAIN = 32, ROUNDS = 0 };
#define RB_KERNEL(name) RB_LEVEL(name)
#endif

static inline size_t words(size_t terms) { return ceil_div(terms, PAIR); }

/* Floats into words: those of two vectors (the second may be missing), or of one. */
RB_INLINE vf vf_words(vf a, const float *next) {
#if defined(RB_BF16_PAIRS)
    return vf_pair_neighbours(a, next ? vf_load(next) : vf_zero());
#elif defined(RB_BF16_ROUNDED)
    (void)next;
    return vf_round_bf16(a);
#else
    (void)next;
    return a;
#endif
}

/* sum + a·b, of words */
RB_INLINE vf vf_product(vf a, vf b, vf sum) {
#if defined(RB_BF16_PAIRS)
    return vf_dot(a, b, sum);
#else
    return vf_fma(a, b, sum);
#endif
}

/* A formed operand: word w of row r lies at at + w / VL · plane + r · row + w % VL. */
typedef struct operand {
    float *at;
    size_t row, plane;
} operand;
static inline operand operand_at(operand a, size_t vector, size_t row) {
    a.at += vector * a.plane + row * a.row;
    return a;
}

/* Floats (`vectors` channel vectors of each row) into words of neighbouring channels. In place if `to` is
 * `from`. */
RB_TARGET static inline void words_of_channels(operand from, size_t rows, size_t vectors, operand to) {
    for (size_t r = 0; r < rows && (ROUNDS || from.at != to.at); r++)
        for (size_t v = 0; v < vectors; v += PAIR) {
            const float *a = operand_at(from, v, r).at;
            vf_store(operand_at(to, v / PAIR, r).at,
                     vf_words(vf_load(a), v + 1 < vectors ? a + from.plane : NULL));
        }
}

/* Floats into words of neighbouring rows: rows r and r + 1 become row r / 2. An odd number of rows is filled
 * up with zeros. In place if `to` is `from`. */
RB_TARGET static inline void words_of_rows(operand from, size_t rows, size_t vectors, operand to) {
#if defined(RB_BF16_PAIRS)
    for (size_t r = 0; r < rows; r += 2)
        for (size_t v = 0; v < vectors; v++) {
            const float *a = operand_at(from, v, r).at;
            vf_store(operand_at(to, v, r / 2).at,
                     vf_pair_lanes(vf_load(a), r + 1 < rows ? vf_load(a + from.row) : vf_zero()));
        }
#else
    words_of_channels(from, rows, vectors, to);
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
