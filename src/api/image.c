/* Pictures and the synthetic set. */
#include <limits.h>

#include "api/context.h"
#include "data/synth.h"
#include "image/image.h"

enum { MAX_PIXELS = 178000000 };

revbifpn_status revbifpn_image_read(revbifpn *ctx, const char *path, revbifpn_image *out) {
    rb_image image;
    rb_decode_options options = {.max_pixels = MAX_PIXELS};
    revbifpn_status status = rb_image_read(path, &options, &image, NULL, &ctx->error);
    if (status == REVBIFPN_OK) *out = (revbifpn_image){image.width, image.height, image.pixels};
    return status;
}

revbifpn_status revbifpn_image_write_png(revbifpn *ctx, const char *path, const revbifpn_image *image) {
    rb_image view = {image->width, image->height, image->pixels};
    return rb_image_write_png(path, &view, &ctx->error);
}

void revbifpn_image_free(revbifpn_image *image) {
    rb_free(image->pixels);
    *image = (revbifpn_image){0};
}
