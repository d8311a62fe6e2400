/* Resizing exactly as Pillow does (image/resample.h): one axis after the other, weights rounded to 22 bits of
 * fraction, 8 bits in between. */
#include <assert.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/cpu.h"
#include "image/resample.h"

enum { FRACTION = 22, BLOCK = 512 };

/* How one axis is resampled: result i = Σ weights[i·taps + k] · source[first[i] + k], k < count[i]. */
typedef struct axis {
    int taps; /* weights reserved for each result */
    int32_t *first, *count, *weights;
} axis;

/* Bytes of one axis' tables, with the row of doubles in which a result's weights are made. */
static size_t axis_bytes(const rb_span *s) {
    size_t taps = (size_t)rb_filter_taps(s->n, s->m, s->filter), results = (size_t)s->count;
    size_t weights = rb_size_align(rb_size_mul(rb_size_mul(taps, results), sizeof(int32_t)));
    return rb_size_add(weights,
                       2 * rb_size_align(results * sizeof(int32_t)) + rb_size_align(taps * sizeof(double)));
}

/* The tables of a span; sources are counted from `origin`. */
static axis make_axis(const rb_span *s, int origin, unsigned char *scratch) {
    axis a = {.taps = rb_filter_taps(s->n, s->m, s->filter)};
    double *weights = rb_scratch_take(&scratch, (size_t)a.taps * sizeof *weights);
    a.first = rb_scratch_take(&scratch, (size_t)s->count * sizeof *a.first);
    a.count = rb_scratch_take(&scratch, (size_t)s->count * sizeof *a.count);
    a.weights = rb_scratch_take(&scratch, (size_t)s->count * (size_t)a.taps * sizeof *a.weights);
    for (int i = 0; i < s->count; i++) {
        double sum;
        int lo, hi;
        rb_span_weights(s, i, &lo, &hi, weights, &sum);
        a.first[i] = lo - origin;
        a.count[i] = hi - lo;
        int32_t *row = a.weights + (size_t)i * (size_t)a.taps;
        for (int k = 0; k < hi - lo; k++) {
            double w = sum != 0.0 ? weights[k] / sum : weights[k];
            row[k] = (int32_t)(w < 0 ? -0.5 + w * (1 << FRACTION) : 0.5 + w * (1 << FRACTION));
        }
    }
    return a;
}

static uint8_t clip8(int32_t sum) {
    int32_t v = sum >> FRACTION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One row, n,3 → m,3. */
static void shrink_row(const axis *a, int m, const uint8_t *src, uint8_t *dst) {
    for (int i = 0; i < m; i++, dst += 3) {
        const uint8_t *p = src + (size_t)a->first[i] * 3;
        const int32_t *w = a->weights + (size_t)i * (size_t)a->taps;
        int32_t r = 1 << (FRACTION - 1), g = r, b = r;
        for (int k = 0; k < a->count[i]; k++, p += 3) {
            r += p[0] * w[k];
            g += p[1] * w[k];
            b += p[2] * w[k];
        }
        dst[0] = clip8(r);
        dst[1] = clip8(g);
        dst[2] = clip8(b);
    }
}

/* All columns of one result row: bytes of the source rows, `stride` apart, weighted and summed block by
 * block. */
static inline __attribute__((always_inline)) void
mix_rows_body(const uint8_t *src, size_t stride, const int32_t *w, int count, size_t bytes, uint8_t *dst) {
    int32_t sums[BLOCK];
    for (size_t at = 0; at < bytes; at += BLOCK) {
        size_t width = bytes - at < BLOCK ? bytes - at : BLOCK;
        for (size_t x = 0; x < width; x++) sums[x] = 1 << (FRACTION - 1);
        for (int k = 0; k < count; k++) {
            const uint8_t *row = src + (size_t)k * stride + at;
            for (size_t x = 0; x < width; x++) sums[x] += row[x] * w[k];
        }
        for (size_t x = 0; x < width; x++) dst[at + x] = clip8(sums[x]);
    }
}

typedef void shrink_row_fn(const axis *a, int m, const uint8_t *src, uint8_t *dst);
typedef void mix_rows_fn(const uint8_t *src, size_t stride, const int32_t *w, int count, size_t bytes,
                         uint8_t *dst);

static void mix_rows(const uint8_t *src, size_t stride, const int32_t *w, int count, size_t bytes,
                     uint8_t *dst) {
    mix_rows_body(src, stride, w, count, bytes, dst);
}

#if defined(__x86_64__)
/* The same integers, eight at a time: the plain instruction set has no 32-bit vector multiply. */
__attribute__((target("avx2"))) static void mix_rows_avx2(const uint8_t *src, size_t stride, const int32_t *w,
                                                          int count, size_t bytes, uint8_t *dst) {
    mix_rows_body(src, stride, w, count, bytes, dst);
}

/* The pixel at p as four integers; the fourth is whatever follows it. */
__attribute__((target("avx2"))) static inline __m128i load_pixel(const uint8_t *p) {
    int bytes;
    memcpy(&bytes, p, 4);
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
}

/* The same without touching the byte behind it, which may lie outside the picture. */
__attribute__((target("avx2"))) static inline __m128i load_last_pixel(const uint8_t *p) {
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(p[0] | p[1] << 8 | p[2] << 16));
}

