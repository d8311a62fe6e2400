/* report.html of a detector's run folder. */
#ifndef RB_REPORT_DETECT_PAGE_H
#define RB_REPORT_DETECT_PAGE_H

#include "report/page.h"
#include "report/shots.h"

enum { RB_PRECISION_CLASSES = 8, RB_PRECISION_POINTS = 101 };

/* Precision by recall of a validation: at recalls 0, 0.01 … 1. */
typedef struct rb_precision {
    int with_objects;                     /* classes that have some; 0: the rest is not there */
    double at50[RB_PRECISION_POINTS];     /* means over those, at an overlap of 0.50 … */
    double at75[RB_PRECISION_POINTS];     /* … and of 0.75 */
    int count;                            /* the classes with most objects, most first: … */
    int label[RB_PRECISION_CLASSES];      /* … */
    size_t objects[RB_PRECISION_CLASSES]; /* … */
    double classes[RB_PRECISION_CLASSES][RB_PRECISION_POINTS]; /* … at 0.50 */
} rb_precision;

/* Adds class `label` with `objects` objects (more than 0) and its curves. */
void rb_precision_add(rb_precision *p, int label, size_t objects, const double *at50, const double *at75);
/* After the last class: sums become means. */
void rb_precision_end(rb_precision *p);

typedef struct rb_detect_report {
    rb_page page;
    const rb_shots *shots;
    double least_score;                /* of detections in the pictures */
    const rb_precision *boxes, *masks; /* masks NULL: none */
    const char *const *classes;        /* names */
} rb_detect_report;

/* Writes the page; it appears whole or not at all. IO_FAILED, OUT_OF_MEMORY. */
revbifpn_status rb_detect_report_write(const rb_detect_report *report, const char *path,
                                       rb_error *err) RB_CHECKED;
/* The page as text. OUT_OF_MEMORY. */
revbifpn_status rb_detect_report_page(const rb_detect_report *report, rb_text *out, rb_error *err) RB_CHECKED;

#endif
