/* cv::resize (image/opencv.h). For an axis of n source and m result pixels with the scale s = 1 / (m/n), in
 * double: result x lies at f = (x + ½)·s − ½, rounded to float; it takes sources ⌊f⌋ and the next with the
 * weights 1 − a and a, a = f − ⌊f⌋, as whole 2048ths, rounded half to even. Sums over columns keep 15 bits,
 * which times a weight of a row keep 16 bits less. */
#include "image/opencv.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { ONE = 2048 };

rb_opencv_resize rb_opencv_resize_whole(int width, int height, bool mirror) {
    return (rb_opencv_resize){
        .width = width, .height = height, .part_width = width, .part_height = height, .mirror = mirror};
}

/* Of one axis: the two sources of each result and their weights. */
typedef struct axis {
    int32_t *first, *second;
    int16_t *weight[2];
} axis;

static void *take(unsigned char **scratch, size_t bytes) {
    void *at = *scratch;
    *scratch += rb_size_align(bytes);
    return at;
}

static size_t axis_bytes(int m) {
    return 2 * rb_size_align((size_t)m * sizeof(int32_t)) + 2 * rb_size_align((size_t)m * sizeof(int16_t));
}

static size_t row_bytes(const rb_opencv_resize *r) {
    return rb_size_align((size_t)r->part_width * 3 * sizeof(int16_t));
}

size_t rb_opencv_resize_scratch(const rb_opencv_resize *r) {
    return axis_bytes(r->part_width) + axis_bytes(r->part_height) + 2 * row_bytes(r);
}

static double scale_of(int n, int m) { return 1.0 / ((double)m / n); }

int rb_opencv_nearest(int n, int m, int i) {
    int from = (int)floor(i * scale_of(n, m));
    return from < n ? from : n - 1;
}

/* Of results begin … begin + count − 1. Beyond the edges columns take the edge alone; rows keep their
 * weights, and both sources are the edge: the sum of two rounded parts may differ from one by 1. */
static axis make_axis(int n, int m, int begin, int count, bool rows, unsigned char **scratch) {
    size_t room = (size_t)count;
    axis a = {take(scratch, room * sizeof *a.first),
              take(scratch, room * sizeof *a.second),
              {take(scratch, room * sizeof **a.weight), take(scratch, room * sizeof **a.weight)}};
    double scale = scale_of(n, m);
    for (int x = 0; x < count; x++) {
        float f = (float)((begin + x + 0.5) * scale - 0.5);
        int i = (int)floorf(f);
        float part = f - (float)i;
        if (!rows && i < 0) i = 0, part = 0;
        if (!rows && i >= n - 1) i = n - 1, part = 0;
        a.first[x] = i < 0 ? 0 : i < n ? i : n - 1;
        a.second[x] = i + 1 < 0 ? 0 : i + 1 < n ? i + 1 : n - 1;
        a.weight[0][x] = (int16_t)lrintf((1.0f - part) * ONE);
        a.weight[1][x] = (int16_t)lrintf(part * ONE);
    }
    return a;
}

/* Where result x of the part is written. */
static int place(const rb_opencv_resize *r, int x) { return r->mirror ? r->part_width - 1 - x : x; }

/* A source row's sums over columns, of which the lowest four bits are never used. */
static void mix_columns(const rb_opencv_resize *r, const axis *a, const uint8_t *src, int16_t *sums) {
    for (int x = 0; x < r->part_width; x++) {
        const uint8_t *p = src + (size_t)a->first[x] * 3, *q = src + (size_t)a->second[x] * 3;
        int16_t *out = sums + (size_t)place(r, x) * 3;
        int v = a->weight[0][x], w = a->weight[1][x];
        out[0] = (int16_t)((p[0] * v + q[0] * w) >> 4);
        out[1] = (int16_t)((p[1] * v + q[1] * w) >> 4);
        out[2] = (int16_t)((p[2] * v + q[2] * w) >> 4);
    }
}

static void mix_rows(const int16_t *restrict a, const int16_t *restrict b, int16_t v, int16_t w, size_t count,
                     uint8_t *restrict dst) {
    for (size_t i = 0; i < count; i++) { /* 16-bit products of which the high half is kept: one instruction */
        int16_t p = (int16_t)((a[i] * v) >> 16), q = (int16_t)((b[i] * w) >> 16);
        dst[i] = (uint8_t)((p + q + 2) >> 2);
    }
}

static void linear(const rb_opencv_resize *r, const rb_image *src, uint8_t *dst, size_t stride,
                   unsigned char *scratch) {
    axis columns = make_axis(src->width, r->width, r->left, r->part_width, false, &scratch);
    axis rows = make_axis(src->height, r->height, r->top, r->part_height, true, &scratch);
    int16_t *sums[2] = {take(&scratch, row_bytes(r)), take(&scratch, row_bytes(r))};
    int held[2] = {-1, -1}; /* source rows in `sums` */
    for (int y = 0; y < r->part_height; y++) {
        const int wanted[2] = {rows.first[y], rows.second[y]};
        if (held[1] == wanted[0] && held[0] != wanted[0]) { /* the lower row becomes the upper one */
            int16_t *keep = sums[0];
            sums[0] = sums[1];
            sums[1] = keep;
            held[0] = held[1];
            held[1] = -1;
        }
        for (int k = 0; k < 2; k++) {
            if (held[k] == wanted[k]) continue;
            mix_columns(r, &columns, src->pixels + (size_t)wanted[k] * (size_t)src->width * 3, sums[k]);
            held[k] = wanted[k];
        }
        mix_rows(sums[0], sums[1], rows.weight[0][y], rows.weight[1][y], (size_t)r->part_width * 3,
                 dst + (size_t)y * stride);
    }
}

static void halve(const rb_opencv_resize *r, const rb_image *src, uint8_t *dst, size_t stride) {
    size_t below = (size_t)src->width * 3;
    for (int y = 0; y < r->part_height; y++) {
        const uint8_t *p = src->pixels + (size_t)(r->top + y) * 2 * below + (size_t)r->left * 6;
        for (int x = 0; x < r->part_width; x++, p += 6) {
            uint8_t *out = dst + (size_t)y * stride + (size_t)place(r, x) * 3;
            for (int c = 0; c < 3; c++)
                out[c] =
                    (uint8_t)((p[c] + p[c + 3] + p[below + (size_t)c] + p[below + (size_t)c + 3] + 2) >> 2);
        }
    }
}

static void copy(const rb_opencv_resize *r, const rb_image *src, uint8_t *dst, size_t stride) {
    size_t bytes = (size_t)r->width * 3;
    for (int y = 0; y < r->part_height; y++, dst += stride) {
        const uint8_t *from = src->pixels + (size_t)(r->top + y) * bytes + (size_t)r->left * 3;
        memcpy(dst, from, (size_t)r->part_width * 3);
        if (r->mirror) rb_image_flip(dst, r->part_width, 1);
    }
}

void rb_opencv_resize_run(const rb_opencv_resize *r, const rb_image *src, uint8_t *dst, size_t stride,
                          void *scratch) {
    if (src->width == r->width && src->height == r->height)
        copy(r, src, dst, stride);
    else if (src->width == 2 * r->width && src->height == 2 * r->height)
        halve(r, src, dst, stride);
    else
        linear(r, src, dst, stride, scratch);
}
