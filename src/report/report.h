/* report.html of a classifier's run folder. */
#ifndef RB_REPORT_REPORT_H
#define RB_REPORT_REPORT_H

#include "report/collect.h"
#include "report/page.h"

typedef struct rb_report {
    rb_page page;
    rb_collection *collection;
    char *const *classes; /* names, collection->classes of them */
} rb_report;

/* Writes the page; it appears whole or not at all. IO_FAILED, OUT_OF_MEMORY. */
revbifpn_status rb_report_write(const rb_report *report, const char *path, rb_error *err) RB_CHECKED;
/* The page as text. OUT_OF_MEMORY. */
revbifpn_status rb_report_page(const rb_report *report, rb_text *out, rb_error *err) RB_CHECKED;

/* confusion.c: the section about which class was taken for which; nothing without judged pictures. */
void rb_report_confusion(const rb_report *report, rb_text *out);

#endif
