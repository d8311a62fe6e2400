#include "mask/segment.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define HUNDREDTHS 0x80000000u

static void add(rb_json *json, rb_text *block, const void *bytes, size_t size) {
    rb_text_add_bytes(block, bytes, size);
    if (block->failed) rb_json_out_of_memory(json);
}

/* Whether v is a number of hundredths that an int32_t holds, to the last bit. */
static bool hundredths(double v, int32_t *whole) {
    double scaled = nearbyint(v * 100);
    if (!(fabs(scaled) < 2147483648.0) || scaled / 100 != v) return false;
    *whole = (int32_t)scaled;
    return true;
}

/* Doubles at the end of the block become int32_t where that loses nothing. */
static bool compress(char *numbers, uint32_t count) {
    double v;
    int32_t whole;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&v, numbers + i * sizeof v, sizeof v);
        if (!hundredths(v, &whole)) return false;
    }
    for (uint32_t i = 0; i < count; i++) { /* each is written before or over what has been read */
        memcpy(&v, numbers + i * sizeof v, sizeof v);
        (void)hundredths(v, &whole);
        memcpy(numbers + i * sizeof whole, &whole, sizeof whole);
    }
    return true;
}

enum { MOST_NUMBERS = 1 << 27 };

/* One list of numbers; returns how many. */
static uint32_t read_numbers(rb_json *json, rb_text *block) {
    uint32_t count = 0, mark = 0;
    size_t head = block->size;
    add(json, block, &count, sizeof count);
    if (!rb_json_array(json)) return 0;
    while (rb_json_next_item(json)) {
        double v = rb_json_number(json);
        if (!(fabs(v) <= RB_POLYGON_LIMIT)) rb_json_refuse(json, "coordinate %g is beyond ±1e8", v);
        if (++count > MOST_NUMBERS) rb_json_refuse(json, "an outline of more than %d numbers", MOST_NUMBERS);
        add(json, block, &v, sizeof v);
    }
    if (rb_json_failed(json)) return 0;
    char *numbers = block->bytes + head + sizeof count;
    if (compress(numbers, count)) {
        mark = HUNDREDTHS;
        block->size = head + sizeof count + count * sizeof(int32_t);
    }
    mark |= count;
    memcpy(block->bytes + head, &mark, sizeof mark);
    return count;
}

static void read_lists(rb_json *json, rb_text *block, rb_segment *s) {
    if (!rb_json_array(json)) return;
    while (rb_json_next_item(json)) {
        if (rb_json_peek(json) != RB_JSON_ARRAY) {
            rb_json_refuse(json, "segmentation: a list of lists of numbers is expected");
            return;
        }
        uint32_t count = read_numbers(json, block);
        if (rb_json_failed(json)) return;
        if (s->form == RB_SEGMENT_NONE && count < 4)
            rb_json_refuse(json,
                           "segmentation: a polygon of %u numbers; the first needs at least 6 (or 4: a box)",
                           count);
        else if (s->form == RB_SEGMENT_NONE)
            s->form = count == 4 ? RB_SEGMENT_BOXES : RB_SEGMENT_POLYGONS;
        if (s->form == RB_SEGMENT_BOXES && count != 4)
            rb_json_refuse(json, "segmentation: %u numbers after a box of 4", count);
        else if (count % 2)
            rb_json_refuse(json, "segmentation: a polygon of %u numbers, which are no pairs", count);
    }
}

void rb_segment_add_polygon(rb_segment *s, const double *numbers, uint32_t points, rb_text *block) {
    uint32_t count = 2 * points, mark = count;
    size_t head = block->size;
    rb_text_add_bytes(block, &mark, sizeof mark);
    rb_text_add_bytes(block, numbers, count * sizeof *numbers);
    if (block->failed) return;
    if (compress(block->bytes + head + sizeof mark, count)) {
        block->size = head + sizeof mark + count * sizeof(int32_t);
        mark |= HUNDREDTHS;
        memcpy(block->bytes + head, &mark, sizeof mark);
    }
    s->form = RB_SEGMENT_POLYGONS;
    s->size = (uint32_t)(block->size - s->offset);
}

static void read_size(rb_json *json, rb_segment *s) {
    double sides[2] = {0, 0};
    int count = 0;
    if (!rb_json_array(json)) return;
    for (; rb_json_next_item(json); count++) {
        double v = rb_json_number(json);
        if (count < 2) sides[count] = v;
    }
    if (count != 2 || !rb_mask_size_fits(sides[0], sides[1])) {
        rb_json_refuse(
            json, "segmentation: a size is [height, width], sides of 1 … 1048576, less than 2^31 pixels");
        return;
    }
    s->height = (uint32_t)sides[0];
    s->width = (uint32_t)sides[1];
}

static void read_counts(rb_json *json, rb_text *block) {
    rb_run_writer writer = {0};
    if (rb_json_peek(json) != RB_JSON_ARRAY) {
        rb_json_text string = rb_json_string(json);
        add(json, block, string.bytes, string.size);
        return;
    }
    (void)rb_json_array(json);
    while (rb_json_next_item(json)) {
        int64_t run = rb_json_integer(json);
        if (run < 0 || run > INT32_MAX)
            rb_json_refuse(json, "segmentation: a run of %lld pixels", (long long)run);
        rb_runs_add(&writer, run, block);
        if (block->failed) rb_json_out_of_memory(json);
    }
}

