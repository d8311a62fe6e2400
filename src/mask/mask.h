/* Masks as COCO counts them: pixels are numbered down each column, columns from left to right, and a mask is
 * the list of its stretches ("spans") of set pixels, in rising order, none empty, none touching the next. So
 * a mask has one form only, and what COCO writes as runs of 0s and 1s is this list with other words. */
#ifndef RB_MASK_MASK_H
#define RB_MASK_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* Pixels begin … end − 1; pixel x·height + y is (x, y). */
typedef struct rb_span {
    uint32_t begin, end;
} rb_span;

/* A list of spans that grows. Like rb_text it remembers that memory ran out; what follows is dropped. */
typedef struct rb_spans {
    rb_span *at; /* owned: rb_spans_close */
    size_t count, room;
    bool failed;
} rb_spans;

void rb_spans_close(rb_spans *spans);
void rb_spans_clear(rb_spans *spans);
/* Adds pixels that begin at or after the end of the last span; joined to it where they touch. */
void rb_spans_add(rb_spans *spans, uint32_t begin, uint32_t end);

/* Spans in any order, overlapping or not, become a mask's: the union of many masks in one go. */
void rb_spans_tidy(rb_spans *spans);

/* Borrows its spans. Sides are such that rb_mask_size_fits. */
typedef struct rb_mask {
    uint32_t height, width;
    const rb_span *spans;
    size_t count;
} rb_mask;

/* Whole sides of 1 … 2^20, and fewer than 2^31 pixels. */
bool rb_mask_size_fits(double height, double width);

uint32_t rb_mask_area(rb_mask mask);
/* x, y, width, height of the smallest box; a span of several columns counts as reaching from top to bottom.
 * All 0 for an empty mask. */
void rb_mask_box(rb_mask mask, double box[4]);
/* Pixels set in both; sizes must be equal. */
uint32_t rb_mask_overlap(rb_mask a, rb_mask b);
/* Intersection over union; for a crowd region over the area of `detection`. 0 without intersection, −1 where
 * boxes overlap and sizes differ. */
double rb_mask_iou(rb_mask detection, rb_mask truth, bool crowd);
/* The same for boxes x, y, width, height. */
double rb_box_iou(const double detection[4], const double truth[4], bool crowd);
/* Set in a or b, in a and b: into `out`, which is cleared first and is not a part of a or b. Sizes must be
 * equal. */
void rb_mask_union(rb_mask a, rb_mask b, rb_spans *out);
void rb_mask_intersection(rb_mask a, rb_mask b, rb_spans *out);

/* From and to one byte a pixel, rows of `stride` bytes; other than 0 is set. `pixels`: height rows. */
void rb_mask_from_pixels(const uint8_t *pixels, uint32_t height, uint32_t width, size_t stride,
                         rb_spans *out);
void rb_mask_to_pixels(rb_mask mask, uint8_t *pixels, size_t stride);

/* COCO's runs (the first of 0s, then in turn), written as a string of the characters '0' … 'o'. Encoding
 * appends to `out`. Decoding fails with BAD_FILE and a reason unless the runs are `height`·`width` pixels
 * exactly; runs of length 0 are joined. */
void rb_runs_encode(rb_mask mask, rb_text *out);
revbifpn_status rb_runs_decode(const char *string, size_t size, uint32_t height, uint32_t width,
                               rb_spans *out, rb_error *err) RB_CHECKED;
/* One run after the other into such a string: for runs that come as numbers. Begins zeroed. */
typedef struct rb_run_writer {
    int64_t last[2]; /* the two runs before */
    size_t count;
} rb_run_writer;
void rb_runs_add(rb_run_writer *writer, int64_t run, rb_text *out);

/* Memory that drawing polygons uses again and again; zeroed at first. */
typedef struct rb_polygon_room {
    uint32_t *crossings, *sorted, *columns;
    size_t crossing_room, sorted_room, column_room;
} rb_polygon_room;
void rb_polygon_room_close(rb_polygon_room *room);

/* Coordinates up to this size are drawn. */
#define RB_POLYGON_LIMIT 1e8
/* The pixels inside a closed polygon of `count` points x, y by COCO's rule (even-odd; five steps a pixel),
 * into `out`, which is cleared first. BAD_FILE for a polygon that crosses columns millions of times. */
revbifpn_status rb_polygon_draw(const double *points, size_t count, uint32_t height, uint32_t width,
                                rb_polygon_room *room, rb_spans *out, rb_error *err) RB_CHECKED;

#endif
