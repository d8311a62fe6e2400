/* torchvision's adjust_hue on pictures: Pillow's RGB → HSV → RGB in 8 bits (libImaging/Convert.c), with its
 * mix of float32 and double. */
#include <math.h>

#include "image/pillow.h"

static int clip(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

/* p: r,g,b → h,s,v. */
static void to_hsv(uint8_t *p) {
    int r = p[0], g = p[1], b = p[2];
    int most = r > g ? r : g, least = r < g ? r : g;
    most = most > b ? most : b;
    least = least < b ? least : b;
    p[0] = p[1] = 0;
    p[2] = (uint8_t)most;
    if (most == least) return;
    float range = (float)(most - least), s = range / (float)most, h;
    float rc = (float)(most - r) / range, gc = (float)(most - g) / range, bc = (float)(most - b) / range;
    if (r == most)
        h = bc - gc;
    else if (g == most)
        h = (float)(2.0 + (double)rc - (double)bc);
    else
        h = (float)(4.0 + (double)gc - (double)rc);
    h = (float)fmod((double)h / 6.0 + 1.0, 1.0);
    p[0] = (uint8_t)clip((int)((double)h * 255.0));
    p[1] = (uint8_t)clip((int)((double)s * 255.0));
}

static uint8_t rounded(double v) { return (uint8_t)clip((int)round(v)); }

/* p: h,s,v → r,g,b. */
static void to_rgb(uint8_t *p) {
    uint8_t v = p[2];
    float hue = (float)p[0], value = (float)v;
    if (!p[1]) {
        p[0] = p[1] = v;
        return;
    }
    int i = (int)floor((double)hue * 6.0 / 255.0);
    float f = (float)((double)hue * 6.0 / 255.0 - (double)(float)i),
          fs = (float)((double)(float)p[1] / 255.0);
    uint8_t low = rounded((double)value * (1.0 - (double)fs));
    uint8_t falling = rounded((double)value * (1.0 - (double)(fs * f)));
    uint8_t rising = rounded((double)value * (1.0 - (double)fs * (1.0 - (double)f)));
    const uint8_t of[6][3] = {{v, rising, low},  {falling, v, low}, {low, v, rising},
                              {low, falling, v}, {rising, low, v},  {v, low, falling}};
    for (int c = 0; c < 3; c++) p[c] = of[i % 6][c];
}

void rb_image_shift_hue(uint8_t *pixels, size_t count, double shift) {
    int add = (int)(shift * 255);
    for (size_t i = 0; i < count; i++, pixels += 3) {
        to_hsv(pixels);
        pixels[0] = (uint8_t)(pixels[0] + add);
        to_rgb(pixels);
    }
}
