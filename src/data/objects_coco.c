/* COCO's folders: annotations/instances_….json, read by data/coco.h, and the pictures they name. */
#include <stdio.h>

#include "base/memory.h"
#include "data/coco.h"
#include "data/objects_source.h"

/* The annotations of a split and where its pictures may be. */
typedef struct coco_layout {
    const char *file;
    const char *folders[3];
} coco_layout;

static const coco_layout layouts[2][2] = {
    {{"annotations/instances_train.json", {"images", "train", NULL}},
     {"annotations/instances_train2017.json", {"train2017", "images/train2017", "images"}}},
    {{"annotations/instances_val.json", {"images", "val", NULL}},
     {"annotations/instances_val2017.json", {"val2017", "images/val2017", "images"}}}};

/* The file of the split, NULL without one, and its folder of pictures (the first possible one, when there is
 * none). */
static revbifpn_status find_split(const char *root, bool val, char **file, char **folder, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    *file = *folder = NULL;
    for (int i = 0; !status && !*file && i < 2; i++) {
        const coco_layout *l = &layouts[val][i];
        status = rb_look_for(root, l->file, rb_is_file, file, err);
        if (status || !*file) continue;
        for (int k = 0; !status && !*folder && k < 3 && l->folders[k]; k++)
            status = rb_look_for(root, l->folders[k], rb_is_folder, folder, err);
        if (status || *folder) continue;
        *folder = rb_path_join(root, l->folders[0]);
        if (!*folder) status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", root);
    }
    return status;
}

bool rb_objects_is_coco(const char *root) {
    for (int val = 0; val < 2; val++)
        for (int i = 0; i < 2; i++)
            if (rb_has(root, layouts[val][i].file, rb_is_file)) return true;
    return false;
}

/* Labels of the file's categories; what has no name is called by its id. */
static revbifpn_status take_categories(rb_objects_reader *r, const rb_coco *coco, int32_t *labels,
                                       rb_error *err) {
    for (size_t i = 0; i < coco->category_count; i++) {
        const rb_coco_category *c = &coco->categories[i];
        char number[32];
        const char *name = coco->text.bytes + c->name;
        snprintf(number, sizeof number, "%lld", (long long)c->id);
        if (!*name) name = number;
        revbifpn_status status = rb_classes_label(r, name, &labels[i], err);
        if (status) return status;
        rb_object_class *class = &r->classes->at[labels[i]];
        for (size_t k = 0; k < i; k++)
            if (labels[k] == labels[i])
                return rb_fail(err, REVBIFPN_BAD_DATA,
                               "the categories %lld and %lld are both called '%.200s'",
                               (long long)coco->categories[k].id, (long long)c->id, name);
        if (r->fixed && class->id != -1 && class->id != c->id)
            return rb_fail(err, REVBIFPN_BAD_DATA, "the category '%.200s' has the id %lld; in %s it is %lld",
                           name, (long long)c->id, r->known, (long long)class->id);
        class->id = c->id;
    }
    return REVBIFPN_OK;
}

static revbifpn_status take_object(rb_objects_reader *r, const rb_coco_object *from, const int32_t *labels,
                                   rb_error *err) {
    if (!from->has_box)
        return rb_fail(err, REVBIFPN_BAD_FILE, "annotation %lld has no bbox", (long long)from->id);
    rb_object o = {.area = from->has_area ? from->area : from->box[2] * from->box[3],
                   .id = from->id,
                   .label = labels[from->category],
                   .crowd = from->crowd,
                   .ignore = from->ignore,
                   .segment = from->segment};
    for (int i = 0; i < 4; i++) o.box[i] = from->box[i];
    return rb_pictures_add_object(r, &o, err);
}

static revbifpn_status take_picture(rb_objects_reader *r, const rb_coco *coco, const rb_coco_image *image,
                                    const char *folder, const int32_t *labels, rb_error *err) {
    const char *name = coco->text.bytes + image->file_name;
    rb_picture picture = {.id = image->id, .width = image->width, .height = image->height};
    if (!*name) return rb_fail(err, REVBIFPN_BAD_FILE, "image %lld has no file_name", (long long)image->id);
    char *path = rb_path_join(folder, name);
    revbifpn_status status = REVBIFPN_OK;
    if (!path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    if (!picture.width || !picture.height) status = rb_pictures_measure(r, path, &picture, err);
    if (!status) status = rb_pictures_add(r, &picture, path, err);
    if (!status) r->pictures->pictures[r->pictures->count - 1].id = image->id; /* which may be 0 */
    for (size_t k = image->first; !status && k < image[1].first; k++)
        status = take_object(r, &coco->objects[k], labels, err);
    rb_free(path);
    return status;
}

revbifpn_status rb_objects_read_coco(rb_objects_reader *r, bool val, bool *there, rb_error *err) {
    revbifpn_status status;
    rb_coco coco = {0};
    char *file = NULL, *folder = NULL;
    int32_t *labels = NULL;
    TRY(find_split(r->root, val, &file, &folder, err));
    *there = file != NULL;
    if (!file) goto fail;
    TRY(rb_coco_open(&coco, file, r->options->outlines, err));
    labels = rb_alloc(rb_size_mul(coco.category_count, sizeof *labels));
    status = labels ? take_categories(r, &coco, labels, err)
                    : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the classes");
    for (size_t i = 0; !status && i < coco.image_count; i++)
        status = take_picture(r, &coco, &coco.images[i], folder, labels, err);
    if (status && err) rb_fail_prefix(err, "%s: ", file);
    r->pictures->left_out = coco.left_out;
    r->pictures->left_out_id = coco.left_out_id;
    r->pictures->block = coco.block; /* with all outlines, to which the objects' segments point */
    coco.block = (rb_text){0};
fail:
    rb_coco_close(&coco);
    rb_free(labels);
    rb_free(file);
    rb_free(folder);
    return status;
}
