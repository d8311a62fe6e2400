/* Operands as the vector kernels read them: rows of pixels, formed by the prologue, into a dense tile of
 * floats. Included after avx2.h or avx512.h. The meaning of each formula is in ops.h; operand.h is the
 * specification. */
#ifndef RB_OPS_SIMD_TILE_H
#define RB_OPS_SIMD_TILE_H

#include <stdbool.h>
#include <string.h>

#include "ops/ops.h"

/* A short loop over the registers of a tile: it must vanish, or the registers become memory. */
#if defined(__clang__)
#define RB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RB_UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- small arithmetic of sizes and of scratch */

static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t size_clamp(size_t x, size_t low, size_t high) {
    return size_max(low, size_min(x, high));
}
static inline size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static inline size_t round_up(size_t a, size_t b) { return ceil_div(a, b) * b; }

/* A piece of scratch: its offset; `total` moves on. The same plan counts the bytes and places the pieces. */
static inline size_t take(size_t *total, size_t bytes) {
    size_t at = *total;
    *total += rb_size_align(bytes);
    return at;
}
static inline float *floats_at(void *scratch, size_t offset) {
    return (float *)(void *)((unsigned char *)scratch + offset);
}
static inline double *doubles_at(void *scratch, size_t offset) {
    return (double *)(void *)((unsigned char *)scratch + offset);
}

/* ---- activations */

RB_INLINE vf vf_hswish(vf u) {
    vf gate = vf_min(vf_max(vf_add(u, vf_set1(3)), vf_zero()), vf_set1(6));
    return vf_mul(vf_mul(u, gate), vf_set1(1.0f / 6));
}
/* 0 for u ≤ −3, 1 for u ≥ 3, (2u + 3)/6 between */
RB_INLINE vf vf_hswish_slope(vf u) {
    vf between = vf_mul(vf_fma(u, vf_set1(2), vf_set1(3)), vf_set1(1.0f / 6));
    return vf_less(vf_set1(-3), u, vf_less(u, vf_set1(3), between, vf_set1(1)), vf_zero());
}

/* ---- sources */

RB_INLINE void source_rows(const rb_source *s, const void *data, const float *gate, size_t c0, size_t cn,
                           size_t rows, float *to, size_t stride) {
    size_t ld = (size_t)s->ld;
    const float *scale = s->affine.scale + c0, *shift = s->affine.shift + c0;
    vf step = vf_set1(s->step);
    for (size_t r = 0; r < rows; r++, to += stride) {
        const float *from = (const float *)data + r * ld;
        const int32_t *ints = (const int32_t *)data + r * ld;
        for (size_t c = 0; c < cn; c += VL) {
            size_t n = cn - c;
            vf value;
            if (s->load == RB_LOAD_FIXED) {
                value = vf_mul(vf_from_int_n(ints + c, n), step);
            } else {
                value = vf_load_n(from + c, n);
                if (s->load == RB_LOAD_ACT) {
                    value = vf_hswish(vf_fma(vf_load_n(scale + c, n), value, vf_load_n(shift + c, n)));
                    if (gate) value = vf_mul(value, vf_load_n(gate + c, n));
                }
            }
            vf_store(to + c, value);
        }
    }
}

/* Pixels first … first + rows − 1 (counted over all samples), channels c0 … c0 + cn − 1, into rows of
 * `stride` floats; the last vector of a row is filled up with zeros. */
RB_TARGET static inline void load_source(const rb_source *s, size_t first, size_t rows, size_t c0, size_t cn,
                                         float *to, size_t stride) {
    size_t pixels = (size_t)s->shape.h * (size_t)s->shape.w;
    while (rows) {
        size_t n = first / pixels, run = size_min(rows, (n + 1) * pixels - first);
        const float *gate = s->gate ? s->gate + n * (size_t)s->shape.c + c0 : NULL;
        const float *data = (const float *)s->data + first * (size_t)s->ld + c0;
        if (s->load == RB_LOAD_FIXED)
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_FIXED, .step = s->step}, data, NULL, 0, cn,
                        run, to, stride);
        else if (s->load == RB_LOAD_MAP)
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_MAP}, data, NULL, 0, cn, run, to, stride);
        else
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_ACT, .affine = s->affine}, data, gate, c0,
                        cn, run, to, stride);
        first += run, rows -= run, to += run * stride;
    }
}

/* ---- gradients */

/* d_u of one vector: channels c …, of sample n; `d` and `z` at the pixel. */
RB_INLINE vf gradient_u(const rb_gradient *g, const float *d, vf z, size_t at, size_t c, size_t n,
                        vf sample) {
    vf value = d ? vf_load_n(d, n) : vf_zero();
    if (!g->act) return g->sample ? vf_mul(value, sample) : value;
    vf u = vf_fma(vf_load_n(g->affine.scale + c, n), z, vf_load_n(g->affine.shift + c, n));
    if (g->gate) value = vf_mul(value, vf_load_n(g->gate + at + c, n));
    if (g->pool) value = vf_add(value, vf_load_n(g->pool + at + c, n));
    return vf_mul(value, vf_hswish_slope(u));
}

RB_INLINE void gradient_rows(const rb_gradient *g, size_t sample, size_t first, size_t rows, size_t c0,
                             size_t cn, float *to, size_t stride) {
    size_t width = (size_t)g->shape.c, at = sample * width;
    vf factor = vf_set1(g->sample ? g->sample[sample] : 1);
    for (size_t r = 0; r < rows; r++, to += stride) {
        const float *d = g->d ? g->d + (first + r) * (size_t)g->ld + c0 : NULL;
        const float *zs = g->z + (first + r) * width + c0;
        for (size_t i = 0; i < cn; i += VL) {
            size_t c = c0 + i, n = cn - i;
            vf z = vf_load_n(zs + i, n);
            vf value =
                vf_sub(gradient_u(g, d ? d + i : NULL, z, at, c, n, factor), vf_load_n(g->mean_d + c, n));
            value = vf_fnma(vf_sub(z, vf_load_n(g->mean + c, n)), vf_load_n(g->slope + c, n), value);
            vf_store(to + i, vf_mul(vf_load_n(g->affine.scale + c, n), value));
        }
    }
}

/* The gradient of the raw output, into a tile as load_source does. */
RB_TARGET static inline void load_gradient(const rb_gradient *g, size_t first, size_t rows, size_t c0,
                                           size_t cn, float *to, size_t stride) {
    if (!g->affine.scale) {
        const rb_source plain = {.ld = g->ld, .load = RB_LOAD_MAP};
        source_rows(&plain, g->d + first * (size_t)g->ld + c0, NULL, 0, cn, rows, to, stride);
        return;
    }
    size_t pixels = (size_t)g->shape.h * (size_t)g->shape.w;
    while (rows) {
        size_t n = first / pixels, run = size_min(rows, (n + 1) * pixels - first);
        if (g->act)
            gradient_rows(g, n, first, run, c0, cn, to, stride);
        else
            gradient_rows(&(rb_gradient){.shape = g->shape,
                                         .d = g->d,
                                         .ld = g->ld,
                                         .z = g->z,
                                         .sample = g->sample,
                                         .affine = g->affine,
                                         .mean = g->mean,
                                         .mean_d = g->mean_d,
                                         .slope = g->slope},
                          n, first, run, c0, cn, to, stride);
        first += run, rows -= run, to += run * stride;
    }
}

#endif
