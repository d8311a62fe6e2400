#include "report/shots.h"

#include <string.h>

#include "base/memory.h"
#include "image/mark.h"
#include "report/collect.h"

enum { QUALITY = 85 };

double rb_shot_f1(int objects, int found, int hits) {
    return objects + found ? 2.0 * hits / (objects + found) : 1;
}

void rb_shots_close(rb_shots *s) {
    for (int i = 0; i < RB_WORST; i++) rb_free(s->worst[i].jpeg);
    for (int i = 0; i < RB_SHOTS_SEEN; i++) rb_free(s->seen[i].jpeg);
    *s = (rb_shots){0};
}

void rb_shots_start(rb_shots *s) { s->pictures = s->flawed = s->worst_count = 0; }

/* The place that f1 has among the worst, behind equal ones. */
static rb_shot *insert(rb_shots *s, double f1) {
    int at = s->worst_count;
    while (at > 0 && s->worst[at - 1].f1 > f1) at--;
    if (at == RB_WORST) return NULL;
    if (s->worst_count < RB_WORST) s->worst_count++;
    rb_shot freed = s->worst[s->worst_count - 1];
    for (int i = s->worst_count - 1; i > at; i--) s->worst[i] = s->worst[i - 1];
    s->worst[at] = freed;
    return &s->worst[at];
}

rb_shot *rb_shots_judged(rb_shots *s, int objects, int found, int hits) {
    double f1 = rb_shot_f1(objects, found, hits);
    s->pictures++;
    if (f1 >= 1) return NULL;
    s->flawed++;
    rb_shot *shot = insert(s, f1);
    if (!shot) return NULL;
    shot->objects = objects;
    shot->found = found;
    shot->hits = hits;
    shot->f1 = f1;
    return shot;
}

static revbifpn_status scale_down(const rb_image *picture, int longer, rb_image *out, rb_error *err) {
    revbifpn_status status;
    int width = (int)((int64_t)picture->width * RB_SHOT / longer);
    int height = (int)((int64_t)picture->height * RB_SHOT / longer);
    rb_resize resize = rb_resize_whole(0, 0, picture->width, picture->height, width < 1 ? 1 : width,
                                       height < 1 ? 1 : height, RB_FILTER_BICUBIC);
    void *scratch = rb_alloc(rb_resize_scratch(&resize));
    if (!scratch) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the pictures of the report");
    TRY(rb_image_alloc(out, resize.width, resize.height, err));
    rb_resize_run(&resize, picture, out->pixels, scratch);
fail:
    rb_free(scratch);
    return status;
}

static void draw(rb_image *image, const rb_image *from, const rb_shot_box *boxes, int count, bool names) {
    for (int i = count - 1; i >= 0; i--) {
        const rb_shot_box *b = &boxes[i];
        double c[4];
        for (int k = 0; k < 4; k++)
            c[k] =
                b->corners[k] * (k % 2 ? image->height : image->width) / (k % 2 ? from->height : from->width);
        if (names && *b->text && b->object)
            rb_mark_foot(image, c, (rb_color){40, 40, 40}, b->text);
        else if (names && *b->text)
            rb_mark_name(image, c, rb_mark_color(b->label), b->text);
        else if (!names && b->object)
            rb_mark_dashes(image, c);
        else if (!names)
            rb_mark_box(image, c, rb_mark_color(b->label));
    }
}

revbifpn_status rb_shot_take(rb_shot *s, const char *path, const rb_image *picture, const rb_shot_box *boxes,
                             int count, rb_error *err) {
    revbifpn_status status;
    rb_image small = {0};
    int longer = picture->width > picture->height ? picture->width : picture->height;
    rb_free(s->jpeg);
    s->jpeg = NULL;
    s->size = 0;
    rb_copy_end(path, s->name, sizeof s->name);
    if (longer > RB_SHOT)
        TRY(scale_down(picture, longer, &small, err));
    else
        TRY(rb_image_enlarge(picture, RB_SHOT / longer, &small, err));
    draw(&small, picture, boxes, count, false);
    draw(&small, picture, boxes, count, true);
    s->width = small.width;
    s->height = small.height;
    status = rb_image_encode_jpeg(&small, QUALITY, &s->jpeg, &s->size, err);
fail:
    rb_image_free(&small);
    return status;
}
