/* Addition into the residual state: the reference's arithmetic, in its order and never fused, so the bits are
 * the same. Vectors only see that something left the range; the row is then scanned again to say what came
 * first. */
#include <math.h>

#include "ops/ops_simd.h"
#include "ops/resample/bilinear.h"
#include "ops/simd/tile.h"

typedef struct job {
    const rb_state_add *a;
    rb_watch *rows; /* one a row of the state */
} job;

size_t RB_LEVEL(rb_state_add_scratch)(const rb_state_add *a, int threads) {
    (void)threads;
    return rb_size_align((size_t)a->shape.n * (size_t)a->shape.h * (size_t)a->factor * sizeof(rb_watch));
}

/* The four low pixels that a target pixel reads, and their weights. */
typedef struct corners {
    const float *low_low, *low_high, *high_low, *high_high; /* row, column */
    float left, right, above, below;
} corners;

static corners corners_at(const rb_state_add *a, const float *z, rb_bilinear_tap ty, int x) {
    rb_bilinear_tap tx = rb_bilinear_at(x, a->factor, a->shape.w);
    size_t w = (size_t)a->shape.w, c = (size_t)a->shape.c;
    const float *low = z + (size_t)ty.low * w * c, *high = z + (size_t)ty.high * w * c;
    size_t left = (size_t)tx.low * c, right = (size_t)tx.high * c;
    return (corners){low + left,  low + right, high + left, high + right,
                     1 - tx.part, tx.part,     1 - ty.part, ty.part};
}

RB_INLINE vf upsampled(const corners *k, size_t c, size_t n) {
    vf left = vf_set1(k->left), right = vf_set1(k->right);
    vf top = vf_add(vf_mul(vf_load_n(k->low_low + c, n), left), vf_mul(vf_load_n(k->low_high + c, n), right));
    vf bottom =
        vf_add(vf_mul(vf_load_n(k->high_low + c, n), left), vf_mul(vf_load_n(k->high_high + c, n), right));
    return vf_add(vf_mul(top, vf_set1(k->above)), vf_mul(bottom, vf_set1(k->below)));
}

static float upsampled_one(const corners *k, size_t c) {
    float top = k->low_low[c] * k->left + k->low_high[c] * k->right;
    float bottom = k->high_low[c] * k->left + k->high_high[c] * k->right;
    return top * k->above + bottom * k->below;
}

/* What happened in a row that was flagged, value by value in the reference's order. The state is already the
 * result: an addend out of range left it alone. */
static rb_watch scan_row(const rb_state_add *a, const float *z, rb_bilinear_tap ty, const int32_t *state,
                         float sample) {
    float grid = ldexpf(1, a->k), step = ldexpf(1, -a->k);
    rb_watch watch = {0};
    for (int x = 0; x < a->shape.w * a->factor; x++, state += a->ld) {
        corners k = corners_at(a, z, ty, x);
        for (size_t c = 0; c < (size_t)a->shape.c; c++) {
            float value = a->factor == 1 ? k.low_low[c] : upsampled_one(&k, c);
            float addend = (a->affine.scale[c] * value + a->affine.shift[c]) * sample * grid;
            bool fits = fabsf(addend) < (float)RB_STATE_LIMIT,
                 first = !watch.not_finite && !watch.out_of_range;
            if (!fits) {
                if (first) watch.value = addend * step;
                *(isfinite(addend) ? &watch.out_of_range : &watch.not_finite) = true;
                continue;
            }
            uint32_t sum = (uint32_t)state[c], size = sum >> 31 ? 0u - sum : sum;
            if (size > watch.largest) watch.largest = size;
            if (size < RB_STATE_LIMIT) continue;
            if (first) watch.value = (float)state[c] * step;
            watch.out_of_range = true;
        }
    }
    return watch;
}

RB_TARGET static void row_task(void *arg, int row, int thread) {
    (void)thread;
    job *j = arg;
    const rb_state_add *a = j->a;
    int f = a->factor, height = a->shape.h * f, width = a->shape.w * f, n = row / height;
    size_t channels = (size_t)a->shape.c;
    const float *z = a->z + (size_t)n * (size_t)a->shape.h * (size_t)a->shape.w * channels;
    float one_sample = a->sample ? a->sample[n] : 1;
    vf sample = vf_set1(one_sample), grid = vf_set1(ldexpf(1, a->k));
    rb_bilinear_tap ty = rb_bilinear_at(row % height, f, a->shape.h);
    int32_t *first = a->state + (size_t)row * (size_t)width * (size_t)a->ld, *state = first;
    vi largest = vi_zero();
    int flagged = 0;
    for (int x = 0; x < width; x++, state += a->ld) {
        corners k = corners_at(a, z, ty, x);
        for (size_t c = 0; c < channels; c += VL) {
            size_t left = channels - c;
            vf value = f == 1 ? vf_load_n(k.low_low + c, left) : upsampled(&k, c, left);
            vf u = vf_add(vf_mul(vf_load_n(a->affine.scale + c, left), value),
                          vf_load_n(a->affine.shift + c, left));
            flagged |= vi_state_add(state + c, vf_mul(vf_mul(u, sample), grid), a->sign < 0,
                                    (float)RB_STATE_LIMIT, &largest, left);
        }
    }
    rb_watch watch = {.largest = vi_largest(largest)};
    if (flagged || watch.largest >= RB_STATE_LIMIT) watch = scan_row(a, z, ty, first, one_sample);
    j->rows[row] = watch;
}

void RB_LEVEL(rb_state_add)(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool) {
    job j = {a, scratch};
    int rows = a->shape.n * a->shape.h * a->factor;
    rb_pool_run(pool, rows, row_task, &j);
    if (!watch) return;
    for (int i = 0; i < rows; i++) rb_watch_merge(watch, &j.rows[i]);
}
