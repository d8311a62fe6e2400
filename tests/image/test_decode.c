/* Decoders and encoders on files made here: round trips, every BMP kind, orientation, truncation at every
 * byte, random damage, a progressive file with too many scans. */
#include "check.h"

#include <jpeglib.h>
#include <webp/encode.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "image/image.h"

typedef struct blob {
    uint8_t bytes[65536];
    size_t size;
} blob;

static const rb_decode_options plain = {.max_pixels = 1000000};

static rb_image make_picture(int width, int height) {
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    for (int i = 0; i < width * height; i++) {
        image.pixels[3 * i] = (uint8_t)(i % width * 255 / width);
        image.pixels[3 * i + 1] = (uint8_t)(i / width * 255 / height);
        image.pixels[3 * i + 2] = (uint8_t)(i * 31);
    }
    return image;
}

static void load(const char *path, blob *out) {
    unsigned char *bytes;
    rb_error err;
    CHECK_OK(rb_file_read(path, sizeof out->bytes, &bytes, &out->size, &err), &err);
    memcpy(out->bytes, bytes, out->size);
    rb_free(bytes);
}

/* A small file of each format, 13 x 9 pixels, made with the encoders or by hand. */
static void make_jpeg(blob *out, const char *folder) {
    char path[4200];
    rb_error err;
    rb_image image = make_picture(13, 9);
    snprintf(path, sizeof path, "%s/a.jpg", folder);
    CHECK_OK(rb_image_write_jpeg(path, &image, 90, &err), &err);
    load(path, out);
    rb_image_free(&image);
}

static void make_png(blob *out, const char *folder) {
    char path[4200];
    rb_error err;
    rb_image image = make_picture(13, 9);
    snprintf(path, sizeof path, "%s/a.png", folder);
    CHECK_OK(rb_image_write_png(path, &image, &err), &err);
    load(path, out);
    rb_image_free(&image);
}

static void make_webp(blob *out, const char *folder) {
    (void)folder;
    rb_image image = make_picture(13, 9);
    uint8_t *bytes;
    out->size = WebPEncodeLosslessRGB(image.pixels, 13, 9, 39, &bytes);
    assert_in_range(out->size, 1, sizeof out->bytes);
    memcpy(out->bytes, bytes, out->size);
    WebPFree(bytes);
    rb_image_free(&image);
}

/* 13 x 9, four colours, uncompressed LZW: a clear code before every second index keeps the codes at three
 * bits. */
static void make_gif(blob *out, const char *folder) {
    (void)folder;
    static const uint8_t head[] =
        "GIF89a\x0d\0\x09\0\xf1\0\0\0\0\0\xff\0\0\0\xff\0\0\0\xff,\0\0\0\0\x0d\0\x09\0\0\x02";
    memcpy(out->bytes, head, sizeof head - 1);
    uint8_t data[255] = {0};
    size_t bit = 0;
    for (int i = 0; i < 13 * 9; i++) {
        if (i % 2 == 0)
            data[bit / 8] |= (uint8_t)(4 << bit % 8), data[bit / 8 + 1] |= (uint8_t)(4 >> (8 - bit % 8)),
                bit += 3;
        int code = i % 4;
        data[bit / 8] |= (uint8_t)(code << bit % 8), data[bit / 8 + 1] |= (uint8_t)(code >> (8 - bit % 8)),
            bit += 3;
    }
    data[bit / 8] |= (uint8_t)(5 << bit % 8), data[bit / 8 + 1] |= (uint8_t)(5 >> (8 - bit % 8)), bit += 3;
    size_t count = (bit + 7) / 8;
    out->size = sizeof head - 1;
    out->bytes[out->size++] = (uint8_t)count;
    memcpy(out->bytes + out->size, data, count);
    out->size += count;
    out->bytes[out->size++] = 0;
    out->bytes[out->size++] = ';';
}

static void put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> 8 * i);
}

