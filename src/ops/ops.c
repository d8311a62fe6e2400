/* The tables, and the calls that give each kernel its scratch. In a dry run the scratch is counted and
 * nothing runs. */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

#include "ops/conv3x3/conv3x3.h"
#include "ops/ops_ref.h"
#include "ops/profile.h"
#include "ops/roi_align/roi_align.h"

static size_t no_scratch_pointwise(const rb_pointwise *p, int threads) { return (void)p, (void)threads, 0; }
static size_t no_scratch_depthwise(const rb_depthwise *p, int threads) { return (void)p, (void)threads, 0; }
static size_t no_scratch_roi_align(const rb_roi_align *r, int threads) { return (void)r, (void)threads, 0; }
static size_t no_scratch_shape(rb_shape shape, int threads) { return (void)shape, (void)threads, 0; }
static size_t no_scratch_upsample(rb_shape low, int f, int threads) {
    return (void)low, (void)f, (void)threads, 0;
}

void rb_ops_init_ref(rb_ops *ops) {
    *ops = (rb_ops){
        .level = RB_CPU_REF,
        .pointwise_forward_scratch = no_scratch_pointwise,
        .pointwise_forward = rb_pointwise_forward_ref,
        .pointwise_backward_scratch = rb_pointwise_backward_scratch_ref,
        .pointwise_backward = rb_pointwise_backward_ref,
        .pointwise_forward_scratch_bf16 = no_scratch_pointwise,
        .pointwise_forward_bf16 = rb_pointwise_forward_ref,
        .pointwise_backward_scratch_bf16 = rb_pointwise_backward_scratch_ref,
        .pointwise_backward_bf16 = rb_pointwise_backward_ref,
        .depthwise_forward_scratch = no_scratch_depthwise,
        .depthwise_forward = rb_depthwise_forward_ref,
        .depthwise_backward_scratch = no_scratch_depthwise,
        .depthwise_backward = rb_depthwise_backward_ref,
        .act_sums_scratch = no_scratch_shape,
        .act_sums = rb_act_sums_ref,
        .norm_sums_scratch = no_scratch_shape,
        .norm_sums = rb_norm_sums_ref,
        .norm_store = rb_norm_store_ref,
        .squeeze_pool_scratch = no_scratch_shape,
        .squeeze_pool = rb_squeeze_pool_ref,
        .state_add_scratch = rb_state_add_scratch_ref,
        .state_add = rb_state_add_ref,
        .upsample_backward_scratch = no_scratch_upsample,
        .upsample_backward = rb_upsample_backward_ref,
        .conv3x3_forward = rb_conv3x3_forward_ref,
        .conv3x3_backward = rb_conv3x3_backward_ref,
        .roi_align_scratch = no_scratch_roi_align,
        .roi_align_forward = rb_roi_align_forward_ref,
        .roi_align_backward = rb_roi_align_backward_ref,
        .update = rb_update_ref,
        .sum_squares = rb_sum_squares_ref,
    };
}

void rb_ops_fill(rb_ops *ops, rb_cpu_level level) {
    rb_ops_init_ref(ops);
#if defined(__x86_64__)
    if (level >= RB_CPU_AVX2) rb_ops_init_avx2(ops);
    if (level >= RB_CPU_AVX512) rb_ops_init_avx512(ops);
#else
    (void)level;
#endif
}

/* Bytes of a map of 4-byte elements. */
static double map_bytes(rb_shape shape) { return 4.0 * (double)rb_elements(shape); }

static double pointwise_flops(const rb_pointwise *p) {
    return 2.0 * (double)rb_elements(p->src.shape) * p->oc;
}
static double pointwise_out(const rb_pointwise *p) { return 4.0 * (double)rb_pixels(p->src.shape) * p->oc; }

static double depthwise_flops(const rb_depthwise *p) {
    return 2.0 * (double)rb_elements(rb_depthwise_shape(p)) * p->kernel * p->kernel;
}

/* Gradients of source and weights that are asked for, each as many operations as the forward pass. */
static int gradients_of(const float *d_wgt, const rb_sink *sink) {
    return (d_wgt != NULL) + (sink->d != NULL);
}

static void *push(rb_exec *x, size_t bytes) { return rb_arena_push(&x->scratch, bytes); }

rb_shape rb_depthwise_shape(const rb_depthwise *p) {
    rb_shape s = p->src.shape;
    s.h = (s.h + p->stride - 1) / p->stride;
    s.w = (s.w + p->stride - 1) / p->stride;
    return s;
}

