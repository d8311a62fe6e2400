/* Drawing on images: filled paths, discs, lines and gradients, anti-aliased, clipped to the image.
 *
 * Coordinates are in pixels: (0, 0) is the upper left corner of the upper left pixel, whose centre is (0.5,
 * 0.5). Anything outside the image is left out; coordinates that are not finite draw nothing. */
#ifndef RB_IMAGE_DRAW_H
#define RB_IMAGE_DRAW_H

#include "image/image.h"

typedef struct rb_point {
    double x, y;
} rb_point;

typedef struct rb_color {
    double r, g, b; /* 0 … 255 */
} rb_color;

/* Fills the whole image with a gradient from `from` to `to`, which runs in the direction `angle` (radians; 0
 * = right). */
void rb_draw_gradient(rb_image *image, rb_color from, rb_color to, double angle);

/* Fills the closed contours by the even-odd rule with `color`, mixed in by `alpha` (0 … 1). The points of all
 * contours follow each other; lengths[i] is the number of points of contour i. At most 64 edges may cross one
 * line. */
void rb_draw_path(rb_image *image, const rb_point *points, const int *lengths, int contours, rb_color color,
                  double alpha);

void rb_draw_disc(rb_image *image, rb_point centre, double radius, rb_color color, double alpha);
/* A straight line of that thickness with flat ends. */
void rb_draw_line(rb_image *image, rb_point from, rb_point to, double thickness, rb_color color,
                  double alpha);

/* Text in a font of 5 × 7 cells of `scale` pixels, 6 × 9 with the gaps; (x, y) is its upper left corner.
 * UTF-8; what is not ASCII shows as a box. */
enum { RB_FONT_WIDTH = 6, RB_FONT_HEIGHT = 9 };
void rb_draw_text(rb_image *image, int x, int y, int scale, rb_color color, const char *text);

#endif
