/* Dense 3×3 convolution as products: the neighbourhoods of a chunk of pixels are packed, nine pixels side by
 * side, and the pointwise kernels do the rest.
 *
 * Forward: rows[p, o] = Σ_{t,i} P[p, t·ic + i]·W[o, t·ic + i]; P packs src, W[o, t, i] = wgt[o, i, t].
 *
 * Backward of all pixels: pixel q of src meets tap 8 − t of the weights at the neighbour q + t of d_dst. So
 * both gradients are those of a pointwise layer from ic to 9·oc channels whose gradient is D, packed d_dst:
 *   d_src[q, i]        = Σ_{t,o} D[q, t·oc + o]·V[t·oc + o, i],   V[t, o, i] = wgt[o, i, 8 − t]
 *   d_V[t·oc + o, i]   = Σ_q D[q, t·oc + o]·src[q, i]
 *
 * Backward of some pixels: that of the forward product; d_P is added to d_src neighbourhood by neighbourhood.
 *
 * A chunk is as many pixels as fill a part of the cache, by the channels alone. */
#include <string.h>

#include "ops/conv3x3/conv3x3.h"
#include "ops/maps/maps.h"
#include "ops/profile.h"

enum {
    PACKED = 1 << 20, /* floats of a packed chunk */
    BLOCK = 8,        /* pixels a task packs */
    SLICE = 32        /* channels a task adds back */
};

static size_t at_least(size_t a, size_t least) { return a < least ? least : a; }
static size_t at_most(size_t a, size_t most) { return a < most ? a : most; }

/* Pixels packed at a time. */
static size_t chunk_of(int channels, size_t count) {
    size_t chunk = PACKED / ((size_t)channels * 9) / BLOCK * BLOCK;
    return at_most(at_least(chunk, BLOCK), count);
}

static float *push(rb_exec *x, size_t floats) { return rb_arena_push(&x->scratch, floats * sizeof(float)); }
static size_t weights(const rb_conv3x3 *c) { return (size_t)c->oc * (size_t)c->shape.c * 9; }

/* ---- weights in another order */

typedef struct order_job {
    const rb_conv3x3 *c;
    const float *from;
    float *to;
} order_job;

/* to[o, t, i] = from[o, i, t] */
static void order_task(void *arg, int o, int thread) {
    (void)thread;
    const order_job *j = arg;
    size_t ic = (size_t)j->c->shape.c, at = (size_t)o * ic * 9;
    for (size_t t = 0; t < 9; t++)
        for (size_t i = 0; i < ic; i++) j->to[at + t * ic + i] = j->from[at + i * 9 + t];
}
/* to[o, i, t] += from[o, t, i] */
static void order_back_task(void *arg, int o, int thread) {
    (void)thread;
    const order_job *j = arg;
    size_t ic = (size_t)j->c->shape.c, at = (size_t)o * ic * 9;
    for (size_t i = 0; i < ic; i++)
        for (size_t t = 0; t < 9; t++) j->to[at + i * 9 + t] += j->from[at + t * ic + i];
}
/* to[t, o, i] = from[o, i, 8 − t] */
static void turn_task(void *arg, int o, int thread) {
    (void)thread;
    const order_job *j = arg;
    size_t ic = (size_t)j->c->shape.c, oc = (size_t)j->c->oc, at = (size_t)o * ic;
    for (size_t t = 0; t < 9; t++)
        for (size_t i = 0; i < ic; i++) j->to[t * oc * ic + at + i] = j->from[(at + i) * 9 + 8 - t];
}
/* to[o, i, 8 − t] += from[t, o, i] */
static void turn_back_task(void *arg, int o, int thread) {
    (void)thread;
    const order_job *j = arg;
    size_t ic = (size_t)j->c->shape.c, oc = (size_t)j->c->oc, at = (size_t)o * ic;
    for (size_t i = 0; i < ic; i++)
        for (size_t t = 0; t < 9; t++) j->to[(at + i) * 9 + 8 - t] += j->from[t * oc * ic + at + i];
}

static void reorder(rb_exec *x, const rb_conv3x3 *c, rb_task *task, const float *from, float *to) {
    order_job j = {c, from, to};
    RB_RUN(x, RB_PROFILE_CONV3X3, 0, 8.0 * (double)weights(c), rb_pool_run(x->pool, c->oc, task, &j));
}

