/* Rasters as memory: allocation, conversion from and to 8-bit pictures, mirroring. */
#include "image/raster.h"

#include <string.h>

#include "base/memory.h"

revbifpn_status rb_raster_alloc(rb_raster *raster, int width, int height, int channels, rb_error *err) {
    *raster = (rb_raster){0};
    if (width < 1 || height < 1 || channels < 1 || channels > RB_RASTER_CHANNELS_MAX)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "a picture of %d x %d pixels and %d channels cannot be",
                       width, height, channels);
    size_t count = rb_size_mul(rb_size_mul((size_t)width, (size_t)height), (size_t)channels);
    uint16_t *samples = rb_alloc(rb_size_mul(count, sizeof *samples));
    if (!samples)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %d x %d pixels of %d channels", width,
                       height, channels);
    *raster = (rb_raster){.width = width, .height = height, .channels = channels, .samples = samples};
    return REVBIFPN_OK;
}

void rb_raster_free(rb_raster *raster) {
    rb_free(raster->samples);
    *raster = (rb_raster){0};
}

static bool is_grey(const rb_image *image) {
    const uint8_t *p = image->pixels;
    for (size_t i = (size_t)image->width * (size_t)image->height; i > 0; i--, p += 3)
        if (p[0] != p[1] || p[1] != p[2]) return false;
    return true;
}

revbifpn_status rb_raster_from_image(const char *name, const rb_image *image, int channels, rb_raster *raster,
                                     rb_error *err) {
    *raster = (rb_raster){0};
    if (channels != 3 && (channels != 1 || !is_grey(image)))
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: a picture of 3 channels; %d are wanted (--channels)",
                       name, channels);
    revbifpn_status status = rb_raster_alloc(raster, image->width, image->height, channels, err);
    if (status) return err ? rb_fail_prefix(err, "%s: ", name) : status;
    size_t count = (size_t)image->width * (size_t)image->height * (size_t)channels;
    size_t step = channels == 1 ? 3 : 1;
    for (size_t i = 0; i < count; i++) raster->samples[i] = (uint16_t)(image->pixels[i * step] * 257);
    return REVBIFPN_OK;
}

void rb_raster_show(const rb_raster *raster, uint8_t *dst) {
    int step = raster->channels, shown = step < 3 ? 1 : 3;
    size_t count = (size_t)raster->width * (size_t)raster->height;
    for (int c = 0; c < shown; c++) {
        const uint16_t *src = raster->samples + c;
        unsigned low = 65535, high = 0;
        for (size_t i = 0; i < count; i++) {
            unsigned v = src[i * (size_t)step];
            if (v < low) low = v;
            if (v > high) high = v;
        }
        unsigned range = high > low ? high - low : 1;
        for (size_t i = 0; i < count; i++)
            dst[3 * i + (size_t)c] = (uint8_t)((255 * (src[i * (size_t)step] - low) + range / 2) / range);
    }
    for (size_t i = 0; shown == 1 && i < count; i++) dst[3 * i + 1] = dst[3 * i + 2] = dst[3 * i];
}

void rb_raster_flip(uint16_t *samples, int width, int height, int channels) {
    size_t step = (size_t)channels, bytes = step * sizeof *samples;
    uint16_t keep[RB_RASTER_CHANNELS_MAX];
    for (int y = 0; y < height; y++) {
        uint16_t *a = samples + (size_t)y * (size_t)width * step, *b = a + (size_t)(width - 1) * step;
        for (; a < b; a += step, b -= step) {
            memcpy(keep, a, bytes);
            memcpy(a, b, bytes);
            memcpy(b, keep, bytes);
        }
    }
}

void rb_raster_flip_rows(uint16_t *samples, int width, int height, int channels) {
    size_t row = (size_t)width * (size_t)channels;
    for (int y = 0; y < height / 2; y++) {
        uint16_t *a = samples + (size_t)y * row, *b = samples + (size_t)(height - 1 - y) * row;
        for (size_t i = 0; i < row; i++) {
            uint16_t keep = a[i];
            a[i] = b[i];
            b[i] = keep;
        }
    }
}
