#include "data/coco.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* While a file is read: lists that grow, and ids where indices will be. */
typedef struct reader {
    rb_json *json;
    rb_coco *coco;
    bool segments;
    size_t image_room, category_room, object_room;
    bool images, categories, annotations; /* met */
} reader;

int64_t rb_coco_read_id(rb_json *json) {
    if (rb_json_peek(json) != RB_JSON_STRING) return rb_json_integer(json);
    rb_json_text s = rb_json_string(json);
    int64_t id = 0;
    if (!s.size || s.size > 15) rb_json_refuse(json, "an id is a whole number");
    for (size_t i = 0; i < s.size && !rb_json_failed(json); i++) {
        if (s.bytes[i] < '0' || s.bytes[i] > '9')
            rb_json_refuse(json, "the id \"%.*s\" is no whole number", (int)s.size, s.bytes);
        id = id * 10 + (s.bytes[i] - '0');
    }
    return rb_json_failed(json) ? 0 : id;
}

void rb_coco_read_box(rb_json *json, double box[4]) {
    int count = 0;
    if (!rb_json_array(json)) return;
    for (; rb_json_next_item(json); count++) {
        double v = rb_json_number(json);
        if (count < 4) box[count] = v;
    }
    if (count != 4) rb_json_refuse(json, "a bbox of %d numbers instead of x, y, width, height", count);
}

static size_t read_name(reader *r) {
    rb_json_text s = rb_json_string(r->json);
    rb_text *text = &r->coco->text;
    size_t at = text->size;
    rb_text_add_bytes(text, s.bytes, s.size);
    rb_text_add_bytes(text, "", 1);
    if (text->failed) rb_json_out_of_memory(r->json);
    return at;
}

static uint32_t read_side(rb_json *json) {
    int64_t side = rb_json_integer(json);
    if (side >= 0 && side <= 1 << 20) return (uint32_t)side;
    rb_json_refuse(json, "a side of %lld pixels", (long long)side);
    return 0;
}

static void read_image(reader *r) {
    rb_json *json = r->json;
    rb_coco_image image = {0};
    bool has_id = false;
    rb_json_text key;
    if (!rb_json_object(json)) return;
    while (rb_json_next_key(json, &key)) {
        if (rb_json_is(key, "id")) {
            image.id = rb_coco_read_id(json);
            has_id = true;
        } else if (rb_json_is(key, "width")) {
            image.width = read_side(json);
        } else if (rb_json_is(key, "height")) {
            image.height = read_side(json);
        } else if (rb_json_is(key, "file_name")) {
            image.file_name = read_name(r);
        } else {
            rb_json_skip(json);
        }
    }
    if (!has_id) rb_json_refuse(json, "an image without an id");
    rb_coco_image *grown =
        rb_grow(r->coco->images, &r->image_room, r->coco->image_count + 2, sizeof *grown); /* and the end */
    if (!grown) return rb_json_out_of_memory(json);
    r->coco->images = grown;
    grown[r->coco->image_count++] = image;
}

static void read_category(reader *r) {
    rb_json *json = r->json;
    rb_coco_category category = {0};
    bool has_id = false;
    rb_json_text key;
    if (!rb_json_object(json)) return;
    while (rb_json_next_key(json, &key)) {
        if (rb_json_is(key, "id")) {
            category.id = rb_coco_read_id(json);
            has_id = true;
        } else if (rb_json_is(key, "name")) {
            category.name = read_name(r);
        } else {
            rb_json_skip(json);
        }
    }
    if (!has_id) rb_json_refuse(json, "a category without an id");
    rb_coco_category *grown =
        rb_grow(r->coco->categories, &r->category_room, r->coco->category_count + 1, sizeof *grown);
    if (!grown) return rb_json_out_of_memory(json);
    r->coco->categories = grown;
    grown[r->coco->category_count++] = category;
}

/* Until all pictures and categories are known, an object has their ids in place of indices. */
static void read_object(reader *r) {
    rb_json *json = r->json;
    rb_coco_object o = {0};
    bool has_image = false, has_category = false;
    rb_json_text key;
    if (!rb_json_object(json)) return;
    while (rb_json_next_key(json, &key)) {
        if (rb_json_is(key, "id")) {
            o.id = rb_coco_read_id(json);
        } else if (rb_json_is(key, "image_id")) {
            o.image = rb_coco_read_id(json);
            has_image = true;
        } else if (rb_json_is(key, "category_id")) {
            o.category = rb_coco_read_id(json);
            has_category = true;
        } else if (rb_json_is(key, "bbox")) {
            rb_coco_read_box(json, o.box);
            o.has_box = true;
        } else if (rb_json_is(key, "area")) {
            o.area = rb_json_number(json);
            o.has_area = true;
        } else if (rb_json_is(key, "iscrowd")) {
            o.crowd = rb_json_flag(json);
        } else if (rb_json_is(key, "ignore")) {
            o.ignore = rb_json_flag(json);
        } else if (r->segments && rb_json_is(key, "segmentation")) {
            o.segment = rb_segment_read(json, &r->coco->block);
        } else {
            rb_json_skip(json);
        }
    }
    if (!has_image || !has_category) rb_json_refuse(json, "an annotation without image_id or category_id");
    rb_coco_object *grown =
        rb_grow(r->coco->objects, &r->object_room, r->coco->object_count + 1, sizeof *grown);
    if (!grown) return rb_json_out_of_memory(json);
    r->coco->objects = grown;
    grown[r->coco->object_count++] = o;
}

