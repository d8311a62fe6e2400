/* Rasters: pictures of any number of channels, 16 bits each, for multi-band TIFF and 16-bit PNG.
 *
 * Samples are height × width × channels words, row after row without padding, 0 … 65535. What is stored in 8
 * bits counts 257 times, so that 255 becomes 65535. */
#ifndef RB_IMAGE_RASTER_H
#define RB_IMAGE_RASTER_H

#include "image/image.h"

enum { RB_RASTER_CHANNELS_MAX = 64 };

typedef struct rb_raster {
    int width, height, channels;
    uint16_t *samples; /* height,width,channels; owned: rb_raster_free */
} rb_raster;

/* Zeroed; BAD_ARGUMENT for a size or number of channels that cannot be, OUT_OF_MEMORY. */
revbifpn_status rb_raster_alloc(rb_raster *raster, int width, int height, int channels,
                                rb_error *err) RB_CHECKED;
void rb_raster_free(rb_raster *raster);

/* As rb_image_decode and rb_image_read, with options->channels channels. A picture of one channel gives three
 * equal ones, one of three equal ones gives one; any other mismatch is BAD_FILE. Alpha is dropped unless the
 * channels wanted are all that the file has. Besides max_pixels, width × height × channels may not be more
 * than three times that. */
revbifpn_status rb_raster_decode(const char *name, const uint8_t *bytes, size_t size,
                                 const rb_decode_options *options, rb_raster *raster, rb_decode_info *info,
                                 rb_error *err) RB_CHECKED;
revbifpn_status rb_raster_read(const char *path, const rb_decode_options *options, rb_raster *raster,
                               rb_decode_info *info, rb_error *err) RB_CHECKED;

/* The picture with `channels` channels, converted as above; `name` for the error. */
revbifpn_status rb_raster_from_image(const char *name, const rb_image *image, int channels, rb_raster *raster,
                                     rb_error *err) RB_CHECKED;
/* A picture to look at: the first three channels in red, green and blue (of fewer the first one, in grey),
 * each stretched so that its least and its largest value become 0 and 255. dst: height,width,3. */
void rb_raster_show(const rb_raster *raster, uint8_t *dst);

/* The bytes of scratch, and the resize itself, as for 8-bit pictures: channel by channel what Pillow makes of
 * its mode "I;16" (weights in double, 16 bits in between, rounded half up), but values beyond 65535 become
 * 65535, where Pillow's low byte wraps. dst: part_height,part_width,channels. */
size_t rb_raster_resize_scratch(const rb_resize *r, int channels);
void rb_raster_resize(const rb_resize *r, const rb_raster *src, uint16_t *dst, void *scratch);
/* Mirror each row of a height,width,channels raster in place; turn it upside down. */
void rb_raster_flip(uint16_t *samples, int width, int height, int channels);
void rb_raster_flip_rows(uint16_t *samples, int width, int height, int channels);

#endif
