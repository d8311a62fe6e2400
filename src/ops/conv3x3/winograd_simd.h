/* Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray 2016): 4×4 results of a 3×3 convolution from 36
 * products for each pair of channels, instead of 144. With ⊙ element by element, w a channel pair's weights
 * and x the 6×6 values around a tile
 *
 *   y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A
 *
 * and the gradients are the adjoint: d_w += Gᵀ[(A d_y Aᵀ) ⊙ (Bᵀ x B)]G, d_x += B[(A d_y Aᵀ) ⊙ (G w Gᵀ)]Bᵀ.
 * The points are 0, ±P, ±Q and ∞. The usual 0, ±1, ±2 would double the rounding (bench/winograd.py); P, Q,
 * their squares and their cubes are exact in float.
 *
 * In memory: 36 planes of numbers, plane 6·i + j that of element (i, j). */
#ifndef RB_OPS_CONV3X3_WINOGRAD_SIMD_H
#define RB_OPS_CONV3X3_WINOGRAD_SIMD_H

#include "ops/conv3x3/conv3x3.h"
#include "ops/simd/tile.h"

enum { SIDE = 4, POINTS = SIDE + 2, PLANES = POINTS * POINTS };

#define P 0.625f
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)

/* ---- one line, in place; elements lie `s` apart */

/* Bᵀ x: six to six. */
RB_INLINE void source_line(vf *x, size_t s) {
    vf x0 = x[0], x1 = x[s], x2 = x[2 * s], x3 = x[3 * s], x4 = x[4 * s], x5 = x[5 * s];
    vf both = vf_set1(PP * QQ), sum = vf_set1(PP + QQ);
    vf even = vf_fnma(vf_set1(QQ), x2, x4), odd = vf_mul(vf_set1(P), vf_fnma(vf_set1(QQ), x1, x3));
    x[0] = vf_fma(both, x0, vf_fnma(sum, x2, x4));
    x[s] = vf_add(even, odd);
    x[2 * s] = vf_sub(even, odd);
    even = vf_fnma(vf_set1(PP), x2, x4);
    odd = vf_mul(vf_set1(Q), vf_fnma(vf_set1(PP), x1, x3));
    x[3 * s] = vf_add(even, odd);
    x[4 * s] = vf_sub(even, odd);
    x[5 * s] = vf_fma(both, x1, vf_fnma(sum, x3, x5));
}

/* B v, its adjoint. */
RB_INLINE void source_line_back(vf *v, size_t s) {
    vf v0 = v[0], v5 = v[5 * s], both = vf_set1(PP * QQ), sum = vf_set1(PP + QQ);
    vf plus_p = vf_add(v[s], v[2 * s]), minus_p = vf_mul(vf_set1(P), vf_sub(v[s], v[2 * s]));
    vf plus_q = vf_add(v[3 * s], v[4 * s]), minus_q = vf_mul(vf_set1(Q), vf_sub(v[3 * s], v[4 * s]));
    v[0] = vf_mul(both, v0);
    v[s] = vf_fnma(vf_set1(QQ), minus_p, vf_fnma(vf_set1(PP), minus_q, vf_mul(both, v5)));
    v[2 * s] = vf_sub(vf_zero(), vf_fma(sum, v0, vf_fma(vf_set1(QQ), plus_p, vf_mul(vf_set1(PP), plus_q))));
    v[3 * s] = vf_fnma(sum, v5, vf_add(minus_p, minus_q));
    v[4 * s] = vf_add(v0, vf_add(plus_p, plus_q));
    v[5 * s] = v5;
}

/* Aᵀ m: six to four. */
RB_INLINE void result_line(vf *m, size_t s) {
    vf plus_p = vf_add(m[s], m[2 * s]), minus_p = vf_sub(m[s], m[2 * s]);
    vf plus_q = vf_add(m[3 * s], m[4 * s]), minus_q = vf_sub(m[3 * s], m[4 * s]);
    vf last = m[5 * s];
    m[0] = vf_add(m[0], vf_add(plus_p, plus_q));
    m[s] = vf_fma(vf_set1(P), minus_p, vf_mul(vf_set1(Q), minus_q));
    m[2 * s] = vf_fma(vf_set1(PP), plus_p, vf_mul(vf_set1(QQ), plus_q));
    m[3 * s] = vf_fma(vf_set1(P * PP), minus_p, vf_fma(vf_set1(Q * QQ), minus_q, last));
}

/* A y, its adjoint: four to six. */
RB_INLINE void result_line_back(vf *y, size_t s) {
    vf y0 = y[0], y1 = y[s], y2 = y[2 * s], y3 = y[3 * s];
    vf even = vf_fma(vf_set1(PP), y2, y0), odd = vf_mul(vf_set1(P), vf_fma(vf_set1(PP), y3, y1));
    y[s] = vf_add(even, odd);
    y[2 * s] = vf_sub(even, odd);
    even = vf_fma(vf_set1(QQ), y2, y0);
    odd = vf_mul(vf_set1(Q), vf_fma(vf_set1(QQ), y3, y1));
    y[3 * s] = vf_add(even, odd);
    y[4 * s] = vf_sub(even, odd);
    y[5 * s] = y3;
}

