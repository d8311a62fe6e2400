/* Data sets of objects written in one of the three forms that data/objects.h reads. */
#ifndef RB_DATA_OBJECTS_WRITE_H
#define RB_DATA_OBJECTS_WRITE_H

#include "data/objects.h"

typedef struct rb_objects_write_options {
    rb_objects_form form;
    bool outlines;                                   /* of the data set, which was read with them */
    void (*progress)(void *user, int done, int all); /* may be NULL */
    void *user;
} rb_objects_write_options;

typedef struct rb_objects_write_report {
    int pictures, missing; /* missing: of these, the ones without a file */
    uint64_t objects, left_out, outlines_dropped;
} rb_objects_write_report;

/* Into `out`, a new or empty folder. Splits of VOC and YOLO numbered their pictures each from 1; in COCO's
 * form the numbers of val go on after those of train. IO_FAILED, OUT_OF_MEMORY, STOPPED; UNSUPPORTED for VOC
 * with outlines; BAD_DATA for the name of a class that does not fit into a line. */
revbifpn_status rb_objects_write(const rb_objects *set, const char *out,
                                 const rb_objects_write_options *options, rb_objects_write_report *report,
                                 rb_error *err) RB_CHECKED;

#endif
