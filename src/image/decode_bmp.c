/* BMP: a small reader of our own. Palette pictures of 1, 2, 4 and 8 bits, RLE4 and RLE8, 16, 24 and 32 bits
 * with or without bit fields, rows from the bottom or from the top; alpha is dropped. Everything in the file
 * is little-endian. Uncompressed pixel data must be complete; run-length data may end early (damaged). */
#include <string.h>

#include "base/memory.h"
#include "image/formats.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40 };
typedef enum packing {
    PACKED_PLAIN,
    PACKED_RLE8,
    PACKED_RLE4,
    PACKED_FIELDS,
    PACKED_ALPHA_FIELDS = 6
} packing;

typedef struct header {
    int64_t width, height;
    bool top_down;
    unsigned bits;
    uint32_t packing;
    size_t pixels_at;  /* offset of the pixel data */
    uint32_t masks[3]; /* of red, green, blue; for 16 and 32 bits */
    uint8_t palette[256][3];
} header;

static unsigned get16(const uint8_t *p) { return p[0] | (unsigned)p[1] << 8; }

static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }

static bool depth_exists(const header *h) {
    switch (h->packing) {
    case PACKED_RLE8: return h->bits == 8 && !h->top_down;
    case PACKED_RLE4: return h->bits == 4 && !h->top_down;
    case PACKED_FIELDS:
    case PACKED_ALPHA_FIELDS: return h->bits == 16 || h->bits == 32;
    }
    return h->bits == 1 || h->bits == 2 || h->bits == 4 || h->bits == 8 || h->bits == 16 || h->bits == 24 ||
           h->bits == 32;
}

static void default_masks(header *h) {
    static const uint32_t masks[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    memcpy(h->masks, masks[h->bits == 32], sizeof h->masks);
}

/* The palette is what lies between the headers and the pixel data, as many colours as are said and are there.
 */
static void read_palette(header *h, const rb_decode_job *job, size_t at, uint32_t colours, size_t entry) {
    if (h->bits > 8) return;
    size_t count = colours && colours < 1u << h->bits ? colours : (size_t)1 << h->bits;
    size_t end = h->pixels_at < job->size ? h->pixels_at : job->size;
    for (size_t i = 0; i < count && at + 3 <= end; i++, at += entry)
        for (int c = 0; c < 3; c++) h->palette[i][c] = job->bytes[at + 2 - (size_t)c];
}

static revbifpn_status read_core_header(rb_decode_job *job, header *h) {
    const uint8_t *p = job->bytes + FILE_HEADER;
    h->width = get16(p + 4);
    h->height = get16(p + 6);
    h->bits = get16(p + 10);
    if (!depth_exists(h) || h->bits == 16)
        return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "unknown bit depth");
    default_masks(h);
    read_palette(h, job, FILE_HEADER + CORE_HEADER, 0, 3);
    return REVBIFPN_OK;
}

static revbifpn_status read_info_header(rb_decode_job *job, header *h, size_t size) {
    const uint8_t *p = job->bytes + FILE_HEADER;
    size_t end = FILE_HEADER + size; /* end ≤ job->size was checked */
    h->width = (int32_t)get32(p + 4);
    h->height = (int32_t)get32(p + 8);
    h->top_down = h->height < 0;
    if (h->top_down) h->height = -h->height;
    h->bits = get16(p + 14);
    h->packing = get32(p + 16);
    bool fields = h->packing == PACKED_FIELDS || h->packing == PACKED_ALPHA_FIELDS;
    if (h->packing > PACKED_FIELDS && !fields)
        return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "a JPEG, PNG or CMYK inside");
    if (!depth_exists(h)) return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "unknown bit depth");
    default_masks(h);
    if (fields) { /* the masks follow the 40 bytes, inside a newer header or behind the old one */
        if (job->size < FILE_HEADER + INFO_HEADER + 12)
            return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the file ends in its header");
        for (size_t c = 0; c < 3; c++) h->masks[c] = get32(p + INFO_HEADER + 4 * c);
        if (size == INFO_HEADER) end += h->packing == PACKED_FIELDS ? 12 : 16;
    }
    read_palette(h, job, end, get32(p + 32), 4);
    return REVBIFPN_OK;
}

static revbifpn_status read_header(rb_decode_job *job, header *h) {
    if (job->size < FILE_HEADER + 4)
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the file ends in its header");
    size_t size = get32(job->bytes + FILE_HEADER);
    h->pixels_at = get32(job->bytes + 10);
    if (size != CORE_HEADER && (size < INFO_HEADER || size > 256))
        return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "unknown kind of header");
    if (size > job->size - FILE_HEADER)
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the file ends in its header");
    revbifpn_status status = size == CORE_HEADER ? read_core_header(job, h) : read_info_header(job, h, size);
    if (status) return status;
    if (h->width < 1) return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the width is not positive");
    if (h->height < 1) return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the height is 0");
    return REVBIFPN_OK;
}

/* ---- uncompressed rows ---- */

static void palette_row(const header *h, const uint8_t *src, uint8_t *dst) {
    unsigned mask = (1u << h->bits) - 1;
    for (size_t x = 0; x < (size_t)h->width; x++, dst += 3) {
        size_t bit = x * h->bits;
        unsigned index =
            (unsigned)src[bit / 8] >> (8 - h->bits - bit % 8) & mask; /* leftmost pixel in the high bits */
        memcpy(dst, h->palette[index], 3);
    }
}

