/* Dense 3×3 convolution: maps of many channels by Winograd's method, some tiles at a time; few channels, and
 * lists of pixels, as products of packed neighbourhoods. The products of both are the pointwise kernels of
 * the table. */
#include "ops/conv3x3/winograd_simd.h"
#include "ops/ops_simd.h"
#include "ops/profile.h"

enum {
    LEAST_CHANNELS = 32, /* fewer are not worth the transforms, */
    MULTIPLE = 16,       /* which go by whole vectors of every level */
    FLOATS = 1 << 21,    /* of the planes of the tiles of a chunk */
    TASK_TILES = 8,
    SLICE = 32, /* channels of a task whose tiles overlap */
    PAD = 16    /* floats between planes, lest all lie in the same lines of a cache */
};

/* Channels and places as the method needs them, and at least a third fewer products. */
static bool fits(const rb_conv3x3 *c) {
    tiles t = tiles_of(c->shape);
    return c->shape.c >= LEAST_CHANNELS && c->oc >= LEAST_CHANNELS && c->shape.c % MULTIPLE == 0 &&
           c->oc % MULTIPLE == 0 && PLANES * t.all * 3 <= 9 * rb_pixels(c->shape) * 2;
}

/* What a call works with: tiles in chunks of whole rows of tiles, and planes of one chunk. */
typedef struct work {
    const rb_conv3x3 *c;
    tiles t;
    size_t ic, oc, chunk; /* tiles */
    size_t src_plane, dst_plane, wgt_plane;
} work;

static work work_of(const rb_conv3x3 *c) {
    work w = {.c = c, .t = tiles_of(c->shape), .ic = (size_t)c->shape.c, .oc = (size_t)c->oc};
    size_t rows = size_max(FLOATS / PLANES / size_max(w.ic, w.oc) / w.t.across, 1);
    w.chunk = size_min(rows * w.t.across, w.t.all);
    w.src_plane = w.chunk * w.ic + PAD;
    w.dst_plane = w.chunk * w.oc + PAD;
    w.wgt_plane = w.ic * w.oc;
    return w;
}

static float *push_planes(rb_exec *x, size_t plane) {
    return rb_arena_push(&x->scratch, PLANES * plane * sizeof(float));
}

/* ---- transforms as tasks */

typedef struct transform_job {
    transform w;
    void (*tile)(const transform *w, size_t i);
} transform_job;

static void transform_task(void *arg, int task, int thread) {
    (void)thread;
    const transform_job *j = arg;
    size_t first = (size_t)task * TASK_TILES, last = size_min(first + TASK_TILES, j->w.count);
    for (size_t i = first; i < last; i++) j->tile(&j->w, i);
}

/* Bytes: the map once, its planes once. */
static double bytes_of(const transform *w) {
    return 4.0 * (double)w->count * (double)w->c * (PLANES + SIDE * SIDE);
}

static void run_transform(rb_exec *x, const transform *w, void (*tile)(const transform *w, size_t i)) {
    transform_job j = {*w, tile};
    RB_RUN(x, RB_PROFILE_CONV3X3, 0, bytes_of(w),
           rb_pool_run(x->pool, (int)ceil_div(w->count, TASK_TILES), transform_task, &j));
}

/* Tiles overlap: a task has channels of its own. */
static void scatter_task(void *arg, int task, int thread) {
    (void)thread;
    const transform *w = arg;
    size_t first = (size_t)task * SLICE, last = size_min(first + SLICE, w->c), at[PLANES];
    for (size_t i = 0; i < w->count; i++) {
        pixels_of(w, w->first + i, POINTS, 1, at);
        for (size_t c = first; c < last; c += VL) scatter_tile(w, i, at, c);
    }
}

static void run_scatter(rb_exec *x, const transform *w) {
    transform job = *w;
    RB_RUN(x, RB_PROFILE_CONV3X3, 0, bytes_of(w),
           rb_pool_run(x->pool, (int)ceil_div(w->c, SLICE), scatter_task, &job));
}

static void run_weights(rb_exec *x, const work *w, rb_task *task, const float *from, float *to) {
    weights job = {w->ic, w->oc, w->wgt_plane, from, to};
    RB_RUN(x, RB_PROFILE_CONV3X3, 0, 4.0 * (double)w->wgt_plane * (9 + PLANES),
           rb_pool_run(x->pool, w->c->oc, task, &job));
}

/* ---- products: one for each plane */

static rb_source dense(size_t rows, size_t channels, const float *data) {
    rb_shape shape = {1, 1, (int)rows, (int)channels};
    return (rb_source){.shape = shape, .ld = (int)channels, .load = RB_LOAD_MAP, .data = data};
}

static void forward_planes(rb_exec *x, const work *w, size_t count, const float *src, const float *wgt,
                           float *dst) {
    for (size_t k = 0; k < PLANES; k++) {
        rb_pointwise p = {.src = dense(count, w->ic, src + k * w->src_plane),
                          .oc = w->c->oc,
                          .wgt = wgt + k * w->wgt_plane};
        rb_pointwise_forward(x, &p, dst + k * w->dst_plane, (rb_moments){0});
    }
}

/* The planes of a backward pass; those of weights or of the source are NULL when they are not asked. */
typedef struct planes {
    float *src, *wgt, *d_dst, *d_wgt, *d_src;
} planes;

