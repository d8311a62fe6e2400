/* The optimizers with vectors: the reference's arithmetic in the same order, nothing fused, so the bits are
 * the same. */
#define RB_REAL float
#define RB_FORM(name) name##_float
#include "ops/optim/formula.h"

#include "ops/ops_simd.h"
#include "ops/optim/parts.h"
#include "ops/simd/tile.h"

typedef struct job {
    const rb_update *u;
    factors_float f;
} job;

RB_INLINE vf decayed(const rb_update *u, vf decay, vf p, size_t i, size_t n) {
    return vf_add(vf_load_n(u->g + i, n), vf_mul(decay, p));
}

RB_TARGET static void sgd_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_update *u = j->u;
    bool nesterov = u->rule == REVBIFPN_SGD;
    vf lr = vf_set1(j->f.lr), momentum = vf_set1(j->f.momentum), decay = vf_set1(j->f.decay);
    size_t last = rb_part_last(task, u->count);
    for (size_t i = rb_part_first(task); i < last; i += VL) {
        size_t n = last - i;
        vf p = vf_load_n(u->p + i, n), g = decayed(u, decay, p, i, n);
        vf b = vf_add(vf_mul(momentum, vf_load_n(u->slot[0] + i, n)), g);
        vf_store_n(u->slot[0] + i, b, n);
        vf step = nesterov ? vf_add(g, vf_mul(momentum, b)) : b;
        vf_store_n(u->p + i, vf_sub(p, vf_mul(lr, step)), n);
    }
}

RB_TARGET static void rmsprop_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_update *u = j->u;
    vf lr = vf_set1(j->f.lr), momentum = vf_set1(j->f.momentum), decay = vf_set1(j->f.decay);
    vf take = vf_set1(j->f.take2), epsilon = vf_set1(j->f.epsilon);
    size_t last = rb_part_last(task, u->count);
    for (size_t i = rb_part_first(task); i < last; i += VL) {
        size_t n = last - i;
        vf p = vf_load_n(u->p + i, n), g = decayed(u, decay, p, i, n), v = vf_load_n(u->slot[0] + i, n);
        v = vf_add(v, vf_mul(take, vf_sub(vf_mul(g, g), v)));
        vf step = vf_div(vf_mul(lr, g), vf_sqrt(vf_add(v, epsilon)));
        vf b = vf_add(vf_mul(momentum, vf_load_n(u->slot[1] + i, n)), step);
        vf_store_n(u->slot[0] + i, v, n);
        vf_store_n(u->slot[1] + i, b, n);
        vf_store_n(u->p + i, vf_sub(p, b), n);
    }
}

/* Both averages move; gives size·m/(√v·unbias2 + ε). */
RB_INLINE vf adam_direction(const rb_update *u, const factors_float *f, vf size, size_t i, size_t n) {
    vf g = vf_load_n(u->g + i, n);
    vf m = vf_add(vf_mul(vf_set1(f->keep1), vf_load_n(u->slot[0] + i, n)), vf_mul(vf_set1(f->take1), g));
    vf v = vf_add(vf_mul(vf_set1(f->keep2), vf_load_n(u->slot[1] + i, n)),
                  vf_mul(vf_set1(f->take2), vf_mul(g, g)));
    vf_store_n(u->slot[0] + i, m, n);
    vf_store_n(u->slot[1] + i, v, n);
    vf root = vf_add(vf_mul(vf_sqrt(v), vf_set1(f->unbias2)), vf_set1(f->epsilon));
    return vf_div(vf_mul(size, m), root);
}

RB_TARGET static void adamw_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_update *u = j->u;
    vf size = vf_set1(j->f.size), shrink = vf_set1(j->f.shrink);
    size_t last = rb_part_last(task, u->count);
    for (size_t i = rb_part_first(task); i < last; i += VL) {
        size_t n = last - i;
        vf step = adam_direction(u, &j->f, size, i, n);
        vf_store_n(u->p + i, vf_sub(vf_mul(shrink, vf_load_n(u->p + i, n)), step), n);
    }
}

RB_TARGET static void lamb_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_update *u = j->u;
    vf unbias = vf_set1(j->f.unbias1), decay = vf_set1(j->f.decay);
    size_t last = rb_part_last(task, u->count);
    for (size_t i = rb_part_first(task); i < last; i += VL) {
        size_t n = last - i;
        vf direction = adam_direction(u, &j->f, unbias, i, n);
        vf_store_n(u->g + i, vf_add(direction, vf_mul(decay, vf_load_n(u->p + i, n))), n);
    }
}

void RB_LEVEL(rb_update)(const rb_update *u, rb_pool *pool) {
    job j = {u, factors_of_float(u)};
    rb_task *task = u->rule == REVBIFPN_SGD || u->rule == REVBIFPN_MOMENTUM ? sgd_task
                    : u->rule == REVBIFPN_RMSPROPTF                         ? rmsprop_task
                    : u->rule == REVBIFPN_ADAMW                             ? adamw_task
                                                                            : lamb_task;
    rb_pool_run(pool, rb_parts(u->count), task, &j);
}

/* Squares are formed in double, where they are exact. */
RB_TARGET static void squares_task(void *arg, int task, int thread) {
    (void)thread;
    rb_squares *s = arg;
    double lane[RB_SQUARE_LANES] = {0};
    size_t first = rb_share_first(s->count, task), last = rb_share_first(s->count, task + 1), i = first;
    for (; i + RB_SQUARE_LANES <= last; i += RB_SQUARE_LANES)
        for (size_t k = 0; k < RB_SQUARE_LANES; k++)
            lane[k] += (double)s->data[i + k] * (double)s->data[i + k];
    for (size_t k = 0; i + k < last; k++) lane[k] += (double)s->data[i + k] * (double)s->data[i + k];
    s->sums[task] = rb_join_lanes(lane);
}

double RB_LEVEL(rb_sum_squares)(size_t count, const float *data, rb_pool *pool) {
    rb_squares s = {.data = data, .count = count};
    rb_pool_run(pool, rb_shares(count), squares_task, &s);
    return rb_join_shares(&s);
}
