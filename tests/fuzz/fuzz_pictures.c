/* libFuzzer target for pictures, whose content says the format. What decodes keeps the limit and its own
 * sizes, and decodes to the same bytes again; what does not says why, in one line. Without libFuzzer the
 * function runs over the files named on the command line, and all their beginnings. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PIXELS = 1 << 18 }; /* few, so that a run is short: files may say any size, and small ones do */

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_pictures: %s\n", what);
    abort();
}

static void check_picture(const rb_image *image, const rb_decode_info *info) {
    bool turned = info->orientation > 4;
    insist(image->pixels && image->width > 0 && image->height > 0, "no picture");
    insist((int64_t)image->width * image->height <= MAX_PIXELS, "larger than the limit");
    insist(info->format && info->orientation >= 1 && info->orientation <= 8, "no format or orientation");
    insist(image->width == (turned ? info->stored_height : info->stored_width) &&
               image->height == (turned ? info->stored_width : info->stored_height),
           "not the size that it says");
}

static revbifpn_status decode(const uint8_t *data, size_t size, rb_image *image) {
    rb_error err = {0};
    rb_decode_info info = {0};
    rb_decode_options options = {.max_pixels = MAX_PIXELS, .apply_exif = true};
    revbifpn_status status = rb_image_decode("picture", data, size, &options, image, &info, &err);
    insist(!status || status == REVBIFPN_BAD_FILE || status == REVBIFPN_UNSUPPORTED, err.text);
    insist(!status || (!strncmp(err.text, "picture: ", 9) && !strchr(err.text, '\n')), "not one line");
    insist(!status || !image->pixels, "a picture in spite of an error");
    if (!status) check_picture(image, &info);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rb_image first, again;
    revbifpn_status status = decode(data, size, &first);
    insist(decode(data, size, &again) == status, "another status the second time");
    insist(status || (first.width == again.width && first.height == again.height &&
                      !memcmp(first.pixels, again.pixels, (size_t)first.width * (size_t)first.height * 3)),
           "other pixels the second time");
    if (!status) rb_image_free(&first), rb_image_free(&again);
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
