#include "image/draw.h"

#include <math.h>

enum {
    LINES = 4, /* sample lines a pixel row; along a line coverage is exact */
    MAX_CROSSINGS = 64,
    DISC_POINTS = 64
};

/* Where one sample line enters and leaves the path, from left to right. */
typedef struct crossings {
    double at[MAX_CROSSINGS];
    int count;
} crossings;

static uint8_t to_byte(double value) {
    if (!(value > 0)) return 0;
    return value >= 255 ? 255 : (uint8_t)(value + 0.5);
}

static void mix(uint8_t *pixel, rb_color color, double share) {
    const double to[3] = {color.r, color.g, color.b};
    for (int c = 0; c < 3; c++) pixel[c] = to_byte(pixel[c] + (to[c] - pixel[c]) * share);
}

void rb_draw_gradient(rb_image *image, rb_color from, rb_color to, double angle) {
    double dx = cos(angle), dy = sin(angle);
    double reach = (fabs(dx) * image->width + fabs(dy) * image->height) / 2;
    for (int y = 0; y < image->height; y++) {
        uint8_t *pixel = image->pixels + (size_t)y * (size_t)image->width * 3;
        for (int x = 0; x < image->width; x++, pixel += 3) {
            double along = (x + 0.5 - image->width / 2.0) * dx + (y + 0.5 - image->height / 2.0) * dy;
            double t = 0.5 + along / (2 * reach);
            pixel[0] = to_byte(from.r + (to.r - from.r) * t);
            pixel[1] = to_byte(from.g + (to.g - from.g) * t);
            pixel[2] = to_byte(from.b + (to.b - from.b) * t);
        }
    }
}

static void insert(crossings *line, double x) {
    if (line->count == MAX_CROSSINGS) return;
    int i = line->count++;
    for (; i > 0 && line->at[i - 1] > x; i--) line->at[i] = line->at[i - 1];
    line->at[i] = x;
}

static void cross(crossings *line, const rb_point *points, const int *lengths, int contours, double y) {
    line->count = 0;
    for (int k = 0; k < contours; points += lengths[k++]) {
        for (int i = 0; i < lengths[k]; i++) {
            rb_point a = points[i], b = points[i + 1 < lengths[k] ? i + 1 : 0];
            if ((a.y <= y) == (b.y <= y)) continue; /* half-open: a corner counts once */
            insert(line, a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y)));
        }
    }
    line->count &= ~1;
}

/* The part of [x, x + 1] that lies inside. */
static double covered(const crossings *line, double x) {
    double sum = 0;
    for (int i = 0; i < line->count; i += 2) {
        double from = fmax(line->at[i], x), to = fmin(line->at[i + 1], x + 1);
        if (to > from) sum += to - from;
    }
    return sum;
}

/* The pixels that a path can touch; empty if a coordinate is not finite. */
typedef struct bounds {
    int x0, y0, x1, y1;
} bounds;

static bounds find_bounds(const rb_image *image, const rb_point *points, const int *lengths, int contours) {
    double left = image->width, top = image->height, right = 0, bottom = 0;
    for (int k = 0; k < contours; points += lengths[k++]) {
        for (int i = 0; i < lengths[k]; i++) {
            if (!isfinite(points[i].x) || !isfinite(points[i].y)) return (bounds){0, 0, 0, 0};
            left = fmin(left, points[i].x);
            right = fmax(right, points[i].x);
            top = fmin(top, points[i].y);
            bottom = fmax(bottom, points[i].y);
        }
    }
    return (bounds){(int)floor(fmax(left, 0)), (int)floor(fmax(top, 0)), (int)ceil(fmin(right, image->width)),
                    (int)ceil(fmin(bottom, image->height))};
}

void rb_draw_path(rb_image *image, const rb_point *points, const int *lengths, int contours, rb_color color,
                  double alpha) {
    bounds box = find_bounds(image, points, lengths, contours);
    for (int y = box.y0; y < box.y1; y++) {
        crossings lines[LINES];
        for (int i = 0; i < LINES; i++) cross(&lines[i], points, lengths, contours, y + (i + 0.5) / LINES);
        uint8_t *row = image->pixels + (size_t)y * (size_t)image->width * 3;
        for (int x = box.x0; x < box.x1; x++) {
            double share = 0;
            for (int i = 0; i < LINES; i++) share += covered(&lines[i], x) / LINES;
            if (share > 0) mix(row + (size_t)x * 3, color, share * alpha);
        }
    }
}

void rb_draw_disc(rb_image *image, rb_point centre, double radius, rb_color color, double alpha) {
    rb_point points[DISC_POINTS];
    int length = DISC_POINTS;
    for (int i = 0; i < DISC_POINTS; i++) {
        double angle = 6.283185307179586 * i / DISC_POINTS;
        points[i] = (rb_point){centre.x + radius * cos(angle), centre.y + radius * sin(angle)};
    }
    rb_draw_path(image, points, &length, 1, color, alpha);
}

void rb_draw_line(rb_image *image, rb_point from, rb_point to, double thickness, rb_color color,
                  double alpha) {
    double dx = to.x - from.x, dy = to.y - from.y, length = hypot(dx, dy);
    if (!(length > 0)) return;
    double nx = -dy / length * thickness / 2, ny = dx / length * thickness / 2;
    rb_point points[4] = {{from.x + nx, from.y + ny},
                          {to.x + nx, to.y + ny},
                          {to.x - nx, to.y - ny},
                          {from.x - nx, from.y - ny}};
    int count = 4;
    rb_draw_path(image, points, &count, 1, color, alpha);
}
