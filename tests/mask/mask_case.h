/* A polygon drawn the long way: every point of every edge, and pixels instead of spans. */
#ifndef TESTS_MASK_CASE_H
#define TESTS_MASK_CASE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct walker {
    uint8_t *pixels;
    uint32_t height, width;
    bool begun;
    int u, v;
} walker;

/* The next point of the walk; where it changes the column's middle, everything below flips. */
static void walker_go(walker *w, int u, int v) {
    if (w->begun && u != w->u) {
        double x = ((u < w->u ? u : u - 1) + .5) / 5 - .5, y = ((v < w->v ? v : w->v) + .5) / 5 - .5;
        if (floor(x) == x && x >= 0 && x <= w->width - 1.0) {
            y = ceil(fmin(fmax(y, 0), w->height));
            /* flipping to the end of the picture, not of the column, is how runs count */
            for (uint64_t p = (uint64_t)x * w->height + (uint64_t)y; p < (uint64_t)w->height * w->width; p++)
                w->pixels[p % w->height * w->width + p / w->height] ^= 1;
        }
    }
    w->begun = true;
    w->u = u;
    w->v = v;
}

static void walker_edge(walker *w, const int a[2], const int b[2]) {
    int dx = abs(b[0] - a[0]), dy = abs(b[1] - a[1]), n = dx >= dy ? dx : dy;
    bool back = dx >= dy ? a[0] > b[0] : a[1] > b[1];
    const int *s = back ? b : a, *e = back ? a : b;
    for (int i = 0; i <= n; i++) {
        int d = back ? n - i : i;
        if (!n)
            walker_go(w, s[0], s[1]);
        else if (dx >= dy)
            walker_go(w, s[0] + d, (int)(s[1] + (double)(e[1] - s[1]) / dx * d + .5));
        else
            walker_go(w, (int)(s[0] + (double)(e[0] - s[0]) / dy * d + .5), s[1] + d);
    }
}

static inline void walk_polygon(const double *points, size_t count, uint32_t height, uint32_t width,
                                uint8_t *pixels) {
    walker w = {.pixels = pixels, .height = height, .width = width};
    memset(pixels, 0, (size_t)height * width);
    for (size_t i = 0; i < count; i++) {
        const double *p = points + 2 * i, *q = points + 2 * ((i + 1) % count);
        walker_edge(&w, (int[2]){(int)(5 * p[0] + .5), (int)(5 * p[1] + .5)},
                    (int[2]){(int)(5 * q[0] + .5), (int)(5 * q[1] + .5)});
    }
}

#endif
