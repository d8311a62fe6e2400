/* 16-bit and multi-band pictures: TIFF and PNG written by their libraries and decoded word for word, limits
 * and damage, and the resize against Pillow's "I;16" (tests/golden/raster_vectors.json) and a formula. */
#include "check.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "image/raster.h"
#include "rasters.h"
#include "vectors.h"

enum { MAX_SAMPLES = 40 * 40 * 9, NONE = 1, LZW = 5, DEFLATE = 8, PACKBITS = 32773, FLOAT = 3 };

static char folder[4096], path[4200];

/* Samples that differ in both bytes, or of 8 bits. */
static void make_samples(uint16_t *samples, size_t count, int bits) {
    rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, count, (uint64_t)bits);
    for (size_t i = 0; i < count; i++)
        samples[i] = (uint16_t)(rb_rng_u32(&rng) & (bits == 16 ? 65535u : 255u));
}

static size_t count_of(const raster_file *f) {
    return (size_t)f->width * (size_t)f->height * (size_t)f->channels;
}

static rb_raster read_raster(int channels) {
    rb_raster raster;
    rb_error err;
    rb_decode_options options = {.max_pixels = 100000, .channels = channels};
    rb_decode_info info;
    CHECK_OK(rb_raster_read(path, &options, &raster, &info, &err), &err);
    assert_false(info.damaged);
    assert_int_equal(raster.channels, channels);
    return raster;
}

static void refused(int channels, uint64_t max_pixels, revbifpn_status status, const char *text) {
    rb_raster raster;
    rb_error err;
    rb_decode_options options = {.max_pixels = max_pixels, .channels = channels};
    assert_int_equal(rb_raster_read(path, &options, &raster, NULL, &err), status);
    if (!strstr(err.text, text) || !strstr(err.text, path)) fail_msg("'%s' lacks '%s'", err.text, text);
    assert_null(raster.samples);
}

/* Every sample comes back: 8 bits times 257, white-is-zero turned over. */
static void round_trip(raster_file f) {
    uint16_t samples[MAX_SAMPLES];
    assert_true(count_of(&f) <= MAX_SAMPLES);
    make_samples(samples, count_of(&f), f.bits);
    f.samples = samples;
    raster_write_tiff(path, &f);
    rb_raster raster = read_raster(f.channels);
    for (size_t i = 0; i < count_of(&f); i++) {
        int want = samples[i] * (f.bits == 8 ? 257 : 1);
        if (f.white_is_zero) want = 65535 - want;
        if (raster.samples[i] != want)
            fail_msg("%d channels of %d bits: sample %zu is %d, wanted %d", f.channels, f.bits, i,
                     raster.samples[i], want);
    }
    rb_raster_free(&raster);
}

static void every_layout_of_tiff(void **state) {
    (void)state;
    static const int channels[] = {1, 2, 3, 4, 5, 9}, compressions[] = {NONE, LZW, DEFLATE, PACKBITS};
    if (!rasters_have_tiff()) skip();
    for (int c = 0; c < 6; c++)
        for (int i = 0; i < 64; i++)
            round_trip((raster_file){.width = 37,
                                     .height = 21,
                                     .channels = channels[c],
                                     .bits = i & 1 ? 16 : 8,
                                     .planes = i & 2,
                                     .tiled = i & 4,
                                     .big_endian = i & 8,
                                     .compression = compressions[i >> 4]});
    round_trip((raster_file){.width = 5, .height = 3, .channels = 1, .bits = 16, .white_is_zero = true});
    round_trip((raster_file){.width = 1, .height = 1, .channels = 3, .bits = 8, .rgb = true});
}

