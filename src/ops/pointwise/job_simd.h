/* A call of a pointwise kernel, and the forming of its operands: into a tile beside the product, or into
 * scratch before it. */
#ifndef RB_OPS_POINTWISE_JOB_SIMD_H
#define RB_OPS_POINTWISE_JOB_SIMD_H

#include "ops/pointwise/product_simd.h"

typedef struct job {
    const rb_pointwise *p;
    plan x;
    void *scratch;
    results out; /* of the product: the result, or the data gradient */
    bool accumulate;
    rb_moments moments;
    const rb_gradient *d_dst;
    float *d_wgt;
    const rb_sink *sink;
    pack_panel *pack;
    size_t first, count; /* the pixels whose operands are formed now, */
    operand formed;      /* and the left one of the product */
} job;

static float *thread_tile(const job *j, int thread) {
    return floats_at(j->scratch, j->x.tiles) + (size_t)thread * j->x.tile_floats;
}

/* ---- weights */

static float *packed_at(const job *j, size_t panel) {
    return floats_at(j->scratch, j->x.packed) + panel_vector(j->x.columns, panel) * VL * j->x.k;
}
static void pack_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    j->pack(&j->x, j->p->wgt, (size_t)task, 0, j->x.k, packed_at(j, (size_t)task));
}
static void pack_all(job *j, rb_pool *pool) {
    run_tasks(pool, j->x.ic * j->x.oc, j->x.columns.count, pack_task, j);
}

/* Words `from` … `to` of some panels, in the thread's own place. */
static const float *pack_own(const job *j, span s, size_t from, size_t to, int thread) {
    float *packed = floats_at(j->scratch, j->x.packed) + (size_t)thread * j->x.packed_floats, *at = packed;
    for (size_t i = s.first; i < s.last; i++) {
        j->pack(&j->x, j->p->wgt, i, from, to, at);
        at += panel_width(j->x.columns, i) * VL * (to - from);
    }
    return packed;
}

/* ---- operands */

/* Floats of channels c0 … c0 + cn − 1 of rows of the source, or of the gradient of the result. */
RB_TARGET static void form_floats(const job *j, bool gradient, size_t first, size_t rows, size_t c0,
                                  size_t cn, operand to) {
    if (gradient)
        load_gradient(j->d_dst, first, rows, c0, cn, to.at, to.row, to.plane);
    else
        load_source(&j->p->src, first, rows, c0, cn, to.at, to.row, to.plane);
}

/* Zeros after `rows` rows, up to whole blocks of MR. */
static void pad_rows(operand a, size_t vectors, size_t rows) {
    for (size_t r = rows; r < round_up(rows, MR); r++)
        for (size_t v = 0; v < vectors; v++) memset(operand_at(a, v, r).at, 0, VL * sizeof *a.at);
}

/* In a tile: rows of floats, dense. */
static operand tile_at(float *tile, size_t floats) { return (operand){tile, floats, VL}; }

/* Formed before the product, as planes of channel vectors: words of channels or of rows. */
static operand planes_at(const job *j, size_t place, size_t rows) {
    return (operand){floats_at(j->scratch, place), VL, round_up(rows, MR) * VL};
}
static operand formed_src(const job *j) { return planes_at(j, j->x.src, j->x.rows); }
static operand formed_src_rows(const job *j) { return planes_at(j, j->x.src, words(j->x.rows)); }
static operand formed_dz(const job *j) { return planes_at(j, j->x.dz, j->x.rows); }
static operand formed_dz_rows(const job *j) { return planes_at(j, j->x.dz_rows, words(j->x.rows)); }

/* What becomes of formed floats: words of channels, of rows, or both; without an address: not wanted. */
typedef struct forms {
    bool gradient;
    size_t channels;
    operand of_channels, of_rows;
} forms;

/* `rows` ≤ FORM_ROWS rows from row `row` of the formed pixels on. */
static void form_rows(const job *j, const forms *f, size_t row, size_t rows, operand tile) {
    size_t first = j->first + row;
    if (PAIR == 1) {
        operand to = operand_at(f->of_channels.at ? f->of_channels : f->of_rows, 0, row);
        form_floats(j, f->gradient, first, rows, 0, f->channels, to);
        words_of_channels(to, rows, ceil_div(f->channels, VL), to);
        return;
    }
    for (size_t c = 0; c < f->channels; c += FORM_CHANNELS) {
        size_t n = size_min(FORM_CHANNELS, f->channels - c), vectors = ceil_div(n, VL), v = c / VL;
        form_floats(j, f->gradient, first, rows, c, n, tile);
        if (f->of_channels.at)
            words_of_channels(tile, rows, vectors, operand_at(f->of_channels, v / PAIR, row));
        if (f->of_rows.at) words_of_rows(tile, rows, vectors, operand_at(f->of_rows, v, row / PAIR));
    }
}

typedef struct form_job {
    const job *j;
    const forms *f;
} form_job;
static void form_task(void *arg, int task, int thread) {
    const form_job *a = arg;
    size_t row = (size_t)task * FORM_ROWS, rows = size_min(FORM_ROWS, a->j->count - row);
    form_rows(a->j, a->f, row, rows, tile_at(thread_tile(a->j, thread), FORM_CHANNELS));
}

/* Forms the operand for the pixels of now. */
static void form_all(const job *j, forms f, rb_pool *pool) {
    form_job a = {j, &f};
    run_tasks(pool, j->count * f.channels, ceil_div(j->count, FORM_ROWS), form_task, &a);
    if (f.of_channels.at) pad_rows(f.of_channels, ceil_div(words(f.channels), VL), j->count);
}

#endif
