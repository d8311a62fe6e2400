#include "data/sample.h"

#include "base/file.h"
#include "base/memory.h"

enum { SIDE = 32, PLANE = SIDE * SIDE }; /* of CIFAR-10 */
#define MAX_FILE_BYTES ((size_t)1 << 30) /* as of a picture file */

static revbifpn_status decode_planes(const rb_sample *s, const unsigned char *bytes, size_t size,
                                     const rb_decode_options *options, rb_image *image, rb_decode_info *info,
                                     rb_error *err) {
    if (size != 3 * PLANE || options->max_pixels < PLANE)
        return rb_fail(err, REVBIFPN_BAD_FILE,
                       "%s: not a picture of 32 x 32 pixels, or more than --max-pixels", s->path);
    revbifpn_status status = rb_image_alloc(image, SIDE, SIDE, err);
    for (int i = 0; !status && i < 3 * PLANE; i++) image->pixels[i] = bytes[i % 3 * PLANE + i / 3];
    if (info)
        *info = (rb_decode_info){
            .format = "CIFAR-10", .stored_width = SIDE, .stored_height = SIDE, .orientation = 1};
    return status;
}

revbifpn_status rb_sample_bytes(const rb_sample *s, unsigned char **bytes, size_t *size, rb_error *err) {
    if (s->form == RB_SAMPLE_FILE) return rb_file_read(s->path, MAX_FILE_BYTES, bytes, size, err);
    if (s->size > MAX_FILE_BYTES)
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: %llu bytes, more than the limit of %zu", s->path,
                       (unsigned long long)s->size, MAX_FILE_BYTES);
    *size = (size_t)s->size;
    *bytes = rb_alloc(*size);
    if (!*bytes)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %zu bytes", s->path, *size);
    revbifpn_status status = rb_file_read_range(s->container, s->offset, *size, *bytes, err);
    if (!status) return status;
    rb_free(*bytes);
    *bytes = NULL;
    return status;
}

revbifpn_status rb_sample_decode(const rb_sample *s, const unsigned char *bytes, size_t size,
                                 const rb_decode_options *options, rb_image *image, rb_decode_info *info,
                                 rb_error *err) {
    *image = (rb_image){0};
    if (s->form == RB_SAMPLE_PLANES) return decode_planes(s, bytes, size, options, image, info, err);
    return rb_image_decode(s->path, bytes, size, options, image, info, err);
}

revbifpn_status rb_sample_read(const rb_sample *s, const rb_decode_options *options, rb_image *image,
                               rb_decode_info *info, rb_error *err) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    *image = (rb_image){0};
    if (s->form == RB_SAMPLE_FILE) return rb_image_read(s->path, options, image, info, err);
    revbifpn_status status = rb_sample_bytes(s, &bytes, &size, err);
    if (status) return status;
    status = rb_sample_decode(s, bytes, size, options, image, info, err);
    rb_free(bytes);
    return status;
}

revbifpn_status rb_sample_decode_raster(const rb_sample *s, const unsigned char *bytes, size_t size,
                                        const rb_decode_options *options, rb_raster *raster,
                                        rb_decode_info *info, rb_error *err) {
    rb_image image;
    *raster = (rb_raster){0};
    if (s->form != RB_SAMPLE_PLANES)
        return rb_raster_decode(s->path, bytes, size, options, raster, info, err);
    revbifpn_status status = decode_planes(s, bytes, size, options, &image, info, err);
    if (status) return status;
    status = rb_raster_from_image(s->path, &image, options->channels, raster, err);
    rb_image_free(&image);
    return status;
}

revbifpn_status rb_sample_read_raster(const rb_sample *s, const rb_decode_options *options, rb_raster *raster,
                                      rb_decode_info *info, rb_error *err) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    *raster = (rb_raster){0};
    revbifpn_status status = rb_sample_bytes(s, &bytes, &size, err);
    if (status) return status;
    status = rb_sample_decode_raster(s, bytes, size, options, raster, info, err);
    rb_free(bytes);
    return status;
}
