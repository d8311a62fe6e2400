#include "data/synth_shapes.h"

#include <math.h>

#define PI 3.14159265358979323846

/* ---- shapes, inside the unit circle or nearly so, y down ---- */

static void add_point(rb_synth_shape *s, double x, double y) {
    int at = s->contours == 2 ? s->lengths[0] : 0;
    int *length = &s->lengths[s->contours - 1];
    s->points[at + (*length)++] = (rb_point){x, y};
}

/* A regular polygon, or with two radii a star, that begins at the top. */
static void add_polygon(rb_synth_shape *s, int corners, double even_radius, double odd_radius, double turn) {
    s->contours++;
    for (int i = 0; i < corners; i++) {
        double angle = 2 * PI * i / corners + turn - PI / 2, radius = i % 2 ? odd_radius : even_radius;
        add_point(s, radius * cos(angle), radius * sin(angle));
    }
}

static void add_corners(rb_synth_shape *s, const rb_point *corners, int count) {
    s->contours++;
    for (int i = 0; i < count; i++) add_point(s, corners[i].x, corners[i].y);
}

static void make_circle(rb_synth_shape *s) { add_polygon(s, 60, 0.95, 0.95, 0); }
static void make_square(rb_synth_shape *s) { add_polygon(s, 4, 1.1, 1.1, PI / 4); }
static void make_triangle(rb_synth_shape *s) { add_polygon(s, 3, 1.1, 1.1, 0); }
static void make_star(rb_synth_shape *s) { add_polygon(s, 10, 1.1, 0.44, 0); }
static void make_hexagon(rb_synth_shape *s) { add_polygon(s, 6, 1, 1, PI / 6); }

static void make_ring(rb_synth_shape *s) {
    add_polygon(s, 60, 1, 1, 0);
    add_polygon(s, 60, 0.55, 0.55, 0);
}

static void make_cross(rb_synth_shape *s) {
    static const rb_point corners[12] = {{-.3, -1}, {.3, -1}, {.3, -.3}, {1, -.3}, {1, .3},   {.3, .3},
                                         {.3, 1},   {-.3, 1}, {-.3, .3}, {-1, .3}, {-1, -.3}, {-.3, -.3}};
    add_corners(s, corners, 12);
}

static void make_diamond(rb_synth_shape *s) {
    static const rb_point corners[4] = {{0, -1.1}, {.6, 0}, {0, 1.1}, {-.6, 0}};
    add_corners(s, corners, 4);
}

static void make_arrow(rb_synth_shape *s) {
    static const rb_point corners[7] = {{0, -1.05}, {.8, -.15},   {.28, -.15}, {.28, 1},
                                        {-.28, 1},  {-.28, -.15}, {-.8, -.15}};
    add_corners(s, corners, 7);
}

static void make_heart(rb_synth_shape *s) {
    s->contours++;
    for (int i = 0; i < 60; i++) {
        double t = 2 * PI * i / 60;
        double up = 13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t);
        add_point(s, pow(sin(t), 3), -(up + 2.5) / 16);
    }
}

static const struct {
    const char *name;
    void (*make)(rb_synth_shape *s);
} classes[RB_SYNTH_MAX_CLASSES] = {
    /* easily told apart first */
    {"ring", make_ring},     {"cross", make_cross},     {"triangle", make_triangle}, {"square", make_square},
    {"star", make_star},     {"diamond", make_diamond}, {"arrow", make_arrow},       {"heart", make_heart},
    {"circle", make_circle}, {"hexagon", make_hexagon}};

rb_synth_shape rb_synth_place(int class_index, double x, double y, double radius, double turn) {
    rb_synth_shape s = {.contours = 0};
    classes[class_index].make(&s);
    double c = radius * cos(turn), n = radius * sin(turn);
    for (int i = 0; i < s.lengths[0] + s.lengths[1]; i++) {
        rb_point p = s.points[i];
        s.points[i] = (rb_point){x + c * p.x - n * p.y, y + n * p.x + c * p.y};
    }
    return s;
}

const char *rb_synth_class_name(int class_index) { return classes[class_index].name; }

/* ---- one picture ---- */

double rb_synth_between(rb_rng *rng, double low, double high) {
    return low + (high - low) * rb_rng_uniform(rng);
}

rb_color rb_synth_any_color(rb_rng *rng, double low, double high) {
    rb_color c; /* one draw a statement: the order of evaluation is part of the picture */
    c.r = rb_synth_between(rng, low, high);
    c.g = rb_synth_between(rng, low, high);
    c.b = rb_synth_between(rng, low, high);
    return c;
}

void rb_synth_background(rb_image *image, rb_rng *rng, rb_color *from, rb_color *to) {
    *from = rb_synth_any_color(rng, 10, 90);
    rb_color shift = rb_synth_any_color(rng, -30, 30);
    *to = (rb_color){from->r + shift.r, from->g + shift.g, from->b + shift.b};
    rb_draw_gradient(image, *from, *to, rb_synth_between(rng, 0, 2 * PI));
}

/* How well two colours stand apart, brightness counted twice (JPEG halves the resolution of the rest). */
static double contrast(rb_color a, rb_color b) {
    double r = a.r - b.r, g = a.g - b.g, c = a.b - b.b, luma = 0.299 * r + 0.587 * g + 0.114 * c;
    return sqrt(r * r + g * g + c * c) / 2 + fabs(luma);
}

rb_color rb_synth_shape_color(rb_rng *rng, rb_color from, rb_color to) {
    rb_color best = {0};
    double most = -1;
    for (int i = 0; i < 32 && most < 110; i++) {
        rb_color c = rb_synth_any_color(rng, 120, 255);
        double least = fmin(contrast(c, from), contrast(c, to));
        if (least <= most) continue;
        most = least;
        best = c;
    }
    return best;
}

void rb_synth_draw_clutter(rb_image *image, rb_rng *rng, int lines, int blots) {
    double side = image->width;
    for (int i = 0; i < lines; i++) {
        rb_point a, b;
        a.x = rb_synth_between(rng, 0, side);
        a.y = rb_synth_between(rng, 0, side);
        double angle = rb_synth_between(rng, 0, 2 * PI), length = rb_synth_between(rng, 0.15, 0.6) * side;
        b.x = a.x + length * cos(angle);
        b.y = a.y + length * sin(angle);
        double thickness = rb_synth_between(rng, 0.008, 0.02) * side;
        rb_draw_line(image, a, b, thickness, rb_synth_any_color(rng, 0, 130), 0.7);
    }
    for (int i = 0; i < blots; i++) {
        rb_point points[9];
        int length = 9;
        double x = rb_synth_between(rng, 0, side), y = rb_synth_between(rng, 0, side),
               radius = rb_synth_between(rng, 0.015, 0.045) * side;
        for (int k = 0; k < length; k++) {
            double reach = radius * rb_synth_between(rng, 0.5, 1.3);
            points[k] =
                (rb_point){x + reach * cos(2 * PI * k / length), y + reach * sin(2 * PI * k / length)};
        }
        rb_draw_path(image, points, &length, 1, rb_synth_any_color(rng, 0, 130), 0.8);
    }
}

void rb_synth_add_noise(rb_image *image, rb_rng *rng, double strength) {
    size_t count = (size_t)image->width * (size_t)image->height * 3;
    for (size_t i = 0; i < count; i++) {
        double v = image->pixels[i] + rb_synth_between(rng, -strength, strength);
        image->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
    }
}
