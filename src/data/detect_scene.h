/* A picture of a detector's batch as it is put together: of one file or, by a coin, of four around a drawn
 * point (mosaic, as YOLOv4 and Ultralytics have it).
 *
 * A mosaic has the size that the picture which was asked for would have without scale jitter. That one lies
 * to the upper left of the point; to the upper right, lower left and lower right of it lie three drawn from
 * all samples. Each is resized, mirrored and coloured as it would be alone, touches the point with a corner,
 * and is cut where its quarter ends; what it does not fill has the colour of ImageNet's mean. */
#ifndef RB_DATA_DETECT_SCENE_H
#define RB_DATA_DETECT_SCENE_H

#include "data/detect_change.h"

enum { RB_MOSAIC_TILES = 4 };

typedef struct rb_detect_tile {
    uint32_t sample;
    rb_detect_chance chance;
} rb_detect_tile;

typedef struct rb_detect_scene {
    int width, height; /* of the result */
    int tiles;         /* 1; or RB_MOSAIC_TILES, row by row: the first is what was asked for */
    int x, y;          /* the point of a mosaic */
    rb_detect_tile tile[RB_MOSAIC_TILES];
} rb_detect_scene;

/* Draws for `sample` of `samples`, a picture of width × height; mosaic: probability of one. In training first
 * what is drawn for the picture alone, so that without mosaics (0) that is all; then the coin, the point, and
 * sample after sample with what is drawn for it. */
rb_detect_scene rb_detect_scene_draw(const rb_detect_limits *limits, double mosaic, bool training,
                                     uint32_t sample, int samples, int width, int height, rb_rng *rng);
/* What happens to a file of that size as tile `tile`. Its part may be empty (no width or no height). */
rb_detect_draw rb_detect_scene_tile(const rb_detect_scene *scene, int tile, const rb_detect_limits *limits,
                                    int width, int height);
/* Paints the quarter of a tile before its part is put there. dst, stride: of the result. */
void rb_detect_scene_paint(const rb_detect_scene *scene, int tile, uint8_t *dst, size_t stride);

/* The objects of `count` tiles behind each other into `joined`, which has room for all; its masks borrow from
 * the tiles. */
void rb_detect_scene_join(const rb_detect_truth *tiles, int count, rb_detect_truth *joined);

#endif
