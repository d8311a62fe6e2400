/* Squeeze: the mean over the pixels of the activated map, the specification. */
#include "ops/ops_ref.h"

typedef struct job {
    rb_shape shape;
    const float *z;
    rb_affine affine;
    float *pooled;
} job;

static void pool_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    int n = task / j->shape.c, c = task % j->shape.c;
    size_t pixels = (size_t)j->shape.h * (size_t)j->shape.w, step = (size_t)j->shape.c;
    const float *z = j->z + (size_t)n * pixels * step + (size_t)c;
    double sum = 0;
    for (size_t p = 0; p < pixels; p++) sum += rb_hswish(rb_affine_at(j->affine, (double)z[p * step], c));
    j->pooled[task] = (float)(sum / (double)pixels);
}

void rb_squeeze_pool_ref(rb_shape shape, const float *z, rb_affine affine, float *pooled, void *scratch,
                         rb_pool *pool) {
    (void)scratch;
    job j = {shape, z, affine, pooled};
    rb_pool_run(pool, shape.n * shape.c, pool_task, &j);
}
