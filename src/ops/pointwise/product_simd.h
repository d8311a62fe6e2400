/* The products of a pointwise convolution over formed operands: MR rows by up to NV vectors of columns in
 * registers. */
#ifndef RB_OPS_POINTWISE_PRODUCT_SIMD_H
#define RB_OPS_POINTWISE_PRODUCT_SIMD_H

#include "ops/pointwise/plan_simd.h"

/* Results: rows `ld` floats apart. */
typedef struct results {
    float *at;
    size_t ld;
} results;

/* rows ≤ MR rows of dst (ld; n columns) = or += a (an operand's members; k words a row) · panel (k, nv
 * vectors of words). All MR rows of `a` must be readable. */
RB_INLINE void product_nv(size_t k, const float *a, size_t row, const size_t plane, const float *panel,
                          const size_t nv, float *dst, size_t ld, size_t rows, size_t n, bool accumulate) {
    vf sum[MR][NV];
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) sum[r][v] = vf_zero();
    }
    for (size_t run = plane == VL ? k : VL; k; a += plane) {
        size_t count = size_min(k, run);
        for (size_t i = 0; i < count; i++, panel += nv * VL) {
            vf b[NV];
            RB_UNROLL
            for (size_t v = 0; v < nv; v++) b[v] = vf_load(panel + v * VL);
            RB_UNROLL
            for (size_t r = 0; r < MR; r++) {
                vf value = vf_set1(a[r * row + i]);
                RB_UNROLL
                for (size_t v = 0; v < nv; v++) sum[r][v] = vf_product(value, b[v], sum[r][v]);
            }
        }
        k -= count;
    }
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        if (r >= rows) break;
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) {
            float *to = dst + r * ld + v * VL;
            size_t left = n - v * VL;
            if (accumulate) sum[r][v] = vf_add(vf_load_n(to, left), sum[r][v]);
            vf_store_n(to, sum[r][v], left);
        }
    }
}

RB_TARGET static __attribute__((noinline)) void product(size_t k, const float *a, size_t row, size_t plane,
                                                        const float *panel, size_t nv, float *dst, size_t ld,
                                                        size_t rows, size_t n, bool accumulate) {
    if (plane == VL) { /* rows are dense: one loop */
        switch (nv) {
        case 1: product_nv(k, a, row, VL, panel, 1, dst, ld, rows, n, accumulate); break;
        case 2: product_nv(k, a, row, VL, panel, 2, dst, ld, rows, n, accumulate); break;
        default: product_nv(k, a, row, VL, panel, 3, dst, ld, rows, n, accumulate); break;
        }
    } else {
        switch (nv) {
        case 1: product_nv(k, a, VL, plane, panel, 1, dst, ld, rows, n, accumulate); break;
        case 2: product_nv(k, a, VL, plane, panel, 2, dst, ld, rows, n, accumulate); break;
        default: product_nv(k, a, VL, plane, panel, 3, dst, ld, rows, n, accumulate); break;
        }
    }
}

/* Asks for the lines of MR rows of results, some rows early: a store that misses the caches holds up those
 * behind it. */
RB_INLINE void fetch_results(results dst, size_t n) {
    size_t ahead = size_max(FETCH_WRITE / dst.ld, MR) * dst.ld;
    for (size_t r = 0; r < MR; r++) fetch(dst.at, ahead + r * dst.ld, n);
}

/* The words of one chain: CHAIN, or all that is left where that is little more. */
static size_t chain_of(size_t left) { return left <= CHAIN + VL / 2 ? left : CHAIN; }

/* Rows times words `from` … `to` of one panel, which begins with word `from` and should fit the first cache.
 */
RB_TARGET static void product_block(const plan *x, size_t panel, size_t from, size_t to, operand a,
                                    const float *packed, results dst, size_t rows, bool accumulate) {
    size_t v = panel_vector(x->columns, panel), nv = panel_width(x->columns, panel);
    size_t n = size_min(nv * VL, x->columns.n - v * VL);
    dst.at += v * VL;
    for (size_t r = 0; r < rows; r += MR, dst.at += MR * dst.ld) {
        if (!from) fetch_results(dst, n);
        for (size_t i = from, chain; i < to; i += chain) {
            chain = chain_of(to - i);
            product(chain, a.at + i / VL * a.plane + r * a.row, a.row, a.plane, packed + (i - from) * nv * VL,
                    nv, dst.at, dst.ld, rows - r, n, accumulate || i);
        }
    }
}

