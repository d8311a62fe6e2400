#include "report/detect_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"

/* ---- precision ---- */

void rb_precision_add(rb_precision *p, int label, size_t objects, const double *at50, const double *at75) {
    if (!p->with_objects++) *p = (rb_precision){.with_objects = 1};
    for (int i = 0; i < RB_PRECISION_POINTS; i++) {
        p->at50[i] += at50[i];
        p->at75[i] += at75[i];
    }
    int at = p->count;
    while (at > 0 && p->objects[at - 1] < objects) at--;
    if (at == RB_PRECISION_CLASSES) return;
    if (p->count < RB_PRECISION_CLASSES) p->count++;
    for (int i = p->count - 1; i > at; i--) {
        p->label[i] = p->label[i - 1];
        p->objects[i] = p->objects[i - 1];
        memcpy(p->classes[i], p->classes[i - 1], sizeof p->classes[i]);
    }
    p->label[at] = label;
    p->objects[at] = objects;
    memcpy(p->classes[at], at50, sizeof p->classes[at]);
}

void rb_precision_end(rb_precision *p) {
    for (int i = 0; i < RB_PRECISION_POINTS && p->with_objects; i++) {
        p->at50[i] /= p->with_objects;
        p->at75[i] /= p->with_objects;
    }
}

static void draw_precision(const rb_detect_report *r, const rb_precision *p, const char *what, rb_text *out) {
    double recalls[RB_PRECISION_POINTS];
    char title[96], names[RB_PRECISION_CLASSES][96];
    if (!p || !p->with_objects) return;
    for (int i = 0; i < RB_PRECISION_POINTS; i++) recalls[i] = i / (RB_PRECISION_POINTS - 1.0);
    rb_chart chart = {
        .title = title, .x = recalls, .count = RB_PRECISION_POINTS, .parts = true, .from_zero = true};
    snprintf(title, sizeof title, "%s: precision by recall, mean over classes", what);
    chart.series[0] = (rb_series){"overlap 0.50", p->at50};
    chart.series[1] = (rb_series){"overlap 0.75", p->at75};
    chart.series_count = 2;
    rb_chart_draw(out, &chart);
    if (p->with_objects < 2) return;
    snprintf(title, sizeof title, "%s: precision by recall at an overlap of 0.50, by class", what);
    chart.series_count = p->count;
    for (int i = 0; i < p->count; i++) {
        snprintf(names[i], sizeof names[i], "%.60s (%zu)", r->classes[p->label[i]], p->objects[i]);
        chart.series[i] = (rb_series){names[i], p->classes[i]};
    }
    rb_chart_draw(out, &chart);
}

/* ---- curves ---- */

/* −1 stands where there was no object to find: nothing to draw. */
static void leave_out_missing(const rb_curves *c) {
    static const char *const names[] = {"ap", "ap50", "ap75", "mask_ap", "mask_ap50", "mask_ap75"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        double *values = rb_curves_column(c, names[k]);
        for (size_t i = 0; values && i < c->count; i++)
            if (values[i] < 0) values[i] = NAN;
    }
}

static void draw_tiles(const rb_detect_report *r, const rb_curves *c, rb_text *out) {
    rb_page_begin_tiles(&r->page, c, out);
    rb_page_score_tiles(c, r->masks ? "mask_ap" : "ap", r->masks ? "AP of masks" : "AP", out);
    if (r->masks) rb_page_last_tile(c, "ap", "AP of boxes", out);
    rb_page_last_tile(c, r->masks ? "mask_ap50" : "ap50", r->masks ? "AP50 of masks" : "AP50", out);
    rb_page_last_tile(c, "train_loss", "training loss", out);
    rb_page_end_tiles(&r->page, out);
}

static void draw_ap(const rb_curves *c, const char *title, const char *const columns[3], rb_text *out) {
    static const char *const names[] = {"AP", "AP50", "AP75"};
    rb_chart chart = rb_curves_chart(c, title);
    chart.from_zero = true;
    for (int i = 0; i < 3; i++) rb_curves_add(c, &chart, columns[i], names[i]);
    rb_chart_draw(out, &chart);
}

