/* Depthwise convolution. A task is a block of rows of one sample and a block of channels; it walks down the
 * rows and stages those of its operands, formed by the prologue, just before the first result that reads
 * them, so that they are still in the first cache when they are read.
 *
 * Forward: result (y, x) reads tap (ky, kx) at (y·s + ky, x·s + kx) of the bordered input: for each ky and
 * each residue of kx modulo s one span.
 * Data gradient: d_src[s·Y + ry, s·X + rx] reads d_dst at (Y + (ry + pad − ky)/s, X + (rx + pad − kx)/s)
 * where both divide: one list of spans for each residue class (ry, rx), k² taps in all, neighbours X
 * contiguous in d_dst. Weight gradient: the same lists: d_wgt[tap] = Σ src[s·Y + ry, s·X + rx]·d_dst[Y + …, X
 * + …]. */
#include "ops/depthwise/taps_simd.h"

enum {
    PLANES = 64 / VL,       /* vectors of a block of channels, at most */
    FEW_PLANES = 32 / VL,   /* … where rows of src are staged beyond the first cache and come from memory */
    WINDOW_FLOATS = 8192,   /* what the staged rows of a task should fit in: the first cache */
    STRIP_FLOATS = 65536,   /* … with the rows of src of a strided backward pass: the second */
    LARGE_BYTES = 24 << 20, /* operands of so many bytes come from memory: rows are asked for early */
    CHAIN = RUN / 2,        /* results of a run of moments, two chains of at most 64 */
    TASKS = 16,             /* at least, where there are so many rows */
    SPLITS = 16             /* of the weight gradient's sum, at most */
};

typedef struct plan {
    size_t n, h, w, c, oh, ow, k, s, pad, taps;
    size_t vectors, planes, cblocks; /* channel vectors; of a block at most; blocks */
    size_t rows, rblocks, items;     /* output rows of a block; blocks a sample; n·rblocks */
    size_t low, high;                /* backward: border of d_dst, before and after */
    size_t pitch, ring, plane;       /* floats of a bordered row; rows of a ring; floats of a plane */
    size_t strip;                    /* rows of dst, or of d_dst, that are formed at a time */
    size_t src_plane, thread_floats; /* backward: floats of a plane of src; of all planes of a thread */
    size_t splits;
    bool large; /* see LARGE_BYTES */
    size_t packed, spans, order, starts, buffers, moments[3], slots, partials, total;
} plan;

static plan plan_common(const rb_depthwise *p) {
    rb_shape in = p->src.shape, out = rb_depthwise_shape(p);
    plan x = {.n = (size_t)in.n,
              .h = (size_t)in.h,
              .w = (size_t)in.w,
              .c = (size_t)in.c,
              .oh = (size_t)out.h,
              .ow = (size_t)out.w,
              .k = (size_t)p->kernel,
              .s = (size_t)p->stride};
    x.pad = (x.k - 1) / 2, x.taps = x.k * x.k;
    x.vectors = ceil_div(x.c, VL);
    return x;
}

static size_t map_bytes(const plan *x, const rb_source *src) {
    return sizeof(float) * x->n * (x->h * x->w * (size_t)src->ld + x->oh * x->ow * x->c);
}

/* Blocks of at most `planes` vectors of channels; then blocks of rows where tasks are few. */
static void plan_blocks(plan *x, size_t planes) {
    x->planes = size_min(x->vectors, size_clamp(planes, 1, PLANES));
    x->cblocks = ceil_div(x->vectors, x->planes), x->planes = ceil_div(x->vectors, x->cblocks);
    x->rows = x->oh;
    while (x->rows > 1 && x->n * ceil_div(x->oh, x->rows) * x->cblocks < TASKS) x->rows = (x->rows + 1) / 2;
    x->rblocks = ceil_div(x->oh, x->rows), x->items = x->n * x->rblocks;
}

static void plan_shared(plan *x, int threads) {
    x->packed = take(&x->total, x->vectors * x->taps * VL * sizeof(float));
    x->spans = take(&x->total, x->taps * sizeof(span));
    x->order = take(&x->total, x->taps * sizeof(uint32_t));
    x->starts = take(&x->total, (x->s * x->s + 1) * sizeof(uint32_t));
    x->buffers = take(&x->total, (size_t)threads * x->thread_floats * sizeof(float));
}

static plan plan_forward(const rb_depthwise *p, int threads) {
    plan x = plan_common(p);
    x.pitch = ((x.ow - 1) * x.s + x.k) * VL;
    x.large = map_bytes(&x, &p->src) > LARGE_BYTES;
    plan_blocks(&x, WINDOW_FLOATS / (x.k * x.pitch));
    size_t fit = WINDOW_FLOATS / (x.planes * x.pitch), most = size_clamp(CHAIN / x.ow, 1, x.rows);
    x.strip = fit > x.k ? size_clamp((fit - x.k) / x.s + 1, 1, most) : 1;
    x.ring = x.k + (x.strip - 1) * x.s, x.plane = x.ring * x.pitch;
    x.thread_floats = x.plane * x.planes;
    plan_shared(&x, threads);
    take_moments(&x.total, x.items, x.vectors * VL, x.moments);
    return x;
}

