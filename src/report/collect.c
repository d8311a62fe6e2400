#include "report/collect.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

revbifpn_status rb_collection_open(rb_collection *c, int classes, rb_error *err) {
    *c = (rb_collection){.classes = classes};
    size_t n = (size_t)classes;
    bool counting = classes <= RB_CONFUSION_CLASSES;
    if (counting) c->counts = rb_alloc(n * n * sizeof *c->counts);
    c->thumbs = rb_alloc((RB_MISTAKES + RB_SEEN) * sizeof *c->thumbs);
    if (!c->thumbs || (counting && !c->counts))
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the report of %d classes", classes);
    for (int i = 0; i < RB_MISTAKES; i++) c->mistakes[i].thumb = &c->thumbs[i];
    for (int i = 0; i < RB_SEEN; i++) c->seen[i].thumb = &c->thumbs[RB_MISTAKES + i];
    return REVBIFPN_OK;
}

void rb_collection_close(rb_collection *c) {
    rb_free(c->counts);
    rb_free(c->thumbs);
    *c = (rb_collection){0};
}

void rb_collection_start(rb_collection *c) {
    size_t n = (size_t)c->classes;
    if (c->counts) memset(c->counts, 0, n * n * sizeof *c->counts);
    c->pictures = c->wrong = 0;
    c->mistake_count = 0;
}

rb_image rb_thumb_image(rb_thumb *t) { return (rb_image){t->width, t->height, t->pixels}; }

/* The longer side becomes RB_THUMB when it is more. */
static void fit(int width, int height, rb_thumb *t) {
    int longer = width > height ? width : height;
    t->width = longer > RB_THUMB ? width * RB_THUMB / longer : width;
    t->height = longer > RB_THUMB ? height * RB_THUMB / longer : height;
    if (t->width < 1) t->width = 1;
    if (t->height < 1) t->height = 1;
}

revbifpn_status rb_thumb_take(rb_thumb *t, const rb_image *picture, rb_error *err) {
    fit(picture->width, picture->height, t);
    if (t->width == picture->width && t->height == picture->height) {
        memcpy(t->pixels, picture->pixels, (size_t)t->width * (size_t)t->height * 3);
        return REVBIFPN_OK;
    }
    rb_resize resize =
        rb_resize_whole(0, 0, picture->width, picture->height, t->width, t->height, RB_FILTER_BICUBIC);
    void *scratch = rb_alloc(rb_resize_scratch(&resize));
    if (!scratch) {
        t->width = t->height = 0;
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the pictures of the report");
    }
    rb_resize_run(&resize, picture, t->pixels, scratch);
    rb_free(scratch);
    return REVBIFPN_OK;
}

/* Makes room at the place that the probability has among the mistakes; NULL when it is not sure enough. */
static rb_mistake *insert(rb_collection *c, double probability) {
    int at = c->mistake_count;
    while (at > 0 && c->mistakes[at - 1].probability < probability) at--;
    if (at == RB_MISTAKES) return NULL;
    if (c->mistake_count < RB_MISTAKES) c->mistake_count++;
    rb_thumb *freed = c->mistakes[c->mistake_count - 1].thumb;
    for (int i = c->mistake_count - 1; i > at; i--) c->mistakes[i] = c->mistakes[i - 1];
    c->mistakes[at].thumb = freed;
    return &c->mistakes[at];
}

void rb_copy_end(const char *path, char *name, size_t size) {
    size_t length = strlen(path);
    if (length < size)
        memcpy(name, path, length + 1);
    else
        snprintf(name, size, "…%s", path + length - (size - 4));
}

revbifpn_status rb_collection_add(rb_collection *c, int label, int predicted, double probability,
                                  const char *path, const rb_image *picture, rb_error *err) {
    c->pictures++;
    if (c->counts) c->counts[(size_t)label * (size_t)c->classes + (size_t)predicted]++;
    if (label == predicted) return REVBIFPN_OK;
    c->wrong++;
    rb_mistake *m = insert(c, probability);
    if (!m) return REVBIFPN_OK;
    m->label = label;
    m->predicted = predicted;
    m->probability = probability;
    rb_copy_end(path, m->name, sizeof m->name);
    return rb_thumb_take(m->thumb, picture, err);
}