/* Three channels side by side; two sums, so that one tap need not wait for the other. */
__attribute__((target("avx2"))) static void shrink_row_avx2(const axis *a, int m, const uint8_t *src,
                                                            uint8_t *dst) {
    for (int i = 0; i < m; i++, dst += 3) {
        const uint8_t *p = src + (size_t)a->first[i] * 3;
        const int32_t *w = a->weights + (size_t)i * (size_t)a->taps;
        int count = a->count[i], k = 0;
        __m128i even = _mm_set1_epi32(1 << (FRACTION - 1)), odd = _mm_setzero_si128();
        for (; k + 2 < count; k += 2, p += 6) {
            even = _mm_add_epi32(even, _mm_mullo_epi32(load_pixel(p), _mm_set1_epi32(w[k])));
            odd = _mm_add_epi32(odd, _mm_mullo_epi32(load_pixel(p + 3), _mm_set1_epi32(w[k + 1])));
        }
        for (; k + 1 < count; k++, p += 3)
            even = _mm_add_epi32(even, _mm_mullo_epi32(load_pixel(p), _mm_set1_epi32(w[k])));
        odd = _mm_add_epi32(odd, _mm_mullo_epi32(load_last_pixel(p), _mm_set1_epi32(w[count - 1])));
        __m128i sum = _mm_srai_epi32(_mm_add_epi32(even, odd), FRACTION);
        int bytes =
            _mm_cvtsi128_si32(_mm_packus_epi16(_mm_packs_epi32(sum, sum), sum)); /* clips to 0 … 255 */
        memcpy(dst, &bytes, 3);
    }
}
#endif

static mix_rows_fn *best_mix_rows(rb_filter filter) {
#if defined(__x86_64__)
    if (!(filter & RB_FILTER_PLAIN_CODE) && rb_cpu_detect() >= RB_CPU_AVX2) return mix_rows_avx2;
#endif
    (void)filter;
    return mix_rows;
}

static shrink_row_fn *best_shrink_row(rb_filter filter) {
#if defined(__x86_64__)
    if (!(filter & RB_FILTER_PLAIN_CODE) && rb_cpu_detect() >= RB_CPU_AVX2) return shrink_row_avx2;
#endif
    (void)filter;
    return shrink_row;
}

/* src: rows of `bytes`, `stride` apart → dst: s->count rows of `bytes`, without padding. */
static void resize_columns(const uint8_t *src, size_t stride, const rb_span *s, int origin, size_t bytes,
                           uint8_t *dst, unsigned char *scratch) {
    axis a = make_axis(s, origin, scratch);
    mix_rows_fn *mix = best_mix_rows(s->filter);
    for (int i = 0; i < s->count; i++)
        mix(src + (size_t)a.first[i] * stride, stride, a.weights + (size_t)i * (size_t)a.taps, a.count[i],
            bytes, dst + (size_t)i * bytes);
}

