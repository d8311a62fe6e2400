/* Depthwise convolution, the specification: dst[oy,ox,c] = Σ wgt[c,ky,kx]·src[oy·s + ky − pad, ox·s + kx −
 * pad, c], pad = (k − 1)/2, zero outside. Stride 1 to 8 and kernels 3 to 15 in the published networks. */
#include "ops/ops_ref.h"

typedef struct job {
    const rb_depthwise *p;
    float *dst;
    const rb_gradient *d_dst;
    float *d_wgt;
    const rb_sink *sink;
} job;

static double tap(const rb_depthwise *p, int c, int ky, int kx) {
    return (double)p->wgt[((size_t)c * (size_t)p->kernel + (size_t)ky) * (size_t)p->kernel + (size_t)kx];
}

static void forward_task(void *arg, int row, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_depthwise *p = j->p;
    rb_shape in = p->src.shape, out = rb_depthwise_shape(p);
    int n = row / out.h, oy = row % out.h, pad = (p->kernel - 1) / 2;
    for (int ox = 0; ox < out.w; ox++)
        for (int c = 0; c < out.c; c++) {
            double sum = 0;
            for (int ky = 0; ky < p->kernel; ky++)
                for (int kx = 0; kx < p->kernel; kx++) {
                    int y = oy * p->stride + ky - pad, x = ox * p->stride + kx - pad;
                    if (y < 0 || y >= in.h || x < 0 || x >= in.w) continue;
                    sum +=
                        tap(p, c, ky, kx) * rb_source_at(&p->src, n, (size_t)y * (size_t)in.w + (size_t)x, c);
                }
            j->dst[((size_t)row * (size_t)out.w + (size_t)ox) * (size_t)out.c + (size_t)c] = (float)sum;
        }
}

void rb_depthwise_forward_ref(const rb_depthwise *p, float *dst, rb_moments moments, void *scratch,
                              rb_pool *pool) {
    (void)scratch;
    job j = {.p = p, .dst = dst};
    rb_shape out = rb_depthwise_shape(p);
    rb_pool_run(pool, out.n * out.h, forward_task, &j);
    if (moments.mean) rb_moments_ref(out, dst, moments, pool);
}

/* d_src[y,x,c] = Σ wgt[c,ky,kx]·d_dst[(y + pad − ky)/s, (x + pad − kx)/s, c] where both divide */
static void data_task(void *arg, int row, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_depthwise *p = j->p;
    rb_shape in = p->src.shape, out = rb_depthwise_shape(p);
    int n = row / in.h, y = row % in.h, pad = (p->kernel - 1) / 2;
    for (int x = 0; x < in.w; x++)
        for (int c = 0; c < in.c; c++) {
            double sum = 0;
            for (int ky = 0; ky < p->kernel; ky++)
                for (int kx = 0; kx < p->kernel; kx++) {
                    int ty = y + pad - ky, tx = x + pad - kx;
                    if (ty < 0 || tx < 0 || ty % p->stride || tx % p->stride) continue;
                    if (ty / p->stride >= out.h || tx / p->stride >= out.w) continue;
                    size_t q = (size_t)(ty / p->stride) * (size_t)out.w + (size_t)(tx / p->stride);
                    sum += tap(p, c, ky, kx) * rb_gradient_z(j->d_dst, n, q, c);
                }
            float *d =
                j->sink->d + ((size_t)row * (size_t)in.w + (size_t)x) * (size_t)j->sink->ld + (size_t)c;
            *d = j->sink->accumulate ? *d + (float)sum : (float)sum;
        }
}

static void weight_task(void *arg, int c, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_depthwise *p = j->p;
    rb_shape in = p->src.shape, out = rb_depthwise_shape(p);
    int k = p->kernel, pad = (k - 1) / 2;
    for (int t = 0; t < k * k; t++) {
        double sum = 0;
        for (int n = 0; n < out.n; n++)
            for (int oy = 0; oy < out.h; oy++)
                for (int ox = 0; ox < out.w; ox++) {
                    int y = oy * p->stride + t / k - pad, x = ox * p->stride + t % k - pad;
                    if (y < 0 || y >= in.h || x < 0 || x >= in.w) continue;
                    sum += rb_gradient_z(j->d_dst, n, (size_t)oy * (size_t)out.w + (size_t)ox, c) *
                           rb_source_at(&p->src, n, (size_t)y * (size_t)in.w + (size_t)x, c);
                }
        j->d_wgt[c * k * k + t] += (float)sum;
    }
}

void rb_depthwise_backward_ref(const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                               const rb_sink *sink, void *scratch, rb_pool *pool) {
    (void)scratch;
    job j = {.p = p, .d_dst = d_dst, .d_wgt = d_wgt, .sink = sink};
    if (d_wgt) rb_pool_run(pool, p->src.shape.c, weight_task, &j);
    if (!sink->d) return;
    rb_pool_run(pool, p->src.shape.n * p->src.shape.h, data_task, &j);
    if (sink->act.sums) rb_act_sums_ref(p->src.shape, sink->d, sink->act, NULL, pool);
}
