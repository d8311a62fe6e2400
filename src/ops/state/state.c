/* Moves between pictures, residual states and maps: the same on every level (they are bound by memory). */
#include <math.h>
#include <string.h>

#include "ops/profile.h"

enum { CELL = 4 }; /* space to depth by 4 */

typedef struct stem_job {
    const rb_stem *s;
    const int32_t *table; /* c,256: the state of each byte; NULL: not all bytes have one, or there are none */
    rb_watch *rows;
} stem_job;

enum { BYTES = 256 };

static float normalised(const rb_stem *s, uint8_t byte, int ci) {
    return ((float)byte - 255.0f * s->mean[ci]) / (255.0f * s->std[ci]);
}

static float normalised_word(const rb_stem *s, uint16_t word, int ci) {
    return ((float)word - 65535.0f * s->mean[ci]) / (65535.0f * s->std[ci]);
}

/* The normalised value of image channel ci at that pixel. */
static float picture_at(const rb_stem *s, size_t pixel, int ci) {
    size_t at = pixel * (size_t)s->image.c + (size_t)ci;
    if (s->words) return normalised_word(s, s->words[at], ci);
    return s->bytes ? normalised(s, s->bytes[at], ci) : s->floats[at];
}

static bool fits(float scaled) { return fabsf(scaled) < (float)RB_STATE_LIMIT; }

/* Fills the table; false when a byte leaves the range of the grid. */
static bool fill_table(const rb_stem *s, int32_t *table) {
    float grid = ldexpf(1, s->k);
    for (int ci = 0; ci < s->image.c; ci++)
        for (int byte = 0; byte < BYTES; byte++) {
            float scaled = normalised(s, (uint8_t)byte, ci) * grid;
            if (!fits(scaled)) return false;
            table[ci * BYTES + byte] = (int32_t)lrintf(scaled);
        }
    return true;
}

static uint32_t larger(uint32_t largest, int32_t value) {
    uint32_t size = (uint32_t)(value < 0 ? -value : value);
    return size > largest ? size : largest;
}

/* A value that may leave the range: then 0 goes into the state, and the watch tells. */
static int32_t watched(float value, float grid, rb_watch *watch) {
    float scaled = value * grid;
    if (fits(scaled)) return (int32_t)lrintf(scaled);
    if (!watch->not_finite && !watch->out_of_range) watch->value = value;
    *(isfinite(value) ? &watch->out_of_range : &watch->not_finite) = true;
    return 0;
}

/* The channels of a pixel, one by one. */
static void watched_pixel(const rb_stem *s, size_t pixel, float grid, int32_t *out, rb_watch *watch) {
    for (int c = 0; c < s->image.c; c++) {
        out[c] = watched(picture_at(s, pixel, c), grid, watch);
        watch->largest = larger(watch->largest, out[c]);
    }
}

/* The same from the table; returns the largest of `largest` and what it wrote. */
static inline uint32_t table_pixel(const int32_t *table, const uint8_t *bytes, int channels, int32_t *out,
                                   uint32_t largest) {
    for (int c = 0; c < channels; c++, table += BYTES) {
        out[c] = table[bytes[c]];
        largest = larger(largest, out[c]);
    }
    return largest;
}

/* One row of cells. Output channel (bi·4 + bj)·d + c holds repeated channel c at offset (bi, bj) of each
 * cell. */
static void stem_task(void *arg, int row, int thread) {
    (void)thread;
    const stem_job *job = arg;
    const rb_stem *s = job->s;
    int columns = s->image.w / CELL, repeated = s->repeated;
    int channels = s->image.c;
    size_t first = (size_t)row * CELL * (size_t)s->image.w; /* pixel: samples lie one after another */
    float grid = ldexpf(1, s->k);
    rb_watch watch = {0};
    int32_t *out = s->state + (size_t)row * (size_t)columns * (size_t)(CELL * CELL * repeated);
    for (int cx = 0; cx < columns; cx++)
        for (int cell = 0; cell < CELL * CELL; cell++, out += repeated) {
            size_t pixel = first + (size_t)(cell / CELL * s->image.w + cx * CELL + cell % CELL);
            if (job->table)
                watch.largest = table_pixel(job->table, s->bytes + pixel * (size_t)channels, channels, out,
                                            watch.largest);
            else
                watched_pixel(s, pixel, grid, out, &watch);
            for (int i = channels; i < repeated; i++) out[i] = out[i - channels];
        }
    job->rows[row] = watch;
}

static void run_stem(rb_pool *pool, int rows, int32_t *table, stem_job *job) {
    if (job->s->bytes && fill_table(job->s, table)) job->table = table;
    rb_pool_run(pool, rows, stem_task, job);
}

void rb_stem_forward(rb_exec *x, const rb_stem *s, rb_watch *watch) {
    int rows = s->image.n * (s->image.h / CELL);
    size_t mark = rb_arena_mark(&x->scratch);
    stem_job job = {.s = s, .rows = rb_arena_push(&x->scratch, (size_t)rows * sizeof(rb_watch))};
    int32_t *table = rb_arena_push(&x->scratch, (size_t)s->image.c * BYTES * sizeof *table);
    double bytes = (double)rb_elements(s->image) * (s->bytes ? 1 : s->words ? 2 : 4);
    bytes += 4.0 * (double)rb_pixels(s->image) * s->repeated;
    RB_RUN(x, RB_PROFILE_STEM, 0, bytes, run_stem(x->pool, rows, table, &job));
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

void rb_stem_backward(rb_exec *x, rb_shape image, int repeated, const float *d, float *floats) {
    if (x->dry) return;
    int columns = image.w / CELL;
    for (size_t row = 0; row < (size_t)image.n * (size_t)image.h; row++)
        for (int px = 0; px < image.w; px++, floats += image.c) {
            size_t cell = row / CELL * (size_t)columns + (size_t)(px / CELL);
            size_t offset = row % CELL * CELL + (size_t)(px % CELL);
            const float *from = d + (cell * CELL * CELL + offset) * (size_t)repeated;
            for (int c = 0; c < image.c; c++) {
                floats[c] = 0;
                for (int copy = c; copy < repeated; copy += image.c) floats[c] += from[copy];
            }
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

void rb_move(rb_exec *x, void *dst, const void *src, size_t bytes) {
    if (dst == src) return;
    RB_RUN(x, RB_PROFILE_COPY, 0, 2.0 * (double)bytes, memmove(dst, src, bytes));
}

void rb_zero(rb_exec *x, void *data, size_t bytes) {
    RB_RUN(x, RB_PROFILE_COPY, 0, (double)bytes, memset(data, 0, bytes));
}
