/* Affine transforms as Pillow does them (libImaging/Geometry.c; spec 4.2, 4.3). The filters work in double
 * and truncate; nearest neighbours step through the source in 16.16 fixed point, or in double where the
 * matrix does not turn. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/pillow.h"

static int clamp(int v, int end) { return v < 0 ? 0 : v < end ? v : end - 1; }

typedef struct picture {
    const uint8_t *pixels;
    int width, height;
} picture;

static const uint8_t *row_of(const picture *p, int y) { return p->pixels + (size_t)y * (size_t)p->width * 3; }

/* ---- the filters: the source at (x, y), which is inside ---- */

static double linear(double a, double b, double d) { return a + (b - a) * d; }

static void bilinear_at(const picture *p, double x, double y, uint8_t *dst) {
    x -= 0.5;
    y -= 0.5;
    int ix = (int)floor(x), iy = (int)floor(y);
    double dx = x - ix, dy = y - iy;
    size_t left = (size_t)clamp(ix, p->width) * 3, right = (size_t)clamp(ix + 1, p->width) * 3;
    const uint8_t *upper = row_of(p, clamp(iy, p->height));
    const uint8_t *lower = iy + 1 < p->height ? row_of(p, iy + 1) : NULL; /* iy ≥ −1 */
    for (size_t c = 0; c < 3; c++) {
        double v = linear(upper[left + c], upper[right + c], dx), w = v;
        if (lower) w = linear(lower[left + c], lower[right + c], dx);
        dst[c] = (uint8_t)linear(v, w, dy);
    }
}

static double cubic(double v1, double v2, double v3, double v4, double d) {
    double p2 = -v1 + v3, p3 = 2 * (v1 - v2) + v3 - v4, p4 = -v1 + v2 - v3 + v4;
    return v2 + d * (p2 + d * (p3 + d * p4));
}

static uint8_t clip(double v) { return v <= 0.0 ? 0 : v >= 255.0 ? 255 : (uint8_t)v; }

static void bicubic_at(const picture *p, double x, double y, uint8_t *dst) {
    x -= 0.5;
    y -= 0.5;
    int ix = (int)floor(x), iy = (int)floor(y);
    double dx = x - ix, dy = y - iy;
    size_t at[4];
    const uint8_t *rows[4] = {row_of(p, clamp(iy - 1, p->height))};
    for (int k = 0; k < 4; k++) at[k] = (size_t)clamp(ix - 1 + k, p->width) * 3;
    for (int k = 1; k < 4; k++) { /* a row outside repeats the one before it */
        int row = iy - 1 + k;
        rows[k] = row >= 0 && row < p->height ? row_of(p, row) : rows[k - 1];
    }
    for (size_t c = 0; c < 3; c++) {
        double v[4];
        for (int k = 0; k < 4; k++)
            v[k] = k && rows[k] == rows[k - 1] ? v[k - 1]
                                               : cubic(rows[k][at[0] + c], rows[k][at[1] + c],
                                                       rows[k][at[2] + c], rows[k][at[3] + c], dx);
        dst[c] = clip(cubic(v[0], v[1], v[2], v[3], dy));
    }
}

static void filtered(const picture *p, const double m[6], rb_sampling sampling, uint8_t *dst) {
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++, dst += 3) {
            double cx = x + 0.5, cy = y + 0.5;
            double sx = m[0] * cx + m[1] * cy + m[2], sy = m[3] * cx + m[4] * cy + m[5];
            if (!(sx >= 0.0 && sx < p->width && sy >= 0.0 && sy < p->height)) continue;
            if (sampling == RB_SAMPLING_BILINEAR)
                bilinear_at(p, sx, sy, dst);
            else
                bicubic_at(p, sx, sy, dst);
        }
}

/* ---- nearest neighbours ---- */

static void copy_pixel(const picture *p, int64_t x, int64_t y, uint8_t *dst) {
    if (x >= 0 && x < p->width && y >= 0 && y < p->height)
        memcpy(dst, p->pixels + ((size_t)y * (size_t)p->width + (size_t)x) * 3, 3);
}

/* trunc, but −1 for all that is negative; `end` for what is too large. */
static int64_t whole(double v, int end) { return v < 0.0 ? -1 : v < end ? (int64_t)v : end; }

/* Positions add up step by step, so their rounding is Pillow's. */
static void nearest_straight(const picture *p, const double m[6], uint8_t *dst) {
    double sy = m[5] + m[4] * 0.5;
    for (int y = 0; y < p->height; y++, sy += m[4]) {
        double sx = m[2] + m[0] * 0.5;
        for (int x = 0; x < p->width; x++, sx += m[0], dst += 3)
            copy_pixel(p, whole(sx, p->width), whole(sy, p->height), dst);
    }
}

