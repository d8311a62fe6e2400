/* The calls of the optimizer, and the passes that are the same loop at every level: memory bounds them. */
#include <math.h>

#include "ops/optim/parts.h"
#include "ops/profile.h"

int rb_update_slots(revbifpn_optimizer rule) {
    return rule == REVBIFPN_SGD || rule == REVBIFPN_MOMENTUM ? 1 : 2;
}

void rb_update_run(rb_exec *x, const rb_update *u) {
    double moved = 3 + 2 * rb_update_slots(u->rule); /* p and slots read and written, g read */
    RB_RUN(x, RB_PROFILE_UPDATE, 0, 4.0 * moved * (double)u->count, x->ops->update(u, x->pool));
}

double rb_sum_squares(rb_exec *x, size_t count, const float *data) {
    double sum = 0;
    RB_RUN(x, RB_PROFILE_CLIP, 0, 4.0 * (double)count, sum = x->ops->sum_squares(count, data, x->pool));
    return sum;
}

typedef struct pass {
    size_t count;
    float factor;
    const float *src;
    float *dst;
} pass;

static void scale_task(void *arg, int task, int thread) {
    (void)thread;
    const pass *p = arg;
    for (size_t i = rb_part_first(task), last = rb_part_last(task, p->count); i < last; i++)
        p->dst[i] *= p->factor;
}

static void clamp_task(void *arg, int task, int thread) {
    (void)thread;
    const pass *p = arg;
    float high = p->factor, low = -high;
    for (size_t i = rb_part_first(task), last = rb_part_last(task, p->count); i < last; i++) {
        float value = p->dst[i] < low ? low : p->dst[i];
        p->dst[i] = value > high ? high : value;
    }
}

static void add_task(void *arg, int task, int thread) {
    (void)thread;
    const pass *p = arg;
    for (size_t i = rb_part_first(task), last = rb_part_last(task, p->count); i < last; i++)
        p->dst[i] += p->factor * p->src[i];
}

typedef struct averaging {
    size_t count;
    float keep, take;
    const float *src;
    float *dst;
} averaging;

static void average_task(void *arg, int task, int thread) {
    (void)thread;
    const averaging *a = arg;
    for (size_t i = rb_part_first(task), last = rb_part_last(task, a->count); i < last; i++)
        a->dst[i] = a->keep * a->dst[i] + a->take * a->src[i];
}

static void run(rb_exec *x, rb_profile_op op, double moved, rb_task *task, pass p) {
    RB_RUN(x, op, 0, 4.0 * moved * (double)p.count, rb_pool_run(x->pool, rb_parts(p.count), task, &p));
}

void rb_scale(rb_exec *x, size_t count, double factor, float *data) {
    run(x, RB_PROFILE_CLIP, 2, scale_task, (pass){.count = count, .factor = (float)factor, .dst = data});
}

void rb_clamp(rb_exec *x, size_t count, double limit, float *data) {
    run(x, RB_PROFILE_CLIP, 2, clamp_task, (pass){.count = count, .factor = (float)limit, .dst = data});
}

void rb_add_scaled(rb_exec *x, size_t count, double factor, const float *src, float *dst) {
    run(x, RB_PROFILE_UPDATE, 3, add_task, (pass){count, (float)factor, src, dst});
}

void rb_average(rb_exec *x, size_t count, double decay, const float *src, float *dst) {
    averaging a = {count, (float)decay, (float)(1 - decay), src, dst};
    RB_RUN(x, RB_PROFILE_UPDATE, 0, 12.0 * (double)count,
           rb_pool_run(x->pool, rb_parts(count), average_task, &a));
}

/* ---- adaptive clipping: a task is a run of whole units */

typedef struct units {
    size_t count, length, per_task;
    double limit;
    const float *p;
    float *g;
} units;

static double norm_of(const float *data, size_t count) {
    double lane[RB_SQUARE_LANES] = {0};
    for (size_t i = 0; i < count; i++) lane[i % RB_SQUARE_LANES] += (double)data[i] * (double)data[i];
    return sqrt(rb_join_lanes(lane));
}

static void units_task(void *arg, int task, int thread) {
    (void)thread;
    const units *u = arg;
    size_t last = ((size_t)task + 1) * u->per_task;
    for (size_t i = (size_t)task * u->per_task; i < last && i < u->count; i++) {
        float *g = u->g + i * u->length;
        double most = u->limit * fmax(norm_of(u->p + i * u->length, u->length), RB_AGC_LEAST_WEIGHT);
        double norm = norm_of(g, u->length);
        if (norm < most) continue;
        float factor = (float)(most / fmax(norm, RB_AGC_LEAST_GRADIENT));
        for (size_t k = 0; k < u->length; k++) g[k] *= factor;
    }
}

void rb_clip_units(rb_exec *x, size_t count, size_t length, double limit, const float *p, float *g) {
    units u = {count, length, length < RB_PART ? RB_PART / length : 1, limit, p, g};
    RB_RUN(x, RB_PROFILE_CLIP, 0, 12.0 * (double)(count * length),
           rb_pool_run(x->pool, (int)((count + u.per_task - 1) / u.per_task), units_task, &u));
}
