#include "report/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/html.h"
#include "report/style.h"

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the curves of the report");
}

/* ---- results.csv ---- */

/* Reads a row into entry c->count of each column. */
static bool read_row(rb_curves *c, const char *line) {
    for (size_t i = 0; i < c->columns; i++) {
        char *end;
        c->values[i * c->room + c->count] = strtod(line, &end);
        if (end == line || *end != (i + 1 < c->columns ? ',' : '\n')) return false;
        line = end + 1;
    }
    return true;
}

revbifpn_status rb_curves_open(rb_curves *c, const char *results, rb_error *err) {
    *c = (rb_curves){.header = results, .columns = 1, .room = 1};
    for (const char *p = results; (p = strchr(p, '\n')); p++) c->room++;
    for (const char *p = results; *p && *p != '\n'; p++) c->columns += *p == ',';
    c->values = rb_alloc(rb_size_mul(rb_size_mul(c->room, c->columns), sizeof *c->values));
    if (!c->values) return no_memory(err);
    for (const char *line = results; (line = strchr(line, '\n'));) c->count += read_row(c, ++line);
    return REVBIFPN_OK;
}

void rb_curves_close(rb_curves *c) {
    rb_free(c->values);
    *c = (rb_curves){0};
}

double *rb_curves_column(const rb_curves *c, const char *name) {
    size_t length = strlen(name), i = 0;
    for (const char *p = c->header; i < c->columns; i++) {
        size_t here = strcspn(p, ",\n");
        if (here == length && !memcmp(p, name, length)) return c->values + i * c->room;
        p += here + (p[here] != 0);
    }
    return NULL;
}

rb_chart rb_curves_chart(const rb_curves *c, const char *title) {
    const double *epochs = rb_curves_column(c, "epoch");
    return (rb_chart){.title = title, .x = epochs, .count = epochs ? c->count : 0};
}

void rb_curves_add(const rb_curves *c, rb_chart *chart, const char *column, const char *name) {
    const double *values = rb_curves_column(c, column);
    if (values && chart->series_count < RB_SERIES_MAX)
        chart->series[chart->series_count++] = (rb_series){name, values};
}

/* ---- tiles ---- */

void rb_page_tile(rb_text *out, const char *name, const char *format, double value) {
    char text[64] = "–";
    if (isfinite(value)) snprintf(text, sizeof text, format, value);
    rb_text_format(out, "<div class=\"tile\"><b>%s</b>%s</div>", text, name);
}

void rb_page_begin_tiles(const rb_page *p, const rb_curves *c, rb_text *out) {
    const double *epochs = rb_curves_column(c, "epoch");
    rb_text_add(out, "<div class=\"tiles\">");
    if (!c->count || !epochs) return;
    rb_text_format(out, "<div class=\"tile\"><b>%.0f of %d</b>epochs</div>", epochs[c->count - 1], p->epochs);
}

void rb_page_last_tile(const rb_curves *c, const char *column, const char *name, rb_text *out) {
    char title[80];
    const double *values = rb_curves_column(c, column);
    if (!c->count || !values) return;
    snprintf(title, sizeof title, "last %s", name);
    rb_page_tile(out, title, "%.4f", values[c->count - 1]);
}

void rb_page_score_tiles(const rb_curves *c, const char *column, const char *name, rb_text *out) {
    char title[80];
    size_t best = 0;
    const double *values = rb_curves_column(c, column), *epochs = rb_curves_column(c, "epoch");
    if (!c->count || !values || !epochs) return;
    for (size_t i = 0; i < c->count; i++)
        if (values[i] > values[best] || !isfinite(values[best])) best = i;
    snprintf(title, sizeof title, "best %s", name);
    rb_page_tile(out, title, "%.4f", values[best]);
    rb_page_tile(out, "its epoch", "%.0f", isfinite(values[best]) ? epochs[best] : NAN);
    rb_page_last_tile(c, column, name, out);
}

void rb_page_end_tiles(const rb_page *p, rb_text *out) {
    if (p->speed_count) {
        const rb_speed *s = &p->speeds[p->speed_count - 1];
        rb_page_tile(out, "pictures a second", s->pictures < 1 ? "%.3f" : "%.1f", s->pictures);
        rb_page_tile(out, "of the time waiting for pictures", "%.1f %%", 100 * s->waiting);
    }
    rb_text_add(out, "</div>\n");
}

/* ---- learning rate and speed ---- */