/* Header of a BMP with `colours` palette entries (i, 2i, 255 − i) and the pixel data behind them. */
static void make_bmp_of(blob *out, int width, int height, int bits, int packing, int colours,
                        const uint8_t *data, size_t size) {
    size_t at = 54 + (size_t)colours * 4 + (packing == 3 ? 12 : 0);
    memset(out->bytes, 0, at);
    memcpy(out->bytes, "BM", 2);
    put32(out->bytes + 10, (uint32_t)at);
    put32(out->bytes + 14, 40);
    put32(out->bytes + 18, (uint32_t)width);
    put32(out->bytes + 22, (uint32_t)height);
    put32(out->bytes + 26, (uint32_t)(1 | bits << 16));
    put32(out->bytes + 30, (uint32_t)packing);
    put32(out->bytes + 46, (uint32_t)colours);
    if (packing == 3)
        put32(out->bytes + 54, 0xf800), put32(out->bytes + 58, 0x7e0), put32(out->bytes + 62, 0x1f);
    for (int i = 0; i < colours; i++) {
        uint8_t *p = out->bytes + 54 + 4 * i;
        p[0] = (uint8_t)(255 - i), p[1] = (uint8_t)(2 * i), p[2] = (uint8_t)i;
    }
    memcpy(out->bytes + at, data, size);
    out->size = at + size;
}

static void make_bmp(blob *out, const char *folder) {
    (void)folder;
    uint8_t data[9 * 40];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7);
    make_bmp_of(out, 13, 9, 24, 0, 0, data, sizeof data);
}

typedef void make_fn(blob *out, const char *folder);
static make_fn *const makers[] = {make_jpeg, make_png, make_webp, make_gif, make_bmp};
enum { FORMATS = 5 };

static rb_image decode(const blob *b, const rb_decode_options *options, rb_decode_info *info) {
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_decode("test", b->bytes, b->size, options, &image, info, &err), &err);
    return image;
}

static void round_trips(void **state) {
    (void)state;
    char folder[4096];
    make_folder(folder);
    static const char *const names[] = {"JPEG", "PNG", "WebP", "GIF", "BMP"};
    rb_image want = make_picture(13, 9);
    for (int f = 0; f < FORMATS; f++) {
        blob b;
        rb_decode_info info;
        makers[f](&b, folder);
        rb_image got = decode(&b, &plain, &info);
        assert_string_equal(info.format, names[f]);
        assert_false(info.damaged);
        assert_int_equal(info.orientation, 1);
        assert_true(got.width == 13 && got.height == 9 && info.stored_width == 13 && info.stored_height == 9);
        if (f == 1 || f == 2) assert_memory_equal(got.pixels, want.pixels, 13 * 9 * 3);
        for (int i = 0; f == 3 && i < 13 * 9; i++)
            for (int c = 0; c < 3; c++) assert_int_equal(got.pixels[3 * i + c], i % 4 == c + 1 ? 255 : 0);
        for (int i = 0; f == 0 && i < 13 * 9; i++) /* 4:2:0 and quantisation; red and green change slowly */
            for (int c = 0; c < 2; c++)
                assert_true(abs(got.pixels[3 * i + c] - want.pixels[3 * i + c]) < 100);
        rb_image_free(&got);
    }
    rb_image_free(&want);
    remove_folder(folder);
}

/* A picture of the right size, or an error that names the file: nothing else, whatever the bytes. */
static bool decodes_or_fails(const uint8_t *bytes, size_t size, int width, int height) {
    /* exactly `size` bytes on the heap, so that a sanitizer sees a read past the end */
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    rb_image image;
    rb_error err = {0};
    revbifpn_status status = rb_image_decode("the-file", copy, size, &plain, &image, NULL, &err);
    free(copy);
    if (status) {
        assert_null(image.pixels);
        assert_non_null(strstr(err.text, "the-file"));
        assert_null(strchr(err.text, '\n'));
        return false;
    }
    if (width) assert_true(image.width == width && image.height == height);
    rb_image_free(&image);
    return true;
}

static void truncation_at_every_byte(void **state) {
    (void)state;
    char folder[4096];
    make_folder(folder);
    for (int f = 0; f < FORMATS; f++) {
        blob b;
        makers[f](&b, folder);
        for (size_t size = 0; size < b.size; size++) decodes_or_fails(b.bytes, size, 13, 9);
        assert_true(decodes_or_fails(b.bytes, b.size, 13, 9));
    }
    remove_folder(folder);
}

