/* The two products of a depthwise convolution, in registers, over a window of rows in the first cache.
 *
 * Rows are staged as planes of one channel vector each, [vector][slot][column][VL], with borders of zeros; a
 * plane is a ring of as many rows as a result needs. A span is a run of taps that read neighbouring values:
 * tap i of result t reads value t + i, so a value, once in a register, serves all taps of its span. */
#include "ops/ops_simd.h"
#include "ops/simd/sums.h"

enum {
    TILE = RB_WIDE ? 12 : 8, /* results in registers at most */
    SPAN = 5,                /* taps of a span at most */
    PIXELS = 4,              /* values in registers, weight gradient */
    SPANS = 3,               /* spans at most whose sums are in registers, weight gradient */
    SUMS = RB_WIDE ? 16 : 10 /* of them */
};

typedef struct span {
    uint32_t offset; /* of tap 0, from the first row that the result reads: row · pitch + column · VL */
    uint32_t taps, first; /* the place of tap 0 in the list of all taps */
} span;

/* A plane of staged rows: the first row that a result reads begins at `base`, the ring ends at `wrap`. */
typedef struct window {
    const float *plane;
    size_t base, wrap;
} window;

RB_INLINE void window_move(window *w, size_t floats) {
    w->base += floats;
    if (w->base >= w->wrap) w->base -= w->wrap;
}
RB_INLINE const float *window_at(window w, uint32_t offset) {
    size_t at = w.base + offset;
    return w.plane + (at < w.wrap ? at : at - w.wrap);
}

/* Moments of results, gathered in two chains each. */
typedef struct chains {
    float pivot[VL], sum[2][VL], square[2][VL];
} chains;

/* Rows of results, n lanes each, `pitch` floats apart. */
typedef struct tap_rows {
    const span *spans, *end;
    const float *wgt; /* taps, VL */
    window w;
    size_t step;  /* floats between the values that a tap reads for neighbouring results */
    size_t shift; /* the first result reads so far from where the spans say */
    size_t down;  /* and between those for results of neighbouring rows */
    float *dst;
    size_t pitch, row_pitch, n;
    bool accumulate, fetch; /* fetch: ask for the memory of results two tiles ahead */
    chains *moments;
} tap_rows;

RB_INLINE void chains_add(chains *m, const vf *z, const size_t t) {
    vf pivot = vf_load(m->pivot), sum[2], square[2];
    RB_UNROLL
    for (size_t i = 0; i < 2; i++) sum[i] = vf_load(m->sum[i]), square[i] = vf_load(m->square[i]);
    RB_UNROLL
    for (size_t i = 0; i < t; i++) {
        vf d = vf_sub(z[i], pivot);
        sum[i % 2] = vf_add(sum[i % 2], d);
        square[i % 2] = vf_fma(d, d, square[i % 2]);
    }
    RB_UNROLL
    for (size_t i = 0; i < 2; i++) vf_store(m->sum[i], sum[i]), vf_store(m->square[i], square[i]);
}

/* Each value is loaded once; neighbouring sums take turns, so that none waits for itself. */
RB_INLINE void span_add(const float *in, size_t step, const float *wgt, vf *sum, const size_t t,
                        const size_t g) {
    vf value[TILE + SPAN - 1];
    RB_UNROLL
    for (size_t i = 0; i < t + g - 1; i++, in += step) value[i] = vf_load(in);
    RB_UNROLL
    for (size_t k = 0; k < g; k++) {
        vf factor = vf_load(wgt + k * VL);
        RB_UNROLL
        for (size_t i = 0; i < t; i++) sum[i] = vf_fma(value[i + k], factor, sum[i]);
    }
}

RB_INLINE void taps_t(const tap_rows *p, size_t shift, float *dst, const size_t t) {
    vf sum[TILE];
    if (p->fetch) {
        RB_UNROLL
        for (size_t i = 0; i < t; i++) prefetch((uintptr_t)dst + (2 * t + i) * p->pitch * sizeof *dst);
    }
    RB_UNROLL
    for (size_t i = 0; i < t; i++) sum[i] = vf_zero();
    for (const span *s = p->spans; s < p->end; s++) {
        const float *in = window_at(p->w, s->offset) + shift, *wgt = p->wgt + (size_t)s->first * VL;
        switch (s->taps) {
        case 1: span_add(in, p->step, wgt, sum, t, 1); break;
        case 2: span_add(in, p->step, wgt, sum, t, 2); break;
        case 3: span_add(in, p->step, wgt, sum, t, 3); break;
        case 4: span_add(in, p->step, wgt, sum, t, 4); break;
        default: span_add(in, p->step, wgt, sum, t, SPAN); break;
        }
    }
    if (p->moments) chains_add(p->moments, sum, t);
    RB_UNROLL
    for (size_t i = 0; i < t; i++, dst += p->pitch)
        vf_store_n(dst, p->accumulate ? vf_add(vf_load_n(dst, p->n), sum[i]) : sum[i], p->n);
}

#define RB_TAPS_CASE(t)                                                                                      \
    case t: taps_t(p, shift, dst, t); break
