/* Inference (spec 13): proposals, their classes and boxes, suppression by class, masks. */
#include <string.h>

#include "base/rank.h"
#include "detect/box.h"
#include "detect/detector.h"

const float rb_proposal_overlap = 0.7f, rb_detection_overlap = 0.5f, rb_least_score = 0.05f;
enum { OVER_LEAST = 19 }; /* classes that one box can give more than 0.05 each */

/* Boxes and classes of one picture that are likely enough. */
typedef struct candidates {
    int count, most;
    float *boxes, *scores; /* most,4  most */
    int32_t *label;
    rb_rank *ranks, *spare;
    float *sorted; /* most,4: of a class, by falling score */
    uint8_t *keep;
} candidates;

static candidates push_candidates(const rb_detector *d, rb_exec *x) {
    int per_box = d->config.classes < OVER_LEAST ? d->config.classes : OVER_LEAST;
    candidates c = {.most = d->config.test_proposals * per_box};
    size_t most = (size_t)c.most;
    c.boxes = rb_arena_push(&x->scratch, most * 4 * sizeof(float));
    c.scores = rb_arena_push(&x->scratch, most * sizeof(float));
    c.label = rb_arena_push(&x->scratch, most * sizeof(int32_t));
    c.ranks = rb_arena_push(&x->scratch, most * sizeof(rb_rank));
    c.spare = rb_arena_push(&x->scratch, most * sizeof(rb_rank));
    c.sorted = rb_arena_push(&x->scratch, most * 4 * sizeof(float));
    c.keep = rb_arena_push(&x->scratch, most);
    return c;
}

/* The boxes of one class, suppressed among themselves, behind those of the classes before. */
static void take_class(const rb_detector *d, int class, int proposals, const float *from, const float *scores,
                       const float *codes, rb_frame frame, candidates *c) {
    size_t classes = (size_t)d->config.classes;
    int count = 0;
    for (int i = 0; i < proposals; i++) {
        float score = scores[(size_t)i * (classes + 1) + (size_t) class];
        if (score > rb_least_score) c->ranks[count++] = (rb_rank){(double)score, (uint32_t)i};
    }
    rb_rank_sort(c->ranks, (size_t)count, c->spare);
    for (int i = 0; i < count; i++) {
        size_t at = c->ranks[i].index;
        rb_box_decode(from + 4 * at, codes + (at * classes + (size_t) class) * 4, rb_deviation_roi,
                      (float)frame.width, (float)frame.height, c->sorted + 4 * (size_t)i);
    }
    rb_box_suppress(c->sorted, count, rb_detection_overlap, c->keep);
    for (int i = 0; i < count; i++) {
        if (!c->keep[i]) continue;
        memcpy(c->boxes + 4 * (size_t)c->count, c->sorted + 4 * (size_t)i, 4 * sizeof(float));
        c->scores[c->count] = (float)c->ranks[i].score;
        c->label[c->count++] = class;
    }
}

/* The best of all classes. */
static void take_best(candidates *c, rb_detections *found) {
    for (int i = 0; i < c->count; i++) c->ranks[i] = (rb_rank){(double)c->scores[i], (uint32_t)i};
    rb_rank_sort(c->ranks, (size_t)c->count, c->spare);
    found->count = c->count < RB_DETECTIONS ? c->count : RB_DETECTIONS;
    for (int i = 0; i < found->count; i++) {
        size_t at = c->ranks[i].index;
        memcpy(found->at[i].box, c->boxes + 4 * at, 4 * sizeof(float));
        found->at[i].score = c->scores[at];
        found->at[i].label = c->label[at];
    }
}

static void find_in_picture(rb_detector *d, rb_pass *pass, int image, rb_frame frame, rb_detections *found) {
    rb_exec *x = pass->exec;
    size_t mark = rb_arena_mark(&x->scratch), most = (size_t)d->config.test_proposals;
    size_t classes = (size_t)d->config.classes;
    int count = x->dry ? (int)most : d->proposal_count[image];
    const float *boxes = x->dry ? NULL : d->proposals + (size_t)image * most * 4;
    int32_t *images = rb_arena_push(&x->scratch, most * sizeof *images);
    float *scores = rb_arena_push(&x->scratch, most * (classes + 1) * sizeof(float));
    float *codes = rb_arena_push(&x->scratch, most * classes * 4 * sizeof(float));
    for (int i = 0; !x->dry && i < count; i++) images[i] = image;
    rb_box_head_judge(d, pass, count, boxes, images, scores, codes);
    candidates c = push_candidates(d, x);
    for (int k = 0; !x->dry && k < d->config.classes; k++)
        take_class(d, k, count, boxes, scores, codes, frame, &c);
    if (!x->dry) take_best(&c, found);
    rb_arena_release(&x->scratch, mark);
}

static void form_masks(rb_detector *d, rb_pass *pass, int image, rb_detections *found) {
    rb_exec *x = pass->exec;
    size_t pixels = RB_MASK_SIDE * RB_MASK_SIDE;
    float *masks = rb_arena_push(&x->kept, RB_DETECTIONS * pixels * sizeof(float));
    size_t mark = rb_arena_mark(&x->scratch);
    float *boxes = rb_arena_push(&x->scratch, RB_DETECTIONS * 4 * sizeof(float));
    int32_t *images = rb_arena_push(&x->scratch, RB_DETECTIONS * sizeof(int32_t));
    int32_t *labels = rb_arena_push(&x->scratch, RB_DETECTIONS * sizeof(int32_t));
    for (int i = 0; !x->dry && i < found->count; i++) {
        memcpy(boxes + 4 * (size_t)i, found->at[i].box, 4 * sizeof(float));
        images[i] = image;
        labels[i] = found->at[i].label;
    }
    rb_mask_head_form(d, pass, x->dry ? RB_DETECTIONS : found->count, boxes, images, labels, masks);
    if (!x->dry) found->masks = masks;
    rb_arena_release(&x->scratch, mark);
}

revbifpn_status rb_detector_detect(rb_detector *d, rb_pass *pass, const rb_images *images,
                                   const rb_frame *frames, rb_detections *found) {
    revbifpn_status status;
    TRY(rb_model_forward_on_a_grid(&d->model, pass, images));
    d->anchors = rb_anchors_of(images->shape.h, images->shape.w);
    rb_pyramid_forward(d, pass);
    rb_rpn_forward(d, pass);
    rb_rpn_propose(d, pass, frames);
    for (int n = 0; n < images->shape.n; n++) {
        rb_detections *of = pass->exec->dry ? NULL : &found[n];
        if (of) *of = (rb_detections){0};
        find_in_picture(d, pass, n, of ? frames[n] : (rb_frame){0}, of);
        if (d->config.masks) form_masks(d, pass, n, of);
    }
fail:
    return status;
}