static void random_damage(void **state) {
    (void)state;
    char folder[4096];
    make_folder(folder);
    for (int f = 0; f < FORMATS; f++) {
        blob b, bad;
        makers[f](&b, folder);
        for (uint64_t i = 0; i < 2000; i++) {
            rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, (uint64_t)f, i);
            bad = b;
            for (uint32_t n = 1 + rb_rng_below(&rng, 4); n; n--)
                bad.bytes[rb_rng_below(&rng, (uint32_t)b.size)] = (uint8_t)rb_rng_u32(&rng);
            decodes_or_fails(bad.bytes, bad.size, 0, 0);
        }
    }
    remove_folder(folder);
}

static void check_bmp(const blob *b, int width, int height, const uint8_t *want) {
    rb_decode_info info;
    rb_image got = decode(b, &plain, &info);
    assert_true(got.width == width && got.height == height);
    assert_memory_equal(got.pixels, want, (size_t)width * (size_t)height * 3);
    rb_image_free(&got);
}

/* Colours of palette indices, as make_bmp_of writes them. */
static void look_up(const uint8_t *index, int count, uint8_t *out) {
    for (int i = 0; i < count; i++) {
        out[3 * i] = index[i], out[3 * i + 1] = (uint8_t)(2 * index[i]),
                out[3 * i + 2] = (uint8_t)(255 - index[i]);
    }
}