static revbifpn_status draw_speeds(const rb_page *p, rb_text *out, rb_error *err) {
    size_t count = (size_t)p->speed_count;
    if (!count) return REVBIFPN_OK;
    double *values = rb_alloc(rb_size_mul(2 * count, sizeof *values));
    if (!values) return no_memory(err);
    rb_chart chart = {.title = "Pictures a second, since the run was last started",
                      .x = values,
                      .count = count,
                      .from_zero = true,
                      .series_count = 1,
                      .series = {{"pictures a second", values + count}}};
    for (size_t i = 0; i < count; i++) {
        values[i] = p->speeds[i].epoch;
        values[count + i] = p->speeds[i].pictures;
    }
    rb_chart_draw(out, &chart);
    rb_free(values);
    return REVBIFPN_OK;
}

revbifpn_status rb_page_rate_and_speed(const rb_page *p, const rb_curves *c, rb_text *out, rb_error *err) {
    rb_chart rate = rb_curves_chart(c, "Learning rate at the end of the epoch");
    rate.from_zero = true;
    rb_curves_add(c, &rate, "lr", "learning rate");
    rb_chart_draw(out, &rate);
    return draw_speeds(p, out, err);
}

/* ---- memory, arguments, environment ---- */

static void draw_memory(const revbifpn_memory *m, rb_text *out) {
    uint64_t input = m->activation_bytes - m->kept_bytes - m->scratch_bytes;
    const struct part {
        const char *name;
        uint64_t bytes;
    } parts[] = {{"weights", m->weights_bytes},     {"gradients", m->gradient_bytes},
                 {"optimizer", m->optimizer_bytes}, {"kept from forward to backward", m->kept_bytes},
                 {"scratch", m->scratch_bytes},     {"input", input}};
    enum { PARTS = sizeof parts / sizeof *parts };
    double total = m->total_bytes ? (double)m->total_bytes : 1;
    rb_text_add(out, "<section><h2>Memory of a step, as planned</h2><div class=\"bar\">");
    for (int i = 0; i < PARTS; i++)
        if (parts[i].bytes)
            rb_text_format(out, "<i class=\"m%d\" style=\"width:%.3f%%\" title=\"%s\"></i>", i,
                           100 * (double)parts[i].bytes / total, parts[i].name);
    rb_text_add(out, "</div><table class=\"memory\">");
    for (int i = 0; i < PARTS; i++) {
        rb_text_format(out, "<tr><td><i class=\"m%d\"></i> %s</td><td class=\"n\">", i, parts[i].name);
        rb_html_bytes(out, parts[i].bytes);
        rb_text_format(out, "</td><td class=\"n\">%.1f %%</td></tr>\n", 100 * (double)parts[i].bytes / total);
    }
    rb_text_add(out, "<tr><td><b>total</b></td><td class=\"n\"><b>");
    rb_html_bytes(out, m->total_bytes);
    rb_text_add(out, "</b></td><td></td></tr><tr><td>one more picture adds</td><td class=\"n\">");
    rb_html_bytes(out, m->activation_bytes_per_sample);
    rb_text_add(out, "</td><td></td></tr></table></section>\n");
}

static void draw_facts(const char *title, const rb_fact *facts, int count, rb_text *out) {
    rb_text_format(out, "<section><h2>%s</h2><div class=\"scroll\"><table class=\"facts\">\n", title);
    for (int i = 0; i < count; i++) {
        rb_text_add(out, "<tr><th>");
        rb_html_text(out, facts[i].name);
        rb_text_add(out, "</th><td>");
        rb_html_text(out, facts[i].value);
        rb_text_add(out, "</td></tr>\n");
    }
    rb_text_add(out, "</table></div></section>\n");
}

/* ---- the page ---- */

void rb_page_begin(const rb_page *p, rb_text *out) {
    rb_text_add(out,
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" "
                "content=\"light dark\">\n<title>");
    rb_html_text(out, p->title);
    rb_text_add(out, "</title>\n<style>\n");
    rb_text_add(out, RB_REPORT_STYLE);
    rb_text_add(out, "</style></head>\n<body><main>\n<h1>");
    rb_html_text(out, p->title);
    rb_text_add(out, "</h1>\n<p>");
    rb_html_text(out, p->summary);
    rb_text_add(out, "</p>\n");
}

void rb_page_end(const rb_page *p, rb_text *out) {
    draw_memory(p->memory, out);
    draw_facts("Arguments", p->arguments, p->argument_count, out);
    draw_facts("Environment", p->environment, p->environment_count, out);
    rb_text_add(out, "</main></body></html>\n");
}

revbifpn_status rb_page_write(rb_page_draw *draw, const void *report, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_text page = {0};
    TRY(draw(report, &page, err));
    status = rb_file_replace(path, page.bytes, page.size, err);
fail:
    rb_text_close(&page);
    return status;
}