static plan plan_backward(const rb_depthwise *p, int threads) {
    plan x = plan_common(p);
    x.large = 2 * map_bytes(&x, &p->src) > LARGE_BYTES;
    x.low = x.pad / x.s, x.high = (x.s - 1 + x.pad) / x.s;
    x.pitch = (x.ow + x.low + x.high) * VL;
    size_t row = x.pitch + x.s * x.w * VL, border = (x.low + x.high) * x.pitch;
    size_t planes = (x.s == 1 ? WINDOW_FLOATS : STRIP_FLOATS) / (row + border);
    plan_blocks(&x, x.s > 1 && x.large ? size_min(planes, FEW_PLANES) : planes);
    size_t fit = (x.s > 1 ? STRIP_FLOATS : x.large ? WINDOW_FLOATS : 2 * WINDOW_FLOATS) / x.planes;
    x.strip = fit > border ? size_clamp((fit - border) / row, 1, size_clamp(RUN / x.ow, 1, x.rows)) : 1;
    x.ring = x.strip + x.low + x.high, x.plane = x.ring * x.pitch;
    x.src_plane = x.strip * x.s * x.w * VL;
    x.thread_floats = (x.plane + x.src_plane) * x.planes;
    x.splits = size_min(SPLITS, x.items);
    plan_shared(&x, threads);
    x.slots = take(&x.total, x.items * RB_ACT_SUMS * x.vectors * VL * sizeof(double));
    x.partials = take(&x.total, x.splits * x.vectors * x.taps * VL * sizeof(float));
    return x;
}

typedef struct job {
    const rb_depthwise *p;
    plan x;
    void *scratch;
    float *dst;
    rb_moments moments;
    const rb_gradient *d_dst;
    float *d_wgt;
    const rb_sink *sink;
} job;

static uint32_t *counts_at(void *scratch, size_t offset) {
    return (uint32_t *)(void *)((unsigned char *)scratch + offset);
}
static span *spans_at(const job *j) { return (span *)(void *)((unsigned char *)j->scratch + j->x.spans); }
static float *planes_of(const job *j, int thread) {
    return floats_at(j->scratch, j->x.buffers) + (size_t)thread * j->x.thread_floats;
}

/* Channels of a block of channels. */
typedef struct channels {
    size_t v, vectors, c, cn;
} channels;
static channels channels_of(const plan *x, size_t block) {
    channels b = {.v = x->vectors * block / x->cblocks};
    b.vectors = x->vectors * (block + 1) / x->cblocks - b.v;
    b.c = b.v * VL, b.cn = size_min(b.vectors * VL, x->c - b.c);
    return b;
}

/* ---- the lists: spans, which tap each place of the list is, and the weights as [vector][place][VL] */

typedef struct lister {
    span *spans;
    uint32_t *order;
    size_t count, taps;
} lister;
static lister lister_of(const job *j) {
    return (lister){.spans = spans_at(j), .order = counts_at(j->scratch, j->x.order)};
}

/* `taps` taps tap, tap + by … (by may wrap around) of neighbouring values, as few spans as they need. */
static void list_taps(lister *l, size_t offset, size_t taps, size_t tap, size_t by, size_t step) {
    for (size_t pieces = ceil_div(taps, SPAN), i = 0, done = 0; i < pieces; i++) {
        size_t n = taps * (i + 1) / pieces - done;
        l->spans[l->count++] = (span){(uint32_t)(offset + done * step), (uint32_t)n, (uint32_t)l->taps};
        for (size_t k = 0; k < n; k++, tap += by) l->order[l->taps++] = (uint32_t)tap;
        done += n;
    }
}

static size_t list_forward(const job *j) {
    const plan *x = &j->x;
    lister l = lister_of(j);
    for (size_t ky = 0; ky < x->k; ky++)
        for (size_t r = 0; r < x->s && r < x->k; r++)
            list_taps(&l, ky * x->pitch + r * VL, ceil_div(x->k - r, x->s), ky * x->k + r, x->s, x->s * VL);
    return l.count;
}

/* The taps of residue r: `count`, the last of them `tap` (the others by −s), which reads the first value, at
 * `at` in the bordered d_dst. */
typedef struct residue {
    size_t count, tap, at;
} residue;
static residue residue_of(const plan *x, size_t r) {
    size_t first = (r + x->pad) % x->s;
    if (first >= x->k) return (residue){0};
    residue taps = {.count = ceil_div(x->k - first, x->s)};
    taps.tap = first + (taps.count - 1) * x->s;
    taps.at = (r + x->pad + x->low * x->s - taps.tap) / x->s;
    return taps;
}

/* The lists of all residue classes, one after the other; starts[class] is where each begins. */
static void list_backward(const job *j) {
    const plan *x = &j->x;
    lister l = lister_of(j);
    uint32_t *starts = counts_at(j->scratch, x->starts);
    for (size_t class = 0; class < x->s * x->s; class ++) {
        residue y = residue_of(x, class / x->s), z = residue_of(x, class % x->s);
        starts[class] = (uint32_t)l.count;
        for (size_t done = 0; done < z.count; done += SPAN)
            for (size_t i = 0; i < y.count; i++)
                list_taps(&l, (y.at + i) * x->pitch + (z.at + done) * VL, size_min(SPAN, z.count - done),
                          (y.tap - i * x->s) * x->k + z.tap - done * x->s, 0 - x->s, VL);
    }
    starts[x->s * x->s] = (uint32_t)l.count;
}

static void pack_weights(const job *j) {
    const plan *x = &j->x;
    const uint32_t *order = counts_at(j->scratch, x->order);
    float *to = floats_at(j->scratch, x->packed);
    for (size_t c0 = 0; c0 < x->c; c0 += VL) {
        const float *from = j->p->wgt + c0 * x->taps;
        size_t n = size_min(VL, x->c - c0);
        for (size_t at = 0; at < x->taps; at++, to += VL)
            for (size_t c = 0; c < VL; c++) to[c] = c < n ? from[c * x->taps + order[at]] : 0;
    }
}

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
