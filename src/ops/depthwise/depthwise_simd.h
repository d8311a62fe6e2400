/* Depthwise convolution. A task is a block of rows of one sample and a block of channels; it walks down the
 * rows and stages those of its operands, formed by the prologue, just before the first result that reads
 * them, so that they are still in the first cache when they are read. */
#include "ops/depthwise/plan_simd.h"

/* ---- staging */

/* Zeros in floats first … last of every row of the ring: the borders, which no row overwrites. */
static void clear_border(const plan *x, size_t planes, float *to, size_t first, size_t last) {
    for (size_t row = 0; row < planes * x->ring; row++)
        memset(to + row * x->pitch + first, 0, (last - first) * sizeof *to);
}
static void clear_row(const plan *x, channels b, float *to, size_t first, size_t last) {
    for (size_t v = 0; v < b.vectors; v++) memset(to + v * x->plane + first, 0, (last - first) * sizeof *to);
}

static window window_of(const plan *x, const float *plane, size_t row) {
    return (window){plane, row % x->ring * x->pitch, x->ring * x->pitch};
}

/* Asks for n channels of `pixels` pixels, `ld` floats apart. */
RB_INLINE void fetch_pixels(const float *from, size_t pixels, size_t ld, size_t n) {
    for (size_t i = 0; i < pixels; i++, from += ld) fetch(from, 0, n);
}

/* ---- forward */

typedef struct forward {
    const job *j;
    size_t sample, item, y0, rows, spans;
    channels b;
    float *planes;
    size_t count; /* columns of src that results read */
    chains chains[PLANES];
} forward;

/* Row `row` of the bordered input, counted from the block's first. */
static void stage_forward(const forward *f, size_t row) {
    const plan *x = &f->j->x;
    float *to = f->planes + row % x->ring * x->pitch;
    size_t y = f->y0 * x->s + row, first = x->pad * VL;
    if (y < x->pad || y - x->pad >= x->h)
        clear_row(x, f->b, to, first, first + f->count * VL);
    else
        load_source(&f->j->p->src, (f->sample * x->h + y - x->pad) * x->w, f->count, f->b.c, f->b.cn,
                    to + first, VL, x->plane);
}

/* Results of one vector, over spans first … last − 1; the window's first row is `row`. */
static tap_rows taps_of(const job *j, size_t vector, size_t first, size_t last, const float *plane,
                        size_t row) {
    const plan *x = &j->x;
    return (tap_rows){.spans = spans_at(j) + first,
                      .end = spans_at(j) + last,
                      .wgt = floats_at(j->scratch, x->packed) + vector * x->taps * VL,
                      .w = window_of(x, plane, row),
                      .fetch = x->large};
}

/* The chains of all vectors into the item's sums. */
RB_TARGET static void flush_chains(forward *f) {
    moment_slots m = moments_at(f->j->scratch, f->j->x.moments, f->j->x.vectors * VL);
    for (size_t v = 0; v < f->b.vectors; v++) {
        chains *from = &f->chains[v];
        size_t at = f->item * m.stride + f->b.c + v * VL;
        vf_add_to(m.sum + at, vf_add(vf_load(from->sum[0]), vf_load(from->sum[1])));
        vf_add_to(m.square + at, vf_add(vf_load(from->square[0]), vf_load(from->square[1])));
        memset(from->sum, 0, sizeof from->sum);
        memset(from->square, 0, sizeof from->square);
    }
}

/* The pivot is the block's first result, so nothing cancels however far the mean lies from 0. */
static void open_chains(forward *f) {
    const plan *x = &f->j->x;
    moment_slots m = moments_at(f->j->scratch, x->moments, x->vectors * VL);
    size_t at = f->item * m.stride + f->b.c;
    for (size_t v = 0; v < f->b.vectors; v++) {
        f->chains[v] = (chains){0};
        tap_rows one = taps_of(f->j, f->b.v + v, 0, f->spans, f->planes + v * x->plane, 0);
        one.step = x->s * VL, one.dst = f->chains[v].pivot, one.n = VL;
        taps_rows(&one, 1, 1);
        memcpy(m.pivot + at + v * VL, f->chains[v].pivot, VL * sizeof(float));
    }
    memset(m.sum + at, 0, f->b.vectors * VL * sizeof *m.sum);
    memset(m.square + at, 0, f->b.vectors * VL * sizeof *m.square);
}

