/* The calls, and what both ways share: ReLU's mask and the gradient of the bias. */
#include "ops/conv3x3/conv3x3.h"

#include <string.h>

#include "ops/profile.h"

void rb_conv3x3_forward(rb_exec *x, const rb_conv3x3 *c, float *dst) {
    x->ops->conv3x3_forward(x, c, NULL, rb_pixels(c->shape), dst);
}

void rb_conv3x3_forward_at(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, int count, float *rows) {
    if (count > 0) x->ops->conv3x3_forward(x, c, at, (size_t)count, rows);
}

void rb_conv3x3_backward(rb_exec *x, const rb_conv3x3 *c, const float *dst, float *d_dst, float *d_wgt,
                         float *d_bias, float *d_src, bool accumulate) {
    rb_conv3x3_grads g = {.count = rb_pixels(c->shape),
                          .rows = dst,
                          .d_rows = d_dst,
                          .d_wgt = d_wgt,
                          .d_bias = d_bias,
                          .d_src = d_src,
                          .accumulate = accumulate};
    x->ops->conv3x3_backward(x, c, &g);
}

void rb_conv3x3_backward_at(rb_exec *x, const rb_conv3x3 *c, const int32_t *at, int count, const float *rows,
                            float *d_rows, float *d_wgt, float *d_bias, float *d_src) {
    rb_conv3x3_grads g = {.at = at,
                          .count = (size_t)count,
                          .rows = rows,
                          .d_rows = d_rows,
                          .d_wgt = d_wgt,
                          .d_bias = d_bias,
                          .d_src = d_src,
                          .accumulate = true};
    if (count > 0) x->ops->conv3x3_backward(x, c, &g);
}

enum { MASK_BLOCKS = 64 };
typedef struct mask_job {
    const rb_conv3x3 *c;
    const rb_conv3x3_grads *g;
    size_t blocks;
    double *sums; /* blocks,oc; NULL: not asked */
} mask_job;

static void mask_task(void *arg, int block, int thread) {
    (void)thread;
    const mask_job *j = arg;
    const rb_conv3x3_grads *g = j->g;
    size_t oc = (size_t)j->c->oc, first = g->count * (size_t)block / j->blocks;
    size_t last = g->count * ((size_t)block + 1) / j->blocks;
    double *sums = j->sums ? j->sums + (size_t)block * oc : NULL;
    if (sums) memset(sums, 0, oc * sizeof *sums);
    for (size_t r = first; r < last; r++) {
        float *d = g->d_rows + r * oc;
        if (j->c->relu)
            for (size_t o = 0; o < oc; o++) d[o] = g->rows[r * oc + o] == 0 ? 0 : d[o];
        if (sums)
            for (size_t o = 0; o < oc; o++) sums[o] += (double)d[o];
    }
}

static void mask(const mask_job *j, rb_pool *pool) {
    mask_job job = *j;
    size_t oc = (size_t)j->c->oc;
    rb_pool_run(pool, (int)j->blocks, mask_task, &job);
    for (size_t o = 0; j->sums && o < oc; o++) {
        double sum = 0;
        for (size_t b = 0; b < j->blocks; b++) sum += j->sums[b * oc + o];
        j->g->d_bias[o] += (float)sum;
    }
}

void rb_conv3x3_mask(rb_exec *x, const rb_conv3x3 *c, const rb_conv3x3_grads *g) {
    size_t mark = rb_arena_mark(&x->scratch);
    mask_job j = {c, g, g->count < MASK_BLOCKS ? g->count : MASK_BLOCKS, NULL};
    if (g->d_wgt) j.sums = rb_arena_push(&x->scratch, j.blocks * (size_t)c->oc * sizeof *j.sums);
    if (g->d_wgt || c->relu)
        RB_RUN(x, RB_PROFILE_CONV3X3, 0, 8.0 * (double)g->count * c->oc, mask(&j, x->pool));
    rb_arena_release(&x->scratch, mark);
}
