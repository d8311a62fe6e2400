/* Masks of boxes in pictures. A pixel whose centre lies outside the box has a missing neighbour of more than
 * half the weight and stays below ½, so only the box and one pixel around it are looked at. */
#include <math.h>

#include "ops/mask_head/mask_head.h"

enum { SIDE = RB_MASK_SIDE };

/* Where along the 28 numbers of an axis a pixel lies: between `low` and low + 1, the second with weight
 * `part`. Farther outside than −1 … 28 is as good as there: nothing but zeros. */
typedef struct tap {
    int low;
    double part;
} tap;

static tap tap_at(int pixel, double begin, double size) {
    double at = fmin(fmax((pixel + 0.5 - begin) / size * SIDE - 0.5, -1), SIDE), low = floor(at);
    return (tap){(int)low, at - low};
}

/* Number x of a row; 0 beside it. */
static double number(const float *row, int x) { return x < 0 || x >= SIDE ? 0 : (double)row[x]; }

/* One column of the picture: the 28 rows between two of their numbers, with a zero above and two below. */
static void blend_column(const float *p, tap across, double line[SIDE + 3]) {
    line[0] = line[SIDE + 1] = line[SIDE + 2] = 0;
    for (int y = 0; y < SIDE; y++, p += SIDE) {
        double left = number(p, across.low), right = number(p, across.low + 1);
        line[y + 1] = left * (1 - across.part) + right * across.part;
    }
}

/* Pixels first … last − 1 of an axis: the box and one on each side, as far as there are any. */
static void reach(double low, double high, int size, int *first, int *last) {
    *first = (int)fmin(fmax(floor(low) - 1, 0), size);
    *last = (int)fmin(fmax(ceil(high) + 1, 0), size);
}

void rb_mask_paste(const float *probabilities, const float box[4], int width, int height, rb_spans *out) {
    double x1 = (double)box[0], y1 = (double)box[1], w = (double)box[2] - x1, h = (double)box[3] - y1;
    double line[SIDE + 3];
    int left, right, top, bottom;
    rb_spans_clear(out);
    if (!(w > 0 && h > 0 && isfinite(w) && isfinite(h))) return;
    reach(x1, x1 + w, width, &left, &right);
    reach(y1, y1 + h, height, &top, &bottom);
    for (int x = left; x < right; x++) {
        uint32_t column = (uint32_t)x * (uint32_t)height;
        blend_column(probabilities, tap_at(x, x1, w), line);
        for (int y = top; y < bottom; y++) {
            tap down = tap_at(y, y1, h);
            const double *at = line + down.low + 1;
            if (at[0] * (1 - down.part) + at[1] * down.part >= 0.5)
                rb_spans_add(out, column + (uint32_t)y, column + (uint32_t)y + 1);
        }
    }
}