static uint8_t field(uint32_t value, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint64_t part = (value & mask) >> shift, whole = mask >> shift;
    return (uint8_t)(part * 255 / whole);
}

static void fields_row(const header *h, const uint8_t *src, uint8_t *dst) {
    for (int64_t x = 0; x < h->width; x++, src += h->bits / 8, dst += 3) {
        uint32_t value = h->bits == 16 ? get16(src) : get32(src);
        for (int c = 0; c < 3; c++) dst[c] = field(value, h->masks[c]);
    }
}

static void bgr_row(const header *h, const uint8_t *src, uint8_t *dst) {
    for (int64_t x = 0; x < h->width; x++, src += 3, dst += 3) {
        dst[0] = src[2];
        dst[1] = src[1];
        dst[2] = src[0];
    }
}

static uint8_t *stored_row(const header *h, const rb_image *image, int64_t row) {
    int64_t y = h->top_down ? row : h->height - 1 - row;
    return image->pixels + (size_t)y * (size_t)h->width * 3;
}

static revbifpn_status read_plain(rb_decode_job *job, const header *h) {
    size_t used = ((size_t)h->width * h->bits + 7) / 8, stride = (used + 3) / 4 * 4;
    size_t left = h->pixels_at < job->size ? job->size - h->pixels_at : 0;
    size_t needed =
        rb_size_add(rb_size_mul(stride, (size_t)h->height - 1), used); /* the last padding may lack */
    if (needed > left) return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the file ends inside the pixel data");
    revbifpn_status status = rb_decode_begin(job, (uint64_t)h->width, (uint64_t)h->height);
    if (status) return status;
    for (int64_t row = 0; row < h->height; row++) {
        const uint8_t *src = job->bytes + h->pixels_at + (size_t)row * stride;
        uint8_t *dst = stored_row(h, job->image, row);
        if (h->bits <= 8)
            palette_row(h, src, dst);
        else if (h->bits == 24)
            bgr_row(h, src, dst);
        else
            fields_row(h, src, dst);
    }
    return REVBIFPN_OK;
}

/* ---- run-length rows ---- */

typedef struct runs {
    const header *h;
    rb_image *image;
    const uint8_t *at, *end;
    int64_t x, y; /* the next pixel, y counted from the first stored row */
} runs;

static void put(runs *r, unsigned index) {
    if (r->x < r->h->width && r->y < r->h->height)
        memcpy(stored_row(r->h, r->image, r->y) + (size_t)r->x * 3, r->h->palette[index], 3);
    r->x++;
}

/* Pixel i of a run: RLE4 alternates between the two halves of a byte. */
static unsigned nibble(const runs *r, uint8_t byte, unsigned i) {
    if (r->h->packing == PACKED_RLE8) return byte;
    return i % 2 ? byte & 15u : byte >> 4;
}

/* `count` pixels given one by one, padded to 16 bits. False at the end of the file. */
static bool literal_run(runs *r, unsigned count) {
    size_t bytes = r->h->packing == PACKED_RLE8 ? count : (count + 1) / 2;
    size_t padded = bytes + (bytes & 1);
    if ((size_t)(r->end - r->at) < bytes) return false;
    for (unsigned i = 0; i < count; i++)
        put(r, nibble(r, r->at[r->h->packing == PACKED_RLE8 ? i : i / 2], i));
    r->at += (size_t)(r->end - r->at) < padded ? bytes : padded;
    return true;
}

/* Whether the end-of-bitmap code was reached, or every row filled, before the file ended. */
static bool read_runs(runs *r) {
    enum { END_OF_ROW, END_OF_BITMAP, MOVE };
    while (r->end - r->at >= 2) {
        unsigned count = r->at[0], code = r->at[1];
        r->at += 2;
        if (count) {
            for (unsigned i = 0; i < count; i++) put(r, nibble(r, (uint8_t)code, i));
        } else if (code == END_OF_ROW) {
            r->x = 0;
            r->y++;
        } else if (code == END_OF_BITMAP) {
            return true;
        } else if (code == MOVE) {
            if (r->end - r->at < 2) return false;
            r->x += r->at[0];
            r->y += r->at[1];
            r->at += 2;
        } else if (!literal_run(r, code)) {
            return false;
        }
    }
    return r->y >= r->h->height - 1 && r->x >= r->h->width;
}

static revbifpn_status read_packed(rb_decode_job *job, const header *h) {
    if (h->pixels_at >= job->size)
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the file has no pixel data");
    revbifpn_status status = rb_decode_begin(job, (uint64_t)h->width, (uint64_t)h->height);
    if (status) return status;
    size_t pixels = (size_t)h->width * (size_t)h->height;
    for (size_t i = 0; i < pixels; i++) memcpy(job->image->pixels + i * 3, h->palette[0], 3);
    runs r = {.h = h, .image = job->image, .at = job->bytes + h->pixels_at, .end = job->bytes + job->size};
    job->info.damaged = !read_runs(&r);
    return REVBIFPN_OK;
}

revbifpn_status rb_decode_bmp(rb_decode_job *job) {
    header h = {0};
    revbifpn_status status = read_header(job, &h);
    if (!status) status = rb_decode_check_size(job, (uint64_t)h.width, (uint64_t)h.height);
    if (status) return status;
    return h.packing == PACKED_RLE8 || h.packing == PACKED_RLE4 ? read_packed(job, &h) : read_plain(job, &h);
}
