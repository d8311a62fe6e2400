/* Files of 16-bit and multi-band pictures, written by libtiff and libpng. */
#ifndef RB_TESTS_RASTERS_H
#define RB_TESTS_RASTERS_H

#include <stdbool.h>
#include <stdint.h>

/* A picture to write: height,width,channels samples, of which 8 bits are the low ones. */
typedef struct raster_file {
    int width, height, channels, bits;
    const uint16_t *samples;
    /* TIFF: 0 of each is contiguous strips of two rows, uncompressed, upright, MINISBLACK */
    bool planes, tiled, big_endian, white_is_zero, rgb, alpha;
    bool palette_given; /* of one channel of 8 bits: colours (3i, 255 − i, i) … */
    int palette;        /* … shifted by so many bits */
    int compression, orientation, form;
} raster_file;

/* Whether this build reads TIFF at all. */
bool rasters_have_tiff(void);
/* The test fails when it cannot be written. PNG: one channel or three, both also with alpha (2, 4). */
void raster_write_tiff(const char *path, const raster_file *file);
void raster_write_png(const char *path, const raster_file *file);

#endif
