#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

revbifpn_status rb_step_open(rb_step *s, const struct rb_ops *ops, rb_pool *pool, const rb_step_bytes *bytes,
                             rb_error *err) {
    s->k = RB_GRID_START;
    s->momentum = rb_alloc(s->model->params.trained * sizeof(float));
    if (!s->momentum) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the optimizer");
    return rb_exec_open(&s->exec, ops, pool, bytes, err);
}

void rb_step_close(rb_step *s) {
    rb_exec_close(&s->exec);
    rb_free(s->momentum);
    s->momentum = NULL;
}

static revbifpn_status check_gradients(rb_step *s, rb_error *err) {
    const rb_params *p = &s->model->params;
    size_t at = rb_first_not_finite(&s->exec, p->gradient, p->trained);
    if (at == p->trained) return REVBIFPN_OK;
    for (int i = 0; i < p->count; i++) {
        const rb_param *t = &p->list[i];
        if (t->kind == RB_PARAM_TRAINED && at >= t->offset && at < t->offset + t->count)
            return rb_fail(err, REVBIFPN_NOT_FINITE, "the gradient of %s is not finite (%g at element %zu)",
                           t->name, (double)p->gradient[at], at - t->offset);
    }
    return rb_fail(err, REVBIFPN_NOT_FINITE, "a gradient is not finite");
}

static void update_weights(rb_step *s, double lr) {
    rb_params *p = &s->model->params;
    rb_sgd sgd = {.count = p->decayed,
                  .lr = (float)lr,
                  .momentum = (float)s->momentum_factor,
                  .decay = (float)s->weight_decay,
                  .p = p->weight,
                  .b = s->momentum,
                  .g = p->gradient};
    rb_sgd_step(&s->exec, &sgd);
    sgd.count = p->trained - p->decayed;
    sgd.decay = 0;
    sgd.p += p->decayed;
    sgd.b += p->decayed;
    sgd.g += p->decayed;
    rb_sgd_step(&s->exec, &sgd);
}

/* Between steps k falls by one when the largest state passed half of the watched range. */
static void lower_grid(rb_step *s, const rb_pass *pass, rb_step_report *report) {
    int before = s->k;
    s->k = pass->k;
    if (pass->largest > RB_STATE_LIMIT / 2 && s->k > RB_GRID_FLOOR) s->k--;
    report->lowered = before - s->k;
    if (report->lowered)
        snprintf(report->note, sizeof report->note, "the state reached %g: grid 2^-%d, before 2^-%d",
                 ldexp(pass->largest, -pass->k), s->k, before);
}

revbifpn_status rb_step_run(rb_step *s, const rb_images *images, const int32_t *labels, double lr,
                            uint64_t index, rb_step_report *report, rb_error *err) {
    revbifpn_status status;
    rb_model *m = s->model;
    rb_pass pass = {.exec = &s->exec, .err = err, .training = true, .stored = s->stored, .k = s->k};
    pass.seed = s->seed;
    pass.step = index;
    *report = (rb_step_report){0};
    rb_exec_enter(&s->exec, (rb_operation){.part = RB_PART_OPTIMIZER});
    rb_zero(&s->exec, m->params.gradient, m->params.trained * sizeof(float));
    TRY(rb_model_forward_on_a_grid(m, &pass, images));
    rb_exec_enter(&s->exec, (rb_operation){.part = RB_PART_LOSS});
    rb_softmax_loss(&s->exec, images->shape.n, m->config.classes, m->logits, labels, (float)s->smoothing,
                    &report->loss, m->d_logits);
    if (!isfinite(report->loss))
        return rb_fail(err, REVBIFPN_NOT_FINITE, "head.fc: the loss is not finite (%g)", report->loss);
    TRY(rb_model_backward(m, &pass));
    rb_exec_enter(&s->exec, (rb_operation){.part = RB_PART_OPTIMIZER});
    TRY(check_gradients(s, err));
    rb_model_move_statistics(m, &s->exec, s->bn_update_double);
    update_weights(s, lr);
    lower_grid(s, &pass, report);
    return REVBIFPN_OK;
fail:
    return status;
}
