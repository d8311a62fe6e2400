#include "eval/coco_results.h"

#include "base/memory.h"

static bool read_key(rb_json *json, rb_json_text key, bool masks, rb_text *block, rb_coco_result *r,
                     bool met[4]) {
    if (rb_json_is(key, "image_id")) {
        r->image = rb_coco_read_id(json);
        met[0] = true;
    } else if (rb_json_is(key, "category_id")) {
        r->category = rb_coco_read_id(json);
        met[1] = true;
    } else if (rb_json_is(key, "score")) {
        r->score = rb_json_number(json);
        met[2] = true;
    } else if (!masks && rb_json_is(key, "bbox")) {
        rb_coco_read_box(json, r->box);
        r->has_box = met[3] = true;
    } else if (!r->has_box && rb_json_is(key, "segmentation")) {
        r->segment = rb_segment_read(json, block);
        met[3] = true;
    } else {
        return false;
    }
    return true;
}

static void read_result(rb_json *json, bool masks, rb_coco_results *all) {
    static const char *const names[] = {"image_id", "category_id", "score"};
    rb_coco_result r = {0};
    rb_json_text key;
    bool met[4] = {false};
    size_t mark = all->block.size;
    if (!rb_json_object(json)) return;
    while (rb_json_next_key(json, &key))
        if (!read_key(json, key, masks, &all->block, &r, met)) rb_json_skip(json);
    if (r.has_box) all->block.size = mark; /* the outline came before the box, and is not asked for */
    for (int i = 0; i < 3; i++)
        if (!met[i]) rb_json_refuse(json, "result %zu has no %s", all->count + 1, names[i]);
    if (!met[3])
        rb_json_refuse(json, "result %zu has no %s", all->count + 1, masks ? "segmentation" : "bbox");
    if (all->count == UINT32_MAX - 1) rb_json_refuse(json, "more than 2^32 results");
    rb_coco_result *grown = rb_grow(all->at, &all->room, all->count + 1, sizeof *grown);
    if (!grown) return rb_json_out_of_memory(json);
    all->at = grown;
    r.number = (uint32_t)all->count + 1;
    grown[all->count++] = r;
}

revbifpn_status rb_coco_results_open(rb_coco_results *all, const char *path, bool masks, rb_error *err) {
    rb_json *json;
    *all = (rb_coco_results){0};
    revbifpn_status status = rb_json_open(&json, path, err);
    if (status) return status;
    if (rb_json_array(json))
        while (rb_json_next_item(json)) read_result(json, masks, all);
    status = rb_json_finish(json, err);
    rb_json_close(&json);
    if (status) rb_coco_results_close(all);
    return status;
}

void rb_coco_results_close(rb_coco_results *all) {
    rb_free(all->at);
    rb_text_close(&all->block);
    *all = (rb_coco_results){0};
}

revbifpn_status rb_coco_results_resolve(rb_coco_results *all, const rb_coco *truth, const char *path,
                                        rb_error *err) {
    int64_t last_id = 0, last = -1; /* a file lists a picture's results together */
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        rb_coco_result r = all->at[i];
        if (last < 0 || r.image != last_id) {
            last_id = r.image;
            last = rb_coco_find_image(truth, r.image);
        }
        if (last < 0)
            return rb_fail(err, REVBIFPN_BAD_DATA, "%s: result %u: the annotations have no image %lld", path,
                           r.number, (long long)r.image);
        r.image = last;
        r.category = rb_coco_find_category(truth, r.category);
        if (r.category >= 0) all->at[kept++] = r;
    }
    all->left_out = all->count - kept;
    all->count = kept;
    return REVBIFPN_OK;
}