/* ---- tiles of a map */

typedef struct tiles {
    rb_shape shape;           /* of the map */
    size_t down, across, all; /* tiles of a picture's column and row; of all pictures */
} tiles;

static tiles tiles_of(rb_shape s) {
    tiles t = {s, ceil_div((size_t)s.h, SIDE), ceil_div((size_t)s.w, SIDE), 0};
    t.all = (size_t)s.n * t.down * t.across;
    return t;
}

/* Between a map and the planes of some of its tiles. */
typedef struct transform {
    tiles t;
    size_t first, count; /* tiles */
    size_t c, plane;     /* channels; floats of a plane */
    const float *from;   /* planes, or the map */
    float *to;           /* the other */
    size_t base;         /* result: the pixel that lies first in `to` */
    const float *bias;   /* result: c */
    bool relu;
} transform;

/* Offsets of the side × side pixels from (4·row − before, 4·column − before) of a tile on; SIZE_MAX: outside
 * the map. */
static void pixels_of(const transform *w, size_t tile, size_t side, size_t before, size_t *at) {
    size_t h = (size_t)w->t.shape.h, width = (size_t)w->t.shape.w, row = tile / w->t.across;
    size_t y0 = row % w->t.down * SIDE, x0 = tile % w->t.across * SIDE, image = row / w->t.down;
    for (size_t i = 0; i < side * side; i++) {
        size_t y = y0 + i / side - before, x = x0 + i % side - before; /* −1 wraps around */
        at[i] = y < h && x < width ? ((image * h + y) * width + x - w->base) * w->c : SIZE_MAX;
    }
}

RB_INLINE vf load_pixel(const float *map, size_t at, size_t c) {
    return at == SIZE_MAX ? vf_zero() : vf_load(map + at + c);
}

/* Planes = Bᵀ x B of the map. */
RB_TARGET static void source_tile(const transform *w, size_t i) {
    size_t at[PLANES];
    vf x[PLANES];
    pixels_of(w, w->first + i, POINTS, 1, at);
    for (size_t c = 0; c < w->c; c += VL) {
        for (size_t k = 0; k < PLANES; k++) x[k] = load_pixel(w->from, at[k], c);
        for (size_t k = 0; k < POINTS; k++) source_line(x + k, POINTS);
        for (size_t k = 0; k < POINTS; k++) source_line(x + k * POINTS, 1);
        for (size_t k = 0; k < PLANES; k++) vf_store(w->to + k * w->plane + i * w->c + c, x[k]);
    }
}

/* Planes = A y Aᵀ of a map of gradients. */
RB_TARGET static void gradient_tile(const transform *w, size_t i) {
    size_t at[SIDE * SIDE];
    vf y[PLANES];
    pixels_of(w, w->first + i, SIDE, 0, at);
    for (size_t c = 0; c < w->c; c += VL) {
        for (size_t k = 0; k < SIDE * SIDE; k++)
            y[k / SIDE * POINTS + k % SIDE] = load_pixel(w->from, at[k], c);
        for (size_t k = 0; k < SIDE; k++) result_line_back(y + k, POINTS);
        for (size_t k = 0; k < POINTS; k++) result_line_back(y + k * POINTS, 1);
        for (size_t k = 0; k < PLANES; k++) vf_store(w->to + k * w->plane + i * w->c + c, y[k]);
    }
}

/* The map = act(bias + Aᵀ m A) of the planes. */
RB_TARGET static void result_tile(const transform *w, size_t i) {
    size_t at[SIDE * SIDE];
    vf m[PLANES];
    pixels_of(w, w->first + i, SIDE, 0, at);
    for (size_t c = 0; c < w->c; c += VL) {
        vf bias = vf_load(w->bias + c);
        for (size_t k = 0; k < PLANES; k++) m[k] = vf_load(w->from + k * w->plane + i * w->c + c);
        for (size_t k = 0; k < POINTS; k++) result_line(m + k, POINTS);
        for (size_t k = 0; k < SIDE; k++) result_line(m + k * POINTS, 1);
        for (size_t k = 0; k < SIDE * SIDE; k++) {
            vf y = vf_add(m[k / SIDE * POINTS + k % SIDE], bias);
            if (w->relu) y = vf_less(y, vf_zero(), vf_zero(), y); /* NaN stays */
            if (at[k] != SIZE_MAX) vf_store(w->to + at[k] + c, y);
        }
    }
}

