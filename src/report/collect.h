/* What a validation leaves for the report: how often each class was taken for which, and the mistakes that
 * the network was surest of. Its memory does not depend on the number of pictures: 4·classes² bytes (none
 * above RB_CONFUSION_CLASSES) and RB_MISTAKES + RB_SEEN small pictures, 5.4 MB for 1000 classes. */
#ifndef RB_REPORT_COLLECT_H
#define RB_REPORT_COLLECT_H

#include "image/image.h"

enum { RB_CONFUSION_CLASSES = 1000, RB_MISTAKES = 12, RB_SEEN = 16, RB_THUMB = 128 };

/* A small copy of a picture: at most RB_THUMB pixels a side. */
typedef struct rb_thumb {
    int width, height; /* 0: none */
    uint8_t pixels[RB_THUMB * RB_THUMB * 3];
} rb_thumb;

typedef struct rb_mistake {
    int label, predicted;
    double probability; /* of the predicted class */
    char name[160];     /* of the file; cut at the front */
    rb_thumb *thumb;
} rb_mistake;

/* A picture of a training batch as the network saw it, and what it should be: one class, or two that were
 * mixed. */
typedef struct rb_seen {
    int label, other; /* other: −1, or the second class of the mixture … */
    double share;     /* … and the first one's share */
    rb_thumb *thumb;
} rb_seen;

typedef struct rb_collection {
    int classes;
    uint32_t *counts; /* classes,classes: true, predicted; NULL: not counted */
    uint32_t pictures, wrong;
    int mistake_count, seen_count;
    rb_mistake mistakes[RB_MISTAKES]; /* surest first */
    rb_seen seen[RB_SEEN];
    rb_thumb *thumbs; /* all of them */
} rb_collection;

/* OUT_OF_MEMORY. */
revbifpn_status rb_collection_open(rb_collection *c, int classes, rb_error *err) RB_CHECKED;
void rb_collection_close(rb_collection *c);
/* Forgets the last validation. */
void rb_collection_start(rb_collection *c);
/* A judged picture as the network saw it. OUT_OF_MEMORY. */
revbifpn_status rb_collection_add(rb_collection *c, int label, int predicted, double probability,
                                  const char *path, const rb_image *picture, rb_error *err) RB_CHECKED;
/* dst = the picture, scaled down to fit. OUT_OF_MEMORY. */
revbifpn_status rb_thumb_take(rb_thumb *dst, const rb_image *picture, rb_error *err) RB_CHECKED;
rb_image rb_thumb_image(rb_thumb *thumb);
/* The end of a path, which says more than its beginning. */
void rb_copy_end(const char *path, char *name, size_t size);

#endif