/* ---- neighbourhoods */

typedef struct pack_job {
    rb_shape shape;
    const float *map;
    const int32_t *at; /* NULL: pixel first + r */
    size_t first, count;
    float *packed; /* count, 9, c */
} pack_job;

static size_t pixel_of(const pack_job *j, size_t r) {
    return j->at ? (size_t)j->at[j->first + r] : j->first + r;
}

/* Three pixels of each of three rows: those inside lie side by side. */
static void pack_pixel(const pack_job *j, size_t pixel, float *to) {
    size_t w = (size_t)j->shape.w, h = (size_t)j->shape.h, c = (size_t)j->shape.c;
    size_t px = pixel % w, y = pixel / w % h, left = px == 0, right = px + 1 == w;
    for (size_t ky = 0; ky < 3; ky++, to += 3 * c) {
        if (y + ky == 0 || y + ky > h) {
            memset(to, 0, 3 * c * sizeof *to);
            continue;
        }
        if (left) memset(to, 0, c * sizeof *to);
        memcpy(to + left * c, j->map + (pixel + ky * w - w + left - 1) * c,
               (3 - left - right) * c * sizeof *to);
        if (right) memset(to + 2 * c, 0, c * sizeof *to);
    }
}

static void pack_task(void *arg, int task, int thread) {
    (void)thread;
    const pack_job *j = arg;
    size_t first = (size_t)task * BLOCK, last = at_most(first + BLOCK, j->count);
    for (size_t r = first; r < last; r++)
        pack_pixel(j, pixel_of(j, r), j->packed + r * 9 * (size_t)j->shape.c);
}

static int tasks_of(size_t count, size_t size) { return (int)((count + size - 1) / size); }

static void pack(rb_exec *x, const pack_job *j) {
    pack_job job = *j;
    RB_RUN(x, RB_PROFILE_CONV3X3, 0, 40.0 * (double)j->count * j->shape.c,
           rb_pool_run(x->pool, tasks_of(j->count, BLOCK), pack_task, &job));
}

/* map += packed, each neighbourhood in turn: a task has channels of its own. */
static void unpack_task(void *arg, int task, int thread) {
    (void)thread;
    const pack_job *j = arg;
    size_t w = (size_t)j->shape.w, h = (size_t)j->shape.h, c = (size_t)j->shape.c;
    size_t first = (size_t)task * SLICE, n = at_most(SLICE, c - first);
    float *map = (float *)(uintptr_t)j->map + first;
    for (size_t r = 0; r < j->count; r++) {
        size_t pixel = pixel_of(j, r), px = pixel % w, y = pixel / w % h;
        for (size_t t = 0; t < 9; t++) {
            size_t ky = t / 3, kx = t % 3;
            if (y + ky == 0 || y + ky > h || px + kx == 0 || px + kx > w) continue;
            float *to = map + (pixel + ky * w - w + kx - 1) * c;
            const float *from = j->packed + (r * 9 + t) * c + first;
            for (size_t i = 0; i < n; i++) to[i] += from[i];
        }
    }
}

static void unpack(rb_exec *x, const pack_job *j) {
    pack_job job = *j;
    RB_RUN(x, RB_PROFILE_CONV3X3, 0, 108.0 * (double)j->count * j->shape.c,
           rb_pool_run(x->pool, tasks_of((size_t)j->shape.c, SLICE), unpack_task, &job));
}

/* ---- forward */

static rb_source dense(size_t pixels, size_t channels, const float *data) {
    rb_shape shape = {1, 1, (int)pixels, (int)channels};
    return (rb_source){.shape = shape, .ld = (int)channels, .load = RB_LOAD_MAP, .data = data};
}

