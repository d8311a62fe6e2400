#include "eval/coco_match.h"

#include <string.h>

#include "base/memory.h"

/* What is compared: a box, and with masks the spans of the thread's store, too. */
typedef struct shape {
    double box[4], area;
    size_t first, count; /* spans */
    uint32_t height, width;
} shape;

struct rb_coco_match_room {
    rb_segment_room drawing;
    rb_spans store;
    rb_rank *ranks, *spare;
    shape *detections, *objects;
    double *overlaps, *best; /* detections · objects; of a detection with any object */
    uint32_t *order;         /* objects, those that are ignored last */
    unsigned char *taken;    /* objects met at this threshold */
    bool *ignored;           /* objects, in `order`'s order */
    size_t rank_room, spare_room, detection_room, object_room, overlap_room, best_room, order_room,
        taken_room, ignored_room;
};

void rb_coco_match_room_close(rb_coco_match_room **handle) {
    rb_coco_match_room *r = *handle;
    if (!r) return;
    rb_segment_room_close(&r->drawing);
    rb_spans_close(&r->store);
    rb_free(r->ranks);
    rb_free(r->spare);
    rb_free(r->detections);
    rb_free(r->objects);
    rb_free(r->overlaps);
    rb_free(r->best);
    rb_free(r->order);
    rb_free(r->taken);
    rb_free(r->ignored);
    rb_free(r);
    *handle = NULL;
}

#define GROW(list, room, count) grow((void **)&(list), &(room), (count), sizeof *(list))
static bool grow(void **list, size_t *room, size_t count, size_t size) {
    void *grown = rb_grow(*list, room, count, size);
    if (grown) *list = grown;
    return grown != NULL;
}

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for comparing detections");
}

static revbifpn_status make_room(rb_coco_match_room *r, size_t all, size_t kept, size_t objects,
                                 rb_error *err) {
    bool good = GROW(r->ranks, r->rank_room, all) && GROW(r->spare, r->spare_room, all) &&
                GROW(r->detections, r->detection_room, kept) && GROW(r->best, r->best_room, kept) &&
                GROW(r->objects, r->object_room, objects) && GROW(r->order, r->order_room, objects) &&
                GROW(r->taken, r->taken_room, objects) && GROW(r->ignored, r->ignored_room, objects) &&
                GROW(r->overlaps, r->overlap_room, rb_size_mul(kept, objects));
    return good ? REVBIFPN_OK : no_memory(err);
}

/* Keeps the spans of a mask, when there is something to compare them with. */
static revbifpn_status keep(rb_coco_match_room *r, rb_mask mask, bool spans, shape *out, rb_error *err) {
    out->area = rb_mask_area(mask);
    out->first = r->store.count;
    out->count = mask.count;
    out->height = mask.height;
    out->width = mask.width;
    if (!spans || !mask.count) return REVBIFPN_OK;
    rb_mask_box(mask, out->box);
    if (!GROW(r->store.at, r->store.room, r->store.count + mask.count)) return no_memory(err);
    memcpy(r->store.at + r->store.count, mask.spans, mask.count * sizeof *mask.spans);
    r->store.count += mask.count;
    return REVBIFPN_OK;
}

static revbifpn_status shape_of_result(const rb_coco_match_input *in, uint32_t index, bool compared,
                                       rb_coco_match_room *r, shape *out, rb_error *err) {
    const rb_coco_result *d = &in->results->at[index];
    const rb_coco_image *image = &in->truth->images[d->image];
    revbifpn_status status;
    rb_mask mask;
    *out = (shape){0};
    if (d->has_box) {
        memcpy(out->box, d->box, sizeof out->box);
        out->area = d->box[2] * d->box[3];
        return REVBIFPN_OK;
    }
    TRY(rb_segment_draw(&d->segment, in->results->block.bytes, image->height, image->width, &r->drawing,
                        &mask, err));
    return keep(r, mask, compared, out, err);
fail:
    return rb_fail_prefix(err, "%s: result %u: ", in->paths.results, d->number);
}

static revbifpn_status shape_of_object(const rb_coco_match_input *in, uint32_t index, rb_coco_match_room *r,
                                       shape *out, rb_error *err) {
    const rb_coco_object *g = &in->truth->objects[index];
    const rb_coco_image *image = &in->truth->images[g->image];
    revbifpn_status status;
    rb_mask mask;
    *out = (shape){0};
    if (!in->options->masks) {
        memcpy(out->box, g->box, sizeof out->box);
        return REVBIFPN_OK;
    }
    TRY(rb_segment_draw(&g->segment, in->truth->block.bytes, image->height, image->width, &r->drawing, &mask,
                        err));
    return keep(r, mask, true, out, err);
fail:
    return rb_fail_prefix(err, "%s: annotation %lld: ", in->paths.truth, (long long)g->id);
}

/* Indices of the best detections, best first, in ranks[].index. */
static void rank(const rb_coco_match_input *in, const rb_coco_group *group, rb_coco_match_room *r) {
    for (size_t i = 0; i < group->detection_count; i++)
        r->ranks[i] = (rb_rank){in->results->at[group->detections[i]].score, group->detections[i]};
    rb_rank_sort(r->ranks, group->detection_count, r->spare);
}

