/* Line charts as inline SVG. */
#ifndef RB_REPORT_CHART_H
#define RB_REPORT_CHART_H

#include "base/text.h"

typedef struct rb_series {
    const char *name;
    const double *values; /* chart.count; those that are not finite are left out */
} rb_series;

enum { RB_SERIES_MAX = 8 };

typedef struct rb_chart {
    const char *title;
    const double *x; /* count, rising: epochs */
    size_t count;
    bool parts;              /* x is no count: its marks need not be whole numbers */
    bool from_zero;          /* the axis begins at 0 */
    bool may_be_logarithmic; /* … is logarithmic when all values are above 0 and the largest is 20 times the
                                smallest or more; the caption then says so */
    int series_count;
    rb_series series[RB_SERIES_MAX];
} rb_chart;

/* A <figure> with title, legend and curves; with one point, dots. Nothing when no value is finite. */
void rb_chart_draw(rb_text *out, const rb_chart *chart);
/* The nearest of 1, 2, 5 times a power of ten that divides `range` into at most `parts`; range > 0. */
double rb_chart_step(double range, int parts);

#endif
