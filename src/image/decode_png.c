/* PNG through libpng. All ancillary chunks are skipped unread, so that a text or profile bomb costs nothing;
 * the EXIF chunk is found by walking the chunks here. */
#include <string.h>
#include <setjmp.h>
#include <stdio.h>
#include <png.h>

#include "image/formats.h"

typedef struct reader {
    png_structp png;
    png_infop info;
    rb_decode_job *job;
    size_t at;              /* bytes handed to libpng so far */
    uint64_t rows;          /* rows decoded so far, over all passes */
    revbifpn_status status; /* set when the failure is ours and the error text is already written */
    char message[200];
} reader;

static void read_bytes(png_structp png, png_bytep bytes, size_t size) {
    reader *r = png_get_io_ptr(png);
    if (size > r->job->size - r->at) png_error(png, "the file ends too early");
    memcpy(bytes, r->job->bytes + r->at, size);
    r->at += size;
}

static void failed(png_structp png, png_const_charp message) {
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void warned(png_structp png, png_const_charp message) {
    (void)message;
    reader *r = png_get_error_ptr(png);
    r->job->info.damaged = true;
}

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void find_orientation(rb_decode_job *job) {
    enum { SIGNATURE = 8, FRAME = 12 }; /* length, type, checksum around the content */
    for (size_t at = SIGNATURE; job->size - at >= FRAME;) {
        const uint8_t *chunk = job->bytes + at;
        size_t length = big32(chunk);
        if (length > job->size - at - FRAME) return;
        if (!memcmp(chunk + 4, "eXIf", 4)) {
            job->info.orientation = rb_exif_orientation(chunk + 8, length);
            return;
        }
        at += FRAME + length;
    }
}

/* Whether 16 bits are there and wanted. */
static bool is_deep(const reader *r) { return r->job->deep && png_get_bit_depth(r->png, r->info) == 16; }

static bool is_grey(const reader *r) { return !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR); }

/* To 8-bit RGB: the high byte of 16-bit samples, palette and grey expanded, alpha dropped with the colours
 * kept. Where 16 bits are wanted they stay, grey in one channel. */
static void choose_pixels(reader *r) {
    int type = png_get_color_type(r->png, r->info);
    png_set_strip_alpha(r->png);
    if (is_deep(r)) {
        const uint16_t one = 1;
        if (*(const uint8_t *)&one) png_set_swap(r->png); /* stored high byte first */
        return;
    }
    png_set_strip_16(r->png);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(r->png);
    if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(r->png);
}

static void read_rows(reader *r) {
    const rb_raster *raster = &r->job->raster;
    bool deep = raster->samples != NULL;
    uint8_t *rows = deep ? (uint8_t *)raster->samples : r->job->image->pixels;
    int height = deep ? raster->height : r->job->image->height;
    size_t row_bytes =
        deep ? (size_t)raster->width * (size_t)raster->channels * 2 : (size_t)r->job->image->width * 3;
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != row_bytes) png_error(r->png, "unexpected row size");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < height; y++) {
            /* the "display" row: earlier passes fill the gaps, so a file cut short is coarse and not holed */
            png_read_row(r->png, NULL, rows + (size_t)y * row_bytes);
            r->rows++;
        }
}

static bool read_png(reader *r) {
    rb_decode_job *job = r->job;
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_set_read_fn(r->png, r, read_bytes);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* the limit is ours */
    png_read_info(r->png, r->info);
    uint32_t width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
    r->status = is_deep(r) ? rb_decode_begin_raster(job, width, height, is_grey(r) ? 1 : 3)
                           : rb_decode_begin(job, width, height);
    if (r->status) return false;
    /* The header's checksums count; a wrong one over pixel data only marks the picture as damaged. */
    png_set_crc_action(r->png, PNG_CRC_WARN_USE, PNG_CRC_WARN_DISCARD);
    choose_pixels(r);
    read_rows(r);
    return true;
}

static revbifpn_status check_header(rb_decode_job *job) {
    if (job->size < 8 || png_sig_cmp(job->bytes, 0, 8))
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the signature is damaged");
    if (job->size < 24 || memcmp(job->bytes + 12, "IHDR", 4))
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the header is missing");
    return rb_decode_check_size(job, big32(job->bytes + 16), big32(job->bytes + 20));
}

revbifpn_status rb_decode_png(rb_decode_job *job) {
    revbifpn_status status = check_header(job);
    if (status) return status;
    reader r = {.job = job};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, failed, warned);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info) {
        r.status = rb_decode_fail(job, REVBIFPN_OUT_OF_MEMORY, "out of memory");
    } else if (!read_png(&r) && !r.status) {
        if (r.rows)
            job->info.damaged = true;
        else
            r.status = rb_decode_fail(job, REVBIFPN_BAD_FILE, r.message);
    }
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (!r.status || job->measure) find_orientation(job);
    return r.status;
}
