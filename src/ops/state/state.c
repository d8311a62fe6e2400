/* Moves between pictures, residual states and maps: the same on every level (they are bound by memory). */
#include <math.h>
#include <string.h>

#include "ops/profile.h"

enum { CELL = 4 }; /* space to depth by 4 */

typedef struct stem_job {
    const rb_stem *s;
    rb_watch *rows;
} stem_job;

/* The normalised value of image channel ci at that pixel. */
static float picture_at(const rb_stem *s, size_t pixel, int ci) {
    size_t at = pixel * (size_t)s->image.c + (size_t)ci;
    if (!s->bytes) return s->floats[at];
    return ((float)s->bytes[at] - 255.0f * s->mean[ci]) / (255.0f * s->std[ci]);
}

/* One row of cells. Output channel (bi·4 + bj)·d + c holds repeated channel c at offset (bi, bj) of each
 * cell. */
static void stem_task(void *arg, int row, int thread) {
    (void)thread;
    const stem_job *job = arg;
    const rb_stem *s = job->s;
    int rows = s->image.h / CELL, columns = s->image.w / CELL, n = row / rows, cy = row % rows;
    float grid = ldexpf(1, s->k);
    rb_watch watch = {0};
    int32_t *out = s->state + (size_t)row * (size_t)columns * (size_t)(CELL * CELL * s->repeated);
    for (int cx = 0; cx < columns; cx++)
        for (int cell = 0; cell < CELL * CELL; cell++) {
            size_t y = (size_t)(cy * CELL + cell / CELL), x = (size_t)(cx * CELL + cell % CELL);
            size_t pixel = ((size_t)n * (size_t)s->image.h + y) * (size_t)s->image.w + x;
            for (int c = 0; c < s->repeated; c++, out++) {
                float value = picture_at(s, pixel, c % s->image.c), scaled = value * grid;
                bool fits = fabsf(scaled) < (float)RB_STATE_LIMIT;
                if (!fits && !watch.not_finite && !watch.out_of_range) watch.value = value;
                if (!fits && isfinite(value)) watch.out_of_range = true;
                if (!isfinite(value)) watch.not_finite = true;
                *out = fits ? (int32_t)lrintf(scaled) : 0;
                uint32_t size = (uint32_t)(*out < 0 ? -*out : *out);
                if (size > watch.largest) watch.largest = size;
            }
        }
    job->rows[row] = watch;
}

void rb_stem_forward(rb_exec *x, const rb_stem *s, rb_watch *watch) {
    int rows = s->image.n * (s->image.h / CELL);
    size_t mark = rb_arena_mark(&x->scratch);
    stem_job job = {s, rb_arena_push(&x->scratch, (size_t)rows * sizeof(rb_watch))};
    double bytes = (double)rb_elements(s->image) * (s->bytes ? 1 : 4);
    bytes += 4.0 * (double)rb_pixels(s->image) * s->repeated;
    RB_RUN(x, RB_PROFILE_STEM, 0, bytes, rb_pool_run(x->pool, rows, stem_task, &job));
    for (int i = 0; !x->dry && i < rows; i++) rb_watch_merge(watch, &job.rows[i]);
    rb_arena_release(&x->scratch, mark);
}

void rb_stem_inverse(rb_exec *x, rb_shape image, int repeated, int k, const int32_t *state, float *floats) {
    if (x->dry) return;
    int rows = image.h / CELL, columns = image.w / CELL;
    float step = ldexpf(1, -k);
    for (int y = 0; y < image.n * image.h; y++)
        for (int px = 0; px < image.w; px++)
            for (int c = 0; c < image.c; c++) {
                size_t cell =
                    (size_t)(y / image.h * rows + y % image.h / CELL) * (size_t)columns + (size_t)(px / CELL);
                int offset = y % CELL * CELL + px % CELL;
                size_t at = cell * (size_t)(CELL * CELL * repeated) + (size_t)(offset * repeated + c);
                *floats++ = (float)state[at] * step;
            }
}

typedef struct slice_job {
    rb_shape shape;
    const void *src;
    void *dst;
    int ld;
    float step;
} slice_job;

static void pack_task(void *arg, int row, int thread) {
    (void)thread;
    const slice_job *j = arg;
    size_t c = (size_t)j->shape.c, w = (size_t)j->shape.w, first = (size_t)row * w;
    for (size_t x = first; x < first + w; x++)
        memcpy((uint32_t *)j->dst + x * c, (const uint32_t *)j->src + x * (size_t)j->ld,
               c * sizeof(uint32_t));
}

void rb_slice_pack(rb_exec *x, rb_shape shape, const void *src, int ld, void *dst) {
    slice_job j = {.shape = shape, .src = src, .dst = dst, .ld = ld};
    RB_RUN(x, RB_PROFILE_COPY, 0, 8.0 * (double)rb_elements(shape),
           rb_pool_run(x->pool, shape.n * shape.h, pack_task, &j));
}

static void to_map_task(void *arg, int row, int thread) {
    (void)thread;
    const slice_job *j = arg;
    size_t count = (size_t)j->shape.w * (size_t)j->shape.c, first = (size_t)row * count;
    const int32_t *src = (const int32_t *)j->src + first;
    float *dst = (float *)j->dst + first;
    for (size_t i = 0; i < count; i++) dst[i] = (float)src[i] * j->step;
}

void rb_state_to_map(rb_exec *x, rb_shape shape, const int32_t *state, int k, float *dst) {
    slice_job j = {.shape = shape, .src = state, .dst = dst, .step = ldexpf(1, -k)};
    RB_RUN(x, RB_PROFILE_COPY, 0, 8.0 * (double)rb_elements(shape),
           rb_pool_run(x->pool, shape.n * shape.h, to_map_task, &j));
}

void rb_zero(rb_exec *x, void *data, size_t bytes) {
    RB_RUN(x, RB_PROFILE_COPY, 0, (double)bytes, memset(data, 0, bytes));
}