/* The map += B v Bᵀ of the planes, channels c … c + VL − 1. */
RB_TARGET static void scatter_tile(const transform *w, size_t i, const size_t *at, size_t c) {
    vf v[PLANES];
    for (size_t k = 0; k < PLANES; k++) v[k] = vf_load(w->from + k * w->plane + i * w->c + c);
    for (size_t k = 0; k < POINTS; k++) source_line_back(v + k, POINTS);
    for (size_t k = 0; k < POINTS; k++) source_line_back(v + k * POINTS, 1);
    for (size_t k = 0; k < PLANES; k++)
        if (at[k] != SIZE_MAX) vf_store(w->to + at[k] + c, vf_add(vf_load(w->to + at[k] + c), v[k]));
}

/* ---- weights, in double: they are few, and every product has them */

typedef struct weights {
    size_t ic, oc, plane;
    const float *from; /* oc,ic,9, or planes of oc,ic */
    float *to;         /* the other */
} weights;

#define WEIGHT_0 ((double)PP * (double)QQ)
#define WEIGHT_P (2 * (double)PP * ((double)PP - (double)QQ))
#define WEIGHT_Q (2 * (double)QQ * ((double)QQ - (double)PP))

/* G w: three to six, of VL channels. */
RB_INLINE void weight_line(const double w0[VL], const double w1[VL], const double w2[VL], double (*u)[VL],
                           size_t s) {
    for (size_t l = 0; l < VL; l++) {
        double p = w0[l] + (double)PP * w2[l], q = w0[l] + (double)QQ * w2[l];
        u[0][l] = w0[l] / WEIGHT_0;
        u[s][l] = (p + (double)P * w1[l]) / WEIGHT_P;
        u[2 * s][l] = (p - (double)P * w1[l]) / WEIGHT_P;
        u[3 * s][l] = (q + (double)Q * w1[l]) / WEIGHT_Q;
        u[4 * s][l] = (q - (double)Q * w1[l]) / WEIGHT_Q;
        u[5 * s][l] = w2[l];
    }
}

/* Gᵀ u: six to three. */
RB_INLINE void weight_line_back(double (*u)[VL], size_t s) {
    for (size_t l = 0; l < VL; l++) {
        double plus_p = (u[s][l] + u[2 * s][l]) / WEIGHT_P, minus_p = (u[s][l] - u[2 * s][l]) / WEIGHT_P;
        double plus_q = (u[3 * s][l] + u[4 * s][l]) / WEIGHT_Q;
        double minus_q = (u[3 * s][l] - u[4 * s][l]) / WEIGHT_Q;
        u[0][l] = u[0][l] / WEIGHT_0 + plus_p + plus_q;
        u[s][l] = (double)P * minus_p + (double)Q * minus_q;
        u[2 * s][l] = (double)PP * plus_p + (double)QQ * plus_q + u[5 * s][l];
    }
}

/* Planes = G w Gᵀ, for one output channel. */
RB_TARGET static void weight_task(void *arg, int o, int thread) {
    (void)thread;
    const weights *w = arg;
    for (size_t i = 0; i < w->ic; i += VL) {
        const float *from = w->from + ((size_t)o * w->ic + i) * 9;
        double g[9][VL], h[3 * POINTS][VL], u[PLANES][VL]; /* h: six rows of three */
        for (size_t k = 0; k < 9; k++)
            for (size_t l = 0; l < VL; l++) g[k][l] = (double)from[l * 9 + k];
        for (size_t k = 0; k < 3; k++) weight_line(g[k], g[3 + k], g[6 + k], h + k, 3);
        for (size_t k = 0; k < POINTS; k++)
            weight_line(h[3 * k], h[3 * k + 1], h[3 * k + 2], u + k * POINTS, 1);
        for (size_t k = 0; k < PLANES; k++)
            for (size_t l = 0; l < VL; l++) w->to[k * w->plane + (size_t)o * w->ic + i + l] = (float)u[k][l];
    }
}

/* Weights += Gᵀ u G, for one output channel. */
RB_TARGET static void weight_back_task(void *arg, int o, int thread) {
    (void)thread;
    const weights *w = arg;
    for (size_t i = 0; i < w->ic; i += VL) {
        float *to = w->to + ((size_t)o * w->ic + i) * 9;
        double u[PLANES][VL];
        for (size_t k = 0; k < PLANES; k++)
            for (size_t l = 0; l < VL; l++)
                u[k][l] = (double)w->from[k * w->plane + (size_t)o * w->ic + i + l];
        for (size_t k = 0; k < POINTS; k++) weight_line_back(u + k, POINTS);
        for (size_t k = 0; k < 3; k++) weight_line_back(u + k * POINTS, 1);
        for (size_t k = 0; k < 9; k++)
            for (size_t l = 0; l < VL; l++) to[l * 9 + k] += (float)u[k / 3 * POINTS + k % 3][l];
    }
}

#endif
