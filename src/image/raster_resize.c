/* Resizing of rasters (image/raster.h): one axis after the other, weights and sums in double, 16 bits in
 * between. */
#include <assert.h>
#include <string.h>

#include "image/raster.h"
#include "image/resample.h"

enum { BLOCK = 512 };

/* How one axis is resampled: result i = Σ weights[i·taps + k] · source[first[i] + k], k < count[i]. */
typedef struct axis {
    int taps; /* weights reserved for each result */
    int32_t *first, *count;
    double *weights;
} axis;

static size_t axis_bytes(const rb_span *s) {
    size_t taps = (size_t)rb_filter_taps(s->n, s->m, s->filter), results = (size_t)s->count;
    size_t weights = rb_size_align(rb_size_mul(rb_size_mul(taps, results), sizeof(double)));
    return rb_size_add(weights, 2 * rb_size_align(results * sizeof(int32_t)));
}

/* The tables of a span; sources are counted from `origin`. */
static axis make_axis(const rb_span *s, int origin, unsigned char *scratch) {
    axis a = {.taps = rb_filter_taps(s->n, s->m, s->filter)};
    a.first = rb_scratch_take(&scratch, (size_t)s->count * sizeof *a.first);
    a.count = rb_scratch_take(&scratch, (size_t)s->count * sizeof *a.count);
    a.weights = rb_scratch_take(&scratch, (size_t)s->count * (size_t)a.taps * sizeof *a.weights);
    for (int i = 0; i < s->count; i++) {
        double *row = a.weights + (size_t)i * (size_t)a.taps, sum;
        int lo, hi;
        rb_span_weights(s, i, &lo, &hi, row, &sum);
        for (int k = 0; sum != 0.0 && k < hi - lo; k++) row[k] /= sum;
        a.first[i] = lo - origin;
        a.count[i] = hi - lo;
    }
    return a;
}

/* Rounded half up, as Pillow does. */
static uint16_t to_word(double sum) {
    double v = sum + 0.5;
    return (uint16_t)(v < 0 ? 0 : v >= 65535 ? 65535 : (int32_t)v);
}

/* src: rows, `stride` words apart → dst: as many rows of s->count pixels. */
static void resize_rows(const uint16_t *src, size_t stride, const rb_span *s, int origin, int rows,
                        size_t channels, uint16_t *dst, unsigned char *scratch) {
    axis a = make_axis(s, origin, scratch);
    for (int y = 0; y < rows; y++, src += stride)
        for (int i = 0; i < s->count; i++, dst += channels) {
            const uint16_t *p = src + (size_t)a.first[i] * channels;
            const double *w = a.weights + (size_t)i * (size_t)a.taps;
            double sums[RB_RASTER_CHANNELS_MAX] = {0};
            for (int k = 0; k < a.count[i]; k++, p += channels)
                for (size_t c = 0; c < channels; c++) sums[c] += p[c] * w[k];
            for (size_t c = 0; c < channels; c++) dst[c] = to_word(sums[c]);
        }
}

/* src: rows of `words`, `stride` apart → dst: s->count rows of `words`, without padding. */
static void resize_columns(const uint16_t *src, size_t stride, const rb_span *s, int origin, size_t words,
                           uint16_t *dst, unsigned char *scratch) {
    axis a = make_axis(s, origin, scratch);
    for (int i = 0; i < s->count; i++, dst += words) {
        const uint16_t *from = src + (size_t)a.first[i] * stride;
        const double *w = a.weights + (size_t)i * (size_t)a.taps;
        for (size_t at = 0; at < words; at += BLOCK) {
            size_t width = words - at < BLOCK ? words - at : BLOCK;
            double sums[BLOCK] = {0};
            for (int k = 0; k < a.count[i]; k++) {
                const uint16_t *row = from + (size_t)k * stride + at;
                for (size_t x = 0; x < width; x++) sums[x] += row[x] * w[k];
            }
            for (size_t x = 0; x < width; x++) dst[at + x] = to_word(sums[x]);
        }
    }
}

static size_t between_bytes(const rb_resize *r, const rb_span *xs, const rb_span *ys, size_t channels) {
    int lo, hi;
    bool columns = rb_columns_first(r);
    rb_span_sources(columns ? xs : ys, &lo, &hi);
    size_t pixels = rb_size_mul((size_t)(hi - lo), (size_t)(columns ? ys->count : xs->count));
    return rb_size_align(rb_size_mul(pixels, channels * sizeof(uint16_t)));
}

size_t rb_raster_resize_scratch(const rb_resize *r, int channels) {
    rb_span xs = rb_span_x(r), ys = rb_span_y(r);
    size_t x = axis_bytes(&xs), y = axis_bytes(&ys);
    return rb_size_add(between_bytes(r, &xs, &ys, (size_t)channels), x > y ? x : y); /* one axis at a time */
}

static void resize_both(const rb_resize *r, const uint16_t *box, size_t stride, size_t channels,
                        uint16_t *dst, unsigned char *scratch) {
    rb_span xs = rb_span_x(r), ys = rb_span_y(r);
    uint16_t *between = (uint16_t *)(void *)scratch;
    unsigned char *tables = scratch + between_bytes(r, &xs, &ys, channels);
    int lo, hi;
    if (rb_columns_first(r)) {
        rb_span_sources(&xs, &lo, &hi);
        size_t words = (size_t)(hi - lo) * channels;
        resize_columns(box + (size_t)lo * channels, stride, &ys, 0, words, between, tables);
        resize_rows(between, words, &xs, lo, ys.count, channels, dst, tables);
    } else {
        rb_span_sources(&ys, &lo, &hi);
        size_t words = (size_t)xs.count * channels;
        resize_rows(box + (size_t)lo * stride, stride, &xs, 0, hi - lo, channels, between, tables);
        resize_columns(between, words, &ys, lo, words, dst, tables);
    }
}

void rb_raster_resize(const rb_resize *r, const rb_raster *src, uint16_t *dst, void *scratch) {
    assert(r->x >= 0 && r->y >= 0 && r->w > 0 && r->h > 0 && r->x <= src->width - r->w &&
           r->y <= src->height - r->h);
    assert(r->left >= 0 && r->part_width > 0 && r->left <= r->width - r->part_width);
    assert(r->top >= 0 && r->part_height > 0 && r->top <= r->height - r->part_height);
    size_t channels = (size_t)src->channels, stride = (size_t)src->width * channels;
    size_t words = (size_t)r->part_width * channels;
    const uint16_t *box = src->samples + (size_t)r->y * stride + (size_t)r->x * channels;
    const uint16_t *columns = box + (size_t)r->left * channels, *rows = box + (size_t)r->top * stride;
    rb_span xs = rb_span_x(r), ys = rb_span_y(r);
    if (r->w != r->width && r->h != r->height)
        resize_both(r, box, stride, channels, dst, scratch);
    else if (r->w != r->width)
        resize_rows(rows, stride, &xs, 0, ys.count, channels, dst, scratch);
    else if (r->h != r->height)
        resize_columns(columns, stride, &ys, 0, words, dst, scratch);
    else
        for (int y = 0; y < ys.count; y++)
            memcpy(dst + (size_t)y * words, columns + (size_t)(r->top + y) * stride, words * sizeof *dst);
}
