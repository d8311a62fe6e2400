#include "data/detect_change.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "image/opencv.h"

/* ---- sizes ---- */

enum { LEAST_SIDE = 32, MOST_SIDE = 16384, STEP = 32 };

revbifpn_status rb_detect_limits_check(const rb_detect_limits *l, rb_error *err) {
    int least = l->short_least ? l->short_least : l->short_side;
    if (least >= LEAST_SIDE && least <= l->short_side && l->short_side <= l->long_side &&
        l->long_side <= MOST_SIDE)
        return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                   "pictures within %d x %d%s: sides of %d … %d are possible, the longer one first",
                   l->long_side, l->short_side, least < l->short_side ? " and less" : "", LEAST_SIDE,
                   MOST_SIDE);
}

/* A whole number of at most 7 digits; NULL when there is none. */
static const char *take_side(const char *text, int *side) {
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 7) return NULL;
    *side = (int)strtol(text, NULL, 10);
    return text + digits;
}

revbifpn_status rb_detect_limits_parse(const char *text, const char *option, rb_detect_limits *limits,
                                       rb_error *err) {
    *limits = (rb_detect_limits){.mirror = 0.5};
    const char *at = take_side(text, &limits->long_side);
    at = at && *at == 'x' ? take_side(at + 1, &limits->short_side) : NULL;
    if (at && *at == '-') {
        limits->short_least = limits->short_side;
        at = take_side(at + 1, &limits->short_side);
    }
    if (!at || *at)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s %s: like 1333x800, or 1333x640-800, is expected",
                       option, text);
    revbifpn_status status = rb_detect_limits_check(limits, err);
    return status && err ? rb_fail_prefix(err, "%s %s: ", option, text) : status;
}

static int scaled(int side, double s) {
    int to = (int)(side * s + 0.5);
    return to < 1 ? 1 : to;
}

void rb_detect_size(int width, int height, int long_side, int short_side, int *to_width, int *to_height) {
    int longer = width > height ? width : height, shorter = width < height ? width : height;
    double s = fmin((double)long_side / longer, (double)short_side / shorter);
    *to_width = scaled(width, s);
    *to_height = scaled(height, s);
}

int rb_detect_padded(int side) { return (side + STEP - 1) / STEP * STEP; }

rb_detect_draw rb_detect_draw_for(const rb_detect_limits *l, int width, int height, bool training,
                                  rb_rng *rng) {
    rb_detect_draw draw = {0};
    int limit = l->short_side, choices = l->short_least ? l->short_side - l->short_least + 1 : 1;
    if (training && choices > 1) limit = l->short_least + (int)rb_rng_below(rng, (uint32_t)choices);
    if (!width || !height) width = height = 1;
    rb_detect_size(width, height, l->long_side, limit, &draw.width, &draw.height);
    draw.mirror = training && rb_rng_uniform(rng) < l->mirror;
    return draw;
}

int rb_detect_extents(const rb_detect_limits *l, const rb_pictures *pictures, const uint32_t *list, int count,
                      bool grouped, rb_detect_extent extents[2]) {
    rb_detect_extent of[2] = {{0, 0}, {0, 0}};
    for (int i = 0; i < (list ? count : pictures->count); i++) {
        const rb_picture *p = &pictures->pictures[list ? (int)list[i] : i];
        rb_detect_draw draw = rb_detect_draw_for(l, (int)p->width, (int)p->height, false, NULL);
        rb_detect_extent *e = &of[grouped && p->width > p->height];
        int height = rb_detect_padded(draw.height), width = rb_detect_padded(draw.width);
        if (height > e->height) e->height = height;
        if (width > e->width) e->width = width;
    }
    int found = 0;
    for (int i = 0; i < 2; i++)
        if (of[i].height) extents[found++] = of[i];
    return found;
}

/* ---- the picture ---- */

void rb_detect_room_close(rb_detect_room *r) {
    rb_segment_room_close(&r->segments);
    rb_mask_scale_close(&r->scale);
    rb_spans_close(&r->one);
    rb_free(r->scratch);
    *r = (rb_detect_room){0};
}

revbifpn_status rb_detect_change_image(const rb_detect_draw *draw, const rb_image *src, uint8_t *dst,
                                       size_t stride, rb_detect_room *room, rb_error *err) {
    rb_opencv_resize r = {.width = draw->width, .height = draw->height, .mirror = draw->mirror};
    size_t size = rb_opencv_resize_scratch(&r);
    if (size > room->scratch_size) {
        rb_free(room->scratch);
        room->scratch_size = 0;
        room->scratch = rb_alloc(size);
        if (!room->scratch) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for resizing");
        room->scratch_size = size;
    }
    rb_opencv_resize_run(&r, src, dst, stride, room->scratch);
    return REVBIFPN_OK;
}

/* ---- its objects ---- */

