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

/* Loaders walk memory in its order, pixel by pixel, and ask for what comes FETCH_READ floats later: maps are
 * larger than the caches, and a wait for memory would not overlap with the product that follows. Results are
 * written FETCH_WRITE floats after they were asked for. What belongs to the channels is read again for each
 * pixel, from the first cache. */
enum { FETCH_READ = 2048, FETCH_WRITE = 6144, LINE = 64 / sizeof(float) };
static inline size_t fetch_distance(size_t floats, size_t ld) { return size_max(floats / ld, 1) * ld; }

/* Asks for n floats that lie `ahead` floats after p; they may lie past the end of everything. */
RB_INLINE void fetch(const float *p, size_t ahead, size_t n) {
    for (size_t i = 0; i < n; i += LINE) prefetch((uintptr_t)p + (ahead + i) * sizeof *p);
}

/* ---- sources */

/* One channel vector (n lanes at c) of one pixel. */
RB_INLINE vf source_vector(const rb_source *s, const float *from, const float *gate, size_t c, size_t n) {
    if (s->load == RB_LOAD_FIXED)
        return vf_mul(vf_from_int_n((const int32_t *)(const void *)from, n), vf_set1(s->step));
    vf value = vf_load_n(from, n);
    if (s->load == RB_LOAD_MAP) return value;
    value = vf_hswish(vf_fma(vf_load_n(s->affine.scale + c, n), value, vf_load_n(s->affine.shift + c, n)));
    return gate ? vf_mul(value, vf_load_n(gate, n)) : value;
}

/* `data` (and gate) at channel c0 of the first pixel; ints are carried as floats until they are loaded. */
RB_INLINE void source_rows(const rb_source *s, const float *data, const float *gate, size_t c0, size_t cn,
                           size_t rows, float *to, size_t stride, size_t apart) {
    size_t whole = cn / VL * VL, ld = (size_t)s->ld, ahead = fetch_distance(FETCH_READ, ld);
    for (size_t r = 0; r < rows; r++, data += ld, to += stride) {
        float *out = to;
        fetch(data, ahead, cn);
        for (size_t c = 0; c < whole; c += VL, out += apart)
            vf_store(out, source_vector(s, data + c, gate ? gate + c : NULL, c0 + c, VL));
        if (whole < cn)
            vf_store(out, source_vector(s, data + whole, gate ? gate + whole : NULL, c0 + whole, cn - whole));
    }
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
        else if (gate)
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_ACT, .affine = s->affine}, data, gate, c0,
                        cn, run, to, stride, apart);
        else
            source_rows(&(rb_source){.ld = s->ld, .load = RB_LOAD_ACT, .affine = s->affine}, data, NULL, c0,
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

/* One channel vector of one pixel: z at it, d too (or NULL). */
RB_INLINE vf gradient_vector(const rb_gradient *g, bool act, size_t sample, size_t c, size_t n,
                             const float *d, const float *zs) {
    const gradient_constants k = gradient_at(g, sample, c, n);
    vf z = vf_load_n(zs, n);
    vf value = vf_sub(gradient_u(act, &k, d, z, n), vf_load_n(g->mean_d + c, n));
    return vf_mul(k.scale, vf_fnma(vf_sub(z, k.mean), vf_load_n(g->slope + c, n), value));
}

RB_INLINE void gradient_rows(const rb_gradient *g, bool act, bool given, size_t sample, size_t first,
                             size_t rows, size_t c0, size_t cn, float *to, size_t stride, size_t apart) {
    size_t width = (size_t)g->shape.c, ld = (size_t)g->ld, whole = cn / VL * VL;
    size_t ahead = fetch_distance(FETCH_READ, width), d_ahead = fetch_distance(FETCH_READ, ld);
    const float *d = given ? g->d + first * ld + c0 : NULL, *z = g->z + first * width + c0;
    for (size_t r = 0; r < rows; r++, z += width, to += stride) {
        float *out = to;
        fetch(z, ahead, cn);
        if (given) fetch(d, d_ahead, cn);
        for (size_t c = 0; c < whole; c += VL, out += apart)
            vf_store(out, gradient_vector(g, act, sample, c0 + c, VL, given ? d + c : NULL, z + c));
        if (whole < cn)
            vf_store(out, gradient_vector(g, act, sample, c0 + whole, cn - whole, given ? d + whole : NULL,
                                          z + whole));
        if (given) d += ld;
    }
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
        if (!g->act)
            gradient_rows(g, false, true, n, first, run, c0, cn, to, stride, apart);
        else if (g->d)
            gradient_rows(g, true, true, n, first, run, c0, cn, to, stride, apart);
        else
            gradient_rows(g, true, false, n, first, run, c0, cn, to, stride, apart);
        first += run, rows -= run, to += run * stride;
    }
}

#endif
