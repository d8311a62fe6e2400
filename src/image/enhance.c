/* Pillow's ImageEnhance (libImaging Blend.c, Convert.c, Filter.c; spec 4.5). All arithmetic is float32, in
 * Pillow's order. */
#include <string.h>

#include "image/pillow.h"

static uint8_t clip(float v) { return v <= 0.0f ? 0 : v >= 255.0f ? 255 : (uint8_t)v; }

/* Between the two nothing can leave 0 … 255; beyond them it can, and is clipped. Either way truncated. */
static uint8_t blend(int from, int to, float factor) {
    return clip((float)from + factor * (float)(to - from));
}

static int grey(const uint8_t *p) { return (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16; }

void rb_image_color(uint8_t *pixels, size_t count, double factor) {
    if (factor == 1) return;
    for (size_t i = 0; i < count; i++, pixels += 3) {
        int level = grey(pixels);
        for (int c = 0; c < 3; c++) pixels[c] = blend(level, pixels[c], (float)factor);
    }
}

/* Every value by the same table: blended with `level`. */
static void blend_all(uint8_t *pixels, size_t count, int level, float factor) {
    uint8_t table[256];
    for (int v = 0; v < 256; v++) table[v] = blend(level, v, factor);
    for (size_t i = 0; i < count * 3; i++) pixels[i] = table[pixels[i]];
}

void rb_image_contrast(uint8_t *pixels, size_t count, double factor) {
    if (factor == 1 || !count) return;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)grey(pixels + 3 * i);
    blend_all(pixels, count, (int)((double)sum / (double)count + 0.5), (float)factor);
}

void rb_image_brightness(uint8_t *pixels, size_t count, double factor) {
    if (factor != 1) blend_all(pixels, count, 0, (float)factor);
}

/* One row of the kernel, weights a b a. */
static float three(const uint8_t *p, float a, float b) {
    return (float)p[-3] * a + (float)p[0] * b + (float)p[3] * a;
}

void rb_image_sharpness(const uint8_t *src, int width, int height, double factor, uint8_t *dst) {
    const float one = 1.0f / 13.0f, five = 5.0f / 13.0f;
    size_t stride = (size_t)width * 3;
    memcpy(dst, src, stride * (size_t)height); /* the border is never smoothed */
    if (factor == 1 || width < 3 || height < 3) return;
    for (size_t y = 1; y + 1 < (size_t)height; y++)
        for (size_t x = 3; x + 3 < stride; x++) {
            const uint8_t *p = src + y * stride + x;
            float sum = 0.5f;
            sum += three(p + stride, one, one);
            sum += three(p, one, five);
            sum += three(p - stride, one, one);
            dst[y * stride + x] = blend(clip(sum), *p, (float)factor);
        }
}