revbifpn_status rb_detect_truth_open(rb_detect_truth *t, int objects, bool masks, rb_error *err) {
    size_t n = objects > 0 ? (size_t)objects : 1;
    *t = (rb_detect_truth){.room = objects};
    t->boxes = rb_alloc(rb_size_mul(n, 4 * sizeof *t->boxes));
    t->labels = rb_alloc(rb_size_mul(n, sizeof *t->labels));
    if (masks) t->masks = rb_alloc(rb_size_mul(n, sizeof *t->masks));
    if (masks) t->first = rb_alloc(rb_size_mul(n, sizeof *t->first));
    if (t->boxes && t->labels && (!masks || (t->masks && t->first))) return REVBIFPN_OK;
    rb_detect_truth_close(t);
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %d objects", objects);
}

void rb_detect_truth_close(rb_detect_truth *t) {
    rb_free(t->boxes);
    rb_free(t->labels);
    rb_free(t->masks);
    rb_free(t->first);
    rb_spans_close(&t->spans);
    *t = (rb_detect_truth){0};
}

void rb_detect_scale(const rb_detect_draw *draw, const rb_picture *p, float scale[2]) {
    scale[0] = (float)((double)draw->width / (p->width ? p->width : 1));
    scale[1] = (float)((double)draw->height / (p->height ? p->height : 1));
}

static float clip(float v, int high) { return v < 0 ? 0 : v > (float)high ? (float)high : v; }

/* Corners in the result; false when nothing of the box is left. */
static bool change_box(const rb_detect_draw *draw, const float scale[2], const double box[4], float out[4]) {
    for (int i = 0; i < 2; i++) {
        int side = i ? draw->height : draw->width;
        out[i] = clip((float)box[i] * scale[i], side);
        out[2 + i] = clip((float)(box[i] + box[2 + i]) * scale[i], side);
    }
    if (draw->mirror) {
        float right = (float)draw->width - out[0];
        out[0] = (float)draw->width - out[2];
        out[2] = right;
    }
    return out[2] > out[0] && out[3] > out[1];
}

/* Adds the mask of one object behind those before it. */
static revbifpn_status change_mask(const rb_detect_truth *t, const rb_pictures *pictures, int picture,
                                   const rb_object *o, rb_detect_room *room, rb_spans *into, rb_error *err) {
    rb_mask mask;
    const rb_picture *p = &pictures->pictures[picture];
    revbifpn_status status =
        rb_segment_draw(&o->segment, pictures->block.bytes, p->height, p->width, &room->segments, &mask, err);
    if (!status && (mask.height != p->height || mask.width != p->width))
        status = rb_fail(err, REVBIFPN_BAD_FILE, "a mask of %u x %u in a picture of %u x %u", mask.width,
                         mask.height, p->width, p->height);
    if (status)
        return err ? rb_fail_prefix(err, "%s: annotation %lld: ", rb_picture_path(pictures, picture),
                                    (long long)o->id)
                   : status;
    rb_mask_scale_run(&room->scale, mask, &room->one);
    rb_span *grown = rb_grow(into->at, &into->room, into->count + room->one.count, sizeof *grown);
    if (grown) into->at = grown;
    if (!grown || room->one.failed) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for masks");
    if (room->one.count) memcpy(grown + into->count, room->one.at, room->one.count * sizeof *grown);
    t->first[t->view.count] = into->count;
    into->count += room->one.count;
    return REVBIFPN_OK;
}

/* The spans have come to rest: masks can point to them. */
static void finish_masks(rb_detect_truth *t) {
    for (int i = 0; i < t->view.count; i++) {
        size_t end = i + 1 < t->view.count ? t->first[i + 1] : t->spans.count;
        t->masks[i] = (rb_mask){(uint32_t)t->view.height, (uint32_t)t->view.width, t->spans.at + t->first[i],
                                end - t->first[i]};
    }
}

revbifpn_status rb_detect_change_objects(const rb_detect_draw *draw, const rb_pictures *pictures, int picture,
                                         rb_detect_room *room, rb_detect_truth *t, rb_error *err) {
    const rb_picture *p = &pictures->pictures[picture];
    revbifpn_status status = REVBIFPN_OK;
    float scale[2];
    t->view =
        (rb_truth){.width = draw->width, .height = draw->height, .boxes = t->boxes, .labels = t->labels};
    rb_spans_clear(&t->spans);
    rb_detect_scale(draw, p, scale);
    if (t->masks && p->height && p->width)
        status = rb_mask_scale_set(&room->scale, p->height, p->width, (uint32_t)draw->height,
                                   (uint32_t)draw->width, draw->mirror, rb_opencv_nearest, err);
    for (size_t k = p->first; !status && k < p[1].first && t->view.count < t->room; k++) {
        const rb_object *o = &pictures->objects[k];
        if (!rb_object_learns(o, p) || !change_box(draw, scale, o->box, t->boxes + 4 * t->view.count))
            continue;
        if (t->masks) status = change_mask(t, pictures, picture, o, room, &t->spans, err);
        t->labels[t->view.count++] = o->label;
    }
    if (status) return status;
    if (t->masks) finish_masks(t);
    t->view.masks = t->masks;
    return REVBIFPN_OK;
}
