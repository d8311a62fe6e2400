/* What the readers of the single formats share. Only src/image/ includes this.
 *
 * A reader finds the size in the header, calls rb_decode_begin (which refuses too large images before any
 * pixel memory is taken), fills job->image and reports. On failure the caller frees job->image. */
#ifndef RB_IMAGE_FORMATS_H
#define RB_IMAGE_FORMATS_H

#include "image/raster.h"

typedef struct rb_decode_job {
    const char *name; /* what errors call the file */
    const uint8_t *bytes;
    size_t size;
    uint64_t max_pixels;
    rb_image *image;  /* what 8-bit formats fill … */
    rb_raster raster; /* … and what is filled instead where there may be more; the caller frees it */
    bool deep;        /* 16 bits are wanted, as a raster */
    int channels;     /* that are wanted */
    bool turn;        /* the orientation is part of the format and always counts */
    bool measure;     /* the size alone is wanted: rb_decode_begin stops there, with STOPPED */
    rb_decode_info info;
    rb_error *err;
} rb_decode_job;

/* Checks the stored size against the limit, then allocates job->image (zeroed). */
revbifpn_status rb_decode_begin(rb_decode_job *job, uint64_t width, uint64_t height) RB_CHECKED;
/* The same for job->raster, with the channels that the file has. Refuses those that cannot become the wanted
 * ones. */
revbifpn_status rb_decode_begin_raster(rb_decode_job *job, uint64_t width, uint64_t height,
                                       int channels) RB_CHECKED;
/* Checks width × height × channels against three times the limit. */
revbifpn_status rb_decode_check_samples(rb_decode_job *job, uint64_t width, uint64_t height,
                                        int channels) RB_CHECKED;
/* The limit alone, for a header that a library would refuse with its own words. */
revbifpn_status rb_decode_check_size(rb_decode_job *job, uint64_t width, uint64_t height) RB_CHECKED;
/* Writes "NAME: FORMAT: reason" and returns `status`. */
revbifpn_status rb_decode_fail(rb_decode_job *job, revbifpn_status status, const char *reason);

revbifpn_status rb_decode_jpeg(rb_decode_job *job) RB_CHECKED;
revbifpn_status rb_decode_png(rb_decode_job *job) RB_CHECKED;
revbifpn_status rb_decode_webp(rb_decode_job *job) RB_CHECKED;
revbifpn_status rb_decode_gif(rb_decode_job *job) RB_CHECKED;
revbifpn_status rb_decode_bmp(rb_decode_job *job) RB_CHECKED;
revbifpn_status rb_decode_tiff(rb_decode_job *job) RB_CHECKED;

/* The orientation in a TIFF structure as EXIF has it (after "Exif\0\0"): 1 … 8, and 1 when absent or broken.
 */
int rb_exif_orientation(const uint8_t *tiff, size_t size);
/* Turns `image` so that it is shown upright; `name` for the error. OUT_OF_MEMORY leaves it as it was. */
revbifpn_status rb_image_orient(rb_image *image, int orientation, const char *name, rb_error *err) RB_CHECKED;
revbifpn_status rb_raster_orient(rb_raster *raster, int orientation, const char *name,
                                 rb_error *err) RB_CHECKED;

#endif