/* Pixels 0 1 2 / 3 4 5 as stored; where each orientation shows them. */
static void orientations_turn(void **state) {
    (void)state;
    static const char *const shown[9] = {"",       "012345", "210543", "543210", "345012",
                                         "031425", "304152", "524130", "251403"};
    if (!rasters_have_tiff()) skip();
    for (int o = 1; o <= 8; o++) {
        uint16_t samples[12];
        for (int i = 0; i < 12; i++) samples[i] = (uint16_t)(1000 * (i / 2) + i % 2);
        raster_file f = {.width = 3, .height = 2, .channels = 2, .bits = 16, .samples = samples};
        f.orientation = o;
        raster_write_tiff(path, &f);
        rb_raster raster = read_raster(2);
        assert_int_equal(raster.width, o < 5 ? 3 : 2);
        for (int i = 0; i < 12; i++)
            if (raster.samples[i] != 1000 * (shown[o][i / 2] - '0') + i % 2)
                fail_msg("orientation %d, sample %d: %d", o, i, raster.samples[i]);
        rb_raster_free(&raster);
    }
}

static void channels_must_fit(void **state) {
    (void)state;
    uint16_t samples[60];
    if (!rasters_have_tiff()) skip();
    make_samples(samples, 60, 16);
    raster_file f = {.width = 4, .height = 3, .channels = 5, .bits = 16, .samples = samples};
    raster_write_tiff(path, &f);
    refused(3, 1000, REVBIFPN_BAD_FILE, "TIFF: 5 channels; 3 are wanted (--channels)");
    f.channels = 4; /* three and alpha: all four, or the colours */
    f.rgb = f.alpha = true;
    raster_write_tiff(path, &f);
    rb_raster four = read_raster(4), three = read_raster(3);
    for (int i = 0; i < 36; i++) {
        assert_int_equal(three.samples[i], samples[i / 3 * 4 + i % 3]);
        assert_int_equal(three.samples[i], four.samples[i / 3 * 4 + i % 3]);
    }
    rb_raster_free(&four);
    rb_raster_free(&three);
    refused(2, 1000, REVBIFPN_BAD_FILE, "3 channels; 2 are wanted");
    f = (raster_file){.width = 4, .height = 3, .channels = 1, .bits = 16, .samples = samples};
    raster_write_tiff(path, &f); /* grey becomes three */
    three = read_raster(3);
    for (int i = 0; i < 36; i++) assert_int_equal(three.samples[i], samples[i / 3]);
    rb_raster_free(&three);
}

/* Colours of a palette, whether a writer keeps them in the high byte or in the low one. */
static void palettes_are_looked_up(void **state) {
    (void)state;
    uint16_t samples[256];
    if (!rasters_have_tiff()) skip();
    for (int i = 0; i < 256; i++) samples[i] = (uint16_t)i;
    for (int shift = 0; shift <= 8; shift += 8) {
        raster_file f = {.width = 32, .height = 8, .channels = 1, .bits = 8, .samples = samples};
        f.palette_given = true;
        f.palette = shift;
        raster_write_tiff(path, &f);
        rb_raster raster = read_raster(3);
        for (int i = 0; i < 256; i++) {
            assert_int_equal(raster.samples[3 * i], 257 * (3 * i & 255));
            assert_int_equal(raster.samples[3 * i + 1], 257 * (255 - i));
            assert_int_equal(raster.samples[3 * i + 2], 257 * i);
        }
        rb_raster_free(&raster);
    }
}

/* Where 8 bits are wanted, 16 give their high byte, as PNG's do. */
static void narrowed_for_8_bits(void **state) {
    (void)state;
    uint16_t samples[36];
    rb_image image;
    rb_error err;
    rb_decode_options options = {.max_pixels = 1000};
    if (!rasters_have_tiff()) skip();
    for (int bits = 8; bits <= 16; bits += 8) {
        make_samples(samples, 36, bits);
        raster_file f = {.width = 4, .height = 3, .channels = 3, .bits = bits, .samples = samples};
        f.rgb = true;
        raster_write_tiff(path, &f);
        CHECK_OK(rb_image_read(path, &options, &image, NULL, &err), &err);
        for (int i = 0; i < 36; i++) assert_int_equal(image.pixels[i], samples[i] >> (bits - 8));
        rb_image_free(&image);
    }
}

