/* The classifier's linear layer: a pointwise convolution over n pixels, and a bias. */
#include "ops/profile.h"

static rb_pointwise as_pointwise(const rb_linear *l) {
    rb_source src = {
        .shape = {l->n, 1, 1, l->features}, .ld = l->features, .load = RB_LOAD_MAP, .data = l->src};
    return (rb_pointwise){.src = src, .oc = l->classes, .wgt = l->wgt};
}

static void add_bias(const rb_linear *l, float *dst) {
    for (int n = 0; n < l->n; n++)
        for (int c = 0; c < l->classes; c++) dst[(size_t)n * (size_t)l->classes + (size_t)c] += l->bias[c];
}

static void add_bias_gradient(const rb_linear *l, const float *d_dst, float *d_bias) {
    for (int c = 0; c < l->classes; c++) {
        double sum = 0;
        for (int n = 0; n < l->n; n++) sum += (double)d_dst[(size_t)n * (size_t)l->classes + (size_t)c];
        d_bias[c] += (float)sum;
    }
}

void rb_linear_forward(rb_exec *x, const rb_linear *l, float *dst) {
    rb_pointwise p = as_pointwise(l);
    rb_pointwise_forward(x, &p, dst, (rb_moments){0});
    RB_RUN(x, RB_PROFILE_LINEAR_BIAS, 0, 8.0 * l->n * l->classes, add_bias(l, dst));
}

void rb_linear_backward(rb_exec *x, const rb_linear *l, const float *d_dst, float *d_src, float *d_wgt,
                        float *d_bias) {
    rb_pointwise p = as_pointwise(l);
    rb_gradient g = {.shape = {l->n, 1, 1, l->classes}, .d = d_dst, .ld = l->classes};
    rb_sink sink = {.d = d_src, .ld = l->features};
    rb_pointwise_backward(x, &p, &g, d_wgt, &sink);
    RB_RUN(x, RB_PROFILE_LINEAR_BIAS, 0, 4.0 * l->n * l->classes, add_bias_gradient(l, d_dst, d_bias));
}

static void scale_by(size_t count, const float *factor, float *data) {
    for (size_t i = 0; i < count; i++) data[i] *= factor[i];
}

void rb_scale_by(rb_exec *x, size_t count, const float *factor, float *data) {
    RB_RUN(x, RB_PROFILE_COPY, 0, 12.0 * (double)count, scale_by(count, factor, data));
}
