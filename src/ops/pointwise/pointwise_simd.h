/* Pointwise convolution: a matrix product over pixels whose left side is formed by the prologue.
 *
 * Mostly, tasks are chunks of pixels: a chunk is formed, some rows at a time, in a tile in the cache, and
 * multiplied with the weights, which lie packed in panels of up to NV vectors of columns. The backward pass
 * forms d_dst once a tile and uses it for both gradients.
 *
 * Where pixels are few or weights are many, the operands of many pixels are formed first, all of them once,
 * and tasks are groups of panels (with chunks, or with weights that each packs for itself); the weight
 * gradient is then formed by blocks of output channels. */
#include "ops/pointwise/job_simd.h"

/* ---- forward */

/* Where the results of the pixels from `first` on go. */
static results results_at(const job *j, size_t first) {
    return (results){j->out.at + first * j->out.ld, j->out.ld};
}

/* Statistics of rows that are done, in some columns. */
static void forward_moments(const job *j, size_t first, size_t rows, size_t c, size_t cn) {
    const plan *x = &j->x;
    moment_slots m = moments_at(j->scratch, x->moments, x->ocp);
    for (size_t at = first, run; at < first + rows; at += run) {
        run = size_min((at / x->chunk + 1) * x->chunk, first + rows) - at;
        const float *dst = j->out.at + at * x->oc + c;
        if (at % x->chunk == 0) moments_open(m, at / x->chunk, c, cn, dst);
        moments_run(m, at / x->chunk, c, cn, dst, x->oc, run);
    }
}
static void panel_moments(const job *j, size_t first, size_t rows, span s) {
    const plan *x = &j->x;
    for (size_t i = s.first; j->moments.mean && i < s.last; i++) {
        size_t c = panel_vector(x->columns, i) * VL;
        forward_moments(j, first, rows, c, size_min(panel_width(x->columns, i) * VL, x->oc - c));
    }
}

/* A chunk, formed in a tile. */
static void forward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    operand a = tile_at(thread_tile(j, thread), x->icp);
    span all = {0, x->columns.count};
    size_t begin = (size_t)task * x->chunk, end = size_min(begin + x->chunk, x->pixels);
    for (size_t first = begin; first < end; first += x->rows) {
        size_t rows = size_min(x->rows, end - first);
        form_floats(j, false, first, rows, 0, x->ic, a);
        words_of_channels(a, rows, x->icp / VL, a);
        pad_rows(a, ceil_div(x->k, VL), rows);
        product_panels(x, all, 0, x->k, a, packed_at(j, 0), results_at(j, first), rows, false);
        panel_moments(j, first, rows, all);
    }
}

/* ---- operands formed before the product: the source forward, the gradient of the result backward */

/* Some panels of a chunk. */
static void chunk_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    span s = group_of(x, (size_t)task % x->groups);
    size_t row = (size_t)task / x->groups * x->chunk, rows = size_min(x->chunk, j->count - row);
    product_panels(x, s, 0, x->k, operand_at(j->formed, 0, row), packed_at(j, s.first),
                   results_at(j, j->first + row), rows, j->accumulate);
    panel_moments(j, j->first + row, rows, s);
}

/* Some panels of all pixels that have been formed. */
static void wide_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    span s = group_of(x, (size_t)task);
    for (size_t from = 0; from < x->k; from += x->terms) {
        size_t to = size_min(from + x->terms, x->k);
        product_panels(x, s, from, to, j->formed, pack_own(j, s, from, to, thread), results_at(j, j->first),
                       j->count, j->accumulate);
    }
    panel_moments(j, j->first, j->count, s);
}

static void product_formed(job *j, rb_pool *pool) {
    const plan *x = &j->x;
    if (x->wide)
        rb_pool_run(pool, (int)x->groups, wide_task, j);
    else
        rb_pool_run(pool, (int)(ceil_div(j->count, x->chunk) * x->groups), chunk_task, j);
}

static void forward_formed(job *j, rb_pool *pool) {
    const plan *x = &j->x;
    j->formed = formed_src(j);
    for (; j->first < x->pixels; j->first += x->rows) {
        j->count = size_min(x->rows, x->pixels - j->first);
        form_all(j, (forms){false, x->ic, j->formed, {0}}, pool);
        product_formed(j, pool);
    }
}