static void png_keeps_16_bits(void **state) {
    (void)state;
    for (int channels = 1; channels <= 4; channels++)
        for (int bits = 8; bits <= 16; bits += 8) {
            uint16_t samples[48];
            make_samples(samples, 48, bits);
            raster_file f = {.width = 4, .height = 3, .channels = channels, .bits = bits, .samples = samples};
            raster_write_png(path, &f);
            int colours = channels < 3 ? 1 : 3;
            rb_raster raster = read_raster(colours);
            for (int i = 0; i < 12 * colours; i++) {
                int at = i / colours * channels + i % colours;
                assert_int_equal(raster.samples[i], samples[at] * (bits == 8 ? 257 : 1));
            }
            rb_raster_free(&raster);
            if (colours == 3) refused(1, 1000, REVBIFPN_BAD_FILE, "(--channels)");
            refused(5, 1000, REVBIFPN_BAD_FILE, "(--channels)");
        }
}

static void what_is_not_read_is_told(void **state) {
    (void)state;
    uint16_t samples[800] = {0};
    if (!rasters_have_tiff()) skip();
    raster_file f = {.width = 10, .height = 10, .channels = 8, .bits = 16, .samples = samples};
    raster_write_tiff(path, &f);
    refused(8, 99, REVBIFPN_BAD_FILE, "10 x 10 pixels, more than the limit of 99");
    refused(8, 200, REVBIFPN_BAD_FILE, "8 channels, more than 3 times the limit of 200");
    rb_raster raster = read_raster(8);
    rb_raster_free(&raster);
    f.form = FLOAT;
    raster_write_tiff(path, &f);
    refused(8, 1000, REVBIFPN_UNSUPPORTED, "not unsigned integers");
}

/* Every beginning of a file, and files with bytes changed: an error or a picture, never more. Nothing on
 * stderr. */
static void damaged_files(void **state) {
    (void)state;
    uint16_t samples[MAX_SAMPLES];
    rb_error err;
    unsigned char *bytes;
    size_t size;
    if (!rasters_have_tiff()) skip();
    make_samples(samples, MAX_SAMPLES, 16);
    int keep = dup(2);
    char said[4200];
    snprintf(said, sizeof said, "%s/stderr", folder);
    assert_non_null(freopen(said, "we", stderr));
    for (int kind = 0; kind < 4; kind++) {
        raster_file f = {.width = 20, .height = 9, .channels = 3, .bits = 16, .samples = samples};
        f.planes = kind & 1;
        f.tiled = kind & 2;
        f.compression = kind ? LZW : NONE;
        raster_write_tiff(path, &f);
        CHECK_OK(rb_file_read(path, 1 << 20, &bytes, &size, &err), &err);
        rb_rng rng = rb_rng_open(9, RB_PURPOSE_TEST, (uint64_t)kind, 0);
        for (size_t i = 0; i < size + 3000; i++) {
            rb_raster raster;
            rb_decode_options options = {.max_pixels = 100000, .channels = 3};
            size_t length = i < size ? i : size;
            unsigned char *copy = malloc(length ? length : 1);
            memcpy(copy, bytes, length);
            for (int k = 0; i >= size && k < 1 + (int)(i % 4); k++)
                copy[rb_rng_below(&rng, (uint32_t)size)] = (unsigned char)rb_rng_u32(&rng);
            revbifpn_status status = rb_raster_decode("x", copy, length, &options, &raster, NULL, &err);
            if (status) assert_true(err.text[0] && !raster.samples);
            if (status) assert_null(strchr(err.text, '\n'));
            rb_raster_free(&raster);
            free(copy);
        }
        rb_free(bytes);
    }
    fflush(stderr);
    long length = ftell(stderr);
    dup2(keep, 2);
    close(keep);
    assert_int_equal(length, 0);
}

