#include "data/detect_change.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "image/opencv.h"

/* ---- sizes ---- */

enum { LEAST_SIDE = 32, MOST_SIDE = 16384, STEP = 32 };

static revbifpn_status check_scale(const rb_detect_limits *l, rb_error *err) {
    if (l->scale_low == 0 && l->scale_high == 0) return REVBIFPN_OK;
    if (l->scale_low >= RB_SCALE_LEAST && l->scale_low <= l->scale_high && l->scale_high <= RB_SCALE_MOST)
        return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "scale-jitter %g..%g: two rising factors in %g … %d",
                   l->scale_low, l->scale_high, RB_SCALE_LEAST, RB_SCALE_MOST);
}

revbifpn_status rb_detect_limits_check(const rb_detect_limits *l, rb_error *err) {
    int least = l->short_least ? l->short_least : l->short_side;
    if (least >= LEAST_SIDE && least <= l->short_side && l->short_side <= l->long_side &&
        l->long_side <= MOST_SIDE)
        return check_scale(l, err);
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

/* How much larger a picture becomes within limits; sides are then ⌊s·side + ½⌋ (MMCV's rescale_size), at
 * least 1. */
static double scale_within(int width, int height, int long_side, int short_side) {
    int longer = width > height ? width : height, shorter = width < height ? width : height;
    return fmin((double)long_side / longer, (double)short_side / shorter);
}

int rb_detect_padded(int side) { return (side + STEP - 1) / STEP * STEP; }

rb_detect_chance rb_detect_chance_draw(const rb_detect_limits *l, bool training, rb_rng *rng) {
    rb_detect_chance c = {.limit = l->short_side, .factor = 1};
    if (!training) return c;
    int choices = l->short_least ? l->short_side - l->short_least + 1 : 1;
    bool colors = false;
    if (choices > 1) c.limit = l->short_least + (int)rb_rng_below(rng, (uint32_t)choices);
    c.mirror = rb_rng_uniform(rng) < l->mirror;
    if (l->scale_high > 0) {
        c.factor = l->scale_low + (l->scale_high - l->scale_low) * rb_rng_uniform(rng);
        c.across = rb_rng_uniform(rng);
        c.down = rb_rng_uniform(rng);
    }
    for (int i = 0; i < RB_JITTERS; i++) colors = colors || l->colors.amount[i] > 0;
    if (colors) c.change_count = rb_jitter_draw(&l->colors, rng, c.changes);
    return c;
}

rb_detect_draw rb_detect_draw_whole(int width, int height, bool mirror) {
    return (rb_detect_draw){.width = width,
                            .height = height,
                            .full_width = width,
                            .full_height = height,
                            .part_width = width,
                            .part_height = height,
                            .mirror = mirror};
}

static int cut_at(double share, int full, int part) { return (int)(share * (full - part + 1)); }

rb_detect_draw rb_detect_draw_of(const rb_detect_limits *l, const rb_detect_chance *c, int width,
                                 int height) {
    if (!width || !height) width = height = 1;
    double s = scale_within(width, height, l->long_side, c->limit);
    rb_detect_draw d = rb_detect_draw_whole(scaled(width, s), scaled(height, s), c->mirror);
    d.full_width = scaled(width, s * c->factor);
    d.full_height = scaled(height, s * c->factor);
    if (d.width > d.full_width) d.width = d.full_width;
    if (d.height > d.full_height) d.height = d.full_height;
    d.part_width = d.width;
    d.part_height = d.height;
    d.left = cut_at(c->across, d.full_width, d.width);
    d.top = cut_at(c->down, d.full_height, d.height);
    d.change_count = c->change_count;
    memcpy(d.changes, c->changes, sizeof d.changes);
    return d;
}

rb_detect_draw rb_detect_draw_for(const rb_detect_limits *l, int width, int height, bool training,
                                  rb_rng *rng) {
    rb_detect_chance chance = rb_detect_chance_draw(l, training, rng);
    return rb_detect_draw_of(l, &chance, width, height);
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

static revbifpn_status make_room(rb_detect_room *room, size_t size, rb_error *err) {
    if (size <= room->scratch_size) return REVBIFPN_OK;
    rb_free(room->scratch);
    room->scratch_size = 0;
    room->scratch = rb_alloc(size);
    if (!room->scratch) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for resizing");
    room->scratch_size = size;
    return REVBIFPN_OK;
}

revbifpn_status rb_detect_change_image(const rb_detect_draw *d, const rb_image *src, uint8_t *dst,
                                       size_t stride, rb_detect_room *room, rb_error *err) {
    rb_opencv_resize r = {.width = d->full_width,
                          .height = d->full_height,
                          .left = d->left,
                          .top = d->top,
                          .part_width = d->part_width,
                          .part_height = d->part_height,
                          .mirror = d->mirror};
    size_t resizing = rb_opencv_resize_scratch(&r), row = (size_t)d->part_width * 3;
    size_t part = row * (size_t)d->part_height, most = resizing > part ? resizing : part;
    revbifpn_status status = make_room(room, d->change_count ? part + most : resizing, err);
    if (status) return status;
    dst += (size_t)d->y * stride + (size_t)d->x * 3;
    if (!d->change_count) {
        rb_opencv_resize_run(&r, src, dst, stride, room->scratch);
        return REVBIFPN_OK;
    }
    /* colours are changed in a picture without gaps, which lies behind what resizing needs */
    uint8_t *pixels = room->scratch + most;
    rb_opencv_resize_run(&r, src, pixels, row, room->scratch);
    for (int i = 0; i < d->change_count; i++)
        rb_change_apply(&d->changes[i], pixels, d->part_width, d->part_height, room->scratch);
    for (int y = 0; y < d->part_height; y++) memcpy(dst + (size_t)y * stride, pixels + (size_t)y * row, row);
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
    scale[0] = (float)((double)draw->full_width / (p->width ? p->width : 1));
    scale[1] = (float)((double)draw->full_height / (p->height ? p->height : 1));
}

static float clip(float v, int low, int high) {
    return v < (float)low ? (float)low : v > (float)high ? (float)high : v;
}

/* Whether enough is left of an object: `full` and `part` are its corners within the whole and the part. */
static bool enough_left(const float full[4], const float part[4]) {
    static const float least_side = 2, least_share = 0.1f;
    float width = part[2] - part[0], height = part[3] - part[1];
    float whole = (full[2] - full[0]) * (full[3] - full[1]);
    return width >= least_side && height >= least_side && width * height >= least_share * whole;
}

/* Corners in the result; false when too little of the box is left. *cut: whether the part cuts it. */
static bool change_box(const rb_detect_draw *d, const float scale[2], const double box[4], float out[4],
                       bool *cut) {
    float full[4];
    for (int i = 0; i < 4; i++) {
        int axis = i % 2, side = axis ? d->full_height : d->full_width, begin = axis ? d->top : d->left;
        double v = i < 2 ? box[i] : box[axis] + box[i];
        full[i] = clip((float)v * scale[axis], 0, side);
        out[i] = clip(full[i], begin, begin + (axis ? d->part_height : d->part_width));
    }
    *cut = memcmp(full, out, sizeof full) != 0;
    if (!(out[2] > out[0] && out[3] > out[1]) || (*cut && !enough_left(full, out))) return false;
    float left = out[0] - (float)d->left, right = out[2] - (float)d->left, width = (float)d->part_width;
    out[0] = (d->mirror ? width - right : left) + (float)d->x;
    out[2] = (d->mirror ? width - left : right) + (float)d->x;
    out[1] += (float)(d->y - d->top);
    out[3] += (float)(d->y - d->top);
    return out[2] > out[0] && out[3] > out[1];
}

/* Adds the mask of one object behind those before it. *gone: it had pixels, and has none in the result. */
static revbifpn_status change_mask(const rb_detect_truth *t, const rb_pictures *pictures, int picture,
                                   const rb_object *o, rb_detect_room *room, rb_spans *into, bool *gone,
                                   rb_error *err) {
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
    *gone = mask.count && !room->one.count;
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

static revbifpn_status set_masks(const rb_detect_draw *d, const rb_picture *p, rb_mask_scale *scale,
                                 rb_error *err) {
    rb_mask_change change = {.height = (uint32_t)d->full_height,
                             .width = (uint32_t)d->full_width,
                             .top = (uint32_t)d->top,
                             .left = (uint32_t)d->left,
                             .part_height = (uint32_t)d->part_height,
                             .part_width = (uint32_t)d->part_width,
                             .mirror = d->mirror,
                             .y = (uint32_t)d->y,
                             .x = (uint32_t)d->x,
                             .to_height = (uint32_t)d->height,
                             .to_width = (uint32_t)d->width};
    if (!p->height || !p->width) return REVBIFPN_OK;
    return rb_mask_scale_set(scale, p->height, p->width, &change, rb_opencv_nearest, err);
}

void rb_detect_truth_clear(rb_detect_truth *t, int width, int height) {
    t->view = (rb_truth){.width = width, .height = height, .boxes = t->boxes, .labels = t->labels};
    t->view.masks = t->masks;
    rb_spans_clear(&t->spans);
}

revbifpn_status rb_detect_change_objects(const rb_detect_draw *draw, const rb_pictures *pictures, int picture,
                                         rb_detect_room *room, rb_detect_truth *t, rb_error *err) {
    const rb_picture *p = &pictures->pictures[picture];
    revbifpn_status status = REVBIFPN_OK;
    float scale[2];
    rb_detect_truth_clear(t, draw->width, draw->height);
    rb_detect_scale(draw, p, scale);
    if (t->masks) status = set_masks(draw, p, &room->scale, err);
    for (size_t k = p->first; !status && k < p[1].first && t->view.count < t->room; k++) {
        const rb_object *o = &pictures->objects[k];
        float *box = t->boxes + 4 * t->view.count;
        bool cut, gone = false;
        if (!rb_object_learns(o, p) || !change_box(draw, scale, o->box, box, &cut)) continue;
        if (t->masks) status = change_mask(t, pictures, picture, o, room, &t->spans, &gone, err);
        if (!(cut && gone)) t->labels[t->view.count++] = o->label;
    }
    if (!status && t->masks) finish_masks(t);
    return status;
}
