/* Polygons by COCO's rule. Corners are put on a grid of five steps a pixel, edges are walked step by step
 * along their longer side, and where the walk crosses the middle of a pixel's column, the pixels of that
 * column change from outside to inside (or back) from there on downwards. Only steps that cross such a middle
 * matter, and they are found directly: a polygon costs as much as the columns it covers, however large it is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "mask/mask.h"

void rb_polygon_room_close(rb_polygon_room *r) {
    rb_free(r->crossings);
    rb_free(r->sorted);
    rb_free(r->columns);
    *r = (rb_polygon_room){0};
}

enum { MOST_CROSSINGS = 1 << 26, FEW = 64 };

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a polygon");
}

typedef struct edge {
    int64_t x0, y0, x1, y1; /* from the end with the smaller coordinate along the longer side */
    double slope;           /* of the shorter side */
} edge;

static bool flat(const edge *e) { return llabs(e->x1 - e->x0) >= llabs(e->y1 - e->y0); }

static edge edge_between(const int64_t a[2], const int64_t b[2]) {
    int64_t dx = llabs(b[0] - a[0]), dy = llabs(b[1] - a[1]);
    bool swap = dx >= dy ? a[0] > b[0] : a[1] > b[1];
    edge e = swap ? (edge){b[0], b[1], a[0], a[1], 0} : (edge){a[0], a[1], b[0], b[1], 0};
    if (dx >= dy && dx)
        e.slope = (double)(e.y1 - e.y0) / (double)dx;
    else if (dy)
        e.slope = (double)(e.x1 - e.x0) / (double)dy;
    return e;
}

/* The walk's shorter coordinate after `step` steps along the longer one. */
static int64_t flat_y(const edge *e, int64_t step) {
    return (int64_t)((double)e->y0 + e->slope * (double)step + .5);
}
static int64_t steep_x(const edge *e, int64_t step) {
    return (int64_t)((double)e->x0 + e->slope * (double)step + .5);
}

/* The first step of a steep edge at which the walk has passed from x = c to c + 1 (or, falling, from c + 1 to
 * c). Guessed, then put right, because the rounding of the walk decides. */
static int64_t crossing_step(const edge *e, int64_t c) {
    bool rising = e->slope > 0;
    double at = ((double)c + .5 - (double)e->x0) / e->slope;
    int64_t last = e->y1 - e->y0, step = at < 1 ? 1 : at > (double)last ? last : (int64_t)at;
    while (step < last && (rising ? steep_x(e, step) <= c : steep_x(e, step) > c)) step++;
    while (step > 1 && (rising ? steep_x(e, step - 1) > c : steep_x(e, step - 1) <= c)) step--;
    return step;
}

/* Where column `x` changes: the pixel from which on it does, 0 … height. */
static uint32_t change(int64_t y, uint32_t height) {
    int64_t pixel = y <= 2 ? 0 : (y + 2) / 5; /* (y + ½)/5 − ½, rounded up */
    return pixel > height ? height : (uint32_t)pixel;
}

static uint32_t change_on(const edge *e, uint32_t x, uint32_t height) {
    int64_t c = 5 * (int64_t)x + 2, step, a, b;
    if (flat(e)) {
        step = c - e->x0;
        a = flat_y(e, step);
        b = flat_y(e, step + 1);
    } else {
        step = crossing_step(e, c);
        a = e->y0 + step - 1;
        b = a + 1;
    }
    return change(a < b ? a : b, height);
}

/* Columns 0 … width − 1 whose middle an edge crosses. False: none. */
static bool columns_of(const edge *e, uint32_t width, uint32_t *first, uint32_t *last) {
    int64_t low = e->x0 < e->x1 ? e->x0 : e->x1, high = e->x0 < e->x1 ? e->x1 : e->x0;
    if (high < 3) return false;
    int64_t a = low <= 2 ? 0 : (low + 2) / 5, b = (high - 3) / 5; /* low ≤ 5x + 2 and 5x + 3 ≤ high */
    if (b >= width) b = (int64_t)width - 1;
    *first = (uint32_t)(a < width ? a : width);
    *last = (uint32_t)b;
    return a <= b;
}

