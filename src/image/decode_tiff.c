/* TIFF through libtiff: the first picture of a file, 8 or 16 bits unsigned, any number of channels, strips or
 * tiles, channels side by side or in planes. Everything lands in a raster; whoever wants 8 bits narrows it.
 */
#include "image/formats.h"

#ifndef REVBIFPN_TIFF

revbifpn_status rb_decode_tiff(rb_decode_job *job) {
    return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "this program was built without libtiff");
}

#else

#include <stdio.h>
#include <string.h>
#include <tiffio.h>

#include "base/memory.h"

/* Of one strip or tile; more is no picture to train on. Strips are no larger than the picture. */
#define MAX_BLOCK ((tmsize_t)1 << 28)
#define MAX_ALLOCATION ((tmsize_t)1 << 30)

typedef struct reader {
    rb_decode_job *job;
    TIFF *tiff;
    uint64_t at; /* where the next byte is read */
    char message[200];
    uint32_t width, height;
    uint16_t stored, bits, photometric; /* stored: samples of a pixel */
    uint16_t *map[3];                   /* palette: red, green, blue of each index; libtiff's */
    bool narrow_map;                    /* … in 8 bits */
    int channels;                       /* that are taken, the first ones */
} reader;

/* ---- libtiff's view of the bytes ---- */

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size) {
    reader *r = handle;
    uint64_t left = r->at < r->job->size ? r->job->size - r->at : 0;
    size_t count = size < 0 ? 0 : (uint64_t)size < left ? (size_t)size : (size_t)left;
    memcpy(to, r->job->bytes + (left ? r->at : 0), count);
    r->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_nothing(thandle_t handle, void *from, tmsize_t size) {
    (void)handle, (void)from, (void)size;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    reader *r = handle;
    r->at = whence == SEEK_CUR ? r->at + offset : whence == SEEK_END ? r->job->size + offset : offset;
    return r->at;
}

static int close_nothing(thandle_t handle) { return (void)handle, 0; }
static toff_t size_of(thandle_t handle) { return ((reader *)handle)->job->size; }

/* The first error is what stays; 1: libtiff prints nothing itself. */
static int failed(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    reader *r = user;
    if (!r->message[0]) vsnprintf(r->message, sizeof r->message, format, arguments);
    for (char *p = r->message; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~') *p = '?'; /* it may quote the file */
    return 1;
}

/* Unknown tags and the like: GeoTIFF is full of them. */
static int warned(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

static bool open_tiff(reader *r) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return false;
    TIFFOpenOptionsSetErrorHandlerExtR(options, failed, r);
    TIFFOpenOptionsSetWarningHandlerExtR(options, warned, r);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, MAX_ALLOCATION);
    /* m: no memory mapping, so that libtiff works on copies of our bytes */
    r->tiff = TIFFClientOpenExt(r->job->name, "rm", r, read_bytes, write_nothing, seek, close_nothing,
                                size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return r->tiff != NULL;
}

/* ---- the header ---- */

/* BAD_FILE with libtiff's words, or with `fallback`. */
static revbifpn_status broken(reader *r, const char *fallback) {
    return rb_decode_fail(r->job, REVBIFPN_BAD_FILE, r->message[0] ? r->message : fallback);
}

static revbifpn_status unsupported(reader *r, const char *reason) {
    return rb_decode_fail(r->job, REVBIFPN_UNSUPPORTED, reason);
}

static revbifpn_status check_kind(reader *r) {
    uint16_t form = SAMPLEFORMAT_UINT, compression = COMPRESSION_NONE;
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLEFORMAT, &form);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_COMPRESSION, &compression);
    if (form != SAMPLEFORMAT_UINT && form != SAMPLEFORMAT_VOID)
        return unsupported(r, "samples are not unsigned integers");
    if (r->bits != 8 && r->bits != 16)
        return rb_fail(r->job->err, REVBIFPN_UNSUPPORTED, "%s: TIFF: samples of %d bits; 8 and 16 are read",
                       r->job->name, r->bits);
    if (compression == COMPRESSION_OJPEG) return unsupported(r, "JPEG compression of the old kind");
    switch (r->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_RGB: return REVBIFPN_OK;
    case PHOTOMETRIC_PALETTE:
        if (r->stored == 1 && r->bits == 8 &&
            TIFFGetField(r->tiff, TIFFTAG_COLORMAP, &r->map[0], &r->map[1], &r->map[2]))
            return REVBIFPN_OK;
        return unsupported(r, "a palette that is not of 8 bits");
    case PHOTOMETRIC_YCBCR:
        if (compression == COMPRESSION_JPEG && r->stored == 3 && r->bits == 8 &&
            TIFFSetField(r->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB))
            return REVBIFPN_OK;
        return unsupported(r, "YCbCr colours without JPEG compression");
    default: return unsupported(r, "colours that are not grey, RGB, a palette or bands");
    }
}

