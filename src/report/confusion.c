/* Which class was taken for which. Few classes: a table with every count. More: a picture of the matrix, in
 * blocks of classes where there are many, and the pairs that were confused most. */
#include "report/report.h"

#include <stdlib.h>

#include "report/html.h"

enum { TABLE = 16, CELLS = 64, SIDE = 384, PAIRS = 15, WORST = 10 };

typedef struct pair {
    int label, predicted;
    uint32_t count;
} pair;

static uint32_t count_at(const rb_collection *c, int label, int predicted) {
    return c->counts[(size_t)label * (size_t)c->classes + (size_t)predicted];
}

static uint64_t pictures_of(const rb_collection *c, int label) {
    uint64_t sum = 0;
    for (int i = 0; i < c->classes; i++) sum += count_at(c, label, i);
    return sum;
}

static void table(const rb_report *r, rb_text *out) {
    const rb_collection *c = r->collection;
    rb_text_add(out, "<div class=\"scroll\"><table class=\"confusion\"><tr><th>true \\ predicted</th>");
    for (int p = 0; p < c->classes; p++) {
        rb_text_add(out, "<th><span>");
        rb_html_text(out, r->classes[p]);
        rb_text_add(out, "</span></th>");
    }
    rb_text_add(out, "</tr>\n");
    for (int t = 0; t < c->classes; t++) {
        double all = (double)pictures_of(c, t);
        rb_text_add(out, "<tr><th>");
        rb_html_text(out, r->classes[t]);
        rb_text_add(out, "</th>");
        for (int p = 0; p < c->classes; p++) {
            uint32_t n = count_at(c, t, p);
            rb_text_format(out, "<td class=\"%s\" style=\"--a:%.3f\">", t == p ? "hit" : "miss",
                           all > 0 ? n / all : 0);
            if (n) rb_text_format(out, "%u", n);
            rb_text_add(out, "</td>");
        }
        rb_text_add(out, "</tr>\n");
    }
    rb_text_add(out, "</table></div>\n");
}

/* Sum over the block of classes (row, column) and over its row of blocks. */
static uint64_t block_sum(const rb_collection *c, int size, int row, int column) {
    uint64_t sum = 0;
    for (int t = row * size; t < (row + 1) * size && t < c->classes; t++)
        for (int p = column * size; p < (column + 1) * size && p < c->classes; p++) sum += count_at(c, t, p);
    return sum;
}

static void picture(const rb_report *r, rb_text *out) {
    const rb_collection *c = r->collection;
    int size = (c->classes + CELLS - 1) / CELLS, blocks = (c->classes + size - 1) / size;
    double side = (double)SIDE / blocks;
    rb_text_format(out, "<p>Rows: true class; columns: predicted class. The darker, the more of the row.");
    if (size > 1) rb_text_format(out, " Each cell stands for %d × %d neighbouring classes.", size, size);
    rb_text_format(out,
                   "</p><svg class=\"matrix\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"confusion "
                   "matrix\"><rect class=\"paper\" width=\"%d\" height=\"%d\"/>",
                   SIDE, SIDE, SIDE, SIDE);
    for (int row = 0; row < blocks; row++) {
        uint64_t all = 0;
        for (int column = 0; column < blocks; column++) all += block_sum(c, size, row, column);
        for (int column = 0; column < blocks; column++) {
            uint64_t n = block_sum(c, size, row, column);
            if (!n) continue;
            rb_text_format(out,
                           "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                           "fill-opacity=\"%.2f\"/>",
                           row == column ? "hit" : "miss", column * side, row * side, side, side,
                           0.1 + 0.9 * (double)n / (double)all);
        }
    }
    rb_text_add(out, "</svg>\n");
}

/* Puts a pair in its place among the most frequent; `found` of them so far, returns how many then. */
static int keep(pair *pairs, int found, pair new) {
    int at = found;
    while (at > 0 && pairs[at - 1].count < new.count) at--;
    if (at == PAIRS) return found;
    if (found < PAIRS) found++;
    for (int i = found - 1; i > at; i--) pairs[i] = pairs[i - 1];
    pairs[at] = new;
    return found;
}

static void most_confused(const rb_report *r, rb_text *out) {
    const rb_collection *c = r->collection;
    pair pairs[PAIRS];
    int found = 0;
    for (int t = 0; t < c->classes; t++)
        for (int p = 0; p < c->classes; p++) {
            uint32_t n = count_at(c, t, p);
            if (n && t != p) found = keep(pairs, found, (pair){t, p, n});
        }
    if (!found || c->classes <= 2) return;
    rb_text_add(out, "<h3>Most often confused</h3><div class=\"scroll\"><table><tr><th>is</th><th>taken "
                     "for</th><th class=\"n\">times</th><th class=\"n\">share</th></tr>\n");
    for (int i = 0; i < found; i++) {
        rb_text_add(out, "<tr><td>");
        rb_html_text(out, r->classes[pairs[i].label]);
        rb_text_add(out, "</td><td>");
        rb_html_text(out, r->classes[pairs[i].predicted]);
        rb_text_format(out, "</td><td class=\"n\">%u</td><td class=\"n\">%.0f %%</td></tr>\n", pairs[i].count,
                       100.0 * pairs[i].count / (double)pictures_of(c, pairs[i].label));
    }
    rb_text_add(out, "</table></div>\n");
}

typedef struct recall {
    int label;
    double part;
    uint64_t pictures;
} recall;

static int by_part(const void *a, const void *b) {
    const recall *x = a, *y = b;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return x->label - y->label;
}

/* The classes of which the smallest part was found. */
static void worst_classes(const rb_report *r, rb_text *out) {
    const rb_collection *c = r->collection;
    recall all[RB_CONFUSION_CLASSES];
    int count = 0;
    for (int t = 0; t < c->classes; t++) {
        uint64_t pictures = pictures_of(c, t);
        if (pictures) all[count++] = (recall){t, count_at(c, t, t) / (double)pictures, pictures};
    }
    qsort(all, (size_t)count, sizeof *all, by_part);
    rb_text_add(out, "<h3>Hardest classes</h3><div class=\"scroll\"><table><tr><th>class</th><th "
                     "class=\"n\">pictures</th><th class=\"n\">found</th></tr>\n");
    for (int i = 0; i < count && i < WORST; i++) {
        rb_text_add(out, "<tr><td>");
        rb_html_text(out, r->classes[all[i].label]);
        rb_text_format(out, "</td><td class=\"n\">%llu</td><td class=\"n\">%.0f %%</td></tr>\n",
                       (unsigned long long)all[i].pictures, 100 * all[i].part);
    }
    rb_text_add(out, "</table></div>\n");
}

void rb_report_confusion(const rb_report *r, rb_text *out) {
    const rb_collection *c = r->collection;
    if (!c->pictures) return;
    rb_text_add(out, "<section><h2>Confusion matrix</h2>\n");
    rb_text_format(out, "<p>%u validation pictures, %u of them wrong.</p>\n", c->pictures, c->wrong);
    if (!c->counts) {
        rb_text_format(out, "<p>With more than %d classes the pairs are not counted.</p></section>\n",
                       RB_CONFUSION_CLASSES);
        return;
    }
    if (c->classes <= TABLE)
        table(r, out);
    else
        picture(r, out);
    rb_text_add(out, "<div class=\"cards\"><div class=\"card\">");
    worst_classes(r, out);
    rb_text_add(out, "</div><div class=\"card\">");
    most_confused(r, out);
    rb_text_add(out, "</div></div></section>\n");
}
