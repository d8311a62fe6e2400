#include "image/mark.h"

#include <math.h>
#include <string.h>

enum { DASH = 4, THICK_WIDTH = 320, TEXT_WIDTH = 480 /* pixels a row for each pixel of lines and letters */ };

rb_color rb_mark_color(int label) {
    static const rb_color colors[] = {{230, 60, 50},  {40, 130, 230}, {50, 170, 70},  {240, 160, 20},
                                      {150, 80, 200}, {20, 170, 170}, {230, 90, 160}, {140, 110, 60},
                                      {120, 160, 30}, {90, 90, 230}};
    return colors[label % (int)(sizeof colors / sizeof *colors)];
}

void rb_mark_tint(rb_image *image, uint32_t begin, uint32_t end, rb_color color) {
    const double part = 0.45, channels[3] = {color.r, color.g, color.b};
    for (uint32_t i = begin; i < end; i++) {
        size_t x = i / (uint32_t)image->height, y = i % (uint32_t)image->height;
        uint8_t *pixel = image->pixels + 3 * (y * (size_t)image->width + x);
        for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)(pixel[c] * (1 - part) + channels[c] * part + 0.5);
    }
}

/* The middle of the pixel that a coordinate falls into: a line of one pixel is sharp there. The far edge of
 * the picture counts to its last pixel. */
static double middle(double v, int size) { return floor(v == size ? v - 1 : v) + 0.5; }

static void corners_of(const rb_image *image, const double box[4], rb_point corners[5]) {
    double c[4];
    for (int i = 0; i < 4; i++) c[i] = middle(box[i], i % 2 ? image->height : image->width);
    const rb_point around[5] = {{c[0], c[1]}, {c[2], c[1]}, {c[2], c[3]}, {c[0], c[3]}, {c[0], c[1]}};
    memcpy(corners, around, sizeof around);
}

void rb_mark_box(rb_image *image, const double box[4], rb_color color) {
    double thickness = fmax(1, image->width / (double)THICK_WIDTH);
    rb_point corners[5];
    corners_of(image, box, corners);
    for (int i = 0; i < 4; i++) rb_draw_line(image, corners[i], corners[i + 1], thickness, color, 1);
}

void rb_mark_dashes(rb_image *image, const double box[4]) {
    const rb_color ink[2] = {{0, 0, 0}, {255, 255, 255}};
    rb_point corners[5];
    corners_of(image, box, corners);
    for (int i = 0; i < 4; i++) {
        rb_point a = corners[i], b = corners[i + 1];
        double length = hypot(b.x - a.x, b.y - a.y);
        if (!(length < 1e5)) continue; /* a box outside of all pictures */
        for (int k = 0; k * DASH < length; k++) {
            double from = k * DASH / length, to = fmin(1, (k + 1) * DASH / length);
            rb_point begin = {a.x + (b.x - a.x) * from, a.y + (b.y - a.y) * from};
            rb_point end = {a.x + (b.x - a.x) * to, a.y + (b.y - a.y) * to};
            rb_draw_line(image, begin, end, 1, ink[k % 2], 1);
        }
    }
}

static int text_scale(const rb_image *image) {
    int scale = image->width / TEXT_WIDTH;
    return scale < 1 ? 1 : scale;
}

/* A whole number, whatever the corner is. */
static int place(double corner) { return corner > -1e6 && corner < 1e6 ? (int)corner : -1000000; }

static void draw_text(rb_image *image, int x, int y, rb_color ground, const char *text) {
    int scale = text_scale(image), height = RB_FONT_HEIGHT * scale;
    double middle = y + height / 2.0, width = (double)strlen(text) * RB_FONT_WIDTH * scale + scale;
    rb_draw_line(image, (rb_point){x, middle}, (rb_point){x + width, middle}, height, ground, 0.85);
    rb_draw_text(image, x + scale, y + scale, scale, (rb_color){255, 255, 255}, text);
}

void rb_mark_name(rb_image *image, const double corners[4], rb_color ground, const char *text) {
    int top = place(corners[1]), y = top - RB_FONT_HEIGHT * text_scale(image);
    draw_text(image, place(corners[0]), y < 0 ? top : y, ground, text);
}

void rb_mark_foot(rb_image *image, const double corners[4], rb_color ground, const char *text) {
    draw_text(image, place(corners[0]), place(corners[3]) - RB_FONT_HEIGHT * text_scale(image), ground, text);
}

revbifpn_status rb_image_enlarge(const rb_image *src, int times, rb_image *out, rb_error *err) {
    revbifpn_status status;
    TRY(rb_image_alloc(out, src->width * times, src->height * times, err));
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++)
            memcpy(out->pixels + ((size_t)y * (size_t)out->width + (size_t)x) * 3,
                   src->pixels + ((size_t)(y / times) * (size_t)src->width + (size_t)(x / times)) * 3, 3);
fail:
    return status;
}
