#include "report/report.h"

#include "report/html.h"

static revbifpn_status draw_progress(const rb_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    rb_curves c;
    TRY(rb_curves_open(&c, r->page.results, err));
    rb_page_begin_tiles(&r->page, &c, out);
    rb_page_score_tiles(&c, "top1", "top-1", out);
    rb_page_last_tile(&c, "top5", "top-5", out);
    rb_page_last_tile(&c, "val_loss", "validation loss", out);
    rb_page_end_tiles(&r->page, out);
    rb_text_add(out, "<section><h2>Curves</h2><div class=\"cards\">\n");
    rb_chart loss = rb_curves_chart(&c, "Loss by epoch");
    rb_chart top = rb_curves_chart(&c, "Accuracy on the validation pictures");
    loss.may_be_logarithmic = true;
    rb_curves_add(&c, &loss, "train_loss", "training");
    rb_curves_add(&c, &loss, "val_loss", "validation");
    rb_curves_add(&c, &top, "top1", "top-1");
    rb_curves_add(&c, &top, "top5", "top-5");
    rb_chart_draw(out, &loss);
    rb_chart_draw(out, &top);
    status = rb_page_rate_and_speed(&r->page, &c, out, err);
    rb_text_add(out, "</div></section>\n");
    rb_curves_close(&c);
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

revbifpn_status rb_report_page(const rb_report *r, rb_text *out, rb_error *err) {
    revbifpn_status status;
    rb_page_begin(&r->page, out);
    TRY(draw_progress(r, out, err));
    rb_report_confusion(r, out);
    TRY(draw_mistakes(r, out, err));
    TRY(draw_batch(r, out, err));
    rb_page_end(&r->page, out);
    return rb_text_check(out, "the report", err);
fail:
    return status;
}

static revbifpn_status draw(const void *report, rb_text *out, rb_error *err) {
    return rb_report_page(report, out, err);
}

revbifpn_status rb_report_write(const rb_report *r, const char *path, rb_error *err) {
    return rb_page_write(draw, r, path, err);
}
