/* Marking what is in a picture: boxes, masks, names. */
#ifndef RB_IMAGE_MARK_H
#define RB_IMAGE_MARK_H

#include "image/draw.h"

/* Colours that stand apart, by class. */
rb_color rb_mark_color(int label);
/* Mixes the colour into pixels begin … end − 1, which are counted down each column, columns from left to
 * right, as masks count them. */
void rb_mark_tint(rb_image *image, uint32_t begin, uint32_t end, rb_color color);
/* The outline of a box with corners x1, y1, x2, y2; the wider the picture, the thicker. */
void rb_mark_box(rb_image *image, const double corners[4], rb_color color);
/* The same thin, in dashes of black and white, which are seen on everything. */
void rb_mark_dashes(rb_image *image, const double corners[4]);
/* Text on a ground of that colour: above the box, or in its upper edge where there is no room above; and in
 * its lower edge. */
void rb_mark_name(rb_image *image, const double corners[4], rb_color ground, const char *text);
void rb_mark_foot(rb_image *image, const double corners[4], rb_color ground, const char *text);

/* A new image in which every pixel of `src` is times × times. OUT_OF_MEMORY. */
revbifpn_status rb_image_enlarge(const rb_image *src, int times, rb_image *out, rb_error *err) RB_CHECKED;

#endif