void rb_pointwise_forward(rb_exec *x, const rb_pointwise *p, float *dst, rb_moments moments) {
    size_t mark = rb_arena_mark(&x->scratch);
    const rb_ops *ops = x->ops;
    int threads = rb_pool_threads(x->pool);
    void *scratch = push(x, p->bf16 ? ops->pointwise_forward_scratch_bf16(p, threads)
                                    : ops->pointwise_forward_scratch(p, threads));
    RB_RUN(
        x, RB_PROFILE_POINTWISE_FORWARD, pointwise_flops(p), map_bytes(p->src.shape) + pointwise_out(p),
        (p->bf16 ? ops->pointwise_forward_bf16 : ops->pointwise_forward)(p, dst, moments, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_pointwise_backward(rb_exec *x, const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                           const rb_sink *sink) {
    size_t mark = rb_arena_mark(&x->scratch);
    const rb_ops *ops = x->ops;
    int threads = rb_pool_threads(x->pool);
    void *scratch = push(x, p->bf16 ? ops->pointwise_backward_scratch_bf16(p, threads)
                                    : ops->pointwise_backward_scratch(p, threads));
    RB_RUN(x, RB_PROFILE_POINTWISE_BACKWARD, gradients_of(d_wgt, sink) * pointwise_flops(p),
           2 * map_bytes(p->src.shape) + 2 * pointwise_out(p),
           (p->bf16 ? ops->pointwise_backward_bf16 : ops->pointwise_backward)(p, d_dst, d_wgt, sink, scratch,
                                                                              x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_depthwise_forward(rb_exec *x, const rb_depthwise *p, float *dst, rb_moments moments) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->depthwise_forward_scratch(p, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_DEPTHWISE_FORWARD, depthwise_flops(p),
           map_bytes(p->src.shape) + map_bytes(rb_depthwise_shape(p)),
           x->ops->depthwise_forward(p, dst, moments, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_depthwise_backward(rb_exec *x, const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                           const rb_sink *sink) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->depthwise_backward_scratch(p, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_DEPTHWISE_BACKWARD, gradients_of(d_wgt, sink) * depthwise_flops(p),
           2 * map_bytes(p->src.shape) + 2 * map_bytes(rb_depthwise_shape(p)),
           x->ops->depthwise_backward(p, d_dst, d_wgt, sink, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_act_sums_pass(rb_exec *x, rb_shape shape, const float *d, rb_act_sums act) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->act_sums_scratch(shape, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_ACT_SUMS, 0, (d ? 2 : 1) * map_bytes(shape),
           x->ops->act_sums(shape, d, act, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_norm_sums(rb_exec *x, const rb_gradient *g, double *sums) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->norm_sums_scratch(g->shape, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_NORM_SUMS, 0, 2 * map_bytes(g->shape), x->ops->norm_sums(g, sums, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_norm_store(rb_exec *x, rb_shape shape, const float *z, rb_affine affine, bool accumulate,
                   float *dst) {
    RB_RUN(x, RB_PROFILE_NORM_STORE, 0, (accumulate ? 3 : 2) * map_bytes(shape),
           x->ops->norm_store(shape, z, affine, accumulate, dst, x->pool));
}

void rb_squeeze_pool(rb_exec *x, rb_shape shape, const float *z, rb_affine affine, float *pooled) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->squeeze_pool_scratch(shape, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_SQUEEZE_POOL, 0, map_bytes(shape),
           x->ops->squeeze_pool(shape, z, affine, pooled, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_state_add_run(rb_exec *x, const rb_state_add *a, rb_watch *watch) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->state_add_scratch(a, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_STATE_ADD, 0, (1 + 2.0 * a->factor * a->factor) * map_bytes(a->shape),
           x->ops->state_add(a, watch, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

void rb_upsample_backward(rb_exec *x, rb_shape low, int factor, const float *d, int ld, float *d_low) {
    size_t mark = rb_arena_mark(&x->scratch);
    void *scratch = push(x, x->ops->upsample_backward_scratch(low, factor, rb_pool_threads(x->pool)));
    RB_RUN(x, RB_PROFILE_UPSAMPLE_BACKWARD, 0, (1 + 1.0 * factor * factor) * map_bytes(low),
           x->ops->upsample_backward(low, factor, d, ld, d_low, scratch, x->pool));
    rb_arena_release(&x->scratch, mark);
}

enum { FINITE_BLOCKS = 64 };
typedef struct finite_job {
    const float *data;
    size_t count, found[FINITE_BLOCKS]; /* count: none in that block */
} finite_job;

/* Counts what has all exponent bits set, without a branch, and only then looks where. */
static void finite_task(void *arg, int block, int thread) {
    (void)thread;
    finite_job *j = arg;
    size_t first = j->count * (size_t)block / FINITE_BLOCKS;
    size_t last = j->count * ((size_t)block + 1) / FINITE_BLOCKS, bad = 0;
    for (size_t i = first, end = first; i < last; i = end) {
        int32_t here = 0;
        for (end = i + 4096 < last ? i + 4096 : last; i < end; i++) {
            int32_t bits;
            memcpy(&bits, j->data + i, sizeof bits);
            here += (bits & 0x7fffffff) >= 0x7f800000;
        }
        bad += (size_t)here;
    }
    j->found[block] = bad ? first : j->count;
    while (bad && isfinite(j->data[j->found[block]])) j->found[block]++;
}

static size_t first_not_finite(const float *data, size_t count, rb_pool *pool) {
    finite_job j = {.data = data, .count = count};
    rb_pool_run(pool, FINITE_BLOCKS, finite_task, &j);
    for (int i = 0; i < FINITE_BLOCKS; i++)
        if (j.found[i] < count) return j.found[i];
    return count;
}

size_t rb_first_not_finite(rb_exec *x, const float *data, size_t count) {
    size_t found = count;
    RB_RUN(x, RB_PROFILE_FINITE, 0, 4.0 * (double)count, found = first_not_finite(data, count, x->pool));
    return found;
}