/* How many of the stored samples are taken: all when so many are wanted, else all but those called alpha. */
static void choose_channels(reader *r) {
    uint16_t extra = 0, *kinds = NULL;
    int alpha = 0;
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
    for (uint16_t i = 0; kinds && i < extra; i++)
        alpha += kinds[i] == EXTRASAMPLE_ASSOCALPHA || kinds[i] == EXTRASAMPLE_UNASSALPHA;
    r->channels = r->stored;
    if (r->channels != r->job->channels && alpha < r->stored) r->channels -= alpha;
    if (r->map[0]) r->channels = 3;
}

/* Old writers left the colours of a palette in 8 bits. */
static void look_at_map(reader *r) {
    unsigned largest = 0;
    for (int c = 0; r->map[0] && c < 3; c++)
        for (int i = 0; i < 256; i++)
            if (r->map[c][i] > largest) largest = r->map[c][i];
    r->narrow_map = largest < 256;
}

static revbifpn_status read_header(reader *r) {
    revbifpn_status status;
    uint16_t orientation = 1;
    if (!TIFFGetField(r->tiff, TIFFTAG_IMAGEWIDTH, &r->width) ||
        !TIFFGetField(r->tiff, TIFFTAG_IMAGELENGTH, &r->height))
        return broken(r, "width or height is missing");
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLESPERPIXEL, &r->stored);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_BITSPERSAMPLE, &r->bits);
    if (!TIFFGetField(r->tiff, TIFFTAG_PHOTOMETRIC, &r->photometric)) r->photometric = PHOTOMETRIC_MINISBLACK;
    TRY(check_kind(r));
    if (!r->stored) return broken(r, "no samples");
    choose_channels(r);
    look_at_map(r);
    TRY(rb_decode_check_samples(r->job, r->width, r->height, r->stored));
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_ORIENTATION, &orientation);
    r->job->info.orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    r->job->turn = true; /* the format itself says how pixels lie, and Pillow follows it, too */
    TRY(rb_decode_begin_raster(r->job, r->width, r->height, r->channels));
    return REVBIFPN_OK;
fail:
    return status;
}

/* ---- the samples ---- */

/* A strip or tile: where it lies, and which samples are in it. */
typedef struct block {
    uint32_t x, y, width, height; /* width and height as stored, perhaps beyond the picture's edge */
    int first, count;             /* channels from `first` on, `count` samples for each pixel */
} block;

static uint16_t sample_at(const reader *r, const unsigned char *bytes, size_t i) {
    uint16_t word;
    if (r->bits == 8) return (uint16_t)(bytes[i] * 257);
    memcpy(&word, bytes + 2 * i, 2);
    return word;
}

static void copy_pixel(const reader *r, const unsigned char *bytes, size_t i, const block *b, uint16_t *out) {
    if (r->map[0]) {
        /* 8 bits of each colour, as Pillow reads them: some writers fill the low byte, others leave it 0 */
        for (int c = 0; c < 3; c++)
            out[c] = (uint16_t)((r->narrow_map ? r->map[c][bytes[i]] : r->map[c][bytes[i]] >> 8) * 257);
        return;
    }
    uint16_t flip = r->photometric == PHOTOMETRIC_MINISWHITE ? 65535 : 0;
    for (int c = 0; c < b->count && b->first + c < r->channels; c++)
        out[b->first + c] = sample_at(r, bytes, i + (size_t)c) ^ flip;
}

