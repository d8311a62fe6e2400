/* Decoding: which format the content is, limits, orientation. The formats themselves are in decode_*.c. */
#include "image/image.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/formats.h"

/* Larger files are not pictures to train on; the limit bounds what one bad entry of a data set can take. */
#define MAX_FILE_BYTES ((size_t)1 << 30)
/* Of a longer side the tables and the rows in between of a resize would outgrow the picture. */
#define MAX_SIDE ((uint64_t)1 << 20)
/* Of a longer name errors show the end, so that the reason still fits behind it. */
#define MAX_SHOWN_NAME ((size_t)700)

typedef struct format {
    const char *name;
    const char *magic; /* at the start */
    size_t magic_size;
    const char *second; /* at byte 8, or NULL */
    revbifpn_status (*decode)(rb_decode_job *job);
} format;

static const format formats[] = {
    {"JPEG", "\xff\xd8\xff", 3, NULL, rb_decode_jpeg},
    {"PNG", "\x89PNG", 4, NULL, rb_decode_png},
    {"WebP", "RIFF", 4, "WEBP", rb_decode_webp},
    {"GIF", "GIF8", 4, NULL, rb_decode_gif},
    {"BMP", "BM", 2, NULL, rb_decode_bmp},
};

static const format *sniff(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const format *f = &formats[i];
        if (size < f->magic_size || memcmp(bytes, f->magic, f->magic_size)) continue;
        if (f->second && (size < 12 || memcmp(bytes + 8, f->second, 4))) continue;
        return f;
    }
    return NULL;
}

revbifpn_status rb_decode_fail(rb_decode_job *job, revbifpn_status status, const char *reason) {
    return rb_fail(job->err, status, "%s: %s: %s", job->name, job->info.format, reason);
}

revbifpn_status rb_decode_check_size(rb_decode_job *job, uint64_t width, uint64_t height) {
    if (!width || !height) return rb_decode_fail(job, REVBIFPN_BAD_FILE, "width or height is 0");
    bool fits = width <= job->max_pixels / height, sides_fit = width <= MAX_SIDE && height <= MAX_SIDE;
    if (fits && sides_fit) return REVBIFPN_OK;
    if (fits) return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "a side of more than 1048576 pixels");
    return rb_fail(job->err, REVBIFPN_BAD_FILE,
                   "%s: %s: %llu x %llu pixels, more than the limit of %llu (--max-pixels)", job->name,
                   job->info.format, (unsigned long long)width, (unsigned long long)height,
                   (unsigned long long)job->max_pixels);
}

revbifpn_status rb_decode_begin(rb_decode_job *job, uint64_t width, uint64_t height) {
    revbifpn_status status = rb_decode_check_size(job, width, height);
    if (status) return status;
    job->info.stored_width = (int)width;
    job->info.stored_height = (int)height;
    status = rb_image_alloc(job->image, (int)width, (int)height, job->err);
    return status && job->err ? rb_fail_prefix(job->err, "%s: ", job->name) : status;
}

static const char *shown_name(const char *name) {
    size_t length = strlen(name);
    return length > MAX_SHOWN_NAME ? name + length - MAX_SHOWN_NAME : name;
}

revbifpn_status rb_image_decode(const char *name, const uint8_t *bytes, size_t size,
                                const rb_decode_options *options, rb_image *image, rb_decode_info *info,
                                rb_error *err) {
    revbifpn_status status;
    *image = (rb_image){0};
    name = shown_name(name);
    if (!options->max_pixels) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "the limit of --max-pixels is 0");
    if (!size) return rb_fail(err, REVBIFPN_BAD_FILE, "%s: the file is empty", name);
    const format *f = sniff(bytes, size);
    if (!f) return rb_fail(err, REVBIFPN_UNSUPPORTED, "%s: not a JPEG, PNG, WebP, GIF or BMP picture", name);
    rb_decode_job job = {.name = name,
                         .bytes = bytes,
                         .size = size,
                         .max_pixels = options->max_pixels,
                         .image = image,
                         .info = {.format = f->name, .orientation = 1},
                         .err = err};
    TRY(f->decode(&job));
    if (options->apply_exif) TRY(rb_image_orient(image, job.info.orientation, name, err));
    if (info) *info = job.info;
    return REVBIFPN_OK;
fail:
    rb_image_free(image);
    return status;
}

revbifpn_status rb_image_read(const char *path, const rb_decode_options *options, rb_image *image,
                              rb_decode_info *info, rb_error *err) {
    *image = (rb_image){0};
    unsigned char *bytes;
    size_t size;
    revbifpn_status status = rb_file_read(path, MAX_FILE_BYTES, &bytes, &size, err);
    if (status) return status;
    status = rb_image_decode(path, bytes, size, options, image, info, err);
    rb_free(bytes);
    return status;
}
