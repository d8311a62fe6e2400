/* JPEG through libjpeg-turbo, with the settings that Pillow uses (accurate integer DCT, smooth chroma
 * upsampling). Compared by hand with Pillow 13.0 (libjpeg-turbo 3.2 inside; 2.1.5 here): every byte equal on
 * all of the 120 or so baseline, progressive, grey, CMYK, YCCK and damaged JPEGs tried that both decode. */
#include <string.h>
#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>

#include "image/formats.h"
#include "image/jpeg_guard.h"

/* Each scan of a progressive file costs a pass over all coefficients, however few bytes it has: without a
 * limit a small file keeps the decoder busy for hours. Encoders write 10 or so; the standard's finest split,
 * about 100. */
enum { MAX_SCANS = 100 };

/* All state lives here, behind a pointer, so that longjmp cannot clobber it. */
typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    rb_jpeg_guard guard;
    struct jpeg_progress_mgr progress;
    rb_decode_job *job;
    revbifpn_status status; /* set when the failure is ours and the error text is already written */
} reader;

static void limit_scans(j_common_ptr common) {
    reader *r = common->client_data;
    if (r->jpeg.input_scan_number <= MAX_SCANS) return;
    r->status = rb_decode_fail(r->job, REVBIFPN_BAD_FILE, "more than 100 scans");
    longjmp(r->guard.escape, 1);
}

static void find_orientation(reader *r) {
    static const uint8_t signature[6] = "Exif\0";
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next) {
        if (m->data_length < sizeof signature || memcmp(m->data, signature, sizeof signature)) continue;
        r->job->info.orientation = rb_exif_orientation(m->data + 6, m->data_length - 6);
        return;
    }
}

static bool choose_colours(reader *r) {
    switch (r->jpeg.num_components) {
    case 1:
    case 3: r->jpeg.out_color_space = JCS_RGB; return true;
    case 4: r->jpeg.out_color_space = JCS_CMYK; return true;
    }
    r->status = rb_decode_fail(r->job, REVBIFPN_UNSUPPORTED, "a picture of neither 1, 3 nor 4 components");
    return false;
}

/* Pillow takes every CMYK JPEG as stored inverted (Adobe's way), turns it round, and converts
 * r = (255 − k) − c·(255 − k)/255, the product rounded (Convert.c, cmyk2rgb). */
static void cmyk_to_rgb(const uint8_t *src, uint8_t *dst, int width) {
    for (int x = 0; x < width; x++, src += 4, dst += 3)
        for (int c = 0; c < 3; c++) {
            int white = src[3], product = (255 - src[c]) * white + 128;
            dst[c] = (uint8_t)(white - (((product >> 8) + product) >> 8));
        }
}

static void read_rows(reader *r) {
    rb_image *image = r->job->image;
    JSAMPARRAY cmyk = NULL;
    if (r->jpeg.out_color_space == JCS_CMYK)
        cmyk = r->jpeg.mem->alloc_sarray((j_common_ptr)&r->jpeg, JPOOL_IMAGE, r->jpeg.output_width * 4, 1);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        JSAMPROW row = image->pixels + (size_t)r->jpeg.output_scanline * (size_t)image->width * 3;
        jpeg_read_scanlines(&r->jpeg, cmyk ? cmyk : &row, 1);
        if (cmyk) cmyk_to_rgb(cmyk[0], row, image->width);
    }
}

static bool read_jpeg(reader *r) {
    rb_jpeg_guard_open(&r->guard);
    r->jpeg.err = &r->guard.manager;
    if (setjmp(r->guard.escape)) return false;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r;
    r->progress.progress_monitor = limit_scans;
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, r->job->bytes, (unsigned long)r->job->size);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&r->jpeg, TRUE);
    find_orientation(r);
    if (!choose_colours(r)) return false;
    r->status = rb_decode_begin(r->job, r->jpeg.image_width, r->jpeg.image_height);
    if (r->status) return false;
    jpeg_start_decompress(&r->jpeg);
    read_rows(r);
    r->job->info.damaged = r->guard.manager.num_warnings > 0;
    return true;
}

static revbifpn_status status_of(int message) {
    switch (message) {
    case JERR_OUT_OF_MEMORY: return REVBIFPN_OUT_OF_MEMORY;
    case JERR_IMAGE_TOO_BIG:
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL: return REVBIFPN_UNSUPPORTED;
    }
    return REVBIFPN_BAD_FILE;
}

static revbifpn_status refusal(reader *r) {
    int message = r->guard.manager.msg_code;
    if (r->status) return r->status;
    if (message == JERR_IMAGE_TOO_BIG) { /* a side past libjpeg's own limit: name ours first */
        revbifpn_status status = rb_decode_check_size(r->job, r->jpeg.image_width, r->jpeg.image_height);
        if (status) return status;
    }
    return rb_decode_fail(r->job, status_of(message), r->guard.message);
}

revbifpn_status rb_decode_jpeg(rb_decode_job *job) {
    reader r = {.job = job};
    if (!read_jpeg(&r)) r.status = refusal(&r);
    jpeg_destroy_decompress(&r.jpeg);
    return r.status;
}
