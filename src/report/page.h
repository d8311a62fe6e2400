/* What the pages of all runs have in common: head, curves of results.csv, speed, memory, arguments,
 * environment. A page is one file that shows a run, without anything from outside. */
#ifndef RB_REPORT_PAGE_H
#define RB_REPORT_PAGE_H

#include "base/text.h"
#include "report/chart.h"
#include "revbifpn.h"

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

typedef struct rb_page {
    const char *title;   /* the run folder */
    const char *summary; /* a line about network and data */
    const char *results; /* text of results.csv (train/run_folder.h) */
    int epochs;          /* that the run will have */
    const revbifpn_memory *memory;
    const rb_speed *speeds;
    int speed_count;
    const rb_fact *arguments, *environment;
    int argument_count, environment_count;
} rb_page;

/* The rows of results.csv, column by column. Rows with other than its number of columns are left out. */
typedef struct rb_curves {
    const char *header; /* borrowed */
    double *values;     /* columns,room; owned */
    size_t columns, room, count;
} rb_curves;

revbifpn_status rb_curves_open(rb_curves *c, const char *results, rb_error *err) RB_CHECKED;
void rb_curves_close(rb_curves *c);
/* The column of that name, `count` numbers; NULL when there is none. */
double *rb_curves_column(const rb_curves *c, const char *name);
/* A chart over the epochs, without series. */
rb_chart rb_curves_chart(const rb_curves *c, const char *title);
/* Adds the column to the chart under another name; nothing when there is none. */
void rb_curves_add(const rb_curves *c, rb_chart *chart, const char *column, const char *name);

void rb_page_begin(const rb_page *p, rb_text *out);
/* Memory, arguments and environment, and the end. */
void rb_page_end(const rb_page *p, rb_text *out);

/* The numbers one asks for first: … of the epochs; others may follow, then those of the speed. */
void rb_page_begin_tiles(const rb_page *p, const rb_curves *c, rb_text *out);
/* A value that is not finite shows as a dash. */
void rb_page_tile(rb_text *out, const char *name, const char *format, double value);
/* "best NAME", "its epoch", "last NAME" of a column. */
void rb_page_score_tiles(const rb_curves *c, const char *column, const char *name, rb_text *out);
void rb_page_last_tile(const rb_curves *c, const char *column, const char *name, rb_text *out);
void rb_page_end_tiles(const rb_page *p, rb_text *out);

/* Charts of the learning rate and of the speed. */
revbifpn_status rb_page_rate_and_speed(const rb_page *p, const rb_curves *c, rb_text *out,
                                       rb_error *err) RB_CHECKED;

/* Writes the page that `draw` makes of `report`; it appears whole or not at all. IO_FAILED, OUT_OF_MEMORY. */
typedef revbifpn_status rb_page_draw(const void *report, rb_text *out, rb_error *err);
revbifpn_status rb_page_write(rb_page_draw *draw, const void *report, const char *path,
                              rb_error *err) RB_CHECKED;

#endif
