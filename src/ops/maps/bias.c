/* Bias and ReLU, and their gradients. */
#include <string.h>

#include "ops/maps/maps.h"
#include "ops/profile.h"

enum { BLOCKS = 64 }; /* of rows: tasks */

typedef struct job {
    size_t rows, c, blocks;
    const float *bias, *from;
    bool relu;
    float *data;
    double *sums; /* blocks,c */
} job;

static job job_of(size_t rows, size_t c) {
    return (job){.rows = rows, .c = c, .blocks = rows < BLOCKS ? rows : BLOCKS};
}
static size_t first_row(const job *j, int block) { return j->rows * (size_t)block / j->blocks; }

static void finish_row(const job *j, float *restrict row) {
    if (j->bias)
        for (size_t i = 0; i < j->c; i++) row[i] += j->bias[i];
    if (j->relu)
        for (size_t i = 0; i < j->c; i++) row[i] = row[i] < 0 ? 0 : row[i];
}

static void finish_task(void *arg, int block, int thread) {
    (void)thread;
    const job *j = arg;
    for (size_t r = first_row(j, block); r < first_row(j, block + 1); r++) finish_row(j, j->data + r * j->c);
}

void rb_bias_relu(rb_exec *x, size_t rows, int c, const float *bias, bool relu, float *data) {
    job j = job_of(rows, (size_t)c);
    j.bias = bias;
    j.relu = relu;
    j.data = data;
    if (bias || relu)
        RB_RUN(x, RB_PROFILE_MAPS, 0, 8.0 * (double)(rows * j.c),
               rb_pool_run(x->pool, (int)j.blocks, finish_task, &j));
}

static void relu_task(void *arg, int block, int thread) {
    (void)thread;
    const job *j = arg;
    size_t last = first_row(j, block + 1);
    for (size_t i = first_row(j, block); i < last; i++) j->data[i] = j->from[i] == 0 ? 0 : j->data[i];
}

void rb_relu_backward(rb_exec *x, size_t count, const float *dst, float *d_dst) {
    job j = job_of(count, 1);
    j.from = dst;
    j.data = d_dst;
    RB_RUN(x, RB_PROFILE_MAPS, 0, 12.0 * (double)count, rb_pool_run(x->pool, (int)j.blocks, relu_task, &j));
}

static void sums_task(void *arg, int block, int thread) {
    (void)thread;
    const job *j = arg;
    double *restrict sums = j->sums + (size_t)block * j->c;
    memset(sums, 0, j->c * sizeof *sums);
    for (size_t r = first_row(j, block); r < first_row(j, block + 1); r++)
        for (size_t i = 0; i < j->c; i++) sums[i] += (double)j->from[r * j->c + i];
}

static void channel_sums(job *j, float *to, rb_pool *pool) {
    rb_pool_run(pool, (int)j->blocks, sums_task, j);
    for (size_t i = 0; i < j->c; i++) {
        double sum = 0;
        for (size_t b = 0; b < j->blocks; b++) sum += j->sums[b * j->c + i];
        to[i] += (float)sum;
    }
}

void rb_channel_sums(rb_exec *x, size_t rows, int c, const float *d, float *sums) {
    size_t mark = rb_arena_mark(&x->scratch);
    job j = job_of(rows, (size_t)c);
    j.from = d;
    j.sums = rb_arena_push(&x->scratch, j.blocks * j.c * sizeof *j.sums);
    RB_RUN(x, RB_PROFILE_MAPS, 0, 4.0 * (double)(rows * j.c), channel_sums(&j, sums, x->pool));
    rb_arena_release(&x->scratch, mark);
}
