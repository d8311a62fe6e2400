#include "rasters.h"

#include <png.h>

#include "check.h"

void raster_write_png(const char *path, const raster_file *f) {
    static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGB_ALPHA};
    FILE *out = fopen(path, "wbe");
    if (!out) fail_msg("cannot write %s", path);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, out);
    png_set_IHDR(png, info, (png_uint_32)f->width, (png_uint_32)f->height, f->bits, types[f->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    size_t row = (size_t)f->width * (size_t)f->channels;
    png_byte *bytes = malloc(2 * row);
    for (int y = 0; y < f->height; y++) {
        const uint16_t *from = f->samples + (size_t)y * row;
        for (size_t i = 0; i < row; i++)
            if (f->bits == 16)
                bytes[2 * i] = (png_byte)(from[i] >> 8), bytes[2 * i + 1] = (png_byte)(from[i] & 255);
            else
                bytes[i] = (png_byte)from[i];
        png_write_row(png, bytes);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(bytes);
    assert_int_equal(fclose(out), 0);
}

#ifndef REVBIFPN_TIFF

bool rasters_have_tiff(void) { return false; }
void raster_write_tiff(const char *path, const raster_file *f) {
    (void)f;
    fail_msg("%s: built without libtiff", path);
}

#else

#include <tiffio.h>

bool rasters_have_tiff(void) { return true; }

/* The samples of a block of plane `plane` (−1: all channels) at (x, y); 0 beyond the edge. */
static void fill_block(const raster_file *f, int x, int y, int width, int height, int plane, uint8_t *out) {
    int first = plane < 0 ? 0 : plane, last = plane < 0 ? f->channels : plane + 1;
    for (int row = y; row < y + height; row++)
        for (int column = x; column < x + width; column++)
            for (int c = first; c < last; c++) {
                bool inside = row < f->height && column < f->width;
                size_t at = ((size_t)row * (size_t)f->width + (size_t)column) * (size_t)f->channels;
                uint16_t v = inside ? f->samples[at + (size_t)c] : 0;
                if (f->bits == 16)
                    memcpy(out, &v, 2), out += 2;
                else
                    *out++ = (uint8_t)v;
            }
}

static void set_fields(TIFF *tiff, const raster_file *f) {
    static const uint16_t alpha[] = {EXTRASAMPLE_UNASSALPHA};
    uint16_t map[3][256];
    int photometric = f->palette_given   ? PHOTOMETRIC_PALETTE
                      : f->rgb           ? PHOTOMETRIC_RGB
                      : f->white_is_zero ? PHOTOMETRIC_MINISWHITE
                                         : PHOTOMETRIC_MINISBLACK;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, f->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, f->height);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, f->channels);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, f->bits);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, photometric);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, f->compression ? f->compression : COMPRESSION_NONE);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, f->planes ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    if (f->orientation) TIFFSetField(tiff, TIFFTAG_ORIENTATION, f->orientation);
    if (f->form) TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, f->form);
    for (int i = 0; i < 256; i++) {
        map[0][i] = (uint16_t)((3 * i & 255) << f->palette);
        map[1][i] = (uint16_t)((255 - i) << f->palette);
        map[2][i] = (uint16_t)(i << f->palette);
    }
    if (f->palette_given) TIFFSetField(tiff, TIFFTAG_COLORMAP, map[0], map[1], map[2]);
    if (f->alpha) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, alpha);
    if (f->tiled) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 16);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, 16);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 2);
    }
}

void raster_write_tiff(const char *path, const raster_file *f) {
    TIFF *tiff = TIFFOpen(path, f->big_endian ? "wb" : "wl");
    if (!tiff) fail_msg("cannot write %s", path);
    set_fields(tiff, f);
    int width = f->tiled ? 16 : f->width, height = f->tiled ? 16 : 2;
    size_t pixel = (size_t)(f->planes ? 1 : f->channels) * (size_t)(f->bits / 8);
    uint8_t *bytes = malloc((size_t)width * (size_t)height * pixel);
    for (int plane = f->planes ? 0 : -1; plane < (f->planes ? f->channels : 0); plane++)
        for (int y = 0; y < f->height; y += height)
            for (int x = 0; x < f->width; x += width) {
                int rows = !f->tiled && f->height - y < height ? f->height - y : height;
                tmsize_t size = (tmsize_t)((size_t)width * (size_t)rows * pixel);
                uint16_t at = (uint16_t)(plane < 0 ? 0 : plane);
                fill_block(f, x, y, width, rows, plane, bytes);
                uint32_t tile = f->tiled ? TIFFComputeTile(tiff, (uint32_t)x, (uint32_t)y, 0, at) : 0;
                tmsize_t written =
                    f->tiled
                        ? TIFFWriteEncodedTile(tiff, tile, bytes, size)
                        : TIFFWriteEncodedStrip(tiff, TIFFComputeStrip(tiff, (uint32_t)y, at), bytes, size);
                assert_int_equal(written, size);
            }
    free(bytes);
    TIFFClose(tiff);
}

#endif