static revbifpn_status draw_progress(const rb_detect_report *r, rb_text *out, rb_error *err) {
    static const char *const parts[][2] = {{"train_loss", "all"},
                                           {"loss_rpn_cls", "proposal class"},
                                           {"loss_rpn_bbox", "proposal box"},
                                           {"loss_cls", "class"},
                                           {"loss_bbox", "box"},
                                           {"loss_mask", "mask"}};
    static const char *const boxes[] = {"ap", "ap50", "ap75"}, *const masks[] = {"mask_ap", "mask_ap50",
                                                                                 "mask_ap75"};
    revbifpn_status status;
    rb_curves c;
    TRY(rb_curves_open(&c, r->page.results, err));
    leave_out_missing(&c);
    draw_tiles(r, &c, out);
    rb_text_add(out, "<section><h2>Curves</h2><div class=\"cards\">\n");
    rb_chart loss = rb_curves_chart(&c, "Training loss and its parts by epoch");
    loss.may_be_logarithmic = true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        rb_curves_add(&c, &loss, parts[i][0], parts[i][1]);
    rb_chart_draw(out, &loss);
    draw_ap(&c, "Boxes: average precision by epoch", boxes, out);
    draw_ap(&c, "Masks: average precision by epoch", masks, out);
    status = rb_page_rate_and_speed(&r->page, &c, out, err);
    rb_text_add(out, "</div></section>\n");
    rb_curves_close(&c);
fail:
    return status;
}

static void draw_precisions(const rb_detect_report *r, rb_text *out) {
    rb_text_add(out, "<section><h2>Precision and recall</h2>\n");
    if (!r->boxes->with_objects) {
        rb_text_add(out, "<p>No class has an object in the last validation.</p></section>\n");
        return;
    }
    rb_text_format(
        out,
        "<p>Of the last validation: means over the %d classes that have objects, and the %d with most "
        "objects (their number in brackets).</p><div class=\"cards\">\n",
        r->boxes->with_objects, r->boxes->count);
    draw_precision(r, r->boxes, "Boxes", out);
    draw_precision(r, r->masks, "Masks", out);
    rb_text_add(out, "</div></section>\n");
}

/* ---- pictures ---- */

static void begin_figure(const rb_shot *s, rb_text *out) {
    rb_text_add(out, "<figure title=\"");
    rb_html_text(out, s->name);
    rb_text_add(out, "\">");
    rb_html_jpeg(out, s->width, s->height, s->jpeg, s->size, s->name);
    rb_text_add(out, "<figcaption>");
}

static void draw_worst(const rb_detect_report *r, rb_text *out) {
    const rb_shots *s = r->shots;
    if (!s->pictures) return;
    rb_text_format(
        out,
        "<section><h2>The worst pictures</h2>\n<p>%d validation pictures, %d of them with a flaw. F1 "
        "is 2 · right / (objects + found), at an overlap of 0.5 and a score of %g. Dashed: what is "
        "there; in colour: what was found, with its score.</p><div class=\"pictures shots\">\n",
        s->pictures, s->flawed, r->least_score);
    for (int i = 0; i < s->worst_count; i++) {
        const rb_shot *shot = &s->worst[i];
        begin_figure(shot, out);
        rb_text_format(out,
                       "F1 %.2f: <span class=\"good\">%d of %d objects</span>, <span class=\"bad\">%d wrong "
                       "of %d found</span></figcaption></figure>\n",
                       shot->f1, shot->hits, shot->objects, shot->found - shot->hits, shot->found);
    }
    rb_text_add(out, "</div></section>\n");
}

static void draw_batch(const rb_detect_report *r, rb_text *out) {
    const rb_shots *s = r->shots;
    if (!s->seen_count) return;
    rb_text_add(out,
                "<section><h2>A training batch as the network sees it</h2><div class=\"pictures shots\">\n");
    for (int i = 0; i < s->seen_count; i++) {
        begin_figure(&s->seen[i], out);
        rb_text_format(out, "%d object%s</figcaption></figure>\n", s->seen[i].objects,
                       s->seen[i].objects == 1 ? "" : "s");
    }
    rb_text_add(out, "</div></section>\n");
}

revbifpn_status rb_detect_report_page(const rb_detect_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    rb_page_begin(&r->page, out);
    TRY(draw_progress(r, out, err));
    draw_precisions(r, out);
    draw_worst(r, out);
    draw_batch(r, out);
    rb_page_end(&r->page, out);
    return rb_text_check(out, "the report", err);
fail:
    return status;
}

static revbifpn_status draw(const void *report, rb_text *out, rb_error *err) {
    return rb_detect_report_page(report, out, err);
}

revbifpn_status rb_detect_report_write(const rb_detect_report *r, const char *path, rb_error *err) {
    return rb_page_write(draw, r, path, err);
}
