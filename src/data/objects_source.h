/* What the readers of data sets of objects share (objects_coco.c, objects_voc.c, objects_yolo.c). Only
 * src/data/ includes this. */
#ifndef RB_DATA_OBJECTS_SOURCE_H
#define RB_DATA_OBJECTS_SOURCE_H

#include "data/folder.h"
#include "data/objects.h"

/* A list of classes that grows. */
typedef struct rb_classes {
    rb_object_class *at; /* names are owned */
    size_t count, room;
} rb_classes;

/* One split being read. */
typedef struct rb_objects_reader {
    const rb_objects_options *options;
    const char *root;
    rb_pictures *pictures;
    size_t picture_room, object_room;
    rb_classes *classes; /* of the data set, or of the split: labels of objects are places in it */
    bool fixed;          /* no class is added: one that is missing is an error */
    const char *known;   /* where the classes come from, for that error */
} rb_objects_reader;

revbifpn_status rb_classes_add(rb_classes *classes, int64_t id, const char *name, rb_error *err) RB_CHECKED;
void rb_classes_close(rb_classes *classes);
/* Place of that name, or −1. */
int rb_classes_find(const rb_classes *classes, const char *name);
/* The same; a new name is added, or refused where the list is fixed. */
revbifpn_status rb_classes_label(rb_objects_reader *reader, const char *name, int32_t *label,
                                 rb_error *err) RB_CHECKED;
/* BAD_DATA when two classes have the same name: weights know classes by it. `from` names the list. */
revbifpn_status rb_classes_check(const rb_classes *classes, const char *from, rb_error *err) RB_CHECKED;

/* A picture; the objects added from now on are its own. An id of 0: its place + 1. */
revbifpn_status rb_pictures_add(rb_objects_reader *reader, const rb_picture *picture, const char *path,
                                rb_error *err) RB_CHECKED;
revbifpn_status rb_pictures_add_object(rb_objects_reader *reader, const rb_object *object,
                                       rb_error *err) RB_CHECKED;
/* The size from the header of a picture file; 0 for one that cannot be read. Fails only without memory. */
revbifpn_status rb_pictures_measure(const rb_objects_reader *reader, const char *path, rb_picture *picture,
                                    rb_error *err) RB_CHECKED;

/* The number that a text begins with after blanks, in any way of writing that is usual: +1, .5, 007. Returns
 * what follows it and its blanks; NULL when there is none. */
const char *rb_number_take(const char *text, double *value);

/* A text of one's own, freed with rb_free; NULL without memory. */
char *rb_copy_text(const char *text);
/* ROOT/FOLDER, or NULL when it is not there; `is` says what it must be. *path is freed with rb_free. */
bool rb_is_file(const char *path);
/* Whether ROOT/NAME is there and such a thing. */
bool rb_has(const char *root, const char *name, bool (*is)(const char *path));
revbifpn_status rb_look_for(const char *root, const char *name, bool (*is)(const char *path), char **path,
                            rb_error *err) RB_CHECKED;

/* The readers. Whether `root` has the layout; whether it has the split; reading a split. */
bool rb_objects_is_coco(const char *root);
bool rb_objects_is_voc(const char *root);
bool rb_objects_is_yolo(const char *root);
/* *there false, and nothing read, when the folder has no such split. */
revbifpn_status rb_objects_read_coco(rb_objects_reader *reader, bool val, bool *there,
                                     rb_error *err) RB_CHECKED;
revbifpn_status rb_objects_read_voc(rb_objects_reader *reader, bool val, bool *there,
                                    rb_error *err) RB_CHECKED;
revbifpn_status rb_objects_read_yolo(rb_objects_reader *reader, bool val, bool *there,
                                     rb_error *err) RB_CHECKED;
/* The classes that the folder itself lists: classes.txt (VOC, YOLO), data.yaml (YOLO). Empty: none. */
revbifpn_status rb_objects_list_classes(rb_objects_form form, const char *root, rb_classes *classes,
                                        rb_error *err) RB_CHECKED;

#endif
