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
    {"TIFF", "II*\0", 4, NULL, rb_decode_tiff},
    {"TIFF", "MM\0*", 4, NULL, rb_decode_tiff},
    {"TIFF", "II+\0", 4, NULL, rb_decode_tiff}, /* BigTIFF: offsets of 64 bits */
    {"TIFF", "MM\0+", 4, NULL, rb_decode_tiff},
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
    if (job->measure) return REVBIFPN_STOPPED;
    status = rb_image_alloc(job->image, (int)width, (int)height, job->err);
    return status && job->err ? rb_fail_prefix(job->err, "%s: ", job->name) : status;
}

revbifpn_status rb_decode_check_samples(rb_decode_job *job, uint64_t width, uint64_t height, int channels) {
    revbifpn_status status = rb_decode_check_size(job, width, height);
    uint64_t pixels = width * height; /* at most 2^40 */
    if (status || pixels <= 3 * (job->max_pixels < UINT64_MAX / 3 ? job->max_pixels : UINT64_MAX / 3) /
                                (uint64_t)channels)
        return status;
    return rb_fail(job->err, REVBIFPN_BAD_FILE,
                   "%s: %s: %llu x %llu pixels of %d channels, more than 3 times the limit of %llu "
                   "(--max-pixels)",
                   job->name, job->info.format, (unsigned long long)width, (unsigned long long)height,
                   channels, (unsigned long long)job->max_pixels);
}

revbifpn_status rb_decode_begin_raster(rb_decode_job *job, uint64_t width, uint64_t height, int channels) {
    int largest = channels > job->channels ? channels : job->channels;
    bool fits = channels == job->channels || (channels == 1 && job->channels == 3) ||
                (channels == 3 && job->channels == 1);
    if (!fits)
        return rb_fail(job->err, REVBIFPN_BAD_FILE, "%s: %s: %d channels; %d are wanted (--channels)",
                       job->name, job->info.format, channels, job->channels);
    revbifpn_status status = rb_decode_check_samples(job, width, height, largest);
    if (status) return status;
    job->info.stored_width = (int)width;
    job->info.stored_height = (int)height;
    if (job->measure) return REVBIFPN_STOPPED;
    status = rb_raster_alloc(&job->raster, (int)width, (int)height, channels, job->err);
    return status && job->err ? rb_fail_prefix(job->err, "%s: ", job->name) : status;
}

/* ---- between 8 and 16 bits, one channel and three ---- */

/* The high bytes of job->raster, in RGB, as job->image. */
static revbifpn_status narrow(rb_decode_job *job) {
    const rb_raster *raster = &job->raster;
    revbifpn_status status = rb_image_alloc(job->image, raster->width, raster->height, job->err);
    if (status) return job->err ? rb_fail_prefix(job->err, "%s: ", job->name) : status;
    size_t count = (size_t)raster->width * (size_t)raster->height * 3, step = raster->channels == 1 ? 3 : 1;
    for (size_t i = 0; i < count; i++) job->image->pixels[i] = (uint8_t)(raster->samples[i / step] >> 8);
    return REVBIFPN_OK;
}

static bool is_grey(const rb_raster *raster) {
    const uint16_t *p = raster->samples;
    for (size_t i = (size_t)raster->width * (size_t)raster->height; i > 0; i--, p += 3)
        if (p[0] != p[1] || p[1] != p[2]) return false;
    return true;
}

/* job->raster with the channels wanted: one becomes three, three equal ones become one. */
static revbifpn_status match_channels(rb_decode_job *job) {
    const rb_raster *raster = &job->raster;
    rb_raster out;
    if (raster->channels == job->channels) return REVBIFPN_OK;
    if (raster->channels == 3 && !is_grey(raster))
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "3 channels; 1 is wanted (--channels)");
    revbifpn_status status = rb_raster_alloc(&out, raster->width, raster->height, job->channels, job->err);
    if (status) return job->err ? rb_fail_prefix(job->err, "%s: ", job->name) : status;
    size_t count = (size_t)out.width * (size_t)out.height * (size_t)out.channels;
    for (size_t i = 0; i < count; i++) out.samples[i] = raster->samples[out.channels == 3 ? i / 3 : 3 * i];
    rb_raster_free(&job->raster);
    job->raster = out;
    return REVBIFPN_OK;
}

/* ---- from bytes to a picture ---- */

static const char *shown_name(const char *name) {
    size_t length = strlen(name);
    return length > MAX_SHOWN_NAME ? name + length - MAX_SHOWN_NAME : name;
}