/* `rows` rows of `count` results, in tiles of nearly equal size. */
RB_TARGET static void taps_rows(tap_rows *p, size_t rows, size_t count) {
    for (; rows; rows--, p->dst += p->row_pitch, window_move(&p->w, p->down)) {
        size_t shift = p->shift, left = count;
        float *dst = p->dst;
        for (size_t tiles = ceil_div(count, TILE); tiles; tiles--) {
            size_t t = tiles == 1 ? left : left / tiles;
            switch (t) {
                RB_TAPS_CASE(1);
                RB_TAPS_CASE(2);
                RB_TAPS_CASE(3);
                RB_TAPS_CASE(4);
                RB_TAPS_CASE(5);
                RB_TAPS_CASE(6);
                RB_TAPS_CASE(7);
#if RB_WIDE
                RB_TAPS_CASE(8);
                RB_TAPS_CASE(9);
                RB_TAPS_CASE(10);
                RB_TAPS_CASE(11);
#endif
            default: taps_t(p, shift, dst, TILE); break;
            }
            left -= t, shift += t * p->step, dst += t * p->pitch;
        }
    }
}

/* ---- the weight gradient: partial[tap] += Σ src · (what the tap reads) */

/* One operand row by row, `step` floats between values; the other a window whose rows are `pitch` long. */
typedef struct weight_rows {
    const float *src;
    size_t step, src_pitch;
    window dz;
    size_t pitch;
    size_t rows, count;
} weight_rows;

/* With few sums, several chains each, or the additions would wait for one another. */
RB_INLINE size_t chains_of(const size_t sums) { return sums * 4 <= SUMS ? 4 : sums * 2 <= SUMS ? 2 : 1; }

RB_INLINE void weights_add(const float *a, size_t step, const float *const *b, vf *sum, const size_t t,
                           const size_t spans, const size_t g) {
    const size_t chain = chains_of(spans * g);
    vf value[PIXELS];
    RB_UNROLL
    for (size_t i = 0; i < t; i++, a += step) value[i] = vf_load(a);
    RB_UNROLL
    for (size_t s = 0; s < spans; s++) {
        RB_UNROLL
        for (size_t i = 0; i < t + g - 1; i++) {
            vf other = vf_load(b[s] + i * VL);
            RB_UNROLL
            for (size_t k = 0; k < g; k++)
                if (i >= k && i - k < t) {
                    vf *to = &sum[(s * g + k) * chain + (i - k) % chain];
                    *to = vf_fma(value[i - k], other, *to);
                }
        }
    }
}

/* `spans` spans of g taps each, whose places in the list follow one another. */
RB_INLINE void weights_group(weight_rows w, const span *list, float *partial, const size_t spans,
                             const size_t g) {
    const size_t chain = chains_of(spans * g);
    vf sum[SUMS];
    const float *dz[SPANS];
    RB_UNROLL
    for (size_t i = 0; i < spans * g * chain; i++) sum[i] = vf_zero();
    for (size_t row = 0; row < w.rows; row++, w.src += w.src_pitch) {
        const float *src = w.src;
        RB_UNROLL
        for (size_t s = 0; s < spans; s++) dz[s] = window_at(w.dz, list[s].offset);
        size_t left = w.count;
        for (; left >= PIXELS; left -= PIXELS, src += PIXELS * w.step) {
            weights_add(src, w.step, dz, sum, PIXELS, spans, g);
            RB_UNROLL
            for (size_t s = 0; s < spans; s++) dz[s] += PIXELS * VL;
        }
        for (; left; left--, src += w.step) {
            weights_add(src, w.step, dz, sum, 1, spans, g);
            RB_UNROLL
            for (size_t s = 0; s < spans; s++) dz[s] += VL;
        }
        window_move(&w.dz, w.pitch);
    }
    RB_UNROLL
    for (size_t i = 0; i < spans * g; i++) {
        vf total = vf_load(partial + i * VL);
        RB_UNROLL
        for (size_t c = 0; c < chain; c++) total = vf_add(total, sum[i * chain + c]);
        vf_store(partial + i * VL, total);
    }
}

#define RB_WEIGHTS_CASE(n, g)                                                                                \
    case (n)*8 + (g):                                                                                        \
        if ((n) * (g) <= SUMS) weights_group(w, list, partial + at, n, g);                                   \
        break
#define RB_WEIGHTS_CASES(g)                                                                                  \
    RB_WEIGHTS_CASE(1, g);                                                                                   \
    RB_WEIGHTS_CASE(2, g);                                                                                   \
    RB_WEIGHTS_CASE(3, g)
RB_TARGET static void weights_list(weight_rows w, const span *list, size_t count, float *partial) {
    for (const span *end = list + count; list < end;) {
        size_t g = list->taps, n = 1, at = (size_t)list->first * VL;
        while (n < SPANS && (n + 1) * g <= SUMS && list + n < end && list[n].taps == g) n++;
        switch (n * 8 + g) {
            RB_WEIGHTS_CASES(1);
            RB_WEIGHTS_CASES(2);
            RB_WEIGHTS_CASES(3);
            RB_WEIGHTS_CASES(4);
            RB_WEIGHTS_CASES(5);
        }
        list += n;
    }
}