size_t RB_KERNEL(rb_pointwise_forward_scratch)(const rb_pointwise *p, int threads) {
    return plan_forward(p, threads).total;
}

void RB_KERNEL(rb_pointwise_forward)(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                                     rb_pool *pool) {
    job j = {.p = p,
             .x = plan_forward(p, rb_pool_threads(pool)),
             .scratch = scratch,
             .out = {dst, (size_t)p->oc},
             .moments = moments,
             .pack = pack_forward};
    const plan *x = &j.x;
    if (!x->wide) pack_all(&j, pool);
    if (x->formed)
        forward_formed(&j, pool);
    else
        rb_pool_run(pool, (int)x->chunks, forward_task, &j);
    if (moments.mean)
        moments_join((moment_job){moments_at(scratch, x->moments, x->ocp), x->oc, 1, x->chunks, x->chunk,
                                  x->pixels - (x->chunks - 1) * x->chunk, moments},
                     pool);
}

/* ---- backward */

/* Act sums: a chunk's slots, and the part of rows whose data gradient is complete. */
static void open_slots(const job *j, size_t chunk) {
    const plan *x = &j->x;
    size_t first = chunk * x->chunk, rows = size_min(x->chunk, x->pixels - first);
    if (j->sink->act.sums)
        flat_open(doubles_at(j->scratch, x->slots), first, rows, x->per_sample, x->chunk,
                  RB_ACT_SUMS * x->icp);
}
static void act_rows(const job *j, size_t first, size_t rows) {
    const plan *x = &j->x;
    results d = results_at(j, first);
    if (j->sink->act.sums)
        act_sums_flat(d.at, d.ld, j->p->src.shape, &j->sink->act, first, rows, x->chunk,
                      doubles_at(j->scratch, x->slots), x->icp);
}

/* Rows of a chunk in a tile: the gradient as floats, which become words of rows, and as words of channels
 * (without pairs they are the same); then the source. */
static void backward_rows(const job *j, size_t first, size_t rows, results wgt, float *tile) {
    const plan *x = &j->x;
    operand dz = tile_at(tile, x->ocp), src = tile_at(tile + x->rows * x->ocp, x->icp);
    operand channels = PAIR > 1 ? tile_at(src.at + x->rows * x->icp, x->ocp) : dz;
    size_t vectors = x->ocp / VL;
    form_floats(j, true, first, rows, 0, x->oc, dz);
    if (j->sink->d) {
        words_of_channels(dz, rows, vectors, channels);
        pad_rows(channels, ceil_div(x->k, VL), rows);
        product_panels(x, (span){0, x->columns.count}, 0, x->k, channels, packed_at(j, 0),
                       results_at(j, first), rows, j->accumulate);
        act_rows(j, first, rows);
    }
    if (!j->d_wgt) return;
    if (PAIR > 1 || !j->sink->d) words_of_rows(dz, rows, vectors, dz);
    form_floats(j, false, first, rows, 0, x->ic, src);
    words_of_rows(src, rows, x->icp / VL, src);
    for (size_t i = 0; i < x->columns.count; i++) outer_panel(x, i, words(rows), dz, x->oc, src, wgt, false);
}

/* Where a split adds its part of the weight gradient. */
static results weights_of(const job *j, size_t split) {
    const plan *x = &j->x;
    if (!j->d_wgt || x->splits == 1) return (results){j->d_wgt, x->ic};
    float *partial = floats_at(j->scratch, x->partials) + split * x->oc * x->icp;
    memset(partial, 0, x->oc * x->icp * sizeof *partial);
    return (results){partial, x->icp};
}

/* One split of the pixels, formed in tiles. */
static void backward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t split = (size_t)task, last = x->chunks * (split + 1) / x->splits;
    results wgt = weights_of(j, split);
    for (size_t chunk = x->chunks * split / x->splits; chunk < last; chunk++) {
        size_t end = size_min((chunk + 1) * x->chunk, x->pixels);
        if (j->sink->d) open_slots(j, chunk);
        for (size_t first = chunk * x->chunk; first < end; first += x->rows)
            backward_rows(j, first, size_min(x->rows, end - first), wgt, thread_tile(j, thread));
    }
}