static revbifpn_status add_crossings(const edge *e, uint32_t height, uint32_t width, rb_polygon_room *r,
                                     size_t *count, rb_error *err) {
    uint32_t first, last;
    if (!columns_of(e, width, &first, &last)) return REVBIFPN_OK;
    size_t need = *count + 2 * ((size_t)(last - first) + 1);
    if (need > MOST_CROSSINGS)
        return rb_fail(err, REVBIFPN_BAD_FILE,
                       "a polygon whose edges cross more than %d pixel columns in all", MOST_CROSSINGS / 2);
    uint32_t *grown = rb_grow(r->crossings, &r->crossing_room, need, sizeof *grown);
    if (!grown) return no_memory(err);
    r->crossings = grown;
    for (uint32_t x = first; x <= last; x++) {
        grown[(*count)++] = x;
        grown[(*count)++] = x * height + change_on(e, x, height);
    }
    return REVBIFPN_OK;
}

static int by_value(const void *a, const void *b) {
    uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
    return (p > q) - (p < q);
}

/* Sorts the crossings by place: by column through counting, then those of each column, by insertion if few.
 */
static bool sort_crossings(rb_polygon_room *r, size_t pairs, uint32_t width) {
    uint32_t *columns = rb_grow(r->columns, &r->column_room, (size_t)width + 1, sizeof *columns);
    if (columns) r->columns = columns;
    uint32_t *sorted = rb_grow(r->sorted, &r->sorted_room, pairs, sizeof *sorted);
    if (sorted) r->sorted = sorted;
    if (!columns || !sorted) return false;
    uint32_t first = UINT32_MAX, last = 0;
    for (size_t i = 0; i < pairs; i++) {
        uint32_t x = r->crossings[2 * i];
        if (x < first) first = x;
        if (x > last) last = x;
    }
    memset(columns + first, 0, (last - first + 2) * sizeof *columns);
    for (size_t i = 0; i < pairs; i++) columns[r->crossings[2 * i] + 1]++;
    uint32_t most = 0;
    for (uint32_t x = first; x <= last; x++) {
        if (columns[x + 1] > most) most = columns[x + 1];
        columns[x + 1] += columns[x];
    }
    for (size_t i = 0; i < pairs; i++) sorted[columns[r->crossings[2 * i]]++] = r->crossings[2 * i + 1];
    if (most > FEW) qsort(sorted, pairs, sizeof *sorted, by_value);
    for (size_t i = 1; i < pairs; i++) {
        uint32_t value = sorted[i];
        size_t j = i;
        for (; j && sorted[j - 1] > value; j--) sorted[j] = sorted[j - 1];
        sorted[j] = value;
    }
    return true;
}

static void on_grid(const double *point, int64_t at[2]) {
    at[0] = (int64_t)(5 * point[0] + .5);
    at[1] = (int64_t)(5 * point[1] + .5);
}

revbifpn_status rb_polygon_draw(const double *points, size_t count, uint32_t height, uint32_t width,
                                rb_polygon_room *r, rb_spans *out, rb_error *err) {
    size_t numbers = 0;
    int64_t a[2], b[2];
    rb_spans_clear(out);
    if (count) on_grid(points, a);
    for (size_t i = 0; i < count; i++) {
        on_grid(i + 1 < count ? points + 2 * (i + 1) : points, b);
        edge e = edge_between(a, b);
        revbifpn_status status = add_crossings(&e, height, width, r, &numbers, err);
        if (status) return status;
        memcpy(a, b, sizeof a);
    }
    if (!numbers) return REVBIFPN_OK;
    if (!sort_crossings(r, numbers / 2, width)) return no_memory(err);
    /* a closed walk crosses each column an even number of times */
    for (size_t i = 0; i + 1 < numbers / 2; i += 2) rb_spans_add(out, r->sorted[i], r->sorted[i + 1]);
    return out->failed ? no_memory(err) : REVBIFPN_OK;
}
