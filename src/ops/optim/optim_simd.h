/* SGD with Nesterov momentum: the reference's arithmetic, nothing fused, so the bits are the same. */
#include "ops/ops_simd.h"
#include "ops/simd/tile.h"

enum { PART = 1 << 14 };

RB_TARGET static void sgd_task(void *arg, int task, int thread) {
    (void)thread;
    const rb_sgd *s = arg;
    size_t first = (size_t)task * PART, last = size_min(first + PART, s->count);
    vf lr = vf_set1(s->lr), momentum = vf_set1(s->momentum), decay = vf_set1(s->decay);
    for (size_t i = first; i < last; i += VL) {
        size_t n = last - i;
        vf p = vf_load_n(s->p + i, n), g = vf_add(vf_load_n(s->g + i, n), vf_mul(decay, p));
        vf b = vf_add(vf_mul(momentum, vf_load_n(s->b + i, n)), g);
        vf_store_n(s->b + i, b, n);
        vf_store_n(s->p + i, vf_sub(p, vf_mul(lr, vf_add(g, vf_mul(momentum, b)))), n);
    }
}

void RB_LEVEL(rb_sgd)(const rb_sgd *s, rb_pool *pool) {
    rb_pool_run(pool, (int)ceil_div(s->count, PART), sgd_task, (void *)s);
}
