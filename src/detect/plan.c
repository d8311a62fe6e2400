/* The bytes of a detector's step, by running it dry. */
#include <assert.h>

#include "detect/detector.h"

rb_step_bytes rb_detector_measure(rb_detector *d, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                                  bool training, bool stored) {
    rb_exec x = {.ops = ops, .pool = pool, .scratch = rb_arena_dry(), .kept = rb_arena_dry(), .dry = true};
    rb_pass pass = {.exec = &x, .training = training, .stored = stored, .k = RB_GRID_START};
    rb_images images = {.shape = image};
    rb_detect_losses losses;
    revbifpn_status status = training ? rb_detector_train(d, &pass, &images, NULL, 1, &losses)
                                      : rb_detector_detect(d, &pass, &images, NULL, NULL);
    assert(status == REVBIFPN_OK); /* a dry run sees no value, so nothing can be wrong with one */
    (void)status;
    rb_step_bytes bytes = {.kept = x.kept.high, .scratch = x.scratch.high};
    for (int i = 0; i < d->model.streams.count; i++)
        bytes.state += rb_size_align(rb_elements(d->model.streams.shape[i]) * sizeof(int32_t));
    bytes.kept -= bytes.state;
    if (training) bytes.gradient = bytes.state;
    bytes.scratch -= bytes.gradient;
    return bytes;
}