static void bmp_with_palette(void **state) {
    (void)state;
    blob b;
    uint8_t want[30];
    /* 5 x 2, the upper row second in the file */
    look_up((const uint8_t[]){1, 0, 1, 1, 0, 0, 1, 0, 0, 1}, 10, want);
    make_bmp_of(&b, 5, 2, 1, 0, 2, (const uint8_t[]){0x48, 0, 0, 0, 0xb0, 0, 0, 0}, 8);
    check_bmp(&b, 5, 2, want);
    look_up((const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10, want);
    make_bmp_of(&b, 5, 2, 4, 0, 16, (const uint8_t[]){0x67, 0x89, 0xa0, 0, 0x12, 0x34, 0x50, 0}, 8);
    check_bmp(&b, 5, 2, want);
    static const uint8_t rows[16] = {1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 8, 9, 10, 0, 0, 0};
    make_bmp_of(&b, 5, -2, 8, 0, 200, rows, 13); /* from the top; the last row's padding is missing */
    check_bmp(&b, 5, 2, want);
    /* an index past the palette is black */
    make_bmp_of(&b, 1, 1, 8, 0, 2, (const uint8_t[]){77, 0, 0, 0}, 4);
    check_bmp(&b, 1, 1, (const uint8_t[]){0, 0, 0});
}

static void bmp_with_runs(void **state) {
    (void)state;
    blob b;
    uint8_t want[30];
    look_up((const uint8_t[]){0, 0, 7, 7, 7, 9, 8, 5, 5, 0}, 10, want);
    static const uint8_t rle8[] = {1, 9, 0, 3, 8, 5, 5, 0, 0, 0, 0, 2, 2, 0, 3, 7, 0, 1};
    make_bmp_of(&b, 5, 2, 8, 1, 16, rle8, sizeof rle8); /* run, literal, end of row, move, run, end */
    check_bmp(&b, 5, 2, want);
    look_up((const uint8_t[]){3, 4, 3, 4, 3, 1, 2, 3, 4, 5}, 10, want);
    static const uint8_t rle4[] = {0, 5, 0x12, 0x34, 0x50, 0, 0, 0, 5, 0x34, 0, 1};
    make_bmp_of(&b, 5, 2, 4, 2, 16, rle4, sizeof rle4);
    check_bmp(&b, 5, 2, want);
    rb_decode_info info;
    b.size -= 6; /* the second row is missing */
    rb_image cut = decode(&b, &plain, &info);
    assert_true(info.damaged);
    rb_image_free(&cut);
}

static void bmp_with_fields(void **state) {
    (void)state;
    blob b;
    static const uint8_t want[] = {255, 0, 0, 0, 131, 0, 0, 0, 255};
    static const uint8_t want565[] = {255, 0, 0, 0, 129, 0, 0, 0, 255};
    make_bmp_of(&b, 3, 1, 16, 0, 0, (const uint8_t[]){0x00, 0x7c, 0x00, 0x02, 0x1f, 0x00, 0, 0}, 8);
    check_bmp(&b, 3, 1, want); /* 16·255/31 */
    make_bmp_of(&b, 3, 1, 16, 3, 0, (const uint8_t[]){0x00, 0xf8, 0x00, 0x04, 0x1f, 0x00, 0, 0}, 8);
    check_bmp(&b, 3, 1, want565); /* 32·255/63 */
    make_bmp_of(&b, 1, 1, 32, 0, 0, (const uint8_t[]){1, 2, 3, 200}, 4);
    check_bmp(&b, 1, 1, (const uint8_t[]){3, 2, 1});
}

/* The stored picture has its row 0 and column 0 at these sides of the upright one (EXIF 2.3, table of tag
 * 274). */
static const char *const sides[9] = {"", "tl", "tr", "br", "bl", "lt", "rt", "rb", "lb"};

static int along(char side, int x, int y, int width, int height) {
    return side == 't' ? y : side == 'b' ? height - 1 - y : side == 'l' ? x : width - 1 - x;
}

/* Puts an EXIF segment with that orientation behind the SOI marker. */
static void add_exif(blob *b, int orientation, bool big) {
    static const uint8_t little_tiff[] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    static const uint8_t big_tiff[] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0";
    uint8_t segment[10 + 26] = {0xff, 0xe1, 0, 8 + 26, 'E', 'x', 'i', 'f', 0, 0};
    memcpy(segment + 10, big ? big_tiff : little_tiff, 26);
    segment[10 + (big ? 19 : 18)] = (uint8_t)orientation;
    memmove(b->bytes + 2 + sizeof segment, b->bytes + 2, b->size - 2);
    memcpy(b->bytes + 2, segment, sizeof segment);
    b->size += sizeof segment;
}

static void orientation_turns_the_picture(void **state) {
    (void)state;
    char folder[4096], path[4200];
    rb_error err;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/grid.jpg", folder);
    rb_image grid;
    CHECK_OK(rb_image_alloc(&grid, 48, 32, &err),
             &err); /* 3 x 2 flat cells of 16 pixels: no coding loss to speak of */
    for (int i = 0; i < 48 * 32; i++)
        memset(grid.pixels + 3 * i, 20 + 40 * (i % 48 / 16 + 3 * (i / 48 / 16)), 3);
    CHECK_OK(rb_image_write_jpeg(path, &grid, 95, &err), &err);
    for (int orientation = 0; orientation <= 9; orientation++) {
        int expected = orientation >= 1 && orientation <= 8 ? orientation : 1;
        blob b;
        rb_decode_info info;
        load(path, &b);
        add_exif(&b, orientation, orientation % 2);
        rb_decode_options options = {.max_pixels = 5000, .apply_exif = true};
        rb_image up = decode(&b, &options, &info);
        assert_int_equal(info.orientation, expected);
        assert_true(info.stored_width == 48 && info.stored_height == 32);
        assert_true(expected <= 4 ? up.width == 48 && up.height == 32 : up.width == 32 && up.height == 48);
        for (int y = 0; y < up.height; y++)
            for (int x = 0; x < up.width; x++) {
                int row = along(sides[expected][0], x, y, up.width, up.height);
                int column = along(sides[expected][1], x, y, up.width, up.height);
                int want = grid.pixels[3 * (row * 48 + column)], got = up.pixels[3 * (y * up.width + x)];
                assert_true(abs(want - got) < 4);
            }
        rb_image_free(&up);
    }
    rb_image_free(&grid);
    remove_folder(folder);
}

/* A flat CMYK picture, or a progressive one. */
static void encode_jpeg(blob *out, J_COLOR_SPACE space, const uint8_t *pixel, bool progressive) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint8_t row[16 * 4];
    JSAMPROW rows = row;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = jpeg.image_height = 16;
    jpeg.input_components = space == JCS_CMYK ? 4 : 3;
    jpeg.in_color_space = space;
    for (int i = 0; i < 16 * jpeg.input_components; i++) row[i] = pixel[i % jpeg.input_components];
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < 16) jpeg_write_scanlines(&jpeg, &rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_true(size < sizeof out->bytes);
    memcpy(out->bytes, bytes, size);
    out->size = size;
    free(bytes);
}

