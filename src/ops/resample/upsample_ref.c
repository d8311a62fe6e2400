/* Adjoint of bilinear upsampling in gather form: each low-resolution gradient collects the targets that read
 * it. */
#include "ops/ops_ref.h"
#include "ops/resample/bilinear.h"

typedef struct job {
    rb_shape low;
    int factor, ld;
    const float *d;
    float *d_low;
} job;

static void row_task(void *arg, int row, int thread) {
    (void)thread;
    const job *j = arg;
    rb_shape s = j->low;
    int n = row / s.h, y = row % s.h, f = j->factor;
    for (int x = 0; x < s.w; x++)
        for (int c = 0; c < s.c; c++) {
            double sum = 0;
            for (int ty = rb_bilinear_first(y, f); ty <= rb_bilinear_last(y, f, s.h); ty++)
                for (int tx = rb_bilinear_first(x, f); tx <= rb_bilinear_last(x, f, s.w); tx++) {
                    double weight =
                        (double)rb_bilinear_weight(ty, y, f, s.h) * (double)rb_bilinear_weight(tx, x, f, s.w);
                    size_t at = ((size_t)n * (size_t)(s.h * f) + (size_t)ty) * (size_t)(s.w * f) + (size_t)tx;
                    sum += weight * (double)j->d[at * (size_t)j->ld + (size_t)c];
                }
            j->d_low[((size_t)row * (size_t)s.w + (size_t)x) * (size_t)s.c + (size_t)c] = (float)sum;
        }
}

void rb_upsample_backward_ref(rb_shape low, int factor, const float *d, int ld, float *d_low, void *scratch,
                              rb_pool *pool) {
    (void)scratch;
    job j = {low, factor, ld, d, d_low};
    rb_pool_run(pool, low.n * low.h, row_task, &j);
}
