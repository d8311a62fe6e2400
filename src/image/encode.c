/* Writing PNG and JPEG. Both libraries report failure by longjmp: everything that must survive it lives in a
 * struct behind a pointer, never in a local variable of the function that calls setjmp. */
#include "image/image.h"

#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <png.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/jpeg_guard.h"

static revbifpn_status check_image(const char *path, const rb_image *image, rb_error *err) {
    if (image->pixels && image->width > 0 && image->height > 0) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: the image to write is empty", path);
}

/* ---- PNG ---- */

typedef struct png_job {
    const rb_image *image;
    rb_file_writer file;
    png_structp png;
    png_infop info;
    rb_error *err;
    revbifpn_status status;
    char message[200];
} png_job;

static void png_write_bytes(png_structp png, png_bytep bytes, size_t size) {
    png_job *job = png_get_io_ptr(png);
    job->status = rb_file_write(&job->file, bytes, size, job->err);
    if (job->status) png_longjmp(png, 1);
}

static void png_flush_nothing(png_structp png) { (void)png; }

static void png_failed(png_structp png, png_const_charp message) {
    png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", message);
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp message) { (void)png, (void)message; }

static revbifpn_status png_encode(png_job *job, const char *path) {
    job->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, job, png_failed, png_warned);
    job->info = job->png ? png_create_info_struct(job->png) : NULL;
    if (!job->info) return rb_fail(job->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    if (setjmp(png_jmpbuf(job->png))) {
        if (job->status) return job->status;
        return rb_fail(job->err, REVBIFPN_BAD_ARGUMENT, "%s: cannot write as PNG: %s", path, job->message);
    }
    const rb_image *image = job->image;
    png_set_write_fn(job->png, job, png_write_bytes, png_flush_nothing);
    png_set_IHDR(job->png, job->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    for (int y = 0; y < image->height; y++)
        png_write_row(job->png, image->pixels + (size_t)y * (size_t)image->width * 3);
    png_write_end(job->png, NULL);
    return REVBIFPN_OK;
}

revbifpn_status rb_image_write_png(const char *path, const rb_image *image, rb_error *err) {
    revbifpn_status status;
    png_job job = {.image = image, .err = err};
    TRY(check_image(path, image, err));
    TRY(rb_file_begin(&job.file, path, err));
    status = png_encode(&job, path);
    png_destroy_write_struct(&job.png, &job.info);
    TRY(status);
    return rb_file_commit(&job.file, err);
fail:
    rb_file_abandon(&job.file);
    return status;
}

/* ---- JPEG ---- */

typedef struct jpeg_job {
    struct jpeg_compress_struct jpeg;
    rb_jpeg_guard guard;
    unsigned char *bytes;
    unsigned long size;
} jpeg_job;

static bool jpeg_encode(jpeg_job *job, const rb_image *image, int quality) {
    rb_jpeg_guard_open(&job->guard);
    job->jpeg.err = &job->guard.manager;
    if (setjmp(job->guard.escape)) return false;
    jpeg_create_compress(&job->jpeg);
    jpeg_mem_dest(&job->jpeg, &job->bytes, &job->size);
    job->jpeg.image_width = (JDIMENSION)image->width;
    job->jpeg.image_height = (JDIMENSION)image->height;
    job->jpeg.input_components = 3;
    job->jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&job->jpeg); /* baseline, 4:2:0 */
    jpeg_set_quality(&job->jpeg, quality, TRUE);
    jpeg_start_compress(&job->jpeg, TRUE);
    while (job->jpeg.next_scanline < job->jpeg.image_height) {
        JSAMPROW row = image->pixels + (size_t)job->jpeg.next_scanline * (size_t)image->width * 3;
        jpeg_write_scanlines(&job->jpeg, &row, 1);
    }
    jpeg_finish_compress(&job->jpeg);
    return true;
}

revbifpn_status rb_image_encode_jpeg(const rb_image *image, int quality, uint8_t **bytes, size_t *size,
                                     rb_error *err) {
    jpeg_job job = {0};
    revbifpn_status status = REVBIFPN_OK;
    *bytes = NULL;
    *size = 0;
    if (!jpeg_encode(&job, image, quality)) {
        status = rb_fail(err, REVBIFPN_BAD_ARGUMENT, "cannot write as JPEG: %s", job.guard.message);
    } else if (!(*bytes = rb_alloc(job.size))) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a JPEG of %lu bytes", job.size);
    } else {
        memcpy(*bytes, job.bytes, job.size);
        *size = job.size;
    }
    jpeg_destroy_compress(&job.jpeg);
    free(job.bytes); /* from libjpeg's malloc */
    return status;
}

revbifpn_status rb_image_write_jpeg(const char *path, const rb_image *image, int quality, rb_error *err) {
    revbifpn_status status;
    uint8_t *bytes = NULL;
    size_t size;
    TRY(check_image(path, image, err));
    if (quality < 1 || quality > 100)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: JPEG quality %d is not in 1 … 100", path, quality);
    status = rb_image_encode_jpeg(image, quality, &bytes, &size, err);
    if (status != REVBIFPN_OK) return rb_fail_prefix(err, "%s: ", path);
    status = rb_file_replace(path, bytes, size, err);
    rb_free(bytes);
fail:
    return status;
}
