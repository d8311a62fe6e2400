/* The boxes that the heads learn from (spec 7.3, 11): objects and proposals of each picture, matched and
 * drawn. */
#include <string.h>

#include "detect/assign.h"
#include "detect/detector.h"

static int candidates_most(const revbifpn_detector_config *c) { return c->most_objects + c->train_proposals; }

int rb_rois_most(const revbifpn_detector_config *c) {
    int all = candidates_most(c);
    return c->boxes_drawn && c->boxes_drawn < all ? c->boxes_drawn : all;
}

/* Candidates of a picture: its objects, then its proposals. */
typedef struct candidates {
    int objects, count;
    float *boxes;    /* count,4 */
    int32_t *learns; /* count: 0, or 1 + the object */
    rb_drawn drawn;
} candidates;

static candidates push_candidates(rb_detector *d, rb_exec *x) {
    size_t most = (size_t)candidates_most(&d->config);
    candidates c = {.boxes = rb_arena_push(&x->scratch, most * 4 * sizeof(float))};
    c.learns = rb_arena_push(&x->scratch, most * sizeof(int32_t));
    c.drawn.positive = rb_arena_push(&x->scratch, most * sizeof(int32_t));
    c.drawn.negative = rb_arena_push(&x->scratch, most * sizeof(int32_t));
    return c;
}

/* Every object is its own best box; proposals are matched. Segmenters also let an object take its best
 * proposals (spec 2.1). */
static void match(rb_detector *d, rb_exec *x, int image, const rb_truth *truth, candidates *c) {
    rb_assignment a = {.truths = d->config.most_objects, .positive = 0.5f, .negative = 0.5f};
    a.least = d->config.masks ? 0.5f : 2;
    if (!x->dry) {
        const float *proposals = d->proposals + (size_t)image * (size_t)d->config.train_proposals * 4;
        c->objects = truth->count;
        a.count = d->proposal_count[image];
        c->count = c->objects + a.count;
        memcpy(c->boxes, truth->boxes, (size_t)c->objects * 4 * sizeof(float));
        memcpy(c->boxes + 4 * (size_t)c->objects, proposals, (size_t)a.count * 4 * sizeof(float));
        for (int i = 0; i < c->objects; i++) c->learns[i] = i + 1;
        a.boxes = c->boxes + 4 * (size_t)c->objects;
        a.truth = truth->boxes;
        a.truths = truth->count;
    }
    rb_assign(x, &a, c->learns + c->objects);
}

static void take(rb_detector *d, int image, const rb_truth *truth, const candidates *c, const int32_t *drawn,
                 int count, rb_rois *out) {
    for (int i = 0; i < count; i++) {
        int object = c->learns[drawn[i]] - 1, at = out->count++;
        memcpy(out->boxes + 4 * (size_t)at, c->boxes + 4 * (size_t)drawn[i], 4 * sizeof(float));
        out->image[at] = image;
        out->truth[at] = object;
        out->label[at] = object < 0 ? d->config.classes : truth->labels[object];
    }
}

static void draw(rb_detector *d, const rb_pass *pass, int image, const rb_truth *truth, candidates *c,
                 rb_rois *out) {
    rb_drawn *drawn = &c->drawn;
    rb_rng rng = rb_rng_open(pass->seed, RB_PURPOSE_ROIS, pass->step, (uint64_t)image);
    rb_draw_matched(&rng, c->learns, c->count, d->config.boxes_drawn, 4, drawn);
    take(d, image, truth, c, drawn->positive, drawn->positives, out);
    take(d, image, truth, c, drawn->negative, drawn->negatives, out);
    d->counts[0] += c->count - c->objects;
    d->counts[1] += drawn->positives;
    d->counts[2] += drawn->negatives;
}

rb_rois rb_rois_draw(rb_detector *d, rb_pass *pass, const rb_truth *truth) {
    rb_exec *x = pass->exec;
    size_t most = (size_t)d->model.image.n * (size_t)rb_rois_most(&d->config);
    rb_rois out = {.boxes = rb_arena_push(&x->kept, most * 4 * sizeof(float))};
    out.image = rb_arena_push(&x->kept, most * sizeof(int32_t));
    out.label = rb_arena_push(&x->kept, most * sizeof(int32_t));
    out.truth = rb_arena_push(&x->kept, most * sizeof(int32_t));
    memset(d->counts, 0, sizeof d->counts);
    for (int n = 0; n < d->model.image.n; n++) {
        size_t mark = rb_arena_mark(&x->scratch);
        candidates c = push_candidates(d, x);
        match(d, x, n, x->dry ? NULL : &truth[n], &c);
        if (!x->dry) draw(d, pass, n, &truth[n], &c, &out);
        rb_arena_release(&x->scratch, mark);
    }
    return out;
}