/* src: rows, `stride` apart → dst: as many rows of s->count pixels. */
static void resize_rows(const uint8_t *src, size_t stride, const rb_span *s, int origin, int rows,
                        uint8_t *dst, unsigned char *scratch) {
    axis a = make_axis(s, origin, scratch);
    shrink_row_fn *shrink = best_shrink_row(s->filter);
    for (int y = 0; y < rows; y++)
        shrink(&a, s->count, src + (size_t)y * stride, dst + (size_t)y * (size_t)s->count * 3);
}

static void copy_rows(const uint8_t *src, size_t stride, size_t bytes, int rows, uint8_t *dst) {
    for (int y = 0; y < rows; y++) memcpy(dst + (size_t)y * bytes, src + (size_t)y * stride, bytes);
}

static size_t between_bytes(const rb_resize *r, const rb_span *xs, const rb_span *ys) {
    int lo, hi;
    bool columns = rb_columns_first(r);
    rb_span_sources(columns ? xs : ys, &lo, &hi);
    return rb_size_mul((size_t)(hi - lo) * 3, (size_t)(columns ? ys->count : xs->count));
}

size_t rb_resize_scratch(const rb_resize *r) {
    rb_span xs = rb_span_x(r), ys = rb_span_y(r);
    size_t x = axis_bytes(&xs), y = axis_bytes(&ys);
    size_t between = rb_size_align(between_bytes(r, &xs, &ys));
    return rb_size_add(between, x > y ? x : y); /* the tables of one axis at a time */
}

static void resize_both(const rb_resize *r, const uint8_t *box, size_t stride, uint8_t *dst,
                        uint8_t *between) {
    rb_span xs = rb_span_x(r), ys = rb_span_y(r);
    unsigned char *tables = between + rb_size_align(between_bytes(r, &xs, &ys));
    int lo, hi;
    if (rb_columns_first(r)) {
        rb_span_sources(&xs, &lo, &hi);
        size_t bytes = (size_t)(hi - lo) * 3;
        resize_columns(box + (size_t)lo * 3, stride, &ys, 0, bytes, between, tables);
        resize_rows(between, bytes, &xs, lo, ys.count, dst, tables);
    } else {
        rb_span_sources(&ys, &lo, &hi);
        size_t bytes = (size_t)xs.count * 3;
        resize_rows(box + (size_t)lo * stride, stride, &xs, 0, hi - lo, between, tables);
        resize_columns(between, bytes, &ys, lo, bytes, dst, tables);
    }
}

void rb_resize_run(const rb_resize *r, const rb_image *src, uint8_t *dst, void *scratch) {
    assert(r->x >= 0 && r->y >= 0 && r->w > 0 && r->h > 0 && r->x <= src->width - r->w &&
           r->y <= src->height - r->h);
    assert(r->left >= 0 && r->part_width > 0 && r->left <= r->width - r->part_width);
    assert(r->top >= 0 && r->part_height > 0 && r->top <= r->height - r->part_height);
    size_t stride = (size_t)src->width * 3, bytes = (size_t)r->part_width * 3;
    const uint8_t *box = src->pixels + (size_t)r->y * stride + (size_t)r->x * 3;
    const uint8_t *columns = box + (size_t)r->left * 3, *rows = box + (size_t)r->top * stride;
    rb_span xs = rb_span_x(r), ys = rb_span_y(r);
    if (r->w != r->width && r->h != r->height)
        resize_both(r, box, stride, dst, scratch);
    else if (r->w != r->width)
        resize_rows(rows, stride, &xs, 0, ys.count, dst, scratch);
    else if (r->h != r->height)
        resize_columns(columns, stride, &ys, 0, bytes, dst, scratch);
    else
        copy_rows(columns + (size_t)r->top * stride, stride, bytes, ys.count, dst);
}

rb_resize rb_resize_whole(int x, int y, int w, int h, int width, int height, rb_filter filter) {
    return (rb_resize){.x = x,
                       .y = y,
                       .w = w,
                       .h = h,
                       .width = width,
                       .height = height,
                       .part_width = width,
                       .part_height = height,
                       .filter = filter};
}
