/* SGD with Nesterov momentum (Sutskever et al. 2013, in PyTorch's form), the specification. */
#include "ops/ops_ref.h"

enum { BLOCK = 1 << 16 };

static void sgd_task(void *arg, int task, int thread) {
    (void)thread;
    const rb_sgd *s = arg;
    size_t first = (size_t)task * BLOCK, last = first + BLOCK < s->count ? first + BLOCK : s->count;
    for (size_t i = first; i < last; i++) {
        float g = s->g[i] + s->decay * s->p[i];
        s->b[i] = s->momentum * s->b[i] + g;
        s->p[i] -= s->lr * (g + s->momentum * s->b[i]);
    }
}

void rb_sgd_ref(const rb_sgd *s, rb_pool *pool) {
    rb_pool_run(pool, (int)((s->count + BLOCK - 1) / BLOCK), sgd_task, (void *)(uintptr_t)s);
}