static void backward_planes(rb_exec *x, const work *w, size_t count, const planes *f) {
    rb_shape shape = {1, 1, (int)count, w->c->oc};
    for (size_t k = 0; k < PLANES; k++) {
        rb_pointwise p = {.src = dense(count, w->ic, f->src ? f->src + k * w->src_plane : NULL),
                          .oc = w->c->oc,
                          .wgt = f->wgt ? f->wgt + k * w->wgt_plane : NULL};
        rb_gradient d = {.shape = shape, .d = f->d_dst + k * w->dst_plane, .ld = w->c->oc};
        rb_sink sink = {.d = f->d_src ? f->d_src + k * w->src_plane : NULL, .ld = (int)w->ic};
        rb_pointwise_backward(x, &p, &d, f->d_wgt ? f->d_wgt + k * w->wgt_plane : NULL, &sink);
    }
}

/* ---- forward */

/* First pixel of a tile that begins a row of tiles, or the number of pixels after the last. */
static size_t pixel_of(const tiles *t, size_t tile) {
    size_t row = tile / t->across, h = (size_t)t->shape.h;
    return (row / t->down * h + size_min(row % t->down * SIDE, h)) * (size_t)t->shape.w;
}

static void forward_winograd(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_result *r) {
    size_t mark = rb_arena_mark(&x->scratch);
    work w = work_of(c);
    float *wgt = push_planes(x, w.wgt_plane), *src = push_planes(x, w.src_plane);
    float *dst = push_planes(x, w.dst_plane);
    size_t most = size_min(w.chunk * SIDE * SIDE, rb_pixels(c->shape));
    float *piece = r->use ? rb_arena_push(&x->scratch, most * w.oc * sizeof *piece) : NULL;
    run_weights(x, &w, weight_task, c->wgt, wgt);
    for (size_t first = 0, count; first < w.t.all; first += count) {
        count = size_min(w.chunk, w.t.all - first);
        size_t begin = pixel_of(&w.t, first), end = pixel_of(&w.t, first + count);
        transform in = {.t = w.t, .first = first, .count = count, .c = w.ic, .plane = w.src_plane};
        transform out = {.t = w.t, .first = first, .count = count, .c = w.oc, .plane = w.dst_plane};
        in.from = c->src, in.to = src;
        out.from = dst, out.to = r->use ? piece : r->rows;
        out.base = r->use ? begin : 0, out.bias = c->bias, out.relu = c->relu;
        run_transform(x, &in, source_tile);
        forward_planes(x, &w, count, src, wgt, dst);
        run_transform(x, &out, result_tile);
        if (r->use) r->use(r->arg, begin, end - begin, piece);
    }
    rb_arena_release(&x->scratch, mark);
}

void RB_LEVEL(rb_conv3x3_forward)(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, size_t count,
                                  const rb_conv3x3_result *r) {
    if (!at && fits(c))
        forward_winograd(x, c, r);
    else
        rb_conv3x3_forward_packed(x, c, at, count, r);
}

/* ---- backward */

static planes push_backward(rb_exec *x, const work *w, const rb_conv3x3_grads *g) {
    planes f = {.d_dst = push_planes(x, w->dst_plane)};
    if (g->d_wgt) {
        f.src = push_planes(x, w->src_plane);
        f.d_wgt = push_planes(x, w->wgt_plane);
        rb_zero(x, f.d_wgt, PLANES * w->wgt_plane * sizeof(float));
    }
    if (g->d_src) {
        f.wgt = push_planes(x, w->wgt_plane);
        f.d_src = push_planes(x, w->src_plane);
        run_weights(x, w, weight_task, w->c->wgt, f.wgt);
        if (!g->accumulate) rb_zero(x, g->d_src, rb_elements(w->c->shape) * sizeof(float));
    }
    return f;
}

static void backward_winograd(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    work w = work_of(c);
    planes f = push_backward(x, &w, g);
    for (size_t first = 0, count; first < w.t.all; first += count) {
        count = size_min(w.chunk, w.t.all - first);
        transform src = {.t = w.t, .first = first, .count = count, .c = w.ic, .plane = w.src_plane};
        transform dst = {.t = w.t, .first = first, .count = count, .c = w.oc, .plane = w.dst_plane};
        dst.from = g->d_rows, dst.to = f.d_dst;
        run_transform(x, &dst, gradient_tile);
        src.from = c->src, src.to = f.src;
        if (f.src) run_transform(x, &src, source_tile);
        backward_planes(x, &w, count, &f);
        src.from = f.d_src, src.to = g->d_src;
        if (f.d_src) run_scatter(x, &src);
    }
    if (f.d_wgt) run_weights(x, &w, weight_back_task, f.d_wgt, g->d_wgt);
}

void RB_LEVEL(rb_conv3x3_backward)(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    if (g->at || !fits(c)) {
        rb_conv3x3_backward_packed(x, c, g);
        return;
    }
    size_t mark = rb_arena_mark(&x->scratch);
    rb_conv3x3_mask(x, c, g);
    if (g->d_wgt || g->d_src) backward_winograd(x, c, g);
    rb_arena_release(&x->scratch, mark);
}