static void cmyk_is_inverted_and_converted(void **state) {
    (void)state;
    blob b;
    encode_jpeg(&b, JCS_CMYK, (const uint8_t[]){200, 100, 50, 220}, false);
    rb_image image = decode(&b, &plain, NULL);
    static const int want[3] = {200 * 220 / 255, 100 * 220 / 255, 50 * 220 / 255}; /* stored inverted */
    for (int i = 0; i < 16 * 16 * 3; i++) assert_true(abs(image.pixels[i] - want[i % 3]) <= 2);
    rb_image_free(&image);
}

static void too_many_scans_are_refused(void **state) {
    (void)state;
    blob b;
    encode_jpeg(&b, JCS_RGB, (const uint8_t[]){10, 20, 30}, true);
    assert_true(decodes_or_fails(b.bytes, b.size, 16, 16));
    size_t last = b.size - 2, end = b.size - 2; /* the last scan lies between its SOS marker and EOI */
    while (b.bytes[last] != 0xff || b.bytes[last + 1] != 0xda) last--;
    size_t size = end - last;
    for (int i = 0; i < 200; i++) memcpy(b.bytes + end + (size_t)i * size, b.bytes + last, size);
    b.size = end + 200 * size;
    memcpy(b.bytes + b.size, "\xff\xd9", 2);
    b.size += 2;
    rb_image image;
    rb_error err;
    assert_int_equal(rb_image_decode("scans", b.bytes, b.size, &plain, &image, NULL, &err),
                     REVBIFPN_BAD_FILE);
    assert_string_equal(err.text, "scans: JPEG: more than 100 scans");
}

static void wrong_requests_are_refused(void **state) {
    (void)state;
    rb_image image = {0};
    rb_error err;
    blob b;
    make_bmp(&b, NULL);
    assert_int_equal(rb_image_decode("x", b.bytes, b.size, &(rb_decode_options){0}, &image, NULL, &err),
                     REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(
        rb_image_decode("x", b.bytes, b.size, &(rb_decode_options){.max_pixels = 116}, &image, NULL, &err),
        REVBIFPN_BAD_FILE);
    assert_string_equal(err.text, "x: BMP: 13 x 9 pixels, more than the limit of 116 (--max-pixels)");
    put32(b.bytes + 18, 1 << 21); /* a long thin picture within the limit */
    put32(b.bytes + 22, 1);
    assert_int_equal(rb_image_decode("x", b.bytes, b.size, &(rb_decode_options){.max_pixels = 1 << 22},
                                     &image, NULL, &err),
                     REVBIFPN_UNSUPPORTED);
    assert_int_equal(rb_image_decode("x", (const uint8_t *)"8BPSrest", 8, &plain, &image, NULL, &err),
                     REVBIFPN_UNSUPPORTED);
    assert_int_equal(rb_image_read("/no/such/file", &plain, &image, NULL, &err), REVBIFPN_IO_FAILED);
    assert_int_equal(rb_image_alloc(&image, 0, 4, &err), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(rb_image_write_png("/tmp/x.png", &image, &err), REVBIFPN_BAD_ARGUMENT);
    image = make_picture(3, 3);
    assert_int_equal(rb_image_write_jpeg("/tmp/x.jpg", &image, 0, &err), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(rb_image_write_png("/no/such/folder/x.png", &image, &err), REVBIFPN_IO_FAILED);
    rb_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(truncation_at_every_byte),
        cmocka_unit_test(random_damage),
        cmocka_unit_test(bmp_with_palette),
        cmocka_unit_test(bmp_with_runs),
        cmocka_unit_test(bmp_with_fields),
        cmocka_unit_test(orientation_turns_the_picture),
        cmocka_unit_test(cmyk_is_inverted_and_converted),
        cmocka_unit_test(too_many_scans_are_refused),
        cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
