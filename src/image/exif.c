/* EXIF orientation: reading the tag, and turning the picture. */
#include <string.h>

#include "base/memory.h"
#include "image/formats.h"

static unsigned get16(const uint8_t *p, bool big) { return big ? p[0] * 256u + p[1] : p[1] * 256u + p[0]; }

static uint32_t get32(const uint8_t *p, bool big) {
    uint32_t a = get16(p, big), b = get16(p + 2, big);
    return big ? a << 16 | b : b << 16 | a;
}

int rb_exif_orientation(const uint8_t *tiff, size_t size) {
    enum { ORIENTATION = 0x0112, SHORT = 3, ENTRY = 12 };
    if (size < 8) return 1;
    bool big = !memcmp(tiff, "MM\0*", 4);
    if (!big && memcmp(tiff, "II*\0", 4)) return 1;
    size_t at = get32(tiff + 4, big); /* the first directory */
    if (at > size - 2) return 1;
    size_t entries = get16(tiff + at, big);
    at += 2;
    for (size_t i = 0; i < entries && size - at >= ENTRY; i++, at += ENTRY) {
        const uint8_t *entry = tiff + at;
        if (get16(entry, big) != ORIENTATION) continue;
        if (get16(entry + 2, big) != SHORT || get32(entry + 4, big) != 1) return 1;
        unsigned value = get16(entry + 8, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

static bool turned(int orientation) { return orientation >= 5; }

/* Where pixel (x, y) of the upright picture is stored: the two swapped when `turned` (5 … 8), then mirrored
 * along either stored axis. */
static inline size_t stored_at(int orientation, int width, int height, int x, int y) {
    static const bool mirror_x[9] = {0, 0, 1, 1, 0, 0, 0, 1, 1}, mirror_y[9] = {0, 0, 0, 1, 1, 0, 1, 1, 0};
    int sx = turned(orientation) ? y : x, sy = turned(orientation) ? x : y;
    if (mirror_x[orientation]) sx = width - 1 - sx;
    if (mirror_y[orientation]) sy = height - 1 - sy;
    return (size_t)sy * (size_t)width + (size_t)sx;
}

revbifpn_status rb_image_orient(rb_image *image, int orientation, const char *name, rb_error *err) {
    if (orientation <= 1 || orientation > 8) return REVBIFPN_OK;
    int w = image->width, h = image->height;
    bool swap = turned(orientation);
    rb_image out;
    revbifpn_status status = rb_image_alloc(&out, swap ? h : w, swap ? w : h, err);
    if (status) return err ? rb_fail_prefix(err, "%s: ", name) : status;
    uint8_t *dst = out.pixels;
    for (int y = 0; y < out.height; y++)
        for (int x = 0; x < out.width; x++, dst += 3)
            memcpy(dst, image->pixels + stored_at(orientation, w, h, x, y) * 3, 3);
    rb_image_free(image);
    *image = out;
    return REVBIFPN_OK;
}

revbifpn_status rb_raster_orient(rb_raster *raster, int orientation, const char *name, rb_error *err) {
    if (orientation <= 1 || orientation > 8) return REVBIFPN_OK;
    int w = raster->width, h = raster->height;
    size_t channels = (size_t)raster->channels;
    bool swap = turned(orientation);
    rb_raster out;
    revbifpn_status status = rb_raster_alloc(&out, swap ? h : w, swap ? w : h, raster->channels, err);
    if (status) return err ? rb_fail_prefix(err, "%s: ", name) : status;
    uint16_t *dst = out.samples;
    for (int y = 0; y < out.height; y++)
        for (int x = 0; x < out.width; x++, dst += channels)
            memcpy(dst, raster->samples + stored_at(orientation, w, h, x, y) * channels,
                   channels * sizeof *dst);
    rb_raster_free(raster);
    *raster = out;
    return REVBIFPN_OK;
}
