/* 8-bit images in memory: decode, resize, crop, flip, draw, encode.
 *
 * Pixels are RGB, height × width × 3, row after row without padding. Resizing equals Pillow's byte for byte
 * (libImaging/Resample.c). */
#ifndef RB_IMAGE_H
#define RB_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rb_image {
    int width, height;
    uint8_t *pixels; /* height,width,3; owned: rb_image_free */
} rb_image;

typedef struct rb_decode_options {
    uint64_t max_pixels; /* larger images are refused from their header, before pixel memory is taken */
    bool apply_exif;     /* turn by the EXIF orientation (off: ImageNet practice, spec 3) */
    int channels;        /* of rasters (image/raster.h); 0: 8-bit RGB is wanted */
} rb_decode_options;

typedef struct rb_decode_info {
    const char *format;              /* "JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF" */
    int stored_width, stored_height; /* before any turning */
    int orientation;                 /* EXIF 1 … 8; 1 when absent or broken */
    bool damaged;                    /* decoded, but part of the data was missing or wrong */
} rb_decode_info;

typedef enum rb_filter {
    RB_FILTER_BILINEAR,
    RB_FILTER_BICUBIC,
    /* Added to one of the above: rows always before columns, as Pillow 9.4 does (spec 4.1). Without it the
     * order is that of Pillow 13: columns first when h - H > 2(w - W) and H < h. The two differ by the
     * rounding in between, mostly by ±1. */
    RB_FILTER_ROWS_FIRST = 2,
    /* Added: without vector instructions. For the test that both give the same bytes. */
    RB_FILTER_PLAIN_CODE = 4
} rb_filter;

/* Zeroed image of that size; OUT_OF_MEMORY. */
revbifpn_status rb_image_alloc(rb_image *image, int width, int height, rb_error *err) RB_CHECKED;
void rb_image_free(rb_image *image);

/* Decodes `size` bytes, by content and not by name; `name` is what errors call it. `info` may be NULL.
 * A damaged file that still gives a full-size picture decodes with info->damaged set. Errors: BAD_FILE,
 * UNSUPPORTED (a format or feature left out), OUT_OF_MEMORY. Re-entrant. */
revbifpn_status rb_image_decode(const char *name, const uint8_t *bytes, size_t size,
                                const rb_decode_options *options, rb_image *image, rb_decode_info *info,
                                rb_error *err) RB_CHECKED;
/* The same from a file. */
revbifpn_status rb_image_read(const char *path, const rb_decode_options *options, rb_image *image,
                              rb_decode_info *info, rb_error *err) RB_CHECKED;

/* The size that rb_image_read would give, from the header alone: pixel data may still be broken. */
revbifpn_status rb_image_measure(const char *path, const rb_decode_options *options, int *width, int *height,
                                 rb_error *err) RB_CHECKED;

/* A resize: the box (x, y, w, h) of the source, cut out first as torchvision's resized_crop does, to width ×
 * height; of the result only the part_width × part_height pixels at (left, top) are made, exactly as in the
 * whole. */
typedef struct rb_resize {
    int x, y, w, h;
    int width, height;
    int left, top, part_width, part_height;
    rb_filter filter;
} rb_resize;

/* A resize whose whole result is wanted. */
rb_resize rb_resize_whole(int x, int y, int w, int h, int width, int height, rb_filter filter);
/* Bytes of scratch that rb_resize_run needs; SIZE_MAX when there are too many to count. */
size_t rb_resize_scratch(const rb_resize *r);
/* dst: part_height,part_width,3. `scratch` has rb_resize_scratch(r) bytes, aligned as rb_alloc does. */
void rb_resize_run(const rb_resize *r, const rb_image *src, uint8_t *dst, void *scratch);
/* torchvision's centre crop of `src` into dst (height,width,3), padded with zeros where `src` is smaller
 * (spec 4.6). */
void rb_image_center_crop(const rb_image *src, int width, int height, uint8_t *dst);
/* Mirrors each row of a height,width,3 picture in place. */
void rb_image_flip(uint8_t *pixels, int width, int height);
/* torchvision's Resize(side): the size whose short side is `side` (spec 4.6). */
void rb_image_short_side(int width, int height, int side, int *out_width, int *out_height);

/* Writes a PNG, whole or not at all. */
revbifpn_status rb_image_write_png(const char *path, const rb_image *image, rb_error *err) RB_CHECKED;
/* Writes a baseline JPEG (4:2:0) of that quality, whole or not at all. */
revbifpn_status rb_image_write_jpeg(const char *path, const rb_image *image, int quality,
                                    rb_error *err) RB_CHECKED;
/* The same JPEG in memory; *bytes is freed with rb_free. The image must not be empty, quality 1 … 100. */
revbifpn_status rb_image_encode_jpeg(const rb_image *image, int quality, uint8_t **bytes, size_t *size,
                                     rb_error *err) RB_CHECKED;

#endif
