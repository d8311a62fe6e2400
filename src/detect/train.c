/* One training step of the detector: forward, losses, backward. */
#include <assert.h>
#include <math.h>

#include "detect/detector.h"

/* Room for the gradient of the feature pyramid, all zero. */
static void place_gradients(rb_detector *d, rb_pass *pass) {
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        size_t bytes = rb_elements(d->levels[l]) * sizeof(float);
        d->d_features[l] = rb_arena_push(&pass->exec->kept, bytes);
        rb_zero(pass->exec, d->d_features[l], bytes);
    }
}

const char *const rb_loss_names[RB_LOSS_PARTS] = {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox",
                                                  "loss_mask"};

double rb_detect_loss(const rb_detect_losses *l) {
    double sum = 0;
    for (int i = 0; i < RB_LOSS_PARTS; i++) sum += l->part[i];
    return sum;
}

static revbifpn_status check(const rb_detect_losses *l, rb_error *err) {
    for (int i = 0; i < RB_LOSS_PARTS; i++)
        if (!isfinite(l->part[i]))
            return rb_fail(err, REVBIFPN_NOT_FINITE, "%s is not finite (%g)", rb_loss_names[i], l->part[i]);
    return REVBIFPN_OK;
}

/* All after the backbone's forward pass. */
static revbifpn_status learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, const rb_frame *frames,
                             int batches, rb_detect_losses *losses) {
    revbifpn_status status;
    d->anchors = rb_anchors_of(d->model.image.h, d->model.image.w);
    rb_pyramid_forward(d, pass);
    rb_rpn_forward(d, pass);
    rb_rpn_propose(d, pass, frames);
    place_gradients(d, pass);
    rb_rpn_learn(d, pass, truth, batches, losses);
    rb_rois rois = rb_rois_draw(d, pass, truth);
    rb_box_head_learn(d, pass, truth, &rois, batches, losses);
    if (d->config.masks) rb_mask_head_learn(d, pass, truth, &rois, batches, losses);
    TRY(check(losses, pass->err));
    status = rb_pyramid_backward(d, pass);
fail:
    return status;
}

revbifpn_status rb_detector_train(rb_detector *d, rb_pass *pass, const rb_images *images,
                                  const rb_truth *truth, int batches, rb_detect_losses *losses) {
    revbifpn_status status;
    *losses = (rb_detect_losses){0};
    TRY(rb_model_forward_on_a_grid(&d->model, pass, images));
    rb_frame *frames = rb_arena_push(&pass->exec->kept, (size_t)images->shape.n * sizeof *frames);
    for (int n = 0; !pass->exec->dry && n < images->shape.n; n++)
        frames[n] = (rb_frame){truth[n].width, truth[n].height};
    status = learn(d, pass, truth, pass->exec->dry ? NULL : frames, batches, losses);
fail:
    return status;
}
