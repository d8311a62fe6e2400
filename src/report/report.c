#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/chart.h"
#include "report/html.h"
#include "report/style.h"

/* ---- the curves ---- */

enum { EPOCH, LR, TRAIN_LOSS, VAL_LOSS, TOP1, TOP5, COLUMNS };

/* The rows of results.csv, column by column. */
typedef struct curves {
    double *column[COLUMNS];
    size_t count;
} curves;

static bool read_row(const char *line, double row[COLUMNS]) {
    for (int i = 0; i < COLUMNS; i++) {
        char *end;
        row[i] = strtod(line, &end);
        if (end == line || *end != ',') return false; /* more columns follow the last one */
        line = end + 1;
    }
    return true;
}

static revbifpn_status read_curves(const char *text, curves *c, rb_error *err) {
    size_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
    *c = (curves){0};
    double *all = rb_alloc(rb_size_mul(rb_size_mul(lines + 1, COLUMNS), sizeof *all));
    if (!all) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the curves of the report");
    for (int i = 0; i < COLUMNS; i++) c->column[i] = all + (size_t)i * (lines + 1);
    for (const char *line = text; (line = strchr(line, '\n'));) {
        double row[COLUMNS];
        if (!read_row(++line, row)) continue;
        for (int i = 0; i < COLUMNS; i++) c->column[i][c->count] = row[i];
        c->count++;
    }
    return REVBIFPN_OK;
}

static void draw_curves(const curves *c, rb_text *out) {
    rb_chart loss = {.title = "Loss by epoch", .x = c->column[EPOCH], .count = c->count, .series_count = 2};
    rb_chart top = loss, lr = loss;
    loss.may_be_logarithmic = true;
    loss.series[0] = (rb_series){"training", c->column[TRAIN_LOSS]};
    loss.series[1] = (rb_series){"validation", c->column[VAL_LOSS]};
    top.title = "Accuracy on the validation pictures";
    top.series[0] = (rb_series){"top-1", c->column[TOP1]};
    top.series[1] = (rb_series){"top-5", c->column[TOP5]};
    lr.title = "Learning rate at the end of the epoch";
    lr.series_count = 1;
    lr.from_zero = true;
    lr.series[0] = (rb_series){"learning rate", c->column[LR]};
    rb_chart_draw(out, &loss);
    rb_chart_draw(out, &top);
    rb_chart_draw(out, &lr);
}

static revbifpn_status draw_speeds(const rb_report *r, rb_text *out, rb_error *err) {
    size_t count = (size_t)r->speed_count;
    if (!count) return REVBIFPN_OK;
    double *values = rb_alloc(rb_size_mul(2 * count, sizeof *values));
    if (!values) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the curves of the report");
    rb_chart chart = {.title = "Pictures a second, since the run was last started",
                      .x = values,
                      .count = count,
                      .from_zero = true,
                      .series_count = 1,
                      .series = {{"pictures a second", values + count}}};
    for (size_t i = 0; i < count; i++) {
        values[i] = r->speeds[i].epoch;
        values[count + i] = r->speeds[i].pictures;
    }
    rb_chart_draw(out, &chart);
    rb_free(values);
    return REVBIFPN_OK;
}

static void tile(rb_text *out, const char *name, const char *format, double value) {
    char text[64];
    snprintf(text, sizeof text, format, value);
    rb_text_format(out, "<div class=\"tile\"><b>%s</b>%s</div>", text, name);
}

/* The numbers one asks for first. */
static void draw_tiles(const rb_report *r, const curves *c, rb_text *out) {
    size_t last = c->count - 1, best = 0;
    rb_text_add(out, "<div class=\"tiles\">");
    if (c->count) {
        for (size_t i = 0; i < c->count; i++)
            if (c->column[TOP1][i] > c->column[TOP1][best]) best = i;
        rb_text_format(out, "<div class=\"tile\"><b>%.0f of %d</b>epochs</div>", c->column[EPOCH][last],
                       r->epochs);
        tile(out, "best top-1", "%.4f", c->column[TOP1][best]);
        tile(out, "its epoch", "%.0f", c->column[EPOCH][best]);
        tile(out, "last top-1", "%.4f", c->column[TOP1][last]);
        tile(out, "last top-5", "%.4f", c->column[TOP5][last]);
        tile(out, "last validation loss", "%.4f", c->column[VAL_LOSS][last]);
    }
    if (r->speed_count) {
        const rb_speed *s = &r->speeds[r->speed_count - 1];
        tile(out, "pictures a second", "%.1f", s->pictures);
        tile(out, "of the time waiting for pictures", "%.1f %%", 100 * s->waiting);
    }
    rb_text_add(out, "</div>\n");
}