void rb_conv3x3_forward_packed(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, size_t count,
                               const rb_conv3x3_result *r) {
    size_t mark = rb_arena_mark(&x->scratch), ic = (size_t)c->shape.c, oc = (size_t)c->oc;
    size_t chunk = chunk_of(c->shape.c, count);
    float *wgt = push(x, weights(c)), *packed = push(x, chunk * 9 * ic);
    float *piece = r->use ? push(x, chunk * oc) : NULL;
    reorder(x, c, order_task, c->wgt, wgt);
    for (size_t first = 0; first < count; first += chunk) {
        pack_job j = {c->shape, c->src, at, first, at_most(chunk, count - first), packed};
        rb_pointwise p = {.src = dense(j.count, 9 * ic, packed), .oc = c->oc, .wgt = wgt};
        float *rows = r->use ? piece : r->rows + first * oc;
        pack(x, &j);
        rb_pointwise_forward(x, &p, rows, (rb_moments){0});
        rb_bias_relu(x, j.count, c->oc, c->bias, c->relu, rows);
        if (r->use) r->use(r->arg, first, j.count, rows);
    }
    rb_arena_release(&x->scratch, mark);
}

/* ---- backward */

static rb_gradient plain(size_t pixels, size_t channels, const float *d) {
    rb_shape shape = {1, 1, (int)pixels, (int)channels};
    return (rb_gradient){.shape = shape, .d = d, .ld = (int)channels};
}

/* Gradient of the weights in their other order, from zero; NULL: not asked. */
static float *push_gradient(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    if (!g->d_wgt) return NULL;
    float *d_wgt = push(x, weights(c));
    rb_zero(x, d_wgt, weights(c) * sizeof *d_wgt);
    return d_wgt;
}

static void backward_all(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    size_t ic = (size_t)c->shape.c, oc = (size_t)c->oc, chunk = chunk_of(c->oc, g->count);
    rb_shape out = {c->shape.n, c->shape.h, c->shape.w, c->oc};
    float *wgt = g->d_src ? push(x, weights(c)) : NULL, *d_wgt = push_gradient(x, c, g);
    float *packed = push(x, chunk * 9 * oc);
    if (wgt) reorder(x, c, turn_task, c->wgt, wgt);
    for (size_t first = 0; first < g->count; first += chunk) {
        pack_job j = {out, g->d_rows, NULL, first, at_most(chunk, g->count - first), packed};
        rb_pointwise p = {.src = dense(j.count, ic, c->src + first * ic), .oc = 9 * c->oc, .wgt = wgt};
        rb_gradient d = plain(j.count, 9 * oc, packed);
        rb_sink sink = {g->d_src ? g->d_src + first * ic : NULL, c->shape.c, g->accumulate, {0}};
        pack(x, &j);
        rb_pointwise_backward(x, &p, &d, d_wgt, &sink);
    }
    if (d_wgt) reorder(x, c, turn_back_task, d_wgt, g->d_wgt);
}

static void backward_some(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    size_t ic = (size_t)c->shape.c, oc = (size_t)c->oc, chunk = chunk_of(c->shape.c, g->count);
    float *wgt = g->d_src ? push(x, weights(c)) : NULL, *d_wgt = push_gradient(x, c, g);
    float *packed = push(x, chunk * 9 * ic), *d_packed = g->d_src ? push(x, chunk * 9 * ic) : NULL;
    if (wgt) reorder(x, c, order_task, c->wgt, wgt);
    for (size_t first = 0; first < g->count; first += chunk) {
        pack_job j = {c->shape, c->src, g->at, first, at_most(chunk, g->count - first), packed};
        rb_pointwise p = {.src = dense(j.count, 9 * ic, packed), .oc = c->oc, .wgt = wgt};
        rb_gradient d = plain(j.count, oc, g->d_rows + first * oc);
        rb_sink sink = {d_packed, 9 * c->shape.c, false, {0}};
        if (d_wgt) pack(x, &j);
        rb_pointwise_backward(x, &p, &d, d_wgt, &sink);
        j.map = g->d_src;
        j.packed = d_packed;
        if (d_packed) unpack(x, &j);
    }
    if (d_wgt) reorder(x, c, order_back_task, d_wgt, g->d_wgt);
}

void rb_conv3x3_backward_packed(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    size_t mark = rb_arena_mark(&x->scratch);
    rb_conv3x3_mask(x, c, g);
    if (g->d_wgt || g->d_src) (g->at ? backward_some : backward_all)(x, c, g);
    rb_arena_release(&x->scratch, mark);
}