static int64_t fixed(double v) { return (int64_t)floor(v * 65536.0 + 0.5); }

static int in_fixed_range(const double m[6], int x, int y) {
    return fabs(x * m[0] + y * m[1] + m[2]) < 32768.0 && fabs(x * m[3] + y * m[4] + m[5]) < 32768.0;
}

static void nearest_fixed(const picture *p, const double m[6], uint8_t *dst) {
    int64_t m0 = fixed(m[0]), m1 = fixed(m[1]), m3 = fixed(m[3]), m4 = fixed(m[4]);
    int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    for (int y = 0; y < p->height; y++, row_x += m1, row_y += m4) {
        int64_t sx = row_x, sy = row_y;
        for (int x = 0; x < p->width; x++, sx += m0, sy += m3, dst += 3)
            copy_pixel(p, sx >> 16, sy >> 16, dst);
    }
}

static void nearest_any(const picture *p, const double m[6], uint8_t *dst) {
    double row_x = m[2] + m[1] * 0.5 + m[0] * 0.5, row_y = m[5] + m[4] * 0.5 + m[3] * 0.5;
    for (int y = 0; y < p->height; y++, row_x += m[1], row_y += m[4]) {
        double sx = row_x, sy = row_y;
        for (int x = 0; x < p->width; x++, sx += m[0], sy += m[3], dst += 3)
            copy_pixel(p, whole(sx, p->width), whole(sy, p->height), dst);
    }
}

static void nearest(const picture *p, const double m[6], uint8_t *dst) {
    int w = p->width, h = p->height;
    if (m[1] == 0 && m[3] == 0)
        nearest_straight(p, m, dst);
    else if (in_fixed_range(m, 0, 0) && in_fixed_range(m, w, h) && in_fixed_range(m, 0, h) &&
             in_fixed_range(m, w, 0))
        nearest_fixed(p, m, dst);
    else
        nearest_any(p, m, dst);
}

void rb_image_affine(const uint8_t *src, int width, int height, const double m[6], rb_sampling sampling,
                     const uint8_t fill[3], uint8_t *dst) {
    picture p = {src, width, height};
    for (size_t i = 0; i < (size_t)width * (size_t)height; i++) memcpy(dst + 3 * i, fill, 3);
    if (sampling == RB_SAMPLING_NEAREST)
        nearest(&p, m, dst);
    else
        filtered(&p, m, sampling, dst);
}

/* ---- turning ---- */

/* Python's round(v, 15): the decimal that is nearest to the exact value. */
static double round15(double v) {
    char text[40];
    snprintf(text, sizeof text, "%.15f", v);
    return strtod(text, NULL);
}

/* By 180 degrees, or a square by 90 or 270: pixel (x, y) comes from (a·x + b·y + c, …) exactly. */
static void quarter_turn(const picture *p, int quarters, uint8_t *dst) {
    int w = p->width, h = p->height;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, dst += 3) {
            int sx = quarters == 2 ? w - 1 - x : quarters == 1 ? w - 1 - y : y;
            int sy = quarters == 2 ? h - 1 - y : quarters == 1 ? x : h - 1 - x;
            copy_pixel(p, sx, sy, dst);
        }
}

void rb_image_rotate(const uint8_t *src, int width, int height, double degrees, rb_sampling sampling,
                     const uint8_t fill[3], uint8_t *dst) {
    picture p = {src, width, height};
    degrees = fmod(degrees, 360.0);
    if (degrees < 0) degrees += 360.0;
    if (degrees == 0) {
        memcpy(dst, src, (size_t)width * (size_t)height * 3);
    } else if (degrees == 180 || (width == height && (degrees == 90 || degrees == 270))) {
        quarter_turn(&p, (int)degrees / 90, dst);
    } else {
        double angle = -(degrees * (3.141592653589793 / 180.0)), x = width / 2.0, y = height / 2.0;
        double a = round15(cos(angle)), b = round15(sin(angle)), d = round15(-sin(angle)), e = a;
        double m[6] = {a, b, a * -x + b * -y + 0.0 + x, d, e, d * -x + e * -y + 0.0 + y};
        rb_image_affine(src, width, height, m, sampling, fill, dst);
    }
}

void rb_image_flip_rows(uint8_t *pixels, int width, int height) {
    size_t bytes = (size_t)width * 3;
    for (int y = 0; y < height / 2; y++) {
        uint8_t *a = pixels + (size_t)y * bytes, *b = pixels + (size_t)(height - 1 - y) * bytes;
        for (size_t x = 0; x < bytes; x++) {
            uint8_t keep = a[x];
            a[x] = b[x];
            b[x] = keep;
        }
    }
}
