/* The forms of Pascal VOC and of YOLO: a file a picture. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/objects_writer.h"

/* ---- Pascal VOC ---- */

static void add_escaped(rb_text *t, const char *text) {
    for (; *text; text++) {
        const char *as = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
        if (as)
            rb_text_add(t, as);
        else
            rb_text_add_bytes(t, text, 1);
    }
}

static void add_element(rb_text *t, const char *name, double value) {
    rb_text_format(t, "<%s>", name);
    rb_writer_number(t, value);
    rb_text_format(t, "</%s>", name);
}

/* Corners count from 1, and the last pixel belongs to the box. A crowd is "difficult": not to be learned. */
static void add_voc_object(rb_objects_writer *w, const rb_object *o) {
    rb_text *t = &w->text;
    rb_text_add(t, "<object><name>");
    add_escaped(t, w->set->classes[o->label].name);
    rb_text_format(t, "</name><difficult>%d</difficult><bndbox>", o->ignore || o->crowd);
    add_element(t, "xmin", o->box[0] + 1);
    add_element(t, "ymin", o->box[1] + 1);
    add_element(t, "xmax", o->box[0] + o->box[2]);
    add_element(t, "ymax", o->box[1] + o->box[3]);
    rb_text_add(t, "</bndbox></object>\n");
    w->report->objects++;
}

revbifpn_status rb_objects_write_voc(rb_objects_writer *w, bool val, rb_error *err) {
    const rb_pictures *p = rb_writer_split(w, val);
    rb_text *t = &w->text;
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; !status && i < p->count; i++) {
        const rb_picture *at = &p->pictures[i];
        const char *name = rb_writer_name(w, val, i);
        rb_text_add(t, "<annotation><filename>");
        add_escaped(t, name);
        rb_text_format(t, "</filename><size><width>%u</width><height>%u</height><depth>3</depth></size>\n",
                       at->width, at->height);
        for (size_t k = at->first; k < at[1].first; k++) add_voc_object(w, &p->objects[k]);
        rb_text_add(t, "</annotation>\n");
        status = rb_writer_text(w, "Annotations", name, ".xml", err);
        if (!status) status = rb_writer_picture(w, val, i, "JPEGImages", err);
    }
    for (int i = 0; !status && i < p->count; i++) {
        const char *name = rb_writer_name(w, val, i), *dot = strrchr(name, '.');
        rb_text_add_bytes(t, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
        rb_text_add(t, "\n");
    }
    return status ? status : rb_writer_text(w, "ImageSets/Main", val ? "val.txt" : "train.txt", NULL, err);
}

/* ---- YOLO ---- */

static double share(double v, double side) { return fmin(fmax(v / side, 0), 1); }

/* The box's part within the picture, by its centre. */
static void add_box(rb_text *t, const rb_object *o, const rb_picture *p) {
    double x1 = share(o->box[0], p->width), x2 = share(o->box[0] + o->box[2], p->width);
    double y1 = share(o->box[1], p->height), y2 = share(o->box[1] + o->box[3], p->height);
    const double values[4] = {(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1};
    for (int i = 0; i < 4; i++) rb_text_format(t, " %.9f", values[i]);
}

static void add_points(rb_text *t, const double *points, uint32_t count, const rb_picture *p) {
    for (uint32_t i = 0; i < count; i++)
        rb_text_format(t, " %.9f", share(points[i], i % 2 ? p->height : p->width));
}

/* All polygons in one ring, each closed and then left for the next: between them the ring runs back on its
 * own way, so by the even-odd rule nothing is added. False when there are none. */
static bool add_polygons(rb_objects_writer *w, const rb_pictures *from, const rb_object *o,
                         const rb_picture *p) {
    size_t at = 0, count = 0;
    uint32_t numbers;
    if (o->segment.form != RB_SEGMENT_POLYGONS) return false;
    for (const double *n; (n = rb_segment_next(&o->segment, from->block.bytes, &at, &numbers, &w->room));) {
        if (numbers < 6) continue;
        add_points(&w->text, n, numbers, p);
        if (count || at < o->segment.size) add_points(&w->text, n, 2, p);
        double *starts = rb_grow(w->starts, &w->start_room, 2 * (count + 1), sizeof *starts);
        if (!starts) {
            w->text.failed = true;
            return true;
        }
        w->starts = starts;
        memcpy(starts + 2 * count++, n, 2 * sizeof *n);
    }
    w->text.failed |= at < o->segment.size;
    for (size_t i = count; i-- > 1;) add_points(&w->text, w->starts + 2 * (i - 1), 2, p);
    return count > 0;
}

static void add_yolo_object(rb_objects_writer *w, const rb_pictures *from, const rb_object *o,
                            const rb_picture *p) {
    if (o->crowd || o->ignore || !p->width) {
        w->report->left_out++;
        return;
    }
    rb_text_format(&w->text, "%d", o->label);
    if (!w->options->outlines || !add_polygons(w, from, o, p)) {
        w->report->outlines_dropped += w->options->outlines;
        add_box(&w->text, o, p);
    }
    rb_text_add(&w->text, "\n");
    w->report->objects++;
}

revbifpn_status rb_objects_write_yolo(rb_objects_writer *w, bool val, rb_error *err) {
    const rb_pictures *p = rb_writer_split(w, val);
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; !status && i < p->count; i++) {
        const rb_picture *at = &p->pictures[i];
        for (size_t k = at->first; k < at[1].first; k++) add_yolo_object(w, p, &p->objects[k], at);
        status =
            rb_writer_text(w, val ? "labels/val" : "labels/train", rb_writer_name(w, val, i), ".txt", err);
        if (!status) status = rb_writer_picture(w, val, i, val ? "images/val" : "images/train", err);
    }
    return status;
}

/* ---- classes ---- */

revbifpn_status rb_objects_write_classes(rb_objects_writer *w, rb_error *err) {
    bool yolo = w->options->form == RB_OBJECTS_YOLO;
    rb_text *t = &w->text;
    if (yolo) rb_text_add(t, "train: images/train\nval: images/val\nnames:\n");
    for (int i = 0; i < w->set->class_count; i++) {
        const char *name = w->set->classes[i].name;
        if (!yolo) {
            rb_text_format(t, "%s\n", name);
            continue;
        }
        rb_text_format(t, "  %d: '", i); /* in quotes everything but the quote is itself */
        for (; *name; name++) rb_text_add_bytes(t, *name == '\'' ? "''" : name, *name == '\'' ? 2 : 1);
        rb_text_add(t, "'\n");
    }
    return rb_writer_text(w, ".", yolo ? "data.yaml" : "classes.txt", NULL, err);
}
