/* The bytes of a step, found by running it dry: the same code, no kernel, arenas that only count (DESIGN 5).
 */
#ifndef RB_MODEL_PLAN_H
#define RB_MODEL_PLAN_H

#include "model/model.h"

typedef struct rb_step_bytes {
    size_t state;    /* the residual streams: the final pyramid */
    size_t kept;     /* statistics, pooled means, logits; in stored mode the activations */
    size_t gradient; /* of the streams (training only) */
    size_t scratch;  /* the rest of the scratch arena at its fullest */
} rb_step_bytes;

/* What one forward (and with `training` backward) of such a batch needs with these kernels and this many
 * threads. The arenas are then kept: state + kept, scratch: gradient + scratch. */
rb_step_bytes rb_model_measure(rb_model *model, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                               bool training, bool stored);
/* The same for an inference with pass->differentiate set and rb_model_input_gradient after it; needs classes.
 */
rb_step_bytes rb_model_measure_gradient(rb_model *model, const struct rb_ops *ops, rb_pool *pool,
                                        rb_shape image);
/* Opens the executor's arenas for that. */
revbifpn_status rb_exec_open(rb_exec *exec, const struct rb_ops *ops, rb_pool *pool,
                             const rb_step_bytes *bytes, rb_error *err) RB_CHECKED;
void rb_exec_close(rb_exec *exec);

#endif
