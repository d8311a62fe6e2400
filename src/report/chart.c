#include "report/chart.h"

#include <math.h>

#include "report/html.h"

enum { WIDTH = 420, HEIGHT = 250, LEFT = 54, RIGHT = 12, TOP = 10, BOTTOM = 30, POINTS = 500, DOTS = 60 };

/* An axis is logarithmic when a linear one would show the small values as a flat line. */
static const double log_ratio = 20;

typedef struct frame {
    const rb_chart *chart;
    double low, high, first, last; /* of the axes; low and high log10 of it when … */
    bool logarithmic;
    double step;   /* of a linear axis */
    size_t stride; /* every so many points */
} frame;

double rb_chart_step(double range, int parts) {
    double power = pow(10, floor(log10(range / parts))), part = range / parts / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static double to_x(const frame *f, double x) {
    double range = f->last - f->first;
    return LEFT + (range > 0 ? (x - f->first) / range : 0.5) * (WIDTH - LEFT - RIGHT);
}

static double to_y(const frame *f, double y) {
    if (f->logarithmic) y = log10(y);
    return HEIGHT - BOTTOM - (y - f->low) / (f->high - f->low) * (HEIGHT - TOP - BOTTOM);
}

/* Least and largest of the values; false when there is none. */
static bool find_extremes(frame *f) {
    const rb_chart *c = f->chart;
    f->low = INFINITY;
    f->high = -INFINITY;
    for (int s = 0; s < c->series_count; s++)
        for (size_t i = 0; i < c->count; i++) {
            double v = c->series[s].values[i];
            if (!isfinite(v)) continue;
            f->low = fmin(f->low, v);
            f->high = fmax(f->high, v);
        }
    return f->low <= f->high;
}

/* 1, 2, 5, 10, 20, … from 10^floor(low) on, in log10; of an axis of many decades only powers of ten, some of
 * which may be left out. */
static double log_mark(double low, double high, int i) {
    static const double parts[] = {0, 0.30102999566398120, 0.69897000433601880};
    double decades = high - low, from = floor(low);
    if (decades <= 3) return from + i / 3 + parts[i % 3];
    return from + i * ceil(decades / 8);
}

static void widen_to_marks(frame *f) {
    double least = log10(f->low), most = log10(f->high);
    int i = 0;
    f->logarithmic = true;
    while (log_mark(least, most, i + 1) <= least + 1e-9) i++;
    f->low = log_mark(least, most, i);
    while (log_mark(least, most, i) < most - 1e-9) i++;
    f->high = log_mark(least, most, i);
}

/* The range of the axis, whole steps or marks; false when there is no value. */
static bool find_range(frame *f) {
    const rb_chart *c = f->chart;
    if (!find_extremes(f)) return false;
    if (c->may_be_logarithmic && f->low > 0 && f->high >= log_ratio * f->low) {
        widen_to_marks(f);
        return true;
    }
    if (c->from_zero && f->low > 0) f->low = 0;
    double size = fmax(fabs(f->low), fabs(f->high));
    if (f->high - f->low <= 1e-9 * size) f->high += size > 0 ? 0.1 * size : 1;
    f->step = rb_chart_step(f->high - f->low, 5);
    f->low = floor(f->low / f->step + 1e-6) * f->step;
    f->high = ceil(f->high / f->step - 1e-6) * f->step;
    return f->high > f->low;
}

static void draw_mark(rb_text *out, const frame *f, double value) {
    double y = to_y(f, value);
    rb_text_format(out,
                   "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text "
                   "x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>",
                   LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, value);
}

static void draw_axes(rb_text *out, const frame *f) {
    for (int i = 0; f->logarithmic; i++) {
        double mark = log_mark(f->low, f->high, i);
        if (mark > f->high + 1e-9) break;
        if (mark >= f->low - 1e-9) draw_mark(out, f, pow(10, mark));
    }
    for (int i = 0; !f->logarithmic && i <= (int)lround((f->high - f->low) / f->step); i++) {
        double value = f->low + i * f->step;
        draw_mark(out, f, fabs(value) < 1e-9 * f->step ? 0 : value);
    }
    double range = f->last - f->first, step = range > 0 ? rb_chart_step(range, 6) : 1;
    if (!f->chart->parts) step = fmax(1, step);
    for (double x = ceil(f->first / step) * step; x <= f->last + 1e-9; x += step)
        rb_text_format(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>", to_x(f, x),
                       HEIGHT - BOTTOM + 18, x);
}

/* A path that breaks where a value is not finite. */
static void draw_curve(rb_text *out, const frame *f, int s) {
    const rb_chart *c = f->chart;
    const double *values = c->series[s].values;
    bool pen = false;
    rb_text_format(out, "<path class=\"s%d\" d=\"", s);
    for (size_t i = 0; i < c->count; i += f->stride) {
        if (isfinite(values[i]))
            rb_text_format(out, "%c%.1f %.1f", pen ? 'L' : 'M', to_x(f, c->x[i]), to_y(f, values[i]));
        pen = isfinite(values[i]);
    }
    rb_text_add(out, "\"/>");
    for (size_t i = 0; c->count <= DOTS && i < c->count; i++) {
        if (!isfinite(values[i])) continue;
        rb_text_format(out, "<circle class=\"s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"><title>%.6g: ", s,
                       to_x(f, c->x[i]), to_y(f, values[i]), c->x[i]);
        rb_html_text(out, c->series[s].name);
        rb_text_format(out, " %.5g</title></circle>", values[i]);
    }
}

void rb_chart_draw(rb_text *out, const rb_chart *c) {
    frame f = {.chart = c, .stride = c->count / POINTS + 1};
    if (!c->count || !find_range(&f)) return;
    f.first = c->x[0];
    f.last = c->x[c->count - 1];
    rb_text_add(out, "<figure class=\"card\"><figcaption>");
    rb_html_text(out, c->title);
    if (f.logarithmic) rb_text_add(out, " (logarithmic)");
    rb_text_add(out, "<span class=\"legend\">");
    for (int s = 0; s < c->series_count && c->series_count > 1; s++) {
        rb_text_format(out, "<span class=\"k%d\">", s);
        rb_html_text(out, c->series[s].name);
        rb_text_add(out, "</span> ");
    }
    rb_text_format(
        out, "</span></figcaption><svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
        WIDTH, HEIGHT);
    rb_html_text(out, c->title);
    rb_text_add(out, "\">");
    draw_axes(out, &f);
    for (int s = 0; s < c->series_count; s++) draw_curve(out, &f, s);
    rb_text_add(out, "</svg></figure>\n");
}
