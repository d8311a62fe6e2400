/* Dense 3×3 convolution, the specification. */
#include "ops/conv3x3/conv3x3.h"
#include "ops/profile.h"

typedef struct job {
    const rb_conv3x3 *c;
    const rb_conv3x3_grads *g;
    const int32_t *at;
    size_t first; /* pixel, when `at` is NULL */
    float *rows;
} job;

static size_t weight_at(const rb_conv3x3 *c, int o, int i, int tap) {
    return ((size_t)o * (size_t)c->shape.c + (size_t)i) * 9 + (size_t)tap;
}

/* The pixel `tap` (3·ky + kx) away from `pixel`; SIZE_MAX outside the map. `sign` −1: the pixel it is a tap
 * of. */
static size_t neighbour(rb_shape s, size_t pixel, int tap, int sign) {
    int row = (int)(pixel / (size_t)s.w), y = row % s.h + sign * (tap / 3 - 1);
    int x = (int)(pixel % (size_t)s.w) + sign * (tap % 3 - 1);
    if (y < 0 || y >= s.h || x < 0 || x >= s.w) return SIZE_MAX;
    return ((size_t)(row / s.h) * (size_t)s.h + (size_t)y) * (size_t)s.w + (size_t)x;
}

static void forward_task(void *arg, int row, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_conv3x3 *c = j->c;
    size_t pixel = j->at ? (size_t)j->at[row] : j->first + (size_t)row, ic = (size_t)c->shape.c;
    for (int o = 0; o < c->oc; o++) {
        double sum = (double)c->bias[o];
        for (int tap = 0; tap < 9; tap++) {
            size_t from = neighbour(c->shape, pixel, tap, 1);
            for (int i = 0; from != SIZE_MAX && i < c->shape.c; i++)
                sum += (double)c->wgt[weight_at(c, o, i, tap)] * (double)c->src[from * ic + (size_t)i];
        }
        j->rows[(size_t)row * (size_t)c->oc + (size_t)o] = c->relu && sum < 0 ? 0 : (float)sum;
    }
}

static void forward(rb_exec *x, job *j, size_t count) {
    RB_RUN(x, RB_PROFILE_CONV3X3, 18.0 * (double)count * j->c->shape.c * j->c->oc, 0,
           rb_pool_run(x->pool, (int)count, forward_task, j));
}

/* A piece is a row of the map. */
void rb_conv3x3_forward_ref(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, size_t count,
                            const rb_conv3x3_result *r) {
    size_t mark = rb_arena_mark(&x->scratch), width = (size_t)c->shape.w;
    job j = {.c = c, .at = at, .rows = r->rows};
    if (r->use) j.rows = rb_arena_push(&x->scratch, width * (size_t)c->oc * sizeof *j.rows);
    for (; r->use && j.first < count; j.first += width) {
        forward(x, &j, width);
        r->use(r->arg, j.first, width, j.rows);
    }
    if (!r->use) forward(x, &j, count);
    rb_arena_release(&x->scratch, mark);
}

/* d_wgt[o,i,tap] += Σ_p d_dst[p,o]·src[p + tap, i], for one output channel */
static void weight_task(void *arg, int o, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_conv3x3 *c = j->c;
    for (int i = 0; i < c->shape.c; i++)
        for (int tap = 0; tap < 9; tap++) {
            double sum = 0;
            for (size_t r = 0; r < j->g->count; r++) {
                size_t from = neighbour(c->shape, j->g->at ? (size_t)j->g->at[r] : r, tap, 1);
                if (from == SIZE_MAX) continue;
                sum += (double)j->g->d_rows[r * (size_t)c->oc + (size_t)o] *
                       (double)c->src[from * (size_t)c->shape.c + (size_t)i];
            }
            j->g->d_wgt[weight_at(c, o, i, tap)] += (float)sum;
        }
}

/* Which row of the list is this pixel; SIZE_MAX: none. */
static size_t row_of(const rb_conv3x3_grads *g, size_t pixel) {
    if (!g->at || pixel == SIZE_MAX) return pixel;
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((size_t)g->at[middle] < pixel)
            low = middle + 1;
        else
            high = middle;
    }
    return low < g->count && (size_t)g->at[low] == pixel ? low : SIZE_MAX;
}

/* d_src[q,i] = Σ_{tap,o} wgt[o,i,tap]·d_dst[q − tap, o], for one pixel */
static void data_task(void *arg, int q, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_conv3x3 *c = j->c;
    for (int i = 0; i < c->shape.c; i++) {
        float *d = j->g->d_src + (size_t)q * (size_t)c->shape.c + (size_t)i;
        double sum = 0;
        for (int tap = 0; tap < 9; tap++) {
            size_t row = row_of(j->g, neighbour(c->shape, (size_t)q, tap, -1));
            for (int o = 0; row != SIZE_MAX && o < c->oc; o++)
                sum += (double)c->wgt[weight_at(c, o, i, tap)] *
                       (double)j->g->d_rows[row * (size_t)c->oc + (size_t)o];
        }
        *d = j->g->accumulate ? *d + (float)sum : (float)sum;
    }
}

void rb_conv3x3_backward_ref(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    job j = {.c = c, .g = g};
    double flops = 18.0 * (double)g->count * c->shape.c * c->oc;
    rb_conv3x3_mask(x, c, g);
    if (g->d_wgt) RB_RUN(x, RB_PROFILE_CONV3X3, flops, 0, rb_pool_run(x->pool, c->oc, weight_task, &j));
    if (g->d_src)
        RB_RUN(x, RB_PROFILE_CONV3X3, flops, 0,
               rb_pool_run(x->pool, (int)rb_pixels(c->shape), data_task, &j));
}