/* ---- resizing ---- */

static void fnv1a(const uint16_t *words, size_t count, char text[17]) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < 2 * count; i++)
        h = (h ^ (uint8_t)(words[i / 2] >> (i % 2 ? 8 : 0))) * 0x100000001b3u;
    snprintf(text, 17, "%016llx", (unsigned long long)h);
}

static uint16_t *resized(const rb_resize *r, const rb_raster *src) {
    uint16_t *dst =
        malloc((size_t)r->part_width * (size_t)r->part_height * (size_t)src->channels * sizeof *dst);
    void *scratch = rb_alloc(rb_raster_resize_scratch(r, src->channels));
    assert_non_null(scratch);
    rb_raster_resize(r, src, dst, scratch);
    rb_free(scratch);
    return dst;
}

/* The noise of the vectors in channel `c` of `channels`; the others have something else. */
static rb_raster vector_noise(int width, int height, uint32_t x, int c, int channels) {
    rb_raster raster;
    rb_error err;
    CHECK_OK(rb_raster_alloc(&raster, width, height, channels, &err), &err);
    for (int i = 0; i < width * height * channels; i++) {
        if (i % channels == c) x = 1664525u * x + 1013904223u;
        raster.samples[i] =
            (uint16_t)(i % channels == c ? 8192 + 12 * (x >> 20) : 65535u - (unsigned)i % 977);
    }
    return raster;
}

static void equals_pillow(void **state) {
    (void)state;
    json_t *root = vectors_open("raster_vectors.json"), *entry;
    size_t index;
    int cases = 0;
    json_array_foreach(json_object_get(root, "cases"), index, entry) {
        int seed, sw, sh, x, y, w, h, dw, dh;
        const char *filter, *hash;
        char text[17];
        assert_int_equal(json_unpack(entry, "{s:i, s:[ii], s:[iiii], s:[ii], s:s, s:s}", "seed", &seed, "src",
                                     &sw, &sh, "box", &x, &y, &w, &h, "dst", &dw, &dh, "filter", &filter,
                                     "fnv1a", &hash),
                         0);
        int channels = 1 + cases % 5, c = cases / 5 % channels;
        rb_raster src = vector_noise(sw, sh, (uint32_t)seed, c, channels);
        rb_resize r = rb_resize_whole(x, y, w, h, dw, dh,
                                      strcmp(filter, "bicubic") ? RB_FILTER_BILINEAR : RB_FILTER_BICUBIC);
        uint16_t *all = resized(&r, &src), *one = malloc((size_t)dw * (size_t)dh * sizeof *one);
        for (int i = 0; i < dw * dh; i++) one[i] = all[i * channels + c];
        fnv1a(one, (size_t)dw * (size_t)dh, text);
        if (strcmp(text, hash)) fail_msg("case %zu: differs from Pillow", index);
        free(all);
        free(one);
        rb_raster_free(&src);
        cases++;
    }
    assert_true(cases >= 80);
    json_decref(root);
}

/* One axis by the formula, in floating point, without rounding; then clipped: full-range noise overshoots. */
static void clips_at_both_ends(void **state) {
    (void)state;
    rb_raster src;
    rb_error err;
    int low = 0, high = 0;
    CHECK_OK(rb_raster_alloc(&src, 40, 1, 1, &err), &err);
    for (int i = 0; i < 40; i++) src.samples[i] = i / 4 % 2 ? 65535 : 0;
    rb_resize r = rb_resize_whole(0, 0, 40, 1, 64, 1, RB_FILTER_BICUBIC);
    uint16_t *got = resized(&r, &src);
    for (int i = 0; i < 64; i++) {
        double centre = (i + 0.5) * 40 / 64, sum = 0, weights = 0;
        for (int k = 0; k < 40; k++) {
            double t = fabs(k + 0.5 - centre), w = 0;
            if (t < 1) w = 1.5 * t * t * t - 2.5 * t * t + 1;
            if (t >= 1 && t < 2) w = -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2;
            sum += w * src.samples[k];
            weights += w;
        }
        double want = sum / weights;
        low += want < -1;
        high += want > 65536;
        want = want < 0 ? 0 : want > 65535 ? 65535 : want;
        if (!(fabs(got[i] - want) <= 0.5 + 1e-6)) fail_msg("%d: %d, wanted %g", i, got[i], want);
    }
    assert_true(low > 0 && high > 0);
    free(got);
    rb_raster_free(&src);
}

