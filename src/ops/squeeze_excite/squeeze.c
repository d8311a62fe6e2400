/* Squeeze-excite: the two tiny products, the same on every level.
 *   v1 = w1·pooled + b1, e = h(v1), v2 = w2·e + b2, gate = hardsigmoid(v2)
 * Nothing but `pooled` is kept: v1, v2 are formed again for the backward pass. */
#include <string.h>

#include "ops/operand.h"
#include "ops/profile.h"

/* out[i] = Σ_j w[i,j]·in[j] + b[i], in CHAINS sums side by side: one alone would wait for itself. */
static void product(int rows, int columns, const float *w, const double *in, const float *b, double *out) {
    enum { CHAINS = 8 };
    for (int i = 0; i < rows; i++, w += columns) {
        double sum[CHAINS] = {(double)b[i]};
        int j = 0;
        for (; j + CHAINS <= columns; j += CHAINS)
            for (int k = 0; k < CHAINS; k++) sum[k] += (double)w[j + k] * in[j + k];
        for (; j < columns; j++) sum[0] += (double)w[j] * in[j];
        out[i] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
}

/* pooled (c) → v1 (r), e (r), v2 (c), all in double */
static void excite(const rb_squeeze *s, const float *pooled, double *in, double *v1, double *e, double *v2) {
    for (int i = 0; i < s->c; i++) in[i] = (double)pooled[i];
    product(s->r, s->c, s->w1, in, s->b1, v1);
    for (int i = 0; i < s->r; i++) e[i] = rb_hswish(v1[i]);
    product(s->c, s->r, s->w2, e, s->b2, v2);
}

typedef struct job {
    const rb_squeeze *s;
    const float *pooled;
    float *gate;
    size_t pixels;
    const double *act_sums;
    double *d_v2, *d_v1, *e; /* n,c  n,r  n,r */
    float *pool;
    float *d_w1, *d_w2;
    double *rows; /* per thread: 3c + 2r */
} job;

static double *rows_of(const job *j, int thread) {
    return j->rows + (size_t)thread * (3 * (size_t)j->s->c + 2 * (size_t)j->s->r);
}

static void gate_task(void *arg, int n, int thread) {
    const job *j = arg;
    size_t c = (size_t)j->s->c, r = (size_t)j->s->r;
    double *in = rows_of(j, thread), *v2 = in + c, *v1 = in + 2 * c, *e = v1 + r;
    excite(j->s, j->pooled + (size_t)n * c, in, v1, e, v2);
    for (size_t i = 0; i < c; i++) j->gate[(size_t)n * c + i] = (float)rb_hsigmoid(v2[i]);
}

/* Of one of the two products, all samples. */
static double product_flops(const rb_squeeze *s) { return 2.0 * s->n * s->c * s->r; }

static double *push_rows(rb_exec *x, const rb_squeeze *s) {
    size_t row = 3 * (size_t)s->c + 2 * (size_t)s->r;
    return rb_arena_push(&x->scratch, (size_t)rb_pool_threads(x->pool) * row * sizeof(double));
}

void rb_squeeze_gate(rb_exec *x, const rb_squeeze *s, const float *pooled, float *gate) {
    size_t mark = rb_arena_mark(&x->scratch);
    job j = {.s = s, .pooled = pooled, .gate = gate, .rows = push_rows(x, s)};
    RB_RUN(x, RB_PROFILE_SQUEEZE_GATE, 2 * product_flops(s), 8.0 * s->c * (s->n + s->r),
           rb_pool_run(x->pool, s->n, gate_task, &j));
    rb_arena_release(&x->scratch, mark);
}

/* One sample: d_gate → d_v2 → d_v1 → d_pooled */
static void backward_task(void *arg, int n, int thread) {
    const job *j = arg;
    const rb_squeeze *s = j->s;
    size_t c = (size_t)s->c, r = (size_t)s->r, at = (size_t)n;
    double *in = rows_of(j, thread), *v2 = in + c, *d_pooled = in + 2 * c, *v1 = in + 3 * c;
    double *e = j->e + at * r, *d_v1 = j->d_v1 + at * r, *d_v2 = j->d_v2 + at * c;
    excite(s, j->pooled + at * c, in, v1, e, v2);
    memset(d_pooled, 0, c * sizeof *d_pooled);
    memset(d_v1, 0, r * sizeof *d_v1);
    for (size_t i = 0; i < c; i++) {
        d_v2[i] = j->act_sums[at * RB_ACT_SUMS * c + i] * rb_hsigmoid_slope(v2[i]);
        for (size_t k = 0; k < r; k++) d_v1[k] += (double)s->w2[i * r + k] * d_v2[i];
    }
    for (size_t k = 0; k < r; k++) {
        d_v1[k] *= rb_hswish_slope(v1[k]);
        for (size_t i = 0; i < c; i++) d_pooled[i] += (double)s->w1[k * c + i] * d_v1[k];
    }
    for (size_t i = 0; i < c; i++) j->pool[at * c + i] = (float)(d_pooled[i] / (double)j->pixels);
}

/* to[i] += Σ_n a[n,·]·rows[n,i], summed over the samples in order; a advances by `apart` a sample. */
static void add_outer_row(const double *a, size_t apart, size_t samples, size_t count, double *sum, float *to,
                          const float *singles, const double *doubles) {
    memset(sum, 0, count * sizeof *sum);
    for (size_t n = 0; n < samples; n++, a += apart) {
        for (size_t i = 0; singles && i < count; i++) sum[i] += *a * (double)singles[n * count + i];
        for (size_t i = 0; doubles && i < count; i++) sum[i] += *a * doubles[n * count + i];
    }
    for (size_t i = 0; i < count; i++) to[i] += (float)sum[i];
}

/* The weights' gradients, a row a task: d_w1[k,·] = Σ d_v1[n,k]·pooled[n,·], then d_w2[i,·] = Σ
 * d_v2[n,i]·e[n,·]. */
static void weights_task(void *arg, int task, int thread) {
    const job *j = arg;
    size_t c = (size_t)j->s->c, r = (size_t)j->s->r, samples = (size_t)j->s->n, row = (size_t)task;
    double *sum = rows_of(j, thread);
    if (row < r)
        add_outer_row(j->d_v1 + row, r, samples, c, sum, j->d_w1 + row * c, j->pooled, NULL);
    else
        add_outer_row(j->d_v2 + row - r, c, samples, r, sum, j->d_w2 + (row - r) * r, NULL, j->e);
}

static void add_bias_gradients(const job *j, float *d_b1, float *d_b2) {
    size_t c = (size_t)j->s->c, r = (size_t)j->s->r, samples = (size_t)j->s->n;
    for (size_t n = 0; n < samples; n++) {
        for (size_t k = 0; k < r; k++) d_b1[k] += (float)j->d_v1[n * r + k];
        for (size_t i = 0; i < c; i++) d_b2[i] += (float)j->d_v2[n * c + i];
    }
}

/* All samples, then all parameters. */
static void backward(job *j, float *d_b1, float *d_b2, rb_pool *pool) {
    rb_pool_run(pool, j->s->n, backward_task, j);
    rb_pool_run(pool, j->s->r + j->s->c, weights_task, j);
    add_bias_gradients(j, d_b1, d_b2);
}

void rb_squeeze_backward(rb_exec *x, const rb_squeeze *s, size_t pixels, const float *pooled,
                         const double *act_sums, float *pool, float *d_w1, float *d_b1, float *d_w2,
                         float *d_b2) {
    size_t mark = rb_arena_mark(&x->scratch), samples = (size_t)s->n;
    job j = {.s = s, .pooled = pooled, .pixels = pixels, .act_sums = act_sums, .pool = pool};
    j.d_w1 = d_w1, j.d_w2 = d_w2;
    j.d_v2 = rb_arena_push(&x->scratch, samples * (size_t)s->c * sizeof(double));
    j.d_v1 = rb_arena_push(&x->scratch, samples * (size_t)s->r * sizeof(double));
    j.e = rb_arena_push(&x->scratch, samples * (size_t)s->r * sizeof(double));
    j.rows = push_rows(x, s);
    RB_RUN(x, RB_PROFILE_SQUEEZE_BACKWARD, 6 * product_flops(s), 16.0 * s->c * (s->n + s->r),
           backward(&j, d_b1, d_b2, x->pool));
    rb_arena_release(&x->scratch, mark);
}
