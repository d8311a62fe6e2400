/* Data sets of objects (objects.h): which folder it is, classes, what is to be learned. */
#include "data/objects.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/dataset.h"
#include "data/objects_source.h"

void rb_pictures_close(rb_pictures *p) {
    rb_free(p->pictures);
    rb_free(p->objects);
    rb_text_close(&p->text);
    rb_text_close(&p->block);
    *p = (rb_pictures){0};
}

void rb_objects_close(rb_objects *set) {
    for (int i = 0; i < set->class_count; i++) rb_free(set->classes[i].name);
    rb_free(set->classes);
    rb_pictures_close(&set->train);
    rb_pictures_close(&set->val);
    *set = (rb_objects){0};
}

const char *rb_picture_path(const rb_pictures *p, int picture) {
    return p->text.bytes + p->pictures[picture].path;
}

const char *rb_objects_form_name(rb_objects_form form) {
    return form == RB_OBJECTS_COCO ? "COCO" : form == RB_OBJECTS_VOC ? "VOC" : "YOLO";
}

/* ---- what is to be learned ---- */

bool rb_object_learns(const rb_object *o, const rb_picture *p) {
    if (o->ignore || o->crowd || !(o->area > 0) || !(o->box[2] >= 1) || !(o->box[3] >= 1)) return false;
    double width = fmin(o->box[0] + o->box[2], p->width) - fmax(o->box[0], 0);
    double height = fmin(o->box[1] + o->box[3], p->height) - fmax(o->box[1], 0);
    return width > 0 && height > 0;
}

int rb_pictures_to_learn(const rb_pictures *p, uint32_t *list) {
    enum { SHORTEST = 32 };
    int count = 0;
    for (int i = 0; i < p->count; i++) {
        const rb_picture *one = &p->pictures[i];
        uint32_t shorter = one->width < one->height ? one->width : one->height;
        if (one[1].first > one->first && (!shorter || shorter >= SHORTEST)) list[count++] = (uint32_t)i;
    }
    return count;
}

int rb_pictures_most_objects(const rb_pictures *p) {
    int most = 0;
    for (int i = 0; i < p->count; i++) {
        int count = 0;
        for (size_t k = p->pictures[i].first; k < p->pictures[i + 1].first; k++)
            count += rb_object_learns(&p->objects[k], &p->pictures[i]);
        if (count > most) most = count;
    }
    return most;
}

/* ---- opening ---- */

bool rb_objects_is(const char *root) {
    return rb_objects_is_coco(root) || rb_objects_is_voc(root) || rb_objects_is_yolo(root);
}

static revbifpn_status find_form(rb_objects_form *form, const char *root, rb_error *err) {
    bool coco = rb_objects_is_coco(root), voc = rb_objects_is_voc(root), yolo = rb_objects_is_yolo(root);
    *form = coco ? RB_OBJECTS_COCO : voc ? RB_OBJECTS_VOC : RB_OBJECTS_YOLO;
    if (coco || voc || yolo) return REVBIFPN_OK;
    if (!rb_is_folder(root)) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: there is no such folder", root);
    return rb_fail(err, REVBIFPN_BAD_DATA,
                   "%s: neither annotations/instances_train.json or instances_val.json (COCO), nor "
                   "Annotations and ImageSets/Main (VOC), nor images and labels or data.yaml (YOLO)",
                   root);
}

/* The classes given, or those that the folder lists; otherwise they are found in what is read. */
static revbifpn_status open_classes(rb_objects_reader *r, rb_objects_form form, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    const rb_objects_options *o = r->options;
    r->known = "the class list of the weights";
    for (int i = 0; !status && o->class_names && i < o->classes; i++)
        status = rb_classes_add(r->classes, form == RB_OBJECTS_COCO ? -1 : i + 1, o->class_names[i], err);
    if (!status && !o->class_names) {
        r->known = "the folder's list of classes";
        status = rb_objects_list_classes(form, r->root, r->classes, err);
    }
    r->fixed = r->classes->count > 0;
    if (status || r->fixed || form != RB_OBJECTS_YOLO) return status;
    return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no names of classes, in data.yaml or classes.txt", r->root);
}

static revbifpn_status read_split(rb_objects_reader *r, rb_objects_form form, bool val, rb_pictures *into,
                                  bool *there, rb_error *err) {
    r->pictures = into;
    r->picture_room = r->object_room = 0;
    *there = false;
    switch (form) {
    case RB_OBJECTS_COCO: return rb_objects_read_coco(r, val, there, err);
    case RB_OBJECTS_VOC: return rb_objects_read_voc(r, val, there, err);
    case RB_OBJECTS_YOLO: return rb_objects_read_yolo(r, val, there, err);
    }
    return REVBIFPN_OK;
}

