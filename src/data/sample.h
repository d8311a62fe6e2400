/* Reading the picture of a sample, wherever it lies. */
#ifndef RB_DATA_SAMPLE_H
#define RB_DATA_SAMPLE_H

#include "data/dataset.h"
#include "image/raster.h"

/* Decodes it; errors as rb_image_read, naming the sample. Any thread. */
revbifpn_status rb_sample_read(const rb_sample *sample, const rb_decode_options *options, rb_image *image,
                               rb_decode_info *info, rb_error *err) RB_CHECKED;
/* Its bytes as they are stored; freed with rb_free. */
revbifpn_status rb_sample_bytes(const rb_sample *sample, unsigned char **bytes, size_t *size,
                                rb_error *err) RB_CHECKED;
/* What rb_sample_bytes gave, decoded. */
revbifpn_status rb_sample_decode(const rb_sample *sample, const unsigned char *bytes, size_t size,
                                 const rb_decode_options *options, rb_image *image, rb_decode_info *info,
                                 rb_error *err) RB_CHECKED;
/* The same as rasters of options->channels channels (image/raster.h). */
revbifpn_status rb_sample_read_raster(const rb_sample *sample, const rb_decode_options *options,
                                      rb_raster *raster, rb_decode_info *info, rb_error *err) RB_CHECKED;
revbifpn_status rb_sample_decode_raster(const rb_sample *sample, const unsigned char *bytes, size_t size,
                                        const rb_decode_options *options, rb_raster *raster,
                                        rb_decode_info *info, rb_error *err) RB_CHECKED;

#endif
