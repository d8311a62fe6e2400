/* 1×1 convolution, the specification: dst = wgt·src per pixel (Chiley et al. 2022, MBConv expand and
 * project). */
#include <string.h>

#include "ops/ops_ref.h"

/* A factor of a product. */
static double factor(const rb_pointwise *p, double value) { return p->bf16 ? rb_bf16(value) : value; }
static double weight(const rb_pointwise *p, int o, int i) {
    return factor(p, (double)p->wgt[(size_t)o * (size_t)p->src.shape.c + (size_t)i]);
}

typedef struct forward_job {
    const rb_pointwise *p;
    float *dst;
} forward_job;

static void forward_task(void *arg, int row, int thread) {
    (void)thread;
    const forward_job *job = arg;
    const rb_source *src = &job->p->src;
    int n = row / src->shape.h, w = src->shape.w;
    for (int x = 0; x < w; x++) {
        size_t p = (size_t)(row % src->shape.h) * (size_t)w + (size_t)x;
        float *dst = job->dst + ((size_t)row * (size_t)w + (size_t)x) * (size_t)job->p->oc;
        for (int o = 0; o < job->p->oc; o++) {
            double sum = 0;
            for (int i = 0; i < src->shape.c; i++)
                sum += weight(job->p, o, i) * factor(job->p, rb_source_at(src, n, p, i));
            dst[o] = (float)sum;
        }
    }
}

void rb_pointwise_forward_ref(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                              rb_pool *pool) {
    (void)scratch;
    forward_job job = {p, dst};
    rb_shape out = p->src.shape;
    out.c = p->oc;
    rb_pool_run(pool, out.n * out.h, forward_task, &job);
    if (moments.mean) rb_moments_ref(out, dst, moments, pool);
}

typedef struct backward_job {
    const rb_pointwise *p;
    const rb_gradient *d_dst;
    float *d_wgt;
    const rb_sink *sink;
    float *pixels; /* per thread: one pixel's result, since it may be written over z */
} backward_job;

/* d_src[p,ic] = Σ_oc wgt[oc,ic]·d_dst[p,oc] for one row of pixels */
static void data_task(void *arg, int row, int thread) {
    const backward_job *job = arg;
    float *result = job->pixels + (size_t)thread * (size_t)job->p->src.shape.c;
    rb_shape s = job->p->src.shape;
    int n = row / s.h;
    for (int x = 0; x < s.w; x++) {
        size_t p = (size_t)(row % s.h) * (size_t)s.w + (size_t)x;
        float *d = job->sink->d + ((size_t)row * (size_t)s.w + (size_t)x) * (size_t)job->sink->ld;
        for (int i = 0; i < s.c; i++) {
            double sum = 0;
            for (int o = 0; o < job->p->oc; o++)
                sum += weight(job->p, o, i) * factor(job->p, rb_gradient_z(job->d_dst, n, p, o));
            result[i] = job->sink->accumulate ? d[i] + (float)sum : (float)sum;
        }
        memcpy(d, result, (size_t)s.c * sizeof *d);
    }
}

/* d_wgt[oc,ic] += Σ_p d_dst[p,oc]·src[p,ic] for one output channel */
static void weight_task(void *arg, int o, int thread) {
    (void)thread;
    const backward_job *job = arg;
    rb_shape s = job->p->src.shape;
    for (int i = 0; i < s.c; i++) {
        double sum = 0;
        for (int n = 0; n < s.n; n++)
            for (size_t p = 0; p < (size_t)s.h * (size_t)s.w; p++)
                sum += factor(job->p, rb_gradient_z(job->d_dst, n, p, o)) *
                       factor(job->p, rb_source_at(&job->p->src, n, p, i));
        job->d_wgt[(size_t)o * (size_t)s.c + (size_t)i] += (float)sum;
    }
}

size_t rb_pointwise_backward_scratch_ref(const rb_pointwise *p, int threads) {
    return (size_t)threads * (size_t)p->src.shape.c * sizeof(float);
}

void rb_pointwise_backward_ref(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                               const rb_sink *sink, void *scratch, rb_pool *pool) {
    backward_job job = {p, d_dst, d_wgt, sink, scratch};
    if (d_wgt) rb_pool_run(pool, p->oc, weight_task, &job);
    if (!sink->d) return;
    rb_pool_run(pool, p->src.shape.n * p->src.shape.h, data_task, &job);
    if (sink->act.sums) rb_act_sums_ref(p->src.shape, sink->d, sink->act, NULL, pool);
}
