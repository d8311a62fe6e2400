/* Addition into the fixed-point residual state (DESIGN 4): state += sign·rint(F·2^k), on unsigned integers,
 * so that the inverse is exact whatever the partial sums do. Products and sums in float, in one fixed order,
 * never fused: every level must round F alike for a forward addition and its undoing. */
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

static float upsampled(const rb_state_add *a, const float *z, rb_bilinear_tap ty, rb_bilinear_tap tx, int c) {
    size_t w = (size_t)a->shape.w, step = (size_t)a->shape.c;
    const float *low = z + (size_t)ty.low * w * step + (size_t)c,
                *high = z + (size_t)ty.high * w * step + (size_t)c;
    float top = low[(size_t)tx.low * step] * (1 - tx.part) + low[(size_t)tx.high * step] * tx.part;
    float bottom = high[(size_t)tx.low * step] * (1 - tx.part) + high[(size_t)tx.high * step] * tx.part;
    return top * (1 - ty.part) + bottom * ty.part;
}

static void add_one(float addend, int sign, int32_t *state, rb_watch *watch, float step) {
    if (!(fabsf(addend) < (float)RB_STATE_LIMIT)) {
        if (!watch->not_finite && !watch->out_of_range) watch->value = addend * step;
        if (isfinite(addend))
            watch->out_of_range = true;
        else
            watch->not_finite = true;
        return;
    }
    uint32_t add = (uint32_t)(int32_t)lrintf(addend);
    uint32_t sum = (uint32_t)*state + (sign > 0 ? add : 0u - add);
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
    float grid = ldexpf(1, a->k), step = ldexpf(1, -a->k), sample = a->sample ? a->sample[n] : 1;
    const float *z = a->z + (size_t)n * (size_t)a->shape.h * (size_t)a->shape.w * (size_t)a->shape.c;
    rb_bilinear_tap ty = rb_bilinear_at(row % height, f, a->shape.h);
    rb_watch watch = {0};
    for (int x = 0; x < width; x++) {
        rb_bilinear_tap tx = rb_bilinear_at(x, f, a->shape.w);
        int32_t *state = a->state + ((size_t)row * (size_t)width + (size_t)x) * (size_t)a->ld;
        for (int c = 0; c < a->shape.c; c++) {
            float value =
                f == 1 ? z[((size_t)ty.low * (size_t)a->shape.w + (size_t)x) * (size_t)a->shape.c + (size_t)c]
                       : upsampled(a, z, ty, tx, c);
            float u = a->affine.scale[c] * value + a->affine.shift[c];
            add_one(u * sample * grid, a->sign, state + c, &watch, step);
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