static void read_list(reader *r, bool *met, void (*read_one)(reader *r)) {
    *met = true;
    if (!rb_json_array(r->json)) return;
    while (rb_json_next_item(r->json)) read_one(r);
}

static void read_all(reader *r) {
    rb_json_text key;
    if (!rb_json_object(r->json)) return;
    while (rb_json_next_key(r->json, &key)) {
        if (rb_json_is(key, "images"))
            read_list(r, &r->images, read_image);
        else if (rb_json_is(key, "categories"))
            read_list(r, &r->categories, read_category);
        else if (rb_json_is(key, "annotations"))
            read_list(r, &r->annotations, read_object);
        else
            rb_json_skip(r->json);
    }
    const char *missing = !r->images        ? "images"
                          : !r->categories  ? "categories"
                          : !r->annotations ? "annotations"
                                            : NULL;
    if (missing) rb_json_refuse(r->json, "no \"%s\": this is no annotation file", missing);
}

/* Both begin with their id. */
static int by_id(const void *a, const void *b) {
    int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

static revbifpn_status sort_by_id(void *list, size_t count, size_t size, const char *path, const char *what,
                                  rb_error *err) {
    if (count) qsort(list, count, size, by_id);
    for (size_t i = 1; i < count; i++) {
        const char *item = (const char *)list + i * size;
        if (!by_id(item - size, item))
            return rb_fail(err, REVBIFPN_BAD_FILE, "%s: %s id %lld is there twice", path, what,
                           (long long)*(const int64_t *)(const void *)item);
    }
    return REVBIFPN_OK;
}

static int64_t find(const void *list, size_t count, size_t size, int64_t id) {
    const char *found = count ? bsearch(&id, list, count, size, by_id) : NULL;
    return found ? (int64_t)((size_t)(found - (const char *)list) / size) : -1;
}

int64_t rb_coco_find_image(const rb_coco *c, int64_t id) {
    return find(c->images, c->image_count, sizeof *c->images, id);
}
int64_t rb_coco_find_category(const rb_coco *c, int64_t id) {
    return find(c->categories, c->category_count, sizeof *c->categories, id);
}

/* Ids of objects become indices; objects of nothing that is known are dropped. */
static void resolve(rb_coco *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->object_count; i++) {
        rb_coco_object o = c->objects[i];
        o.image = rb_coco_find_image(c, o.image);
        o.category = rb_coco_find_category(c, o.category);
        if (o.image >= 0 && o.category >= 0)
            c->objects[kept++] = o;
        else if (kept == i) /* the first */
            c->left_out_id = o.id;
    }
    c->left_out = c->object_count - kept;
    c->object_count = kept;
}

/* Objects picture by picture, in the order of the file. */
static revbifpn_status group(rb_coco *c, const char *path, rb_error *err) {
    size_t room = 0;
    rb_coco_object *sorted = rb_grow(NULL, &room, c->object_count, sizeof *sorted);
    rb_coco_image *images = c->images;
    if (!sorted) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    for (size_t i = 0; i < c->object_count; i++) images[c->objects[i].image + 1].first++;
    for (size_t i = 0; i < c->image_count; i++) images[i + 1].first += images[i].first;
    /* placing moves each start on to the next picture's */
    for (size_t i = 0; i < c->object_count; i++) sorted[images[c->objects[i].image].first++] = c->objects[i];
    for (size_t i = c->image_count; i > 0; i--) images[i].first = images[i - 1].first;
    images[0].first = 0;
    rb_free(c->objects);
    c->objects = sorted;
    return REVBIFPN_OK;
}

revbifpn_status rb_coco_open(rb_coco *c, const char *path, bool segments, rb_error *err) {
    revbifpn_status status;
    reader r = {.coco = c, .segments = segments};
    *c = (rb_coco){0};
    TRY(rb_json_open(&r.json, path, err));
    rb_text_add_bytes(&c->text, "", 1); /* the name of what has none */
    if (c->text.failed) rb_json_out_of_memory(r.json);
    read_all(&r);
    TRY(rb_json_finish(r.json, err));
    if (!c->image_count) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: the list of images is empty", path);
        goto fail;
    }
    c->images[c->image_count] = (rb_coco_image){0};
    TRY(sort_by_id(c->images, c->image_count, sizeof *c->images, path, "image", err));
    TRY(sort_by_id(c->categories, c->category_count, sizeof *c->categories, path, "category", err));
    resolve(c);
    TRY(group(c, path, err));
    rb_json_close(&r.json);
    return REVBIFPN_OK;
fail:
    rb_json_close(&r.json);
    rb_coco_close(c);
    return status;
}

void rb_coco_close(rb_coco *c) {
    rb_free(c->images);
    rb_free(c->categories);
    rb_free(c->objects);
    rb_text_close(&c->text);
    rb_text_close(&c->block);
    *c = (rb_coco){0};
}
