/* Images as memory: allocation, and the geometry that only moves pixels (torchvision's rules, spec 4.6). */
#include "image/image.h"

#include <string.h>

#include "base/memory.h"

revbifpn_status rb_image_alloc(rb_image *image, int width, int height, rb_error *err) {
    *image = (rb_image){0};
    if (width < 1 || height < 1)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "an image of %d x %d pixels cannot be", width, height);
    size_t bytes = rb_size_mul(rb_size_mul((size_t)width, (size_t)height), 3);
    uint8_t *pixels = rb_alloc(bytes);
    if (!pixels)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for an image of %d x %d pixels", width,
                       height);
    *image = (rb_image){.width = width, .height = height, .pixels = pixels};
    return REVBIFPN_OK;
}

void rb_image_free(rb_image *image) {
    rb_free(image->pixels);
    *image = (rb_image){0};
}

/* Python's round(n / 2) for n ≥ 0: half to even. */
static int half_rne(int n) { return n / 2 + (n & n / 2 & 1); }

void rb_image_center_crop(const rb_image *src, int width, int height, uint8_t *dst) {
    /* Where the source is smaller it is padded first, left and top by the smaller half; the crop of the
     * padded axis is then the whole axis. `left` and `top` are the crop's corner in the source, negative
     * inside the padding. */
    int left = src->width < width ? -((width - src->width) / 2) : half_rne(src->width - width);
    int top = src->height < height ? -((height - src->height) / 2) : half_rne(src->height - height);
    int first = left < 0 ? -left : 0;
    int count = src->width < width ? src->width : width;
    size_t row_bytes = (size_t)width * 3;
    for (int y = 0; y < height; y++) {
        uint8_t *row = dst + (size_t)y * row_bytes;
        int from = top + y;
        if (count < width || from < 0 || from >= src->height) memset(row, 0, row_bytes);
        if (from < 0 || from >= src->height) continue;
        size_t at = ((size_t)from * (size_t)src->width + (size_t)(left + first)) * 3;
        memcpy(row + (size_t)first * 3, src->pixels + at, (size_t)count * 3);
    }
}

void rb_image_flip(uint8_t *pixels, int width, int height) {
    for (int y = 0; y < height; y++) {
        uint8_t *a = pixels + (size_t)y * (size_t)width * 3, *b = a + (size_t)(width - 1) * 3;
        for (; a < b; a += 3, b -= 3) {
            uint8_t keep[3];
            memcpy(keep, a, 3);
            memcpy(a, b, 3);
            memcpy(b, keep, 3);
        }
    }
}

void rb_image_short_side(int width, int height, int side, int *out_width, int *out_height) {
    /* torchvision computes int(side * long / short) in Python: the product exactly, the quotient in double.
     */
    int small = width < height ? width : height, large = width < height ? height : width;
    double exact = (double)((int64_t)side * large) / small;
    int longer = exact >= INT32_MAX ? INT32_MAX : (int)exact;
    *out_width = width <= height ? side : longer;
    *out_height = width <= height ? longer : side;
}