/* Asks for `rows` rows from row `row` of the bordered input on. */
RB_INLINE void fetch_forward(const forward *f, size_t row, size_t rows) {
    const plan *x = &f->j->x;
    const rb_source *s = &f->j->p->src;
    size_t y = f->y0 * x->s + row - x->pad;
    rows = y < x->h ? size_min(rows, x->h - y) : 0;
    fetch_pixels((const float *)s->data + ((f->sample * x->h + y) * x->w) * (size_t)s->ld + f->b.c,
                 rows * x->w, (size_t)s->ld, f->b.cn);
}

/* Of `rows` rows from y on results first … first + count − 1. */
static void forward_rows(forward *f, size_t y, size_t rows, size_t first, size_t count) {
    const job *j = f->j;
    const plan *x = &j->x;
    float *dst = j->dst + ((f->sample * x->oh + f->y0 + y) * x->ow + first) * x->c + f->b.c;
    for (size_t v = 0; v < f->b.vectors; v++) {
        tap_rows t = taps_of(j, f->b.v + v, 0, f->spans, f->planes + v * x->plane, y * x->s);
        t.step = x->s * VL, t.shift = first * t.step, t.down = x->s * x->pitch;
        t.dst = dst + v * VL, t.pitch = x->c, t.row_pitch = x->ow * x->c, t.n = f->b.cn - v * VL;
        if (j->moments.mean) t.moments = &f->chains[v];
        taps_rows(&t, rows, count);
    }
    if (j->moments.mean) flush_chains(f);
}

RB_TARGET static void forward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    forward f = {.j = j, .item = (size_t)task / x->cblocks, .planes = planes_of(j, thread)};
    f.sample = f.item / x->rblocks, f.y0 = f.item % x->rblocks * x->rows;
    f.rows = size_min(x->rows, x->oh - f.y0);
    f.b = channels_of(x, (size_t)task % x->cblocks);
    f.spans = counts_at(j->scratch, x->starts)[0];
    f.count = size_min(x->w, x->pitch / VL - x->pad);
    clear_border(x, f.b.vectors, f.planes, 0, x->pad * VL);
    clear_border(x, f.b.vectors, f.planes, (x->pad + f.count) * VL, x->pitch);
    for (size_t y = 0, staged = 0; y < f.rows; y += x->strip) {
        size_t rows = size_min(x->strip, f.rows - y), needed = (y + rows - 1) * x->s + x->k;
        for (staged = size_max(staged, y * x->s); staged < needed; staged++) stage_forward(&f, staged);
        if (x->large) fetch_forward(&f, needed, x->strip * x->s);
        if (j->moments.mean && !y) open_chains(&f);
        for (size_t first = 0; first < x->ow; first += CHAIN)
            forward_rows(&f, y, rows, first, size_min(CHAIN, x->ow - first));
    }
}

size_t RB_LEVEL(rb_depthwise_forward_scratch)(const rb_depthwise *p, int threads) {
    return plan_forward(p, threads).total;
}

void RB_LEVEL(rb_depthwise_forward)(const rb_depthwise *p, float *dst, rb_moments moments, void *scratch,
                                    rb_pool *pool) {
    job j = {p, plan_forward(p, rb_pool_threads(pool)), scratch, .dst = dst, .moments = moments};
    const plan *x = &j.x;
    counts_at(scratch, x->starts)[0] = (uint32_t)list_forward(&j);
    pack_weights(&j);
    rb_pool_run(pool, (int)(x->items * x->cblocks), forward_task, &j);
    if (!moments.mean) return;
    size_t last = x->oh - (x->rblocks - 1) * x->rows;
    moments_join((moment_job){moments_at(scratch, x->moments, x->vectors * VL), x->c, x->n, x->rblocks,
                              x->rows * x->ow, last * x->ow, moments},
                 pool);
}

/* ---- backward */

/* One item of a backward pass: a block of rows of one sample, a block of channels. */
typedef struct part {
    size_t item, sample, y0, rows; /* rows of d_dst */
    size_t sy0, src_rows;          /* rows of src */
    channels b;
    float *dz, *src; /* planes */
} part;

static part part_of(const job *j, size_t item, channels b, float *planes) {
    const plan *x = &j->x;
    part t = {
        .item = item, .sample = item / x->rblocks, .y0 = item % x->rblocks * x->rows, .b = b, .dz = planes};
    t.rows = size_min(x->rows, x->oh - t.y0);
    t.sy0 = t.y0 * x->s, t.src_rows = size_min(t.rows * x->s, x->h - t.sy0);
    t.src = planes + b.vectors * x->plane;
    return t;
}

