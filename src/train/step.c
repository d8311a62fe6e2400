#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

revbifpn_status rb_step_open(rb_step *s, const struct rb_ops *ops, rb_pool *pool, const rb_step_bytes *bytes,
                             const rb_optimizer_options *options, rb_error *err) {
    revbifpn_status status;
    s->k = RB_GRID_START;
    TRY(rb_optimizer_open(&s->optimizer, &s->model->params, options, err));
    status = rb_exec_open(&s->exec, ops, pool, bytes, err);
fail:
    return status;
}

void rb_step_close(rb_step *s) {
    rb_exec_close(&s->exec);
    rb_optimizer_close(&s->optimizer);
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

/* Between batches k falls by one when the largest state passed half of the watched range. */
static void lower_grid(rb_step *s, const rb_pass *pass, rb_step_report *report) {
    int before = s->k;
    s->k = pass->k;
    if (pass->largest > RB_STATE_LIMIT / 2 && s->k > RB_GRID_FLOOR) s->k--;
    report->lowered += before - s->k;
    if (before != s->k)
        snprintf(report->note, sizeof report->note, "the state reached %g: grid 2^-%d, before 2^-%d",
                 ldexp(pass->largest, -pass->k), s->k, before);
}

/* A batch of a classifier. */
typedef struct classified {
    rb_step *step;
    const rb_images *images;
    rb_targets targets;
} classified;

static revbifpn_status take_loss(const classified *c, int batches, double *loss, rb_error *err) {
    rb_model *m = c->step->model;
    rb_loss l = c->step->loss;
    l.n = c->images->shape.n;
    l.classes = m->config.classes;
    l.logits = m->logits;
    l.labels = c->targets.labels;
    l.soft = c->targets.soft;
    l.batches = batches;
    rb_exec_enter(&c->step->exec, (rb_operation){.part = RB_PART_LOSS});
    rb_loss_run(&c->step->exec, &l, loss, m->d_logits);
    if (isfinite(*loss)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_NOT_FINITE, "head.fc: the loss is not finite (%g)", *loss);
}

static revbifpn_status classify(void *user, rb_pass *pass, int batches, double *loss) {
    revbifpn_status status;
    classified *c = user;
    TRY(rb_model_forward_on_a_grid(c->step->model, pass, c->images));
    TRY(take_loss(c, batches, loss, pass->err));
    status = rb_model_backward(c->step->model, pass);
fail:
    return status;
}

revbifpn_status rb_step_add(rb_step *s, const rb_images *images, rb_targets targets, uint64_t index,
                            int batch, int batches, rb_step_report *report, rb_error *err) {
    classified c = {s, images, targets};
    return rb_step_add_body(s, classify, &c, index, batch, batches, report, err);
}

revbifpn_status rb_step_add_body(rb_step *s, rb_step_body *body, void *user, uint64_t index, int batch,
                                 int batches, rb_step_report *report, rb_error *err) {
    revbifpn_status status;
    double loss = 0;
    rb_params *p = &s->model->params;
    rb_pass pass = {.exec = &s->exec, .err = err, .training = true, .stored = s->stored, .k = s->k};
    pass.seed = s->seed;
    pass.step = index;
    if (!batch) *report = (rb_step_report){0};
    rb_exec_enter(&s->exec, (rb_operation){.part = RB_PART_OPTIMIZER});
    if (!batch) rb_zero(&s->exec, p->gradient, p->trained * sizeof(float));
    TRY(body(user, &pass, batches, &loss));
    rb_exec_enter(&s->exec, (rb_operation){.part = RB_PART_OPTIMIZER});
    TRY(check_gradients(s, err));
    report->loss += loss / batches;
    rb_model_move_statistics(s->model, &s->exec, s->bn_update_double);
    lower_grid(s, &pass, report);
    return REVBIFPN_OK;
fail:
    return status;
}

void rb_step_update(rb_step *s, double lr) {
    rb_exec_enter(&s->exec, (rb_operation){.part = RB_PART_OPTIMIZER});
    rb_optimizer_step(&s->optimizer, &s->exec, lr);
}

revbifpn_status rb_step_run(rb_step *s, const rb_images *images, rb_targets targets, double lr,
                            uint64_t index, rb_step_report *report, rb_error *err) {
    revbifpn_status status;
    TRY(rb_step_add(s, images, targets, index, 0, 1, report, err));
    rb_step_update(s, lr);
    return REVBIFPN_OK;
fail:
    return status;
}