static void read_runs(rb_json *json, rb_text *block, rb_segment *s) {
    rb_json_text key;
    bool counts = false;
    s->form = RB_SEGMENT_RUNS;
    if (!rb_json_object(json)) return;
    while (rb_json_next_key(json, &key)) {
        if (rb_json_is(key, "size")) {
            read_size(json, s);
        } else if (rb_json_is(key, "counts")) {
            block->size = s->offset; /* a repeated key: the last one counts */
            read_counts(json, block);
            counts = true;
        } else {
            rb_json_skip(json);
        }
    }
    if (!counts || !s->height) rb_json_refuse(json, "segmentation: run lengths need size and counts");
}

rb_segment rb_segment_read(rb_json *json, rb_text *block) {
    rb_segment s = {.offset = block->size};
    switch (rb_json_peek(json)) {
    case RB_JSON_ARRAY: read_lists(json, block, &s); break;
    case RB_JSON_OBJECT: read_runs(json, block, &s); break;
    case RB_JSON_NULL: rb_json_skip(json); break;
    default: rb_json_refuse(json, "segmentation: polygons or run lengths are expected"); break;
    }
    if (block->size - s.offset > UINT32_MAX) rb_json_refuse(json, "segmentation: more than 4 GiB");
    s.size = (uint32_t)(block->size - s.offset);
    return s;
}

void rb_segment_room_close(rb_segment_room *r) {
    rb_polygon_room_close(&r->polygons);
    rb_spans_close(&r->one);
    rb_spans_close(&r->all);
    rb_free(r->points);
    *r = (rb_segment_room){0};
}

/* The numbers of the list at `at`, in room->points (a box as its four corners); returns the next list. */
static const char *take_list(const char *at, bool box, rb_segment_room *room, size_t *points) {
    uint32_t mark, count;
    memcpy(&mark, at, sizeof mark);
    at += sizeof mark;
    count = mark & ~HUNDREDTHS;
    double *p = rb_grow(room->points, &room->point_room, count < 8 ? 8 : count, sizeof *p);
    if (!p) return NULL;
    room->points = p;
    for (uint32_t i = 0; i < count; i++)
        if (mark & HUNDREDTHS) {
            int32_t whole;
            memcpy(&whole, at, sizeof whole);
            at += sizeof whole;
            p[i] = whole / 100.0;
        } else {
            memcpy(&p[i], at, sizeof *p);
            at += sizeof *p;
        }
    *points = count / 2;
    if (box) {
        double x = p[0], y = p[1], right = p[0] + p[2], bottom = p[1] + p[3];
        const double corners[8] = {x, y, x, bottom, right, bottom, right, y};
        memcpy(p, corners, sizeof corners);
        *points = 4;
    }
    return at;
}

const double *rb_segment_next(const rb_segment *s, const char *block, size_t *at, uint32_t *count,
                              rb_segment_room *room) {
    uint32_t mark;
    size_t points;
    bool lists = s->form == RB_SEGMENT_POLYGONS || s->form == RB_SEGMENT_BOXES;
    if (!lists || *at >= s->size) return NULL;
    const char *list = block + s->offset + *at, *end = take_list(list, false, room, &points);
    if (!end) return NULL;
    memcpy(&mark, list, sizeof mark);
    *count = mark & ~HUNDREDTHS;
    *at += (size_t)(end - list);
    return room->points;
}

static revbifpn_status draw_lists(const rb_segment *s, const char *block, uint32_t height, uint32_t width,
                                  rb_segment_room *room, rb_error *err) {
    const char *at = block + s->offset, *end = at + s->size;
    size_t points, lists = 0;
    rb_spans_clear(&room->all);
    for (; at < end; lists++) {
        at = take_list(at, s->form == RB_SEGMENT_BOXES, room, &points);
        if (!at) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a polygon");
        rb_spans *into = lists ? &room->one : &room->all;
        revbifpn_status status =
            rb_polygon_draw(room->points, points, height, width, &room->polygons, into, err);
        if (status) return status;
        if (!lists) continue;
        rb_spans *all = &room->all;
        rb_span *grown = rb_grow(all->at, &all->room, all->count + room->one.count, sizeof *grown);
        if (!grown) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a mask");
        all->at = grown;
        if (room->one.count) memcpy(grown + all->count, room->one.at, room->one.count * sizeof *grown);
        all->count += room->one.count;
    }
    if (lists > 1) rb_spans_tidy(&room->all);
    return REVBIFPN_OK;
}

revbifpn_status rb_segment_draw(const rb_segment *s, const char *block, uint32_t height, uint32_t width,
                                rb_segment_room *room, rb_mask *out, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    rb_spans_clear(&room->all);
    *out = (rb_mask){0};
    if (s->form == RB_SEGMENT_RUNS) {
        height = s->height;
        width = s->width;
        status = rb_runs_decode(block + s->offset, s->size, height, width, &room->all, err);
    } else if (!rb_mask_size_fits(height, width)) {
        return rb_fail(err, REVBIFPN_BAD_FILE, "the picture's size of %u × %u holds no mask", height, width);
    } else if (s->form != RB_SEGMENT_NONE) {
        status = draw_lists(s, block, height, width, room, err);
    }
    if (status) return status;
    *out = (rb_mask){height, width, room->all.at, room->all.count};
    return REVBIFPN_OK;
}
