/* COCO's annotation files (instances_*.json): read from front to back, never held, into an index of pictures,
 * categories and objects. */
#ifndef RB_DATA_COCO_H
#define RB_DATA_COCO_H

#include "base/json.h"
#include "mask/segment.h"

typedef struct rb_coco_image {
    int64_t id;
    uint32_t width, height; /* 0 when the file does not say */
    size_t file_name;       /* in `text` */
    size_t first;           /* its objects: first … first of the next picture − 1 */
} rb_coco_image;

typedef struct rb_coco_category {
    int64_t id;
    size_t name; /* in `text` */
} rb_coco_category;

typedef struct rb_coco_object {
    int64_t id;              /* 0 when it has none */
    int64_t image, category; /* indices */
    double box[4];           /* x, y, width, height as written; not clipped */
    double area;
    bool has_box, has_area, crowd, ignore;
    rb_segment segment; /* in `block` */
} rb_coco_object;

typedef struct rb_coco {
    rb_coco_image *images;        /* by rising id; one more, whose `first` is the number of objects */
    rb_coco_category *categories; /* by rising id */
    rb_coco_object *objects;      /* picture by picture, within one in the order of the file */
    size_t image_count, category_count, object_count;
    size_t left_out;     /* objects of pictures or categories that the file does not have */
    int64_t left_out_id; /* of the first of them */
    rb_text text;        /* names, each ended by a zero */
    rb_text block;       /* the objects' segments */
} rb_coco;

/* Reads a file; `segments` false leaves outlines out. The keys images, categories and annotations may come in
 * any order. BAD_FILE names the place (line, byte) or the id; OUT_OF_MEMORY, IO_FAILED. After a failure *coco
 * is empty. */
revbifpn_status rb_coco_open(rb_coco *coco, const char *path, bool segments, rb_error *err) RB_CHECKED;
void rb_coco_close(rb_coco *coco);

/* Index of that id, or −1. */
int64_t rb_coco_find_image(const rb_coco *coco, int64_t id);
int64_t rb_coco_find_category(const rb_coco *coco, int64_t id);

/* An id: a whole number, or a string of one. */
int64_t rb_coco_read_id(rb_json *json);
/* x, y, width, height. */
void rb_coco_read_box(rb_json *json, double box[4]);

#endif