/* d_wgt += the splits, in order. */
RB_TARGET static void partials_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    const float *from = floats_at(j->scratch, x->partials) + (size_t)task * x->icp;
    float *to = j->d_wgt + (size_t)task * x->ic;
    for (size_t i = 0; i < x->ic; i += VL) {
        double sum[VL] = {0};
        for (size_t s = 0; s < x->splits; s++) vf_add_to(sum, vf_load(from + s * x->oc * x->icp + i));
        for (size_t c = i; c < size_min(i + VL, x->ic); c++) to[c] += (float)sum[c - i];
    }
}

/* The act sums of a chunk, once all panels are done. */
static void act_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    size_t chunk = j->first / x->chunk + (size_t)task;
    open_slots(j, chunk);
    act_rows(j, chunk * x->chunk, size_min((chunk + 1) * x->chunk, x->pixels) - chunk * x->chunk);
}

/* A block of output channels of the weight gradient, from all pixels that have been formed. */
static void weights_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    size_t o = (size_t)task * x->outputs, outputs = size_min(x->outputs, x->oc - o), rows = words(j->count);
    operand dz = operand_at(formed_dz_rows(j), o / VL, 0), src = formed_src_rows(j);
    results wgt = {j->d_wgt + o * x->ic, x->ic};
    for (size_t i = 0; i < x->columns.count; i++)
        for (size_t row = 0; row < rows; row += RUN / 2)
            outer_panel(x, i, size_min(RUN / 2, rows - row), operand_at(dz, 0, row), outputs,
                        operand_at(src, 0, row), wgt, !row);
}

/* Both operands of some pixels first: the data gradient may be written over z. */
static void backward_formed(job *j, rb_pool *pool) {
    const plan *x = &j->x;
    operand none = {0};
    j->formed = formed_dz(j);
    for (; j->first < x->pixels; j->first += x->rows) {
        j->count = size_min(x->rows, x->pixels - j->first);
        form_all(j, (forms){true, x->oc, j->sink->d ? j->formed : none, j->d_wgt ? formed_dz_rows(j) : none},
                 pool);
        if (j->d_wgt) {
            form_all(j, (forms){false, x->ic, none, formed_src_rows(j)}, pool);
            rb_pool_run(pool, (int)ceil_div(x->oc, x->outputs), weights_task, j);
        }
        if (!j->sink->d) continue;
        product_formed(j, pool);
        if (j->sink->act.sums) rb_pool_run(pool, (int)ceil_div(j->count, x->chunk), act_task, j);
    }
}

size_t RB_KERNEL(rb_pointwise_backward_scratch)(const rb_pointwise *p, int threads) {
    return plan_backward(p, threads).total;
}

void RB_KERNEL(rb_pointwise_backward)(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                                      const rb_sink *sink, void *scratch, rb_pool *pool) {
    job j = {.p = p,
             .x = plan_backward(p, rb_pool_threads(pool)),
             .scratch = scratch,
             .d_dst = d_dst,
             .d_wgt = d_wgt,
             .sink = sink,
             .out = {sink->d, (size_t)sink->ld},
             .accumulate = sink->accumulate,
             .pack = pack_backward};
    const plan *x = &j.x;
    if (sink->d && !x->wide) pack_all(&j, pool);
    if (x->formed)
        backward_formed(&j, pool);
    else
        rb_pool_run(pool, (int)x->splits, backward_task, &j);
    if (d_wgt && x->splits > 1) run_tasks(pool, x->splits * x->oc * x->icp, x->oc, partials_task, &j);
    if (!sink->d || !sink->act.sums) return;
    slots_job sums = {
        doubles_at(scratch, x->slots), x->icp, RB_ACT_SUMS, x->ic, x->per_sample, x->chunk, sink->act.sums};
    slots_join(sums, (size_t)p->src.shape.n, flat_slots(x->pixels, (size_t)p->src.shape.n, x->chunk), pool);
}
