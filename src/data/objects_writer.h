/* What the writers of the single forms share (objects_write.c and objects_write_….c). Only src/data/ includes
 * this. */
#ifndef RB_DATA_OBJECTS_WRITER_H
#define RB_DATA_OBJECTS_WRITER_H

#include "data/objects_write.h"

typedef struct rb_objects_writer {
    const rb_objects *set;
    const rb_objects_write_options *options;
    rb_objects_write_report *report;
    const char *out;
    char **names; /* of the pictures' files, train then val: each stem once */
    rb_text text; /* of the file being written */
    rb_segment_room room;
    double *starts; /* of polygons */
    size_t start_room;
    int done; /* pictures */
} rb_objects_writer;

/* The split, or NULL when it has no pictures; its name is "train" or "val". */
const rb_pictures *rb_writer_split(const rb_objects_writer *w, bool val);
/* The file name that a picture gets. */
const char *rb_writer_name(const rb_objects_writer *w, bool val, int picture);
/* Links or copies a picture's file to OUT/FOLDER/NAME and counts it. */
revbifpn_status rb_writer_picture(rb_objects_writer *w, bool val, int picture, const char *folder,
                                  rb_error *err) RB_CHECKED;
/* Writes the text as OUT/FOLDER/NAME, with another ending in place of what follows NAME's last dot unless
 * `ending` is NULL, and clears it. */
revbifpn_status rb_writer_text(rb_objects_writer *w, const char *folder, const char *name, const char *ending,
                               rb_error *err) RB_CHECKED;
/* A number as short as it can be without losing a bit, with a point whatever the locale is. */
void rb_writer_number(rb_text *text, double value);

revbifpn_status rb_objects_write_coco(rb_objects_writer *w, bool val, rb_error *err) RB_CHECKED;
revbifpn_status rb_objects_write_voc(rb_objects_writer *w, bool val, rb_error *err) RB_CHECKED;
revbifpn_status rb_objects_write_yolo(rb_objects_writer *w, bool val, rb_error *err) RB_CHECKED;
/* The list of classes: classes.txt (VOC), data.yaml (YOLO). */
revbifpn_status rb_objects_write_classes(rb_objects_writer *w, rb_error *err) RB_CHECKED;

#endif
