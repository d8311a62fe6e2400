/* Mixup and CutMix of rasters: what mix.c does to bytes. */
#include "data/mix.h"

/* a·share + b·rest in float32, rounded half to even: adding 3·2^22 leaves no room for a fraction. */
static uint16_t blend(uint16_t a, uint16_t b, const rb_mixture *m) {
    const float whole = 12582912.0f;
    float v = (float)a * m->share + (float)b * m->rest;
    v = (v + whole) - whole;
    return (uint16_t)(v > 65535 ? 65535 : (int)v);
}

static bool in_box(const rb_box *b, int y, int x) {
    return y >= b->y0 && y < b->y1 && x >= b->x0 && x < b->x1;
}

/* What a sample of picture `m` becomes, at (y, x). */
static uint16_t mixed(const rb_mixture *m, int y, int x, uint16_t mine, uint16_t other) {
    if (m->cut) return in_box(&m->box, y, x) ? other : mine;
    return m->share == 1 ? mine : blend(mine, other, m);
}

static void mix_pair(const rb_mixture *ma, const rb_mixture *mb, int height, int width, int channels,
                     uint16_t *a, uint16_t *b) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++, a++, b++) {
                uint16_t was = *a;
                *a = mixed(ma, y, x, was, *b);
                *b = mixed(mb, y, x, *b, was);
            }
}

void rb_mix_words(const rb_mixture *mixtures, int batch, int height, int width, int channels,
                  uint16_t *images) {
    size_t size = (size_t)height * (size_t)width * (size_t)channels;
    for (int i = 0; i < batch / 2; i++) {
        int j = batch - 1 - i;
        mix_pair(&mixtures[i], &mixtures[j], height, width, channels, images + (size_t)i * size,
                 images + (size_t)j * size);
    }
}
