/* The optimizers, the specification: formula.h for each element, in float. */
#define RB_REAL float
#define RB_FORM(name) name##_float
#include "ops/optim/formula.h"

#include "ops/ops_ref.h"
#include "ops/optim/parts.h"

typedef struct job {
    const rb_update *u;
    factors_float f;
} job;

static void update_task(void *arg, int task, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_update *u = j->u;
    const factors_float *f = &j->f;
    size_t first = rb_part_first(task), last = rb_part_last(task, u->count);
    for (size_t i = first; i < last; i++) {
        float *p = u->p + i, *a = u->slot[0] + i, *b = u->slot[1] + i, g = u->g[i];
        switch (u->rule) {
        case REVBIFPN_SGD: nesterov_float(f, p, g, a); break;
        case REVBIFPN_MOMENTUM: momentum_float(f, p, g, a); break;
        case REVBIFPN_RMSPROPTF: rmsprop_float(f, p, g, a, b); break;
        case REVBIFPN_ADAMW: adamw_float(f, p, g, a, b); break;
        case REVBIFPN_LAMB:
        case REVBIFPN_LAMBC: u->g[i] = lamb_float(f, *p, g, a, b); break;
        }
    }
}

void rb_update_ref(const rb_update *u, rb_pool *pool) {
    job j = {u, factors_of_float(u)};
    rb_pool_run(pool, rb_parts(u->count), update_task, &j);
}

static void squares_task(void *arg, int task, int thread) {
    (void)thread;
    rb_squares *s = arg;
    double lane[RB_SQUARE_LANES] = {0};
    size_t first = rb_share_first(s->count, task), last = rb_share_first(s->count, task + 1);
    for (size_t i = first; i < last; i++)
        lane[(i - first) % RB_SQUARE_LANES] += (double)s->data[i] * (double)s->data[i];
    s->sums[task] = rb_join_lanes(lane);
}

double rb_sum_squares_ref(size_t count, const float *data, rb_pool *pool) {
    rb_squares s = {.data = data, .count = count};
    rb_pool_run(pool, rb_shares(count), squares_task, &s);
    return rb_join_shares(&s);
}