/* A class on its way to its place. */
typedef struct named {
    const char *name;
    int label;
} named;

static int by_name(const void *a, const void *b) {
    return rb_natural_compare(((const named *)a)->name, ((const named *)b)->name);
}

static void relabel(rb_pictures *p, const int *place) {
    for (size_t i = 0; i < p->object_count; i++) p->objects[i].label = place[p->objects[i].label];
}

/* Classes that were met in any order come in natural order. */
static revbifpn_status sort_classes(rb_objects *set, rb_classes *classes, rb_error *err) {
    size_t count = classes->count;
    named *order = rb_alloc(count * sizeof *order);
    int *place = rb_alloc(count * sizeof *place);
    rb_object_class *list = rb_alloc(count * sizeof *list);
    bool ok = order && place && list && count;
    for (size_t i = 0; ok && i < count; i++) order[i] = (named){classes->at[i].name, (int)i};
    if (ok) qsort(order, count, sizeof *order, by_name);
    for (size_t i = 0; ok && i < count; i++) {
        int label = order[i].label;
        list[i] = (rb_object_class){.id = (int64_t)i + 1, .name = classes->at[label].name};
        place[label] = (int)i;
    }
    if (ok) {
        memcpy(classes->at, list, count * sizeof *list);
        relabel(&set->train, place);
        relabel(&set->val, place);
    }
    rb_free(order);
    rb_free(place);
    rb_free(list);
    return ok || !count ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the classes");
}

static revbifpn_status check_split(const rb_objects *set, const char *root, bool val, bool there,
                                   const rb_objects_options *o, rb_error *err) {
    static const char *const wanted[][2] = {
        {"annotations/instances_train.json or instances_train2017.json",
         "annotations/instances_val.json or instances_val2017.json"},
        {"ImageSets/Main/train.txt or trainval.txt", "ImageSets/Main/val.txt or test.txt"},
        {"images/train", "images/val"}};
    const rb_pictures *p = val ? &set->val : &set->train;
    const char *name = val ? "val" : "train";
    if (!there) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no %s in it", root, wanted[set->form][val]);
    if (!p->count) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no pictures in its split '%s'", root, name);
    if (o->outlines && !p->outlines)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no outlines (masks) in its split '%s'", root, name);
    return REVBIFPN_OK;
}

static revbifpn_status read_all(rb_objects *set, rb_objects_reader *r, rb_error *err) {
    revbifpn_status status;
    rb_objects_purpose purpose = r->options->purpose;
    bool train = false, val = false, evaluate = purpose == RB_OBJECTS_EVALUATE, found = !r->fixed;
    /* VOC's classes are those of all that is there, whichever split is wanted */
    if (!evaluate || (found && set->form == RB_OBJECTS_VOC))
        TRY(read_split(r, set->form, false, &set->train, &train, err));
    if (train && set->form == RB_OBJECTS_COCO && found) {
        r->fixed = true;
        r->known = "the training annotations";
    }
    TRY(read_split(r, set->form, true, &set->val, &val, err));
    if (found && set->form == RB_OBJECTS_VOC) TRY(sort_classes(set, r->classes, err));
    if (evaluate) rb_pictures_close(&set->train);
    if (purpose == RB_OBJECTS_ALL) {
        if (!train && !val) TRY(check_split(set, r->root, false, false, r->options, err));
        return REVBIFPN_OK;
    }
    if (!evaluate) TRY(check_split(set, r->root, false, train, r->options, err));
    TRY(check_split(set, r->root, true, val, r->options, err));
fail:
    return status;
}

revbifpn_status rb_objects_open(rb_objects *set, const char *root, const rb_objects_options *options,
                                rb_error *err) {
    revbifpn_status status;
    rb_classes classes = {0};
    rb_objects_reader r = {.options = options, .root = root, .classes = &classes};
    *set = (rb_objects){0};
    TRY(find_form(&set->form, root, err));
    TRY(open_classes(&r, set->form, err));
    TRY(rb_classes_check(&classes, r.known, err));
    TRY(read_all(set, &r, err));
    if (!classes.count) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: no classes in it", root);
        goto fail;
    }
    set->classes = classes.at;
    set->class_count = (int)classes.count;
    return REVBIFPN_OK;
fail:
    rb_classes_close(&classes);
    rb_objects_close(set);
    return status;
}
