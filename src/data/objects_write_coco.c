/* COCO's form: one JSON file a split, written as it is made. */
#include <string.h>

#include "base/file.h"
#include "data/objects_writer.h"

enum { FLUSH = 1 << 20 };

static void add_string(rb_text *t, const char *bytes, size_t size) {
    rb_text_add(t, "\"");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\')
            rb_text_format(t, "\\%c", c);
        else if (c < 32)
            rb_text_format(t, "\\u%04x", c);
        else
            rb_text_add_bytes(t, &bytes[i], 1);
    }
    rb_text_add(t, "\"");
}

/* A list of lists, or run lengths. */
static void add_outline(rb_objects_writer *w, const rb_pictures *p, const rb_object *o) {
    rb_text *t = &w->text;
    const rb_segment *s = &o->segment;
    size_t at = 0, lists = 0;
    uint32_t count = 0;
    if (s->form == RB_SEGMENT_RUNS) {
        rb_text_format(t, ", \"segmentation\": {\"size\": [%u, %u], \"counts\": ", s->height, s->width);
        add_string(t, p->block.bytes + s->offset, s->size);
        rb_text_add(t, "}");
        return;
    }
    rb_text_add(t, ", \"segmentation\": [");
    for (const double *n; (n = rb_segment_next(s, p->block.bytes, &at, &count, &w->room)); lists++) {
        rb_text_add(t, lists ? ", [" : "[");
        for (uint32_t i = 0; i < count; i++) {
            if (i) rb_text_add(t, ", ");
            rb_writer_number(t, n[i]);
        }
        rb_text_add(t, "]");
    }
    t->failed |= s->form != RB_SEGMENT_NONE && at < s->size;
    rb_text_add(t, "]");
}

static int64_t picture_id(const rb_objects_writer *w, bool val, int picture) {
    const rb_pictures *p = rb_writer_split(w, val);
    bool own = w->set->form == RB_OBJECTS_COCO;
    return p->pictures[picture].id + (!own && val ? w->set->train.count : 0);
}

static void add_object(rb_objects_writer *w, bool val, int picture, const rb_object *o, int64_t id) {
    rb_text *t = &w->text;
    rb_text_format(t, "{\"id\": %lld, \"image_id\": %lld, \"category_id\": %lld, \"bbox\": [", (long long)id,
                   (long long)picture_id(w, val, picture), (long long)w->set->classes[o->label].id);
    for (int i = 0; i < 4; i++) {
        if (i) rb_text_add(t, ", ");
        rb_writer_number(t, o->box[i]);
    }
    rb_text_add(t, "], \"area\": ");
    rb_writer_number(t, o->area);
    rb_text_format(t, ", \"iscrowd\": %d", o->crowd);
    if (o->ignore) rb_text_add(t, ", \"ignore\": 1");
    if (w->options->outlines) add_outline(w, rb_writer_split(w, val), o);
    rb_text_add(t, "}");
    w->report->objects++;
}

static revbifpn_status flush(rb_objects_writer *w, rb_file_writer *file, size_t least, rb_error *err) {
    if (w->text.size < least) return REVBIFPN_OK;
    revbifpn_status status = rb_text_check(&w->text, "the annotations", err);
    if (!status) status = rb_file_write(file, w->text.bytes, w->text.size, err);
    rb_text_clear(&w->text);
    return status;
}

static void add_categories(rb_objects_writer *w) {
    rb_text *t = &w->text;
    rb_text_add(t, "{\"categories\": [");
    for (int i = 0; i < w->set->class_count; i++) {
        const char *name = w->set->classes[i].name;
        rb_text_format(t, "%s\n{\"id\": %lld, \"name\": ", i ? "," : "", (long long)w->set->classes[i].id);
        add_string(t, name, strlen(name));
        rb_text_add(t, "}");
    }
    rb_text_add(t, "],\n\"images\": [");
}

static revbifpn_status write_pictures(rb_objects_writer *w, bool val, rb_file_writer *file, rb_error *err) {
    const rb_pictures *p = rb_writer_split(w, val);
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; !status && i < p->count; i++) {
        const char *name = rb_writer_name(w, val, i);
        rb_text_format(&w->text, "%s\n{\"id\": %lld, ", i ? "," : "", (long long)picture_id(w, val, i));
        if (p->pictures[i].width)
            rb_text_format(&w->text, "\"width\": %u, \"height\": %u, ", p->pictures[i].width,
                           p->pictures[i].height);
        rb_text_add(&w->text, "\"file_name\": ");
        add_string(&w->text, name, strlen(name));
        rb_text_add(&w->text, "}");
        status = flush(w, file, FLUSH, err);
        if (!status) status = rb_writer_picture(w, val, i, "images", err);
    }
    return status;
}

static revbifpn_status write_objects(rb_objects_writer *w, bool val, rb_file_writer *file, rb_error *err) {
    const rb_pictures *p = rb_writer_split(w, val);
    int64_t id = val ? (int64_t)w->set->train.object_count : 0;
    revbifpn_status status = REVBIFPN_OK;
    rb_text_add(&w->text, "],\n\"annotations\": [");
    for (int i = 0; !status && i < p->count; i++)
        for (size_t k = p->pictures[i].first; !status && k < p->pictures[i + 1].first; k++) {
            const rb_object *o = &p->objects[k];
            rb_text_add(&w->text, k ? ",\n" : "\n");
            add_object(w, val, i, o, w->set->form == RB_OBJECTS_COCO ? o->id : ++id);
            status = flush(w, file, FLUSH, err);
        }
    rb_text_add(&w->text, "]}\n");
    return status ? status : flush(w, file, 0, err);
}

revbifpn_status rb_objects_write_coco(rb_objects_writer *w, bool val, rb_error *err) {
    revbifpn_status status;
    rb_file_writer file = {0};
    rb_text path = {0};
    rb_text_format(&path, "%s/annotations/instances_%s.json", w->out, val ? "val" : "train");
    TRY(rb_text_check(&path, "a path", err));
    TRY(rb_file_begin(&file, path.bytes, err));
    add_categories(w);
    TRY(write_pictures(w, val, &file, err));
    TRY(write_objects(w, val, &file, err));
    TRY(rb_file_commit(&file, err));
fail:
    rb_file_abandon(&file);
    rb_text_close(&path);
    return status;
}
