#include "detect/rows.h"

#include "ops/maps/maps.h"

static rb_pointwise product(const rb_rows *r) {
    rb_source src = {
        .shape = {1, 1, r->count, r->inputs}, .ld = r->inputs, .load = RB_LOAD_MAP, .data = r->src};
    return (rb_pointwise){.src = src, .oc = r->outputs, .wgt = r->wgt};
}

void rb_rows_forward(rb_exec *x, const rb_rows *r, float *dst) {
    rb_pointwise p = product(r);
    if (!r->count) return;
    rb_pointwise_forward(x, &p, dst, (rb_moments){0});
    rb_bias_relu(x, (size_t)r->count, r->outputs, r->bias, r->relu, dst);
}

void rb_rows_backward(rb_exec *x, const rb_rows *r, const float *dst, float *d_dst, float *d_wgt,
                      float *d_bias, float *d_src, bool accumulate) {
    rb_pointwise p = product(r);
    rb_gradient g = {.shape = {1, 1, r->count, r->outputs}, .d = d_dst, .ld = r->outputs};
    rb_sink sink = {.d = d_src, .ld = r->inputs, .accumulate = accumulate};
    if (!r->count) return;
    if (r->relu) rb_relu_backward(x, (size_t)r->count * (size_t)r->outputs, dst, d_dst);
    rb_channel_sums(x, (size_t)r->count, r->outputs, d_dst, d_bias);
    rb_pointwise_backward(x, &p, &g, d_wgt, &sink);
}