static double overlap(const rb_coco_match_room *r, bool masks, const shape *d, const shape *g, bool crowd) {
    double boxes = rb_box_iou(d->box, g->box, crowd);
    if (!masks || boxes == 0) return boxes;
    if (d->height != g->height || d->width != g->width) return -1;
    rb_mask a = {d->height, d->width, r->store.at + d->first, d->count};
    rb_mask b = {g->height, g->width, r->store.at + g->first, g->count};
    double both = rb_mask_overlap(a, b);
    return both > 0 ? both / (crowd ? d->area : d->area + g->area - both) : 0;
}

static void overlaps(const rb_coco_match_input *in, const rb_coco_group *group, size_t kept,
                     rb_coco_match_room *r) {
    for (size_t i = 0; i < kept; i++) {
        double *row = r->overlaps + i * group->object_count, best = -1;
        for (size_t k = 0; k < group->object_count; k++) {
            bool crowd = in->truth->objects[group->objects[k]].crowd;
            row[k] = overlap(r, in->options->masks, &r->detections[i], &r->objects[k], crowd);
            if (row[k] > best) best = row[k];
        }
        r->best[i] = best;
    }
}

/* Objects that count come first, both parts in the order of the file. */
static void order(const rb_coco_match_input *in, const rb_coco_group *group, const double area[2],
                  rb_coco_match_room *r) {
    size_t at = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < group->object_count; k++) {
            const rb_coco_object *g = &in->truth->objects[group->objects[k]];
            bool ignored = g->crowd || g->area < area[0] || g->area > area[1];
            if (ignored != (pass == 1)) continue;
            r->ignored[at] = ignored;
            r->order[at++] = (uint32_t)k;
        }
}

/* The object (its place in `order`) that a detection meets, or −1: the one it overlaps most, the later one on
 * a tie; one that counts is never given up for one that is ignored. */
static int64_t meet(const rb_coco_match_input *in, const rb_coco_group *group, const double *row,
                    double least, const rb_coco_match_room *r) {
    int64_t met = -1;
    for (size_t k = 0; k < group->object_count; k++) {
        uint32_t object = r->order[k];
        if (r->taken[k] && !in->truth->objects[group->objects[object]].crowd) continue;
        if (met >= 0 && !r->ignored[met] && r->ignored[k]) break;
        if (row[object] < least) continue;
        least = row[object];
        met = (int64_t)k;
    }
    return met;
}

static void match(const rb_coco_match_input *in, const rb_coco_group *group, size_t kept, int area,
                  rb_coco_match_room *r, rb_coco_fate *fates) {
    size_t objects = group->object_count, stride = (size_t)in->options->areas;
    const double *range = in->options->area[area];
    order(in, group, range, r);
    for (size_t i = 0; i < kept; i++) fates[i * stride] = (rb_coco_fate){0, 0};
    for (int t = 0; objects && t < RB_COCO_THRESHOLDS; t++) {
        double least = in->thresholds[t] < 1 - 1e-10 ? in->thresholds[t] : 1 - 1e-10;
        memset(r->taken, 0, objects);
        for (size_t i = 0; i < kept; i++) {
            if (r->best[i] < least) continue;
            int64_t met = meet(in, group, r->overlaps + i * objects, least, r);
            if (met < 0) continue;
            r->taken[met] = 1;
            fates[i * stride].matched |= (uint16_t)(1u << t);
            if (r->ignored[met]) fates[i * stride].ignored |= (uint16_t)(1u << t);
        }
    }
    const unsigned all = (1u << RB_COCO_THRESHOLDS) - 1;
    for (size_t i = 0; i < kept; i++) {
        rb_coco_fate *f = &fates[i * stride];
        double size = r->detections[i].area;
        if (size < range[0] || size > range[1]) f->ignored |= (uint16_t)(all & ~f->matched);
    }
}

revbifpn_status rb_coco_match(const rb_coco_match_input *in, const rb_coco_group *group,
                              rb_coco_match_room **room, double *scores, rb_coco_fate *fates, rb_error *err) {
    revbifpn_status status;
    size_t limit = (size_t)in->options->limits[RB_COCO_LIMITS - 1];
    size_t kept = group->detection_count < limit ? group->detection_count : limit;
    if (!*room) *room = rb_alloc(sizeof **room);
    rb_coco_match_room *r = *room;
    if (!r) return no_memory(err);
    TRY(make_room(r, group->detection_count, kept, group->object_count, err));
    rank(in, group, r);
    rb_spans_clear(&r->store);
    for (size_t i = 0; i < kept; i++) {
        scores[i] = r->ranks[i].score;
        TRY(shape_of_result(in, r->ranks[i].index, group->object_count > 0 || !in->options->masks, r,
                            &r->detections[i], err));
    }
    for (size_t k = 0; k < group->object_count; k++)
        TRY(shape_of_object(in, group->objects[k], r, &r->objects[k], err));
    overlaps(in, group, kept, r);
    for (int a = 0; a < in->options->areas; a++) match(in, group, kept, a, r, fates + a);
    return REVBIFPN_OK;
fail:
    return status;
}
