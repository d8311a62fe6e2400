/* The outline of an object as COCO's files have it ("segmentation"): polygons, boxes or run lengths. Read
 * into a compact form that many of them share one growing block of memory in, and drawn from there when it is
 * needed. */
#ifndef RB_MASK_SEGMENT_H
#define RB_MASK_SEGMENT_H

#include "base/json.h"
#include "mask/mask.h"

typedef enum rb_segment_form {
    RB_SEGMENT_NONE,     /* missing, null or an empty list: a mask without pixels */
    RB_SEGMENT_POLYGONS, /* lists x, y, x, y, …; their union */
    RB_SEGMENT_BOXES,    /* lists x, y, width, height: what a list of lists is whose first has four numbers */
    RB_SEGMENT_RUNS      /* run lengths, as the string of rb_runs_encode */
} rb_segment_form;

/* `size` bytes from `offset` on of the block. Polygons and boxes: for each the number of its numbers
 * (uint32_t), with the highest bit set where they are int32_t hundredths (COCO's have two digits), else
 * doubles. */
typedef struct rb_segment {
    size_t offset;
    uint32_t size;
    uint32_t height, width; /* of the mask: run lengths have their own, else 0 */
    rb_segment_form form;
} rb_segment;

/* Reads the next value of `json` and adds it to `block`. What makes no sense is refused there. Whether run
 * lengths fit their size is seen when they are drawn. */
rb_segment rb_segment_read(rb_json *json, rb_text *block);

/* For outlines that come otherwise: adds a polygon of `points` pairs x, y (3 or more, within
 * RB_POLYGON_LIMIT) to a segment that is the last of the block; begin with {.offset = block->size}. */
void rb_segment_add_polygon(rb_segment *segment, const double *numbers, uint32_t points, rb_text *block);

/* Memory that drawing uses again and again; zeroed at first. */
typedef struct rb_segment_room {
    rb_polygon_room polygons;
    rb_spans one, all;
    double *points;
    size_t point_room;
} rb_segment_room;
void rb_segment_room_close(rb_segment_room *room);

/* The numbers of its polygons or boxes, list by list: *at is 0 at first and moves on. They live in `room`
 * until its next use. NULL when there are no more; or, *at being less than the segment's size, no memory. */
const double *rb_segment_next(const rb_segment *segment, const char *block, size_t *at, uint32_t *count,
                              rb_segment_room *room);

/* The mask of a segment in a picture of that size. It borrows from `room` until the next call. BAD_FILE with
 * the reason for run lengths that are wrong, or a picture without a size. */
revbifpn_status rb_segment_draw(const rb_segment *segment, const char *block, uint32_t height, uint32_t width,
                                rb_segment_room *room, rb_mask *out, rb_error *err) RB_CHECKED;

#endif
