/* libFuzzer target for the decoders of rasters, TIFF above all. What is accepted must be consistent. Without
 * libFuzzer the function runs over the files named on the command line, and all their beginnings. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "image/raster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_raster: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int channels[] = {1, 3, 5};
    for (int i = 0; i < 3; i++) {
        rb_raster raster;
        rb_error err = {0};
        rb_decode_options options = {.max_pixels = 1 << 16, .channels = channels[i]};
        revbifpn_status status = rb_raster_decode("input", data, size, &options, &raster, NULL, &err);
        insist(!status == (raster.samples != NULL) && (!status || err.text[0]), err.text);
        if (!status)
            insist(raster.channels == channels[i] && (int64_t)raster.width * raster.height <= 1 << 16,
                   "a raster of a size that was not asked for");
        rb_raster_free(&raster);
    }
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