/* Rows times words `from` … `to` of some panels, packed one after the other. */
RB_TARGET static void product_panels(const plan *x, span s, size_t from, size_t to, operand a,
                                     const float *packed, results dst, size_t rows, bool accumulate) {
    for (size_t p = s.first; p < s.last; p++) {
        size_t width = panel_width(x->columns, p) * VL, most = round_up(PANEL / width, CHAIN);
        for (size_t i = from, next; i < to; i = next) {
            next = to - i <= most + VL / 2 ? to : i + most;
            product_block(x, p, i, next, a, packed + (i - from) * width, dst, rows, accumulate);
        }
        packed += width * (to - from);
    }
}

/* outputs ≤ MR rows of the weight gradient (ld; n columns in nv vectors) += Σ over the words of rows of dz
 * (from its first of MR channels on) and src (vectors `plane` apart). */
RB_INLINE void outer_nv(size_t rows, operand dz, operand src, const size_t nv, results wgt, size_t outputs,
                        size_t n) {
    vf sum[MR][NV];
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) sum[r][v] = vf_zero();
    }
    for (size_t i = 0; i < rows; i++, dz.at += dz.row, src.at += src.row) {
        vf b[NV];
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) b[v] = vf_load(src.at + v * src.plane);
        RB_UNROLL
        for (size_t r = 0; r < MR; r++) {
            vf value = vf_set1(dz.at[r]);
            RB_UNROLL
            for (size_t v = 0; v < nv; v++) sum[r][v] = vf_product(value, b[v], sum[r][v]);
        }
    }
    RB_UNROLL
    for (size_t r = 0; r < MR; r++) {
        if (r >= outputs) break;
        RB_UNROLL
        for (size_t v = 0; v < nv; v++) {
            float *to = wgt.at + r * wgt.ld + v * VL;
            size_t left = n - v * VL;
            vf_store_n(to, vf_add(vf_load_n(to, left), sum[r][v]), left);
        }
    }
}

/* wgt[o, columns of a panel] += Σ dz[·, o]·src[·, column] for `outputs` output channels. `ask`: for the
 * weights of the next panel, which come from memory. */
RB_TARGET static void outer_panel(const plan *x, size_t panel, size_t rows, operand dz, size_t outputs,
                                  operand src, results wgt, bool ask) {
    size_t v = panel_vector(x->columns, panel), nv = panel_width(x->columns, panel);
    size_t n = wgt.ld - v * VL;
    src.at += v * src.plane, wgt.at += v * VL;
    for (size_t o = 0; o < outputs; o += MR, wgt.at += MR * wgt.ld) {
        operand from = operand_at(dz, o / VL, 0);
        from.at += o % VL;
        size_t left = outputs - o;
        for (size_t r = 0; ask && r < size_min(MR, left); r++) fetch(wgt.at + r * wgt.ld, nv * VL, NV * VL);
        switch (nv) {
        case 1: outer_nv(rows, from, src, 1, wgt, left, n); break;
        case 2: outer_nv(rows, from, src, 2, wgt, left, n); break;
        default: outer_nv(rows, from, src, 3, wgt, left, n); break;
        }
    }
}

/* ---- packed weights: words `from` … `to` of a panel, [word][column], zeros in columns past the last */

typedef void pack_panel(const plan *x, const float *wgt, size_t panel, size_t from, size_t to, float *packed);

/* Weights oc,ic; columns are outputs. Whole blocks are transposed in registers. */
RB_TARGET static void pack_forward(const plan *x, const float *wgt, size_t panel, size_t from, size_t to,
                                   float *packed) {
    size_t first = panel_vector(x->columns, panel) * VL, width = panel_width(x->columns, panel) * VL;
    size_t begin = from * PAIR, end = size_min(to * PAIR, x->ic);
    for (size_t c = 0; c < width; c += VL) {
        size_t rows = first + c < x->oc ? size_min(x->oc - first - c, VL) : 0, i = begin;
        const float *row = wgt + (first + c) * x->ic;
        float *at = packed + c;
        for (; rows == VL && i + PAIR * VL <= end; i += PAIR * VL, at += VL * width)
            words_transposed(row + i, x->ic, at, width);
        for (; i < end; i += PAIR, at += width)
            for (size_t o = 0; o < VL; o++) at[o] = o < rows ? word_at(row + o * x->ic + i, end - i) : 0;
    }
}

/* Weights oc,ic; columns are inputs. */
RB_TARGET static void pack_backward(const plan *x, const float *wgt, size_t panel, size_t from, size_t to,
                                    float *packed) {
    size_t first = panel_vector(x->columns, panel) * VL, width = panel_width(x->columns, panel) * VL;
    size_t count = size_min(width, x->ic - first);
    for (size_t o = from * PAIR; o < size_min(to * PAIR, x->oc); o += PAIR, packed += width) {
        const float *row = wgt + o * x->ic + first;
        for (size_t c = 0; c < width; c += VL)
            vf_store(packed + c,
                     c < count ? words_of_outputs(row + c, x->ic, x->oc - o, count - c) : vf_zero());
    }
}

#endif