/* Row `row` of the bordered d_dst, counted from the block's first. */
static void stage_gradient(const job *j, const part *t, size_t row) {
    const plan *x = &j->x;
    float *to = t->dz + row % x->ring * x->pitch;
    size_t y = t->y0 + row;
    if (y < x->low || y - x->low >= x->oh)
        clear_row(x, t->b, to, x->low * VL, (x->low + x->ow) * VL);
    else
        load_gradient(j->d_dst, (t->sample * x->oh + y - x->low) * x->ow, x->ow, t->b.c, t->b.cn,
                      to + x->low * VL, VL, x->plane);
}

/* The data gradient of rows first … last − 1 of src, vector v: one residue class after the other. */
static void data_rows(const job *j, const part *t, size_t v, size_t first, size_t last, float *d) {
    const plan *x = &j->x;
    size_t ld = (size_t)j->sink->ld;
    for (size_t class = 0; class < x->s * x->s; class ++) {
        size_t ry = class / x->s, rx = class % x->s;
        if (rx >= x->w || ry >= last - first) continue;
        const uint32_t *start = counts_at(j->scratch, x->starts) + class;
        tap_rows r = taps_of(j, t->b.v + v, start[0], start[1], t->dz + v * x->plane, first / x->s);
        r.step = VL, r.down = x->pitch, r.n = t->b.cn - v * VL, r.accumulate = j->sink->accumulate;
        r.fetch |= r.accumulate;
        r.dst = d + (ry * x->w + rx) * ld + v * VL, r.pitch = x->s * ld, r.row_pitch = x->s * x->w * ld;
        taps_rows(&r, ceil_div(last - first - ry, x->s), ceil_div(x->w - rx, x->s));
    }
}

/* Of rows first … last − 1 of src. From memory they come in the order of rows. */
static void data_part(const job *j, const part *t, size_t first, size_t last) {
    const plan *x = &j->x;
    size_t ld = (size_t)j->sink->ld, stride = x->vectors * VL;
    size_t pixel = (t->sample * x->h + t->sy0 + first) * x->w, count = (last - first) * x->w;
    float *d = j->sink->d + pixel * ld + t->b.c;
    size_t step = x->large ? x->s : last - first;
    for (size_t row = first; row < last; row += step)
        for (size_t v = 0; v < t->b.vectors; v++)
            data_rows(j, t, v, row, size_min(row + step, last), d + (row - first) * x->w * ld);
    const rb_act_sums *act = &j->sink->act;
    if (!act->sums) return;
    double *slot = doubles_at(j->scratch, x->slots) + t->item * RB_ACT_SUMS * stride;
    for (size_t i = 0; i < RB_ACT_SUMS && !first; i++)
        memset(slot + i * stride + t->b.c, 0, t->b.vectors * VL * sizeof *slot);
    for (size_t p = 0; p < count; p += RUN)
        act_sums_run(d + p * ld, ld, act->z + (pixel + p) * x->c + t->b.c, x->c, size_min(RUN, count - p),
                     act, t->b.c, t->b.cn, slot, stride);
}

/* Of rows first … last − 1 of src. */
static void weights_part(const job *j, const part *t, size_t first, size_t last, float *partial) {
    const plan *x = &j->x;
    load_source(&j->p->src, (t->sample * x->h + t->sy0 + first) * x->w, (last - first) * x->w, t->b.c,
                t->b.cn, t->src, VL, x->src_plane);
    for (size_t v = 0; v < t->b.vectors; v++)
        for (size_t class = 0; class < x->s * x->s; class ++) {
            size_t ry = class / x->s, rx = class % x->s;
            if (rx >= x->w || ry >= last - first) continue;
            weight_rows w = {.src = t->src + v * x->src_plane + (ry * x->w + rx) * VL,
                             .step = x->s * VL,
                             .src_pitch = x->s * x->w * VL,
                             .dz = window_of(x, t->dz + v * x->plane, first / x->s),
                             .pitch = x->pitch,
                             .rows = ceil_div(last - first - ry, x->s),
                             .count = ceil_div(x->w - rx, x->s)};
            const uint32_t *start = counts_at(j->scratch, x->starts) + class;
            weights_list(w, spans_at(j) + start[0], start[1] - start[0], partial + v * x->taps * VL);
        }
}

