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

/* Independent tasks that touch `elements` floats in all: few of them are done before another thread is awake.
 */
static inline void run_tasks(rb_pool *pool, size_t elements, size_t tasks, rb_task *fn, void *arg) {
    if (elements > 1 << 16) {
        rb_pool_run(pool, (int)tasks, fn, arg);
        return;
    }
    for (size_t task = 0; task < tasks; task++) fn(arg, (int)task, 0);
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

/* Loaders go through a block of pixels one channel vector after the other: what belongs to the channels stays
 * in registers, and the block (at most BLOCK floats of each operand, unless a pixel is wider) in the first
 * cache. */
enum { BLOCK = 4096 };
static inline size_t block_pixels(size_t ld) { return size_clamp(BLOCK / ld, 4, 64); }

/* ---- sources */

/* One channel vector (n lanes) of `rows` pixels. */
RB_INLINE void source_vector(const rb_source *s, const float *from, const float *gate, size_t c, size_t n,
                             size_t rows, float *to, size_t stride) {
    size_t ld = (size_t)s->ld;
    vf step = vf_set1(s->step), scale = step, shift = step, factor = vf_set1(1);
    if (s->load == RB_LOAD_ACT) {
        scale = vf_load_n(s->affine.scale + c, n), shift = vf_load_n(s->affine.shift + c, n);
        if (gate) factor = vf_load_n(gate, n);
    }
    for (size_t r = 0; r < rows; r++, from += ld, to += stride) {
        vf value = s->load == RB_LOAD_FIXED
                       ? vf_mul(vf_from_int_n((const int32_t *)(const void *)from, n), step)
                       : vf_load_n(from, n);
        if (s->load == RB_LOAD_ACT) value = vf_mul(vf_hswish(vf_fma(scale, value, shift)), factor);
        vf_store(to, value);
    }
}

/* `data` (and gate) at channel c0 of the first pixel; ints are carried as floats until they are loaded. */
RB_INLINE void source_rows(const rb_source *s, const float *data, const float *gate, size_t c0, size_t cn,
                           size_t rows, float *to, size_t stride, size_t apart) {
    size_t ld = (size_t)s->ld, block = block_pixels(ld);
    for (size_t r = 0; r < rows; r += block)
        for (size_t c = 0; c < cn; c += VL)
            source_vector(s, data + r * ld + c, gate ? gate + c : NULL, c0 + c, cn - c,
                          size_min(block, rows - r), to + r * stride + c / VL * apart, stride);
}

/* Pixels first … first + rows − 1 (counted over all samples), channels c0 … c0 + cn − 1: pixels `stride`
 * floats apart, the vectors of a pixel `apart` (VL: a dense row); the last vector is filled up with zeros. */
RB_TARGET static inline void load_source(const rb_source *s, size_t first, size_t rows, size_t c0, size_t cn,
                                         float *to, size_t stride, size_t apart) {
    size_t pixels = (size_t)s->shape.h * (size_t)s->shape.w;
    while (rows) {
        size_t n = first / pixels, run = size_min(rows, (n + 1) * pixels - first);
        const float *gate = s->gate ? s->gate + n * (size_t)s->shape.c + c0 : NULL;
        const float *data = (const float *)s->data + first * (size_t)s->ld + c0;
        if (s->load == RB_LOAD_FIXED)
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_FIXED, .step = s->step}, data, NULL, 0, cn,
                        run, to, stride, apart);
        else if (s->load == RB_LOAD_MAP)
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_MAP}, data, NULL, 0, cn, run, to, stride,
                        apart);
        else
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_ACT, .affine = s->affine}, data, gate, c0,
                        cn, run, to, stride, apart);
        first += run, rows -= run, to += run * stride;
    }
}

/* ---- gradients */

/* What belongs to the channels of one vector of one sample. */
typedef struct gradient_constants {
    vf scale, shift, mean, gate, pool; /* without activation the gate is the sample's factor */
} gradient_constants;

RB_INLINE gradient_constants gradient_at(const rb_gradient *g, size_t sample, size_t c, size_t n) {
    size_t at = sample * (size_t)g->shape.c + c;
    gradient_constants k = {.scale = vf_load_n(g->affine.scale + c, n),
                            .shift = vf_load_n(g->affine.shift + c, n),
                            .mean = vf_load_n(g->mean + c, n),
                            .gate = vf_set1(1),
                            .pool = vf_zero()};
    if (!g->act && g->sample) k.gate = vf_set1(g->sample[sample]);
    if (g->act && g->gate) k.gate = vf_load_n(g->gate + at, n);
    if (g->act && g->pool) k.pool = vf_load_n(g->pool + at, n);
    return k;
}

/* d_u at one pixel; d may be NULL. */
RB_INLINE vf gradient_u(bool act, const gradient_constants *k, const float *d, vf z, size_t n) {
    vf value = d ? vf_load_n(d, n) : vf_zero();
    if (!act) return vf_mul(value, k->gate);
    return vf_mul(vf_fma(value, k->gate, k->pool), vf_hswish_slope(vf_fma(k->scale, z, k->shift)));
}

/* One channel vector of `rows` pixels of one sample. */
RB_INLINE void gradient_vector(const rb_gradient *g, bool act, size_t sample, size_t first, size_t rows,
                               size_t c, size_t n, float *to, size_t stride) {
    size_t width = (size_t)g->shape.c, ld = (size_t)g->ld;
    const gradient_constants k = gradient_at(g, sample, c, n);
    const float *d = g->d ? g->d + first * ld + c : NULL, *zs = g->z + first * width + c;
    vf mean_d = vf_load_n(g->mean_d + c, n), slope = vf_load_n(g->slope + c, n);
    for (size_t r = 0; r < rows; r++, to += stride) {
        vf z = vf_load_n(zs + r * width, n);
        vf value = vf_sub(gradient_u(act, &k, d ? d + r * ld : NULL, z, n), mean_d);
        vf_store(to, vf_mul(k.scale, vf_fnma(vf_sub(z, k.mean), slope, value)));
    }
}

RB_INLINE void gradient_rows(const rb_gradient *g, bool act, size_t sample, size_t first, size_t rows,
                             size_t c0, size_t cn, float *to, size_t stride, size_t apart) {
    size_t block = block_pixels((size_t)(g->d ? g->ld : g->shape.c));
    for (size_t r = 0; r < rows; r += block)
        for (size_t c = 0; c < cn; c += VL)
            gradient_vector(g, act, sample, first + r, size_min(block, rows - r), c0 + c, cn - c,
                            to + r * stride + c / VL * apart, stride);
}

/* The gradient of the raw output, into a tile as load_source does. */
RB_TARGET static inline void load_gradient(const rb_gradient *g, size_t first, size_t rows, size_t c0,
                                           size_t cn, float *to, size_t stride, size_t apart) {
    if (!g->affine.scale) {
        const rb_source plain = {.ld = g->ld, .load = RB_LOAD_MAP};
        source_rows(&plain, g->d + first * (size_t)g->ld + c0, NULL, 0, cn, rows, to, stride, apart);
        return;
    }
    size_t pixels = (size_t)g->shape.h * (size_t)g->shape.w;
    while (rows) {
        size_t n = first / pixels, run = size_min(rows, (n + 1) * pixels - first);
        if (g->act)
            gradient_rows(g, true, n, first, run, c0, cn, to, stride, apart);
        else
            gradient_rows(g, false, n, first, run, c0, cn, to, stride, apart);
        first += run, rows -= run, to += run * stride;
    }
}

#endif
