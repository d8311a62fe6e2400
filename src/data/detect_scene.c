#include "data/detect_scene.h"

#include <string.h>

rb_detect_scene rb_detect_scene_draw(const rb_detect_limits *l, double mosaic, bool training, uint32_t sample,
                                     int samples, int width, int height, rb_rng *rng) {
    rb_detect_scene s = {.tiles = 1, .tile = {{sample, rb_detect_chance_draw(l, training, rng)}}};
    rb_detect_chance still = s.tile[0].chance;
    if (training && mosaic > 0 && rb_rng_uniform(rng) < mosaic) {
        s.tiles = RB_MOSAIC_TILES;
        still.factor = 1;
    }
    rb_detect_draw draw = rb_detect_draw_of(l, &still, width, height);
    s.width = draw.width;
    s.height = draw.height;
    if (s.tiles == 1) return s;
    s.x = (int)rb_rng_below(rng, (uint32_t)s.width + 1);
    s.y = (int)rb_rng_below(rng, (uint32_t)s.height + 1);
    for (int i = 1; i < s.tiles; i++) {
        s.tile[i].sample = rb_rng_below(rng, (uint32_t)samples);
        s.tile[i].chance = rb_detect_chance_draw(l, training, rng);
    }
    return s;
}

/* The quarter of a tile along one axis: `after` the point, or before it. */
static int quarter(int point, int side, bool after, int *begin) {
    *begin = after ? point : 0;
    return after ? side - point : point;
}

/* Along one axis: how much of a picture of `full` pixels a quarter shows, from which pixel on, and where. */
static int part_of(int full, int point, int side, bool after, int *from, int *at) {
    int begin, room = quarter(point, side, after, &begin), part = full < room ? full : room;
    *from = after ? 0 : full - part;
    *at = after ? begin : point - part;
    return part;
}

rb_detect_draw rb_detect_scene_tile(const rb_detect_scene *s, int tile, const rb_detect_limits *l, int width,
                                    int height) {
    rb_detect_draw d = rb_detect_draw_of(l, &s->tile[tile].chance, width, height);
    if (s->tiles == 1) return d;
    d.part_width = part_of(d.full_width, s->x, s->width, tile % 2, &d.left, &d.x);
    d.part_height = part_of(d.full_height, s->y, s->height, tile / 2, &d.top, &d.y);
    if (d.mirror) d.left = d.full_width - d.left - d.part_width; /* it is the part that is mirrored */
    d.width = s->width;
    d.height = s->height;
    return d;
}

void rb_detect_scene_paint(const rb_detect_scene *s, int tile, uint8_t *dst, size_t stride) {
    int x, y, width = quarter(s->x, s->width, tile % 2, &x), height = quarter(s->y, s->height, tile / 2, &y);
    for (int row = y; row < y + height; row++) {
        uint8_t *pixel = dst + (size_t)row * stride + (size_t)x * 3;
        for (int i = 0; i < width; i++, pixel += 3) memcpy(pixel, rb_change_fill, 3);
    }
}

void rb_detect_scene_join(const rb_detect_truth *tiles, int count, rb_detect_truth *joined) {
    rb_detect_truth_clear(joined, tiles->view.width, tiles->view.height);
    for (int i = 0; i < count; i++) {
        const rb_truth *from = &tiles[i].view;
        size_t n = (size_t)from->count, at = (size_t)joined->view.count;
        if (!n) continue;
        memcpy(joined->boxes + 4 * at, from->boxes, n * 4 * sizeof *joined->boxes);
        memcpy(joined->labels + at, from->labels, n * sizeof *joined->labels);
        if (joined->masks) memcpy(joined->masks + at, from->masks, n * sizeof *joined->masks);
        joined->view.count += from->count;
    }
}
