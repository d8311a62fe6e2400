/* Addition into the residual state: the reference's arithmetic, in its order and never fused, so the bits are
 * the same. Vectors only see that something left the range; the row is then scanned again to say what came
 * first. */
#include <math.h>

#include "ops/ops_simd.h"
#include "ops/resample/bilinear.h"
#include "ops/simd/tile.h"

typedef struct job {
    const rb_state_add *a;
    rb_watch *rows;              /* one a row of the state */
    const rb_bilinear_tap *taps; /* one a column */
} job;

typedef struct plan {
    size_t rows, taps, total;
} plan;

static plan plan_of(const rb_state_add *a) {
    plan x = {0};
    x.rows = take(&x.total, (size_t)a->shape.n * (size_t)a->shape.h * (size_t)a->factor * sizeof(rb_watch));
    x.taps = take(&x.total, (size_t)a->shape.w * (size_t)a->factor * sizeof(rb_bilinear_tap));
    return x;
}

size_t RB_LEVEL(rb_state_add_scratch)(const rb_state_add *a, int threads) {
    (void)threads;
    return plan_of(a).total;
}

/* The two low rows that a row of the state reads, and their weights. */
typedef struct low_rows {
    const float *low, *high;
    float above, below;
} low_rows;

/* The interpolated values at channel c (n lanes) of one column. */
RB_INLINE vf upsampled(const low_rows *r, rb_bilinear_tap tx, size_t channels, size_t c, size_t n) {
    size_t left = (size_t)tx.low * channels + c, right = (size_t)tx.high * channels + c;
    vf part = vf_set1(tx.part), rest = vf_set1(1 - tx.part);
    vf top = vf_add(vf_mul(vf_load_n(r->low + left, n), rest), vf_mul(vf_load_n(r->low + right, n), part));
    vf bottom =
        vf_add(vf_mul(vf_load_n(r->high + left, n), rest), vf_mul(vf_load_n(r->high + right, n), part));
    return vf_add(vf_mul(top, vf_set1(r->above)), vf_mul(bottom, vf_set1(r->below)));
}

static float upsampled_one(const low_rows *r, rb_bilinear_tap tx, size_t channels, size_t c) {
    size_t left = (size_t)tx.low * channels + c, right = (size_t)tx.high * channels + c;
    float top = r->low[left] * (1 - tx.part) + r->low[right] * tx.part;
    float bottom = r->high[left] * (1 - tx.part) + r->high[right] * tx.part;
    return top * r->above + bottom * r->below;
}

/* What happened in a row that was flagged, value by value in the reference's order. The state is already the
 * result: an addend out of range left it alone. */
static rb_watch scan_row(const job *j, const low_rows *r, const int32_t *state, float sample) {
    const rb_state_add *a = j->a;
    float grid = ldexpf(1, a->k), step = ldexpf(1, -a->k);
    size_t channels = (size_t)a->shape.c;
    rb_watch watch = {0};
    for (int x = 0; x < a->shape.w * a->factor; x++, state += a->ld)
        for (size_t c = 0; c < channels; c++) {
            float value =
                a->factor == 1 ? r->low[(size_t)x * channels + c] : upsampled_one(r, j->taps[x], channels, c);
            float addend = (a->affine.scale[c] * value + a->affine.shift[c]) * sample * grid;
            bool first = !watch.not_finite && !watch.out_of_range;
            if (!(fabsf(addend) < (float)RB_STATE_LIMIT)) {
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
    return watch;
}

/* One channel vector (n lanes at c) of `count` columns from x; returns whether an addend left the range. */
RB_INLINE int add_vector(const job *j, bool plain, const low_rows *r, size_t x, size_t count, size_t c,
                         size_t n, float sample, int32_t *state, vi *largest) {
    const rb_state_add *a = j->a;
    size_t channels = (size_t)a->shape.c, ld = (size_t)a->ld;
    vf scale = vf_load_n(a->affine.scale + c, n), shift = vf_load_n(a->affine.shift + c, n);
    vf factor = vf_set1(sample), grid = vf_set1(ldexpf(1, a->k));
    int flagged = 0, subtract = a->sign < 0;
    for (size_t i = x; i < x + count; i++) {
        vf value = plain ? vf_load_n(r->low + i * channels + c, n) : upsampled(r, j->taps[i], channels, c, n);
        vf u = vf_add(vf_mul(scale, value), shift);
        flagged |= vi_state_add(state + i * ld + c, vf_mul(vf_mul(u, factor), grid), subtract,
                                (float)RB_STATE_LIMIT, largest, n);
    }
    return flagged;
}

RB_TARGET static void row_task(void *arg, int row, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_state_add *a = j->a;
    int f = a->factor, height = a->shape.h * f, n = row / height;
    size_t channels = (size_t)a->shape.c, low_row = (size_t)a->shape.w * channels;
    size_t width = (size_t)a->shape.w * (size_t)f, block = block_pixels((size_t)a->ld);
    rb_bilinear_tap ty = rb_bilinear_at(row % height, f, a->shape.h);
    const float *z = a->z + (size_t)n * (size_t)a->shape.h * low_row;
    low_rows r = {z + (size_t)ty.low * low_row, z + (size_t)ty.high * low_row, 1 - ty.part, ty.part};
    float sample = a->sample ? a->sample[n] : 1;
    int32_t *state = a->state + (size_t)row * width * (size_t)a->ld;
    vi largest = vi_zero();
    int flagged = 0;
    for (size_t x = 0; x < width; x += block)
        for (size_t c = 0; c < channels; c += VL) {
            size_t count = size_min(block, width - x), lanes_left = channels - c;
            flagged |= f == 1 ? add_vector(j, true, &r, x, count, c, lanes_left, sample, state, &largest)
                              : add_vector(j, false, &r, x, count, c, lanes_left, sample, state, &largest);
        }
    rb_watch watch = {.largest = vi_largest(largest)};
    if (flagged || watch.largest >= RB_STATE_LIMIT) watch = scan_row(j, &r, state, sample);
    j->rows[row] = watch;
}

void RB_LEVEL(rb_state_add)(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool) {
    plan x = plan_of(a);
    unsigned char *memory = scratch;
    rb_bilinear_tap *taps = (rb_bilinear_tap *)(void *)(memory + x.taps);
    job j = {a, (rb_watch *)(void *)(memory + x.rows), taps};
    for (int i = 0; i < a->shape.w * a->factor; i++) taps[i] = rb_bilinear_at(i, a->factor, a->shape.w);
    int rows = a->shape.n * a->shape.h * a->factor;
    rb_pool_run(pool, rows, row_task, &j);
    if (!watch) return;
    for (int i = 0; i < rows; i++) rb_watch_merge(watch, &j.rows[i]);
}