static void copy_block(const reader *r, const block *b, const unsigned char *bytes) {
    rb_raster *raster = &r->job->raster;
    uint32_t right = r->width - b->x < b->width ? r->width - b->x : b->width;
    uint32_t down = r->height - b->y < b->height ? r->height - b->y : b->height;
    for (uint32_t y = 0; y < down; y++)
        for (uint32_t x = 0; x < right; x++) {
            size_t at = (size_t)(b->y + y) * r->width + b->x + x;
            size_t i = ((size_t)y * b->width + x) * (size_t)b->count;
            copy_pixel(r, bytes, i, b, raster->samples + at * (size_t)raster->channels);
        }
}

/* One strip or tile of plane `plane` at (x, y), when it can be decoded. */
static bool read_block(reader *r, bool tiled, block *b, uint16_t plane, unsigned char *bytes, tmsize_t size) {
    tmsize_t got;
    memset(bytes, 0, (size_t)size);
    if (tiled) {
        got = TIFFReadEncodedTile(r->tiff, TIFFComputeTile(r->tiff, b->x, b->y, 0, plane), bytes, size);
    } else {
        if (b->height > r->height - b->y) b->height = r->height - b->y;
        got = TIFFReadEncodedStrip(r->tiff, TIFFComputeStrip(r->tiff, b->y, plane), bytes, size);
    }
    if (got < 0) return false;
    copy_block(r, b, bytes);
    return true;
}

/* Calls read_block for all of them; what cannot be decoded stays 0, and marks the picture as damaged. */
static revbifpn_status read_blocks(reader *r, block like, bool tiled, bool planes, unsigned char *bytes,
                                   tmsize_t size) {
    uint64_t good = 0;
    for (int plane = 0; plane < (planes ? r->channels : 1); plane++)
        for (uint64_t y = 0; y < r->height; y += like.height)
            for (uint64_t x = 0; x < r->width; x += like.width) {
                block b = like;
                b.x = (uint32_t)x;
                b.y = (uint32_t)y;
                b.first = plane;
                if (read_block(r, tiled, &b, (uint16_t)plane, bytes, size))
                    good++;
                else
                    r->job->info.damaged = true;
            }
    return good ? REVBIFPN_OK : broken(r, "nothing of it can be decoded");
}

static revbifpn_status read_samples(reader *r) {
    uint16_t planar = PLANARCONFIG_CONTIG;
    bool tiled = TIFFIsTiled(r->tiff);
    block like = {.width = r->width};
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_PLANARCONFIG, &planar);
    bool planes = planar == PLANARCONFIG_SEPARATE && r->stored > 1;
    like.count = planes ? 1 : r->stored;
    if (tiled) {
        TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &like.width);
        TIFFGetField(r->tiff, TIFFTAG_TILELENGTH, &like.height);
    } else {
        TIFFGetFieldDefaulted(r->tiff, TIFFTAG_ROWSPERSTRIP, &like.height);
        if (like.height > r->height) like.height = r->height;
    }
    tmsize_t size = tiled ? TIFFTileSize(r->tiff) : TIFFStripSize(r->tiff);
    if (size > MAX_BLOCK) return unsupported(r, "strips or tiles of more than 256 MiB");
    uint64_t wanted = (uint64_t)like.width * like.height * (uint64_t)like.count * (r->bits / 8);
    if (!like.width || !like.height || size <= 0 || (uint64_t)size < wanted)
        return broken(r, "strips or tiles have no size that can be");
    unsigned char *bytes = rb_alloc((size_t)size);
    if (!bytes) return rb_decode_fail(r->job, REVBIFPN_OUT_OF_MEMORY, "out of memory");
    revbifpn_status status = read_blocks(r, like, tiled, planes, bytes, size);
    rb_free(bytes);
    return status;
}

revbifpn_status rb_decode_tiff(rb_decode_job *job) {
    revbifpn_status status;
    reader r = {.job = job};
    if (!open_tiff(&r)) return broken(&r, "the header is damaged");
    TRY(read_header(&r));
    status = read_samples(&r);
fail:
    TIFFClose(r.tiff);
    return status;
}

#endif
