/* Operations that map each value by a table (Pillow's ImageOps; spec 4.4). */
#include "image/pillow.h"

typedef struct table {
    uint8_t of[3][256]; /* by channel and value */
} table;

static void apply(const table *t, uint8_t *pixels, size_t count) {
    for (size_t i = 0; i < count; i++, pixels += 3)
        for (int c = 0; c < 3; c++) pixels[c] = t->of[c][pixels[c]];
}

static uint8_t clip(int v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

void rb_image_invert(uint8_t *pixels, size_t count) {
    for (size_t i = 0; i < count * 3; i++) pixels[i] = (uint8_t)(255 - pixels[i]);
}

void rb_image_solarize(uint8_t *pixels, size_t count, int threshold) {
    for (size_t i = 0; i < count * 3; i++)
        if (pixels[i] >= threshold) pixels[i] = (uint8_t)(255 - pixels[i]);
}

void rb_image_solarize_add(uint8_t *pixels, size_t count, int add) {
    for (size_t i = 0; i < count * 3; i++)
        if (pixels[i] < 128) pixels[i] = clip(pixels[i] + add);
}

void rb_image_posterize(uint8_t *pixels, size_t count, int bits) {
    if (bits >= 8) return;
    uint8_t mask = (uint8_t)(bits <= 0 ? 0 : 256 - (1 << (8 - bits)));
    for (size_t i = 0; i < count * 3; i++) pixels[i] &= mask;
}

typedef struct histogram {
    size_t of[3][256];
} histogram;

static histogram count_values(const uint8_t *pixels, size_t count) {
    histogram h = {0};
    for (size_t i = 0; i < count; i++, pixels += 3)
        for (int c = 0; c < 3; c++) h.of[c][pixels[c]]++;
    return h;
}

static void stretch(const size_t h[256], uint8_t of[256]) {
    int low = 0, high = 255;
    while (low < 255 && !h[low]) low++;
    while (high > 0 && !h[high]) high--;
    double scale = high > low ? 255.0 / (high - low) : 1, offset = high > low ? -low * scale : 0;
    for (int v = 0; v < 256; v++) of[v] = clip((int)(v * scale + offset));
}

void rb_image_autocontrast(uint8_t *pixels, size_t count) {
    histogram h = count_values(pixels, count);
    table t;
    for (int c = 0; c < 3; c++) stretch(h.of[c], t.of[c]);
    apply(&t, pixels, count);
}

static void flatten(const size_t h[256], uint8_t of[256]) {
    size_t total = 0, last = 0;
    int kinds = 0;
    for (int v = 0; v < 256; v++) {
        total += h[v];
        if (h[v]) last = h[v], kinds++;
    }
    size_t step = kinds > 1 ? (total - last) / 255 : 0, n = step / 2;
    for (int v = 0; v < 256; v++) {
        size_t rank = step ? n / step : (size_t)v;
        of[v] = (uint8_t)(rank > 255 ? 255 : rank);
        n += h[v];
    }
}

void rb_image_equalize(uint8_t *pixels, size_t count) {
    histogram h = count_values(pixels, count);
    table t;
    for (int c = 0; c < 3; c++) flatten(h.of[c], t.of[c]);
    apply(&t, pixels, count);
}