/* Finds the format and decodes into job->raster or job->image, turned. */
static revbifpn_status decode(rb_decode_job *job, const char *name, const rb_decode_options *options) {
    job->name = shown_name(name);
    job->max_pixels = options->max_pixels;
    if (!job->max_pixels) return rb_fail(job->err, REVBIFPN_BAD_ARGUMENT, "the limit of --max-pixels is 0");
    if (!job->size) return rb_fail(job->err, REVBIFPN_BAD_FILE, "%s: the file is empty", job->name);
    const format *f = sniff(job->bytes, job->size);
    if (!f)
        return rb_fail(job->err, REVBIFPN_UNSUPPORTED, "%s: not a JPEG, PNG, WebP, GIF, BMP or TIFF picture",
                       job->name);
    job->info = (rb_decode_info){.format = f->name, .orientation = 1};
    revbifpn_status status = f->decode(job);
    if (status || !(options->apply_exif || job->turn)) return status;
    if (job->raster.samples)
        return rb_raster_orient(&job->raster, job->info.orientation, job->name, job->err);
    return rb_image_orient(job->image, job->info.orientation, job->name, job->err);
}

revbifpn_status rb_image_decode(const char *name, const uint8_t *bytes, size_t size,
                                const rb_decode_options *options, rb_image *image, rb_decode_info *info,
                                rb_error *err) {
    *image = (rb_image){0};
    rb_decode_job job = {.bytes = bytes, .size = size, .image = image, .channels = 3, .err = err};
    revbifpn_status status = decode(&job, name, options);
    if (!status && job.raster.samples) status = narrow(&job);
    rb_raster_free(&job.raster);
    if (status) rb_image_free(image);
    if (!status && info) *info = job.info;
    return status;
}

revbifpn_status rb_raster_decode(const char *name, const uint8_t *bytes, size_t size,
                                 const rb_decode_options *options, rb_raster *raster, rb_decode_info *info,
                                 rb_error *err) {
    rb_image image = {0};
    rb_decode_job job = {.bytes = bytes, .size = size, .image = &image, .deep = true, .err = err};
    *raster = (rb_raster){0};
    job.channels = options->channels;
    revbifpn_status status = decode(&job, name, options);
    if (!status)
        status = job.raster.samples ? match_channels(&job)
                                    : rb_raster_from_image(job.name, &image, job.channels, &job.raster, err);
    rb_image_free(&image);
    if (status) rb_raster_free(&job.raster);
    *raster = job.raster;
    if (!status && info) *info = job.info;
    return status;
}

/* The size as it is shown, from the header; of a JPEG its first bytes may be enough. */
static revbifpn_status measure(const char *path, const uint8_t *bytes, size_t size,
                               const rb_decode_options *options, int *width, int *height, rb_error *err) {
    rb_image image = {0};
    rb_decode_job job = {
        .bytes = bytes, .size = size, .image = &image, .channels = 3, .measure = true, .err = err};
    revbifpn_status status = decode(&job, path, options);
    rb_image_free(&image);
    rb_raster_free(&job.raster);
    if (status != REVBIFPN_STOPPED) return status;
    bool swap = job.info.orientation >= 5 && (options->apply_exif || job.turn);
    *width = swap ? job.info.stored_height : job.info.stored_width;
    *height = swap ? job.info.stored_width : job.info.stored_height;
    return REVBIFPN_OK;
}

/* ---- from a file ---- */

revbifpn_status rb_image_measure(const char *path, const rb_decode_options *options, int *width, int *height,
                                 rb_error *err) {
    enum { HEAD = 1 << 16 };
    unsigned char *bytes = rb_alloc(HEAD);
    size_t size = 0;
    *width = *height = 0;
    if (!bytes) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    revbifpn_status status = rb_file_read_range(path, 0, HEAD, bytes, err);
    if (!status && !memcmp(bytes, "\xff\xd8\xff", 3)) {
        status = measure(path, bytes, HEAD, options, width, height, err);
        if (!status) goto fail;
    }
    rb_free(bytes);
    bytes = NULL;
    TRY(rb_file_read(path, MAX_FILE_BYTES, &bytes, &size, err));
    status = measure(path, bytes, size, options, width, height, err);
fail:
    rb_free(bytes);
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

revbifpn_status rb_raster_read(const char *path, const rb_decode_options *options, rb_raster *raster,
                               rb_decode_info *info, rb_error *err) {
    *raster = (rb_raster){0};
    unsigned char *bytes;
    size_t size;
    revbifpn_status status = rb_file_read(path, MAX_FILE_BYTES, &bytes, &size, err);
    if (status) return status;
    status = rb_raster_decode(path, bytes, size, options, raster, info, err);
    rb_free(bytes);
    return status;
}
