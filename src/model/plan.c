#include "model/plan.h"

#include <assert.h>

/* Networks without classes give maps; in a measurement their memory is the caller's. */
static void run_maps(rb_model *m, rb_pass *pass) {
    float *maps[RB_MAX_STREAMS] = {0};
    rb_model_maps(m, pass, maps);
    if (!pass->training) return;
    revbifpn_status status = rb_model_backward_maps(m, pass, maps);
    assert(status == REVBIFPN_OK);
    (void)status;
}

static rb_step_bytes measure(rb_model *m, rb_pass *pass, rb_shape image) {
    rb_exec *x = pass->exec;
    rb_images images = {.shape = image};
    bool backward = pass->training || pass->differentiate;
    revbifpn_status status = rb_model_forward(m, pass, &images, NULL, NULL);
    assert(status == REVBIFPN_OK); /* a dry run sees no value, so nothing can be wrong with one */
    if (!m->config.classes)
        run_maps(m, pass);
    else if (backward)
        status = rb_model_backward(m, pass);
    assert(status == REVBIFPN_OK);
    (void)status;
    rb_step_bytes bytes = {.kept = x->kept.high, .scratch = x->scratch.high};
    for (int i = 0; i < m->streams.count; i++)
        bytes.state += rb_size_align(rb_elements(m->streams.shape[i]) * sizeof(int32_t));
    bytes.kept -= bytes.state;
    if (backward) bytes.gradient = bytes.state;                         /* float32 beside int32 */
    if (bytes.gradient > bytes.scratch) bytes.gradient = bytes.scratch; /* frozen streams have none */
    bytes.scratch -= bytes.gradient;
    return bytes;
}

rb_step_bytes rb_model_measure(rb_model *m, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                               bool training, bool stored) {
    rb_exec x = {.ops = ops, .pool = pool, .scratch = rb_arena_dry(), .kept = rb_arena_dry(), .dry = true};
    rb_pass pass = {.exec = &x, .training = training, .stored = stored, .k = RB_GRID_START};
    return measure(m, &pass, image);
}

rb_step_bytes rb_model_measure_gradient(rb_model *m, const struct rb_ops *ops, rb_pool *pool,
                                        rb_shape image) {
    rb_exec x = {.ops = ops, .pool = pool, .scratch = rb_arena_dry(), .kept = rb_arena_dry(), .dry = true};
    rb_pass pass = {.exec = &x, .differentiate = true, .k = RB_GRID_START};
    return measure(m, &pass, image);
}

revbifpn_status rb_exec_open(rb_exec *x, const struct rb_ops *ops, rb_pool *pool, const rb_step_bytes *bytes,
                             rb_error *err) {
    revbifpn_status status;
    *x = (rb_exec){.ops = ops, .pool = pool};
    TRY(rb_arena_open(&x->kept, rb_size_add(bytes->state, bytes->kept), "the residual state and what is kept",
                      err));
    TRY(rb_arena_open(&x->scratch, rb_size_add(bytes->gradient, bytes->scratch), "scratch", err));
    return REVBIFPN_OK;
fail:
    rb_exec_close(x);
    return status;
}

void rb_exec_close(rb_exec *x) {
    rb_arena_close(&x->kept);
    rb_arena_close(&x->scratch);
}
