/* A detector's side of a bench: its network, objects that it makes up, its steps. */
#include <string.h>

#include "api/bench.h"
#include "base/rng.h"

enum { OBJECTS = 8 /* in a picture */ };

typedef struct rb_bench_objects {
    rb_truth *truth;  /* batch */
    rb_frame *frames; /* batch */
    rb_detections *found;
    float *boxes;    /* batch,OBJECTS,4 */
    int32_t *labels; /* batch,OBJECTS */
    rb_mask *masks;  /* batch,OBJECTS */
    rb_span *spans;  /* … each of one span: the columns that the box is wide, from top to bottom */
} rb_bench_objects;

/* Sides of a twentieth to a half of the picture's. */
static void make_object(rb_bench_objects *o, size_t i, rb_rng *rng, rb_shape image, int classes) {
    double w = image.w * (0.05 + 0.45 * rb_rng_uniform(rng)),
           h = image.h * (0.05 + 0.45 * rb_rng_uniform(rng));
    float *box = o->boxes + 4 * i;
    box[0] = (float)((image.w - w) * rb_rng_uniform(rng));
    box[1] = (float)((image.h - h) * rb_rng_uniform(rng));
    box[2] = box[0] + (float)w;
    box[3] = box[1] + (float)h;
    o->labels[i] = (int32_t)rb_rng_below(rng, (uint32_t)classes);
    uint32_t height = (uint32_t)image.h;
    o->spans[i] = (rb_span){(uint32_t)box[0] * height, ((uint32_t)box[2] + 1) * height};
    if (o->spans[i].end > (uint32_t)image.w * height) o->spans[i].end = (uint32_t)image.w * height;
    o->masks[i] = (rb_mask){height, (uint32_t)image.w, &o->spans[i], 1};
}

static revbifpn_status make_objects(rb_bench *b, int classes) {
    rb_bench_objects *o = b->objects = rb_alloc(sizeof *o);
    size_t n = (size_t)b->image.n, all = n * OBJECTS;
    rb_rng rng = rb_rng_open(0, RB_PURPOSE_TEST, 1, 0);
    if (o) {
        o->truth = rb_alloc(n * sizeof *o->truth);
        o->frames = rb_alloc(n * sizeof *o->frames);
        o->found = rb_alloc(n * sizeof *o->found);
        o->boxes = rb_alloc(all * 4 * sizeof *o->boxes);
        o->labels = rb_alloc(all * sizeof *o->labels);
        o->masks = rb_alloc(all * sizeof *o->masks);
        o->spans = rb_alloc(all * sizeof *o->spans);
    }
    if (!o || !o->truth || !o->frames || !o->found || !o->boxes || !o->labels || !o->masks || !o->spans)
        return rb_fail(&b->ctx->error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the objects");
    for (size_t i = 0; i < all; i++) make_object(o, i, &rng, b->image, classes);
    for (size_t i = 0; i < n; i++) {
        o->frames[i] = (rb_frame){b->image.w, b->image.h};
        o->truth[i] = (rb_truth){b->image.w,
                                 b->image.h,
                                 OBJECTS,
                                 o->boxes + 4 * OBJECTS * i,
                                 o->labels + OBJECTS * i,
                                 o->masks + OBJECTS * i};
    }
    return REVBIFPN_OK;
}

revbifpn_status rb_bench_open_detector(rb_bench *b) {
    revbifpn_status status;
    rb_error *err = &b->ctx->error;
    revbifpn_detector_config c;
    TRY(rb_api_take_detector(&c, b->options->detector, err));
    bool fixed = b->image.n < RB_NORM_BATCH;
    b->image.c = c.backbone.input_channels;
    TRY(rb_model_check_input(&c.backbone, b->image, b->options->training && !fixed, err));
    TRY(rb_detector_create(&b->detector, &c, err));
    if (fixed) rb_model_fix_norms(&b->detector.model);
    b->network = &b->detector.model;
    status = make_objects(b, c.classes);
fail:
    return status;
}

rb_step_bytes rb_bench_detector_bytes(rb_bench *b, rb_shape image) {
    return rb_detector_measure(&b->detector, &b->ctx->ops, b->ctx->pool, image, b->options->training,
                               b->options->activations == REVBIFPN_STORED);
}

typedef struct step_data {
    rb_bench *bench;
    const rb_images *images;
} step_data;

static revbifpn_status run_batch(void *user, rb_pass *pass, int batches, double *loss) {
    step_data *s = user;
    rb_detect_losses l;
    revbifpn_status status =
        rb_detector_train(&s->bench->detector, pass, s->images, s->bench->objects->truth, batches, &l);
    *loss = rb_detect_loss(&l);
    return status;
}

revbifpn_status rb_bench_detector_step(rb_bench *b, const rb_images *images) {
    rb_step_report report;
    step_data data = {b, images};
    rb_error *err = &b->ctx->error;
    if (!b->options->training) {
        rb_pass pass = {.exec = &b->step.exec, .err = err, .k = RB_GRID_START};
        return rb_detector_detect(&b->detector, &pass, images, b->objects->frames, b->objects->found);
    }
    revbifpn_status status = rb_step_add_body(&b->step, run_batch, &data, b->index++, 0, 1, &report, err);
    if (status == REVBIFPN_OK) rb_step_update(&b->step, 1e-4);
    return status;
}

void rb_bench_close_detector(rb_bench *b) {
    rb_bench_objects *o = b->objects;
    rb_detector_close(&b->detector);
    if (!o) return;
    rb_free(o->truth);
    rb_free(o->frames);
    rb_free(o->found);
    rb_free(o->boxes);
    rb_free(o->labels);
    rb_free(o->masks);
    rb_free(o->spans);
    rb_free(o);
    b->objects = NULL;
}
