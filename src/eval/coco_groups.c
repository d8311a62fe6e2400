#include "eval/coco_groups.h"

#include "base/memory.h"

void rb_coco_groups_close(rb_coco_groups *g) {
    rb_free(g->detections);
    rb_free(g->objects);
    rb_free(g->detection_of);
    rb_free(g->object_of);
    rb_free(g->part_of);
    rb_free(g->parts);
    *g = (rb_coco_groups){0};
}

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for sorting detections");
}

typedef size_t key_of(const void *list, uint32_t index);
static size_t result_image(const void *list, uint32_t i) {
    return (size_t)((const rb_coco_result *)list)[i].image;
}
static size_t result_category(const void *list, uint32_t i) {
    return (size_t)((const rb_coco_result *)list)[i].category;
}
static size_t object_category(const void *list, uint32_t i) {
    return (size_t)((const rb_coco_object *)list)[i].category;
}

/* Indices `from` (NULL: 0, 1, 2 …) into `to`, by rising key, equal ones in their order. starts[keys + 1],
 * zeroed: where each key begins. */
static void sort(const void *list, key_of *key, size_t keys, const uint32_t *from, size_t count, uint32_t *to,
                 uint32_t *starts) {
    for (uint32_t i = 0; i < count; i++) starts[key(list, i) + 1]++;
    for (size_t k = 0; k < keys; k++) starts[k + 1] += starts[k];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = from ? from[i] : i;
        to[starts[key(list, index)]++] = index;
    }
    for (size_t k = keys; k > 0; k--) starts[k] = starts[k - 1];
    starts[0] = 0;
}

static revbifpn_status sort_all(rb_coco_groups *g, const rb_coco *truth, const rb_coco_results *results,
                                rb_error *err) {
    uint32_t *by_image = rb_alloc(rb_size_mul(results->count, sizeof *by_image));
    uint32_t *starts = rb_alloc((truth->image_count + 1) * sizeof *starts);
    g->detections = rb_alloc(rb_size_mul(results->count, sizeof *g->detections));
    g->objects = rb_alloc(rb_size_mul(truth->object_count, sizeof *g->objects));
    g->detection_of = rb_alloc((truth->category_count + 1) * sizeof *g->detection_of);
    g->object_of = rb_alloc((truth->category_count + 1) * sizeof *g->object_of);
    g->part_of = rb_alloc((truth->category_count + 1) * sizeof *g->part_of);
    bool good =
        by_image && starts && g->detections && g->objects && g->detection_of && g->object_of && g->part_of;
    if (good) {
        sort(results->at, result_image, truth->image_count, NULL, results->count, by_image, starts);
        sort(results->at, result_category, truth->category_count, by_image, results->count, g->detections,
             g->detection_of);
        sort(truth->objects, object_category, truth->category_count, NULL, truth->object_count, g->objects,
             g->object_of); /* by picture they are already */
    }
    rb_free(by_image);
    rb_free(starts);
    return good ? REVBIFPN_OK : no_memory(err);
}

revbifpn_status rb_coco_groups_open(rb_coco_groups *g, const rb_coco *truth, const rb_coco_results *results,
                                    const rb_coco_options *options, rb_error *err) {
    size_t room = 0, limit = (size_t)options->limits[RB_COCO_LIMITS - 1];
    *g = (rb_coco_groups){0};
    if (truth->object_count >= UINT32_MAX || results->count >= UINT32_MAX)
        return rb_fail(err, REVBIFPN_BAD_DATA, "more than 2^32 objects or detections");
    revbifpn_status status = sort_all(g, truth, results, err);
    for (size_t k = 0; !status && k < truth->category_count; k++) {
        uint32_t o = g->object_of[k], objects = g->object_of[k + 1];
        g->part_of[k] = (uint32_t)g->part_count;
        for (uint32_t d = g->detection_of[k], end = g->detection_of[k + 1]; d < end;) {
            rb_coco_part *grown = rb_grow(g->parts, &room, g->part_count + 1, sizeof *grown);
            if (!grown) {
                status = no_memory(err);
                break;
            }
            g->parts = grown;
            int64_t image = results->at[g->detections[d]].image;
            rb_coco_part p = {.image = (uint32_t)image, .detections = d, .out = (uint32_t)g->kept};
            while (d < end && results->at[g->detections[d]].image == image) d++;
            while (o < objects && truth->objects[g->objects[o]].image < image) o++;
            p.objects = o;
            while (o < objects && truth->objects[g->objects[o]].image == image) o++;
            p.detection_count = d - p.detections;
            p.object_count = o - p.objects;
            g->kept += p.detection_count < limit ? p.detection_count : limit;
            grown[g->part_count++] = p;
        }
    }
    if (!status) g->part_of[truth->category_count] = (uint32_t)g->part_count;
    if (status) rb_coco_groups_close(g);
    return status;
}

size_t rb_coco_groups_out_of(const rb_coco_groups *g, size_t category) {
    uint32_t part = g->part_of[category];
    return part < g->part_count ? g->parts[part].out : g->kept;
}
