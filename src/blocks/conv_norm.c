#include "blocks/conv_norm.h"

#include <stdio.h>

static revbifpn_status add(rb_params *params, const char *prefix, const char *leaf, rb_param shape,
                           int *index, rb_error *err) {
    snprintf(shape.name, sizeof shape.name, "%s.%s", prefix, leaf);
    return rb_params_add(params, &shape, index, err);
}

revbifpn_status rb_conv_norm_create(rb_conv_norm *l, rb_params *params, const char *prefix, int oc,
                                    int ic_per_group, int kernel, rb_error *err) {
    revbifpn_status status;
    rb_param conv = {.ndim = 4, .shape = {oc, ic_per_group, kernel, kernel}, .init = RB_INIT_NORMAL_FAN_OUT};
    conv.fan = oc * kernel * kernel; /* not divided by groups: spec 2.3 */
    rb_param one = {.ndim = 1, .shape = {oc}, .init = RB_INIT_ONE}, zero = {.ndim = 1, .shape = {oc}};
    rb_param running_zero = zero, running_one = one, tracked = {.kind = RB_PARAM_COUNTER};
    running_zero.kind = running_one.kind = RB_PARAM_RUNNING;
    *l = (rb_conv_norm){.params = params, .c = oc};
    TRY(add(params, prefix, "conv.weight", conv, &l->wgt, err));
    TRY(add(params, prefix, "norm.weight", one, &l->gamma, err));
    TRY(add(params, prefix, "norm.bias", zero, &l->beta, err));
    TRY(add(params, prefix, "norm.running_mean", running_zero, &l->running_mean, err));
    TRY(add(params, prefix, "norm.running_var", running_one, &l->running_var, err));
    TRY(add(params, prefix, "norm.num_batches_tracked", tracked, &l->tracked, err));
    return REVBIFPN_OK;
fail:
    return status;
}

/* Whether this pass normalises by its own batch. */
static bool by_batch(const rb_conv_norm *l, const rb_pass *pass) { return pass->training && !l->fixed; }

rb_moments rb_conv_norm_keep(rb_conv_norm *l, rb_pass *pass, rb_shape shape) {
    if (l->fixed) return (rb_moments){0};
    l->mean = rb_arena_push(&pass->exec->kept, 2 * (size_t)l->c * sizeof(float));
    l->var = l->mean + l->c;
    l->values = rb_pixels(shape);
    return (rb_moments){l->mean, l->var};
}

const float *rb_conv_norm_mean(const rb_conv_norm *l, const rb_pass *pass) {
    return by_batch(l, pass) ? l->mean : rb_param_statistic(l->params, l->running_mean);
}

static const float *variance(const rb_conv_norm *l, const rb_pass *pass) {
    return by_batch(l, pass) ? l->var : rb_param_statistic(l->params, l->running_var);
}

static float *push(rb_pass *pass, int floats) {
    return rb_arena_push(&pass->exec->scratch, (size_t)floats * sizeof(float));
}

static void form_map(const rb_conv_norm *l, rb_exec *exec, const float *mean, const float *var,
                     rb_affine affine) {
    rb_norm_affine(exec, l->c, mean, var, rb_param_weight(l->params, l->gamma),
                   rb_param_weight(l->params, l->beta), affine);
}

static rb_affine prepared_map(const rb_conv_norm *l) {
    return (rb_affine){rb_param_map(l->params, l->running_mean), rb_param_map(l->params, l->running_var)};
}

void rb_conv_norm_prepare(const rb_conv_norm *l, rb_exec *exec) {
    form_map(l, exec, rb_param_statistic(l->params, l->running_mean),
             rb_param_statistic(l->params, l->running_var), prepared_map(l));
}

rb_affine rb_conv_norm_affine(const rb_conv_norm *l, rb_pass *pass) {
    if (!pass->training) return prepared_map(l);
    rb_affine affine = {.scale = push(pass, l->c)};
    affine.shift = push(pass, l->c);
    form_map(l, pass->exec, rb_conv_norm_mean(l, pass), variance(l, pass), affine);
    return affine;
}

void rb_conv_norm_backward(const rb_conv_norm *l, rb_pass *pass, const double *sums, rb_gradient *g) {
    float *mean_d = push(pass, l->c), *slope = push(pass, l->c);
    bool held = l->params->list[l->gamma].held;
    rb_norm_backward(pass->exec, g->shape, sums, variance(l, pass), !by_batch(l, pass), mean_d, slope,
                     held ? NULL : rb_param_gradient(l->params, l->gamma),
                     held ? NULL : rb_param_gradient(l->params, l->beta));
    g->mean_d = mean_d;
    g->slope = slope;
}

void rb_conv_norm_move(const rb_conv_norm *l, rb_exec *exec, int times) {
    if (l->fixed) return;
    for (int i = 0; i < times; i++)
        rb_norm_move(exec, l->c, l->values, l->mean, l->var, rb_param_statistic(l->params, l->running_mean),
                     rb_param_statistic(l->params, l->running_var));
    if (!exec->dry) l->params->counter[l->params->list[l->tracked].offset] += times;
}