static revbifpn_status draw_progress(const rb_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    curves c;
    TRY(read_curves(r->results, &c, err));
    draw_tiles(r, &c, out);
    rb_text_add(out, "<section><h2>Curves</h2><div class=\"cards\">\n");
    draw_curves(&c, out);
    status = draw_speeds(r, out, err);
    rb_text_add(out, "</div></section>\n");
    rb_free(c.column[0]);
fail:
    return status;
}

/* ---- pictures ---- */

static revbifpn_status draw_mistakes(const rb_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    const rb_collection *c = r->collection;
    if (!c->mistake_count) return REVBIFPN_OK;
    rb_text_add(out, "<section><h2>Most confident mistakes</h2><div class=\"pictures\">\n");
    for (int i = 0; i < c->mistake_count; i++) {
        const rb_mistake *m = &c->mistakes[i];
        rb_image image = rb_thumb_image(m->thumb);
        rb_text_add(out, "<figure title=\"");
        rb_html_text(out, m->name);
        rb_text_add(out, "\">");
        TRY(rb_html_picture(out, &image, m->name, err));
        rb_text_add(out, "<figcaption><span class=\"bad\">");
        rb_html_text(out, r->classes[m->predicted]);
        rb_text_format(out, "</span> %.1f %%<br>is <span class=\"good\">", 100 * m->probability);
        rb_html_text(out, r->classes[m->label]);
        rb_text_add(out, "</span></figcaption></figure>\n");
    }
    rb_text_add(out, "</div></section>\n");
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status draw_batch(const rb_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    const rb_collection *c = r->collection;
    if (!c->seen_count) return REVBIFPN_OK;
    rb_text_add(out, "<section><h2>A training batch as the network sees it</h2><div class=\"pictures\">\n");
    for (int i = 0; i < c->seen_count; i++) {
        const rb_seen *s = &c->seen[i];
        rb_image image = rb_thumb_image(s->thumb);
        rb_text_add(out, "<figure>");
        TRY(rb_html_picture(out, &image, r->classes[s->label], err));
        rb_text_add(out, "<figcaption>");
        rb_html_text(out, r->classes[s->label]);
        if (s->other >= 0) {
            rb_text_format(out, " %.0f %%, ", 100 * s->share);
            rb_html_text(out, r->classes[s->other]);
            rb_text_format(out, " %.0f %%", 100 * (1 - s->share));
        }
        rb_text_add(out, "</figcaption></figure>\n");
    }
    rb_text_add(out, "</div></section>\n");
    return REVBIFPN_OK;
fail:
    return status;
}

/* ---- memory, arguments, environment ---- */

static void draw_memory(const rb_report *r, rb_text *out) {
    const revbifpn_memory *m = r->memory;
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

static void begin_page(const rb_report *r, rb_text *out) {
    rb_text_add(out,
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" "
                "content=\"light dark\">\n<title>");
    rb_html_text(out, r->title);
    rb_text_add(out, "</title>\n<style>\n");
    rb_text_add(out, RB_REPORT_STYLE);
    rb_text_add(out, "</style></head>\n<body><main>\n<h1>");
    rb_html_text(out, r->title);
    rb_text_add(out, "</h1>\n<p>");
    rb_html_text(out, r->summary);
    rb_text_add(out, "</p>\n");
}

revbifpn_status rb_report_page(const rb_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    begin_page(r, out);
    TRY(draw_progress(r, out, err));
    rb_report_confusion(r, out);
    TRY(draw_mistakes(r, out, err));
    TRY(draw_batch(r, out, err));
    draw_memory(r, out);
    draw_facts("Arguments", r->arguments, r->argument_count, out);
    draw_facts("Environment", r->environment, r->environment_count, out);
    rb_text_add(out, "</main></body></html>\n");
    return rb_text_check(out, "the report", err);
fail:
    return status;
}

revbifpn_status rb_report_write(const rb_report *r, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_text page = {0};
    TRY(rb_report_page(r, &page, err));
    status = rb_file_replace(path, page.bytes, page.size, err);
fail:
    rb_text_close(&page);
    return status;
}
