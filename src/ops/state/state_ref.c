/* Addition into the fixed-point residual state (DESIGN 4): state += rint(±F·2^k), on unsigned integers, so
 * that the inverse is exact whatever the partial sums do. Sign, sample factor and 2^k are one factor of the
 * channel's affine, and every level forms the same fused multiply-adds: a forward addition and its undoing
 * round alike, since rounding is symmetric. Upsampling interpolates raw values between two rows, then
 * addends between two columns. */
#include "ops/ops_ref.h"
#include "ops/resample/bilinear.h"

typedef struct job {
    const rb_state_add *a;
    rb_watch *rows; /* one a row of the state */
} job;

size_t rb_state_add_scratch_ref(const rb_state_add *a, int threads) {
    (void)threads;
    return (size_t)a->shape.n * (size_t)a->shape.h * (size_t)a->factor * sizeof(rb_watch);
}

/* What belongs to one row of the state: the two low rows it reads, and the factor of F. */
typedef struct source_row {
    const float *low, *high;
    float part, factor;
} source_row;

static float addend_at(const rb_state_add *a, const source_row *r, int x, int c) {
    size_t at = (size_t)x * (size_t)a->shape.c + (size_t)c;
    float value = a->factor == 1 ? r->low[at] : rb_bilinear_between(r->low[at], r->high[at], r->part);
    return fmaf(a->affine.scale[c] * r->factor, value, a->affine.shift[c] * r->factor);
}

static void add_one(float addend, int32_t *state, rb_watch *watch, float step) {
    if (!(fabsf(addend) < (float)RB_STATE_LIMIT)) {
        if (!watch->not_finite && !watch->out_of_range) watch->value = addend * step;
        if (isfinite(addend))
            watch->out_of_range = true;
        else
            watch->not_finite = true;
        return;
    }
    uint32_t sum = (uint32_t)*state + (uint32_t)(int32_t)lrintf(addend);
    *state = (int32_t)sum;
    uint32_t size = sum >> 31 ? 0u - sum : sum;
    if (size > watch->largest) watch->largest = size;
    if (size >= RB_STATE_LIMIT && !watch->out_of_range) {
        if (!watch->not_finite) watch->value = (float)*state * step;
        watch->out_of_range = true;
    }
}

static void row_task(void *arg, int row, int thread) {
    (void)thread;
    job *j = arg;
    const rb_state_add *a = j->a;
    int f = a->factor, height = a->shape.h * f, width = a->shape.w * f, n = row / height;
    size_t low_row = (size_t)a->shape.w * (size_t)a->shape.c;
    rb_bilinear_tap ty = rb_bilinear_at(row % height, f, a->shape.h);
    const float *z = a->z + (size_t)n * (size_t)a->shape.h * low_row;
    source_row r = {z + (size_t)ty.low * low_row, z + (size_t)ty.high * low_row, ty.part,
                    ldexpf((float)a->sign * (a->sample ? a->sample[n] : 1), a->k)};
    float step = ldexpf(1, -a->k);
    rb_watch watch = {0};
    for (int x = 0; x < width; x++) {
        rb_bilinear_tap tx = rb_bilinear_at(x, f, a->shape.w);
        int32_t *state = a->state + ((size_t)row * (size_t)width + (size_t)x) * (size_t)a->ld;
        for (int c = 0; c < a->shape.c; c++) {
            float addend = addend_at(a, &r, tx.low, c);
            if (f > 1) addend = rb_bilinear_between(addend, addend_at(a, &r, tx.high, c), tx.part);
            add_one(addend, state + c, &watch, step);
        }
    }
    j->rows[row] = watch;
}

void rb_state_add_ref(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool) {
    job j = {a, scratch};
    int rows = a->shape.n * a->shape.h * a->factor;
    rb_pool_run(pool, rows, row_task, &j);
    if (!watch) return;
    for (int i = 0; i < rows; i++) rb_watch_merge(watch, &j.rows[i]);
}