/* Asks for what the strip at y reads beyond the rows of d_dst that are staged. */
RB_INLINE void fetch_backward(const job *j, const part *t, size_t y, size_t staged) {
    const plan *x = &j->x;
    const rb_gradient *g = j->d_dst;
    const rb_source *s = &j->p->src;
    if (y >= t->rows) return;
    size_t row = y * x->s, rows = size_min(x->strip * x->s, t->src_rows - row) * x->w, c = t->b.c,
           n = t->b.cn;
    size_t at = (t->sample * x->h + t->sy0 + row) * x->w;
    fetch_pixels((const float *)s->data + at * (size_t)s->ld + c, rows, (size_t)s->ld, n);
    row = t->y0 + staged - x->low;
    if (row >= x->oh) return;
    at = (t->sample * x->oh + row) * x->ow, rows = size_min(x->strip, x->oh - row) * x->ow;
    if (g->d) fetch_pixels(g->d + at * (size_t)g->ld + c, rows, (size_t)g->ld, n);
    if (g->affine.scale) fetch_pixels(g->z + at * x->c + c, rows, x->c, n);
}

RB_TARGET static void backward_part(const job *j, const part *t, float *partial) {
    const plan *x = &j->x;
    for (size_t y = 0, staged = 0; y < t->rows; y += x->strip) {
        size_t rows = size_min(x->strip, t->rows - y);
        size_t first = y * x->s, last = size_min((y + rows) * x->s, t->src_rows);
        for (; staged < y + rows + x->low + x->high; staged++) stage_gradient(j, t, staged);
        if (x->large) fetch_backward(j, t, y + rows, staged);
        if (j->sink->d) data_part(j, t, first, last);
        if (j->d_wgt) weights_part(j, t, first, last, partial);
    }
}

static void backward_task(void *arg, int task, int thread) {
    const job *j = arg;
    const plan *x = &j->x;
    size_t split = (size_t)task / x->cblocks, last = x->items * (split + 1) / x->splits;
    channels b = channels_of(x, (size_t)task % x->cblocks);
    float *partial = floats_at(j->scratch, x->partials) + (split * x->vectors + b.v) * x->taps * VL;
    float *planes = planes_of(j, thread);
    memset(partial, 0, b.vectors * x->taps * VL * sizeof *partial);
    clear_border(x, b.vectors, planes, 0, x->low * VL);
    clear_border(x, b.vectors, planes, (x->low + x->ow) * VL, x->pitch);
    for (size_t item = x->items * split / x->splits; item < last; item++) {
        part t = part_of(j, item, b, planes);
        backward_part(j, &t, partial);
    }
}

/* d_wgt += the splits of one channel vector, in order. */
static void partials_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const plan *x = &j->x;
    const uint32_t *order = counts_at(j->scratch, x->order);
    const float *from = floats_at(j->scratch, x->partials) + (size_t)task * x->taps * VL;
    size_t first = (size_t)task * VL, count = size_min(VL, x->c - first);
    for (size_t at = 0; at < x->taps; at++, from += VL) {
        double sum[VL] = {0};
        for (size_t s = 0; s < x->splits; s++)
            for (size_t c = 0; c < VL; c++) sum[c] += (double)from[s * x->vectors * x->taps * VL + c];
        float *to = j->d_wgt + first * x->taps + order[at];
        for (size_t c = 0; c < count; c++) to[c * x->taps] += (float)sum[c];
    }
}

size_t RB_LEVEL(rb_depthwise_backward_scratch)(const rb_depthwise *p, int threads) {
    return plan_backward(p, threads).total;
}

void RB_LEVEL(rb_depthwise_backward)(const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                                     const rb_sink *sink, void *scratch, rb_pool *pool) {
    job j = {p,           plan_backward(p, rb_pool_threads(pool)), scratch, .d_dst = d_dst, .d_wgt = d_wgt,
             .sink = sink};
    const plan *x = &j.x;
    list_backward(&j);
    if (sink->d) pack_weights(&j);
    rb_pool_run(pool, (int)(x->splits * x->cblocks), backward_task, &j);
    /* each element is stored alone: as much work as eight that are not */
    if (d_wgt) run_tasks(pool, 8 * x->splits * x->taps * x->c, x->vectors, partials_task, &j);
    if (!sink->d || !sink->act.sums) return;
    slots_job sums = {
        doubles_at(scratch, x->slots), x->vectors * VL, RB_ACT_SUMS, x->c, x->rblocks, 0, sink->act.sums};
    slots_join(sums, x->n, x->items, pool);
}
