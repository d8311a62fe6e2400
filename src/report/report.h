/* report.html of a run folder: one file that shows a run, without anything from outside. */
#ifndef RB_REPORT_REPORT_H
#define RB_REPORT_REPORT_H

#include "base/text.h"
#include "report/collect.h"

/* A name and what belongs to it; both are escaped when they are written. */
typedef struct rb_fact {
    const char *name, *value;
} rb_fact;

/* How fast an epoch of this process went. */
typedef struct rb_speed {
    int epoch;
    double pictures; /* a second, waiting included */
    double waiting;  /* part of the time spent waiting for batches */
} rb_speed;

typedef struct rb_report {
    const char *title;   /* the run folder */
    const char *summary; /* a line about network and data */
    const char *results; /* text of results.csv (train/run_folder.h) */
    int epochs;          /* that the run will have */
    rb_collection *collection;
    char *const *classes; /* names, collection->classes of them */
    const revbifpn_memory *memory;
    const rb_speed *speeds;
    int speed_count;
    const rb_fact *arguments, *environment;
    int argument_count, environment_count;
} rb_report;

/* Writes the page; it appears whole or not at all. IO_FAILED, OUT_OF_MEMORY. */
revbifpn_status rb_report_write(const rb_report *report, const char *path, rb_error *err) RB_CHECKED;
/* The page as text. OUT_OF_MEMORY. */
revbifpn_status rb_report_page(const rb_report *report, rb_text *out, rb_error *err) RB_CHECKED;

/* confusion.c: the section about which class was taken for which; nothing without judged pictures. */
void rb_report_confusion(const rb_report *report, rb_text *out);

#endif