/* A part of the result has the words that it has in the whole. */
static void parts_equal_the_whole(void **state) {
    (void)state;
    rb_raster src = vector_noise(33, 47, 5, 1, 3);
    for (int i = 0; i < 24; i++) {
        rb_resize r = rb_resize_whole(2, 3, 30, 40, i & 1 ? 30 : 13 + i, i & 2 ? 40 : 9 + i, i % 3 ? 0 : 1);
        uint16_t *whole = resized(&r, &src);
        int width = r.width;
        r.left = 1 + i % 5, r.top = i % 4, r.part_width = r.width - r.left - 2;
        r.part_height = r.height - r.top - 1;
        uint16_t *part = resized(&r, &src);
        for (int y = 0; y < r.part_height; y++)
            assert_memory_equal(part + y * r.part_width * 3, whole + ((y + r.top) * width + r.left) * 3,
                                (size_t)r.part_width * 6);
        free(whole);
        free(part);
    }
    rb_raster_free(&src);
}

static void mirrors(void **state) {
    (void)state;
    uint16_t a[2 * 3 * 5], b[2 * 3 * 5];
    for (int i = 0; i < 30; i++) a[i] = b[i] = (uint16_t)(i * 2003);
    rb_raster_flip(b, 3, 2, 5);
    for (int i = 0; i < 30; i++) assert_int_equal(b[i], a[i / 15 * 15 + (2 - i % 15 / 5) * 5 + i % 5]);
    rb_raster_flip(b, 3, 2, 5);
    rb_raster_flip_rows(b, 3, 2, 5);
    for (int i = 0; i < 30; i++) assert_int_equal(b[i], a[(i + 15) % 30]);
}

static void shown_stretched(void **state) {
    (void)state;
    uint16_t five[] = {100, 7, 65535, 1, 1, 200, 7, 0, 2, 2, 300, 7, 32768, 3, 3}, two[] = {10, 0, 30, 0};
    uint8_t out[9];
    rb_raster_show(&(rb_raster){3, 1, 5, five}, out);
    assert_memory_equal(out, ((uint8_t[]){0, 0, 255, 128, 0, 0, 255, 0, 128}), 9);
    rb_raster_show(&(rb_raster){2, 1, 2, two}, out);
    assert_memory_equal(out, ((uint8_t[]){0, 0, 0, 255, 255, 255}), 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_layout_of_tiff),
                                       cmocka_unit_test(orientations_turn),
                                       cmocka_unit_test(channels_must_fit),
                                       cmocka_unit_test(palettes_are_looked_up),
                                       cmocka_unit_test(narrowed_for_8_bits),
                                       cmocka_unit_test(png_keeps_16_bits),
                                       cmocka_unit_test(what_is_not_read_is_told),
                                       cmocka_unit_test(damaged_files),
                                       cmocka_unit_test(equals_pillow),
                                       cmocka_unit_test(clips_at_both_ends),
                                       cmocka_unit_test(parts_equal_the_whole),
                                       cmocka_unit_test(mirrors),
                                       cmocka_unit_test(shown_stretched)};
    make_folder(folder);
    snprintf(path, sizeof path, "%s/a.picture", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder(folder);
    return failed ? 1 : 0;
}
