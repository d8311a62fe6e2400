/* Data sets of objects in pictures: which pictures there are, and what is in them.
 *
 * One form for three kinds of folders, told apart by what lies in them:
 *
 *     COCO    annotations/instances_{train,val}.json and images/; or instances_{train,val}2017.json with
 *             train2017/ and val2017/ (also below images/)
 *     VOC     Annotations/NAME.xml, JPEGImages/NAME.jpg, ImageSets/Main/{train,val}.txt (trainval.txt and
 *             test.txt where those are missing)
 *     YOLO    images/{train,val}/…, labels/{train,val}/….txt, names in data.yaml (which may also say where
 * the pictures are) or classes.txt; ROOT may be the .yaml file
 *
 * Boxes and outlines are in the pixels of the picture as it is shown, turned by its EXIF orientation. Nothing
 * is clipped or filtered here: rb_object_learns and rb_pictures_to_learn are what training asks. */
#ifndef RB_DATA_OBJECTS_H
#define RB_DATA_OBJECTS_H

#include "mask/segment.h"

typedef struct rb_object {
    double box[4];      /* x, y, width, height */
    double area;        /* as the source has it: of the outline; of the box where it says nothing */
    int64_t id;         /* COCO's; 0: none */
    int32_t label;      /* place in the list of classes */
    bool crowd;         /* one region of many objects */
    bool ignore;        /* COCO's flag of that name, VOC's "difficult" */
    rb_segment segment; /* in the split's block */
} rb_object;

typedef struct rb_picture {
    int64_t id;             /* COCO's; otherwise place in the split + 1 */
    size_t path;            /* in `text`, as fopen takes it */
    uint32_t width, height; /* as shown; 0: unknown, since the file cannot be read */
    size_t first;           /* its objects: first … first of the next picture − 1 */
} rb_picture;

typedef struct rb_pictures {
    rb_picture *pictures; /* one more, whose `first` is the number of objects */
    rb_object *objects;   /* picture by picture, in the order of the source */
    int count;
    size_t object_count;
    size_t left_out;     /* objects of pictures or classes that the source does not list … */
    int64_t left_out_id; /* … and the id of the first of them */
    bool outlines;       /* some object has one */
    rb_text text, block;
} rb_pictures;

typedef struct rb_object_class {
    int64_t id; /* COCO's; otherwise place in the list + 1. −1: of a class that the folder does not have */
    char *name; /* owned */
} rb_object_class;

typedef enum rb_objects_form { RB_OBJECTS_COCO, RB_OBJECTS_VOC, RB_OBJECTS_YOLO } rb_objects_form;

typedef struct rb_objects {
    rb_objects_form form;
    rb_object_class *classes; /* by label */
    int class_count;
    rb_pictures train, val;
} rb_objects;

typedef enum rb_objects_purpose {
    RB_OBJECTS_TRAIN,    /* both splits must be there and have pictures */
    RB_OBJECTS_EVALUATE, /* only `val` is filled */
    RB_OBJECTS_ALL       /* whatever there is */
} rb_objects_purpose;

typedef struct rb_objects_options {
    rb_objects_purpose purpose;
    bool outlines; /* read them; for training and evaluation there must be some */
    /* The classes of saved weights, in the order of their labels; NULL: the folder's. A class of the folder
     * that is not among them is an error. */
    const char *const *class_names;
    int classes;
    uint64_t max_pixels; /* of pictures whose size the source does not say: it is read from their header */
} rb_objects_options;

/* BAD_DATA or BAD_FILE naming file, line or id, and reason; UNSUPPORTED where libexpat (VOC) or libyaml
 * (data.yaml) would be needed and is not there; IO_FAILED, OUT_OF_MEMORY. A picture file that is missing or
 * unreadable is no error here. */
revbifpn_status rb_objects_open(rb_objects *set, const char *root, const rb_objects_options *options,
                                rb_error *err) RB_CHECKED;
/* Harmless on a zeroed or already closed one. */
void rb_objects_close(rb_objects *set);
void rb_pictures_close(rb_pictures *pictures);

/* Whether a folder (or file) has one of the layouts. */
bool rb_objects_is(const char *root);
const char *rb_picture_path(const rb_pictures *pictures, int picture);
/* "COCO", "VOC", "YOLO" */
const char *rb_objects_form_name(rb_objects_form form);

/* Whether an object is one to learn (spec 3.2): neither ignored nor crowd, of an area, a width and a height
 * of 1 or more (area: more than 0), and not wholly outside the picture. */
bool rb_object_learns(const rb_object *object, const rb_picture *picture);
/* Pictures to learn from (spec 3.3): those with any object at all whose shorter side has 32 pixels or more;
 * one of unknown size counts. Their places, in order, into list (room for all); returns how many. A picture
 * may be among them though none of its objects is one to learn. */
int rb_pictures_to_learn(const rb_pictures *pictures, uint32_t *list);
/* The most objects to learn that a picture has. */
int rb_pictures_most_objects(const rb_pictures *pictures);

#endif
