/* What the drawn picture sets are made of: shapes, colours, backgrounds, clutter. Only src/data/ includes
 * this.
 */
#ifndef RB_DATA_SYNTH_SHAPES_H
#define RB_DATA_SYNTH_SHAPES_H

#include "base/rng.h"
#include "data/synth.h"
#include "image/draw.h"

enum { RB_SYNTH_POINTS = 128 };

/* One contour, or two: the second one is a hole. */
typedef struct rb_synth_shape {
    rb_point points[RB_SYNTH_POINTS];
    int lengths[2], contours;
} rb_synth_shape;

/* The shape of a class around x, y: about `radius` from there to its corners; turned by `turn`. */
rb_synth_shape rb_synth_place(int class_index, double x, double y, double radius, double turn);

double rb_synth_between(rb_rng *rng, double low, double high);
rb_color rb_synth_any_color(rb_rng *rng, double low, double high);
/* A colour that stands out from both ends of the background. */
rb_color rb_synth_shape_color(rb_rng *rng, rb_color from, rb_color to);
/* A dark gradient over all of the image; its ends. */
void rb_synth_background(rb_image *image, rb_rng *rng, rb_color *from, rb_color *to);
/* Thin lines and small uneven blots: clutter that looks like none of the classes. */
void rb_synth_draw_clutter(rb_image *image, rb_rng *rng, int lines, int blots);
void rb_synth_add_noise(rb_image *image, rb_rng *rng, double strength);

/* synth.c, also for objects: a number in a range, or BAD_ARGUMENT that says which. */
revbifpn_status rb_synth_check(const char *what, int value, int least, int most, rb_error *err) RB_CHECKED;
/* Makes the folder ours: it holds the marker with exactly these options afterwards. */
revbifpn_status rb_synth_claim(const char *folder, const rb_synth_options *options, rb_error *err) RB_CHECKED;

#endif
