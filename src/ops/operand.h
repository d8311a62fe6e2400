/* Operands as the reference kernels read them: one value at a time, in double. And the two activations. */
#ifndef RB_OPS_OPERAND_H
#define RB_OPS_OPERAND_H

#include <math.h>
#include <string.h>

#include "ops/ops.h"

/* hardswish(u) = u·clamp(u + 3, 0, 6)/6 (Howard et al. 2019), its derivative, and hardsigmoid */
static inline double rb_hswish(double u) { return u * fmin(fmax(u + 3, 0), 6) / 6; }
static inline double rb_hswish_slope(double u) { return u <= -3 ? 0 : u >= 3 ? 1 : (2 * u + 3) / 6; }
static inline double rb_hsigmoid(double u) { return fmin(fmax(u + 3, 0), 6) / 6; }
static inline double rb_hsigmoid_slope(double u) { return u > -3 && u < 3 ? 1.0 / 6 : 0; }

static inline double rb_affine_at(rb_affine a, double z, int c) {
    return (double)a.scale[c] * z + (double)a.shift[c];
}

/* Value of a convolution's input at sample n, pixel (row·w + column) p, channel c. */
static inline double rb_source_at(const rb_source *s, int n, size_t p, int c) {
    size_t at = ((size_t)n * (size_t)s->shape.h * (size_t)s->shape.w + p) * (size_t)s->ld + (size_t)c;
    if (s->load == RB_LOAD_FIXED) return (double)((float)((const int32_t *)s->data)[at] * s->step);
    double raw = ((const float *)s->data)[at];
    if (s->load == RB_LOAD_MAP) return raw;
    double value = rb_hswish(rb_affine_at(s->affine, raw, c));
    return s->gate ? value * (double)s->gate[n * s->shape.c + c] : value;
}

/* The nearest bf16 number (a float32 without its lower 16 bits), ties to even; NaN stays NaN. */
static inline double rb_bf16(double value) {
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    if (isnan(single)) return (double)single;
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
    memcpy(&single, &bits, sizeof bits);
    return (double)single;
}

/* Gradient of the normalised value u. */
static inline double rb_gradient_u(const rb_gradient *g, int n, size_t p, int c) {
    size_t pixel = (size_t)n * (size_t)g->shape.h * (size_t)g->shape.w + p;
    double d = g->d ? (double)g->d[pixel * (size_t)g->ld + (size_t)c] : 0;
    if (!g->act) return g->sample ? d * (double)g->sample[n] : d;
    int at = n * g->shape.c + c;
    if (g->gate) d *= (double)g->gate[at];
    if (g->pool) d += (double)g->pool[at];
    return d *
           rb_hswish_slope(rb_affine_at(g->affine, (double)g->z[pixel * (size_t)g->shape.c + (size_t)c], c));
}

/* Gradient of the raw convolution output z. */
static inline double rb_gradient_z(const rb_gradient *g, int n, size_t p, int c) {
    size_t pixel = (size_t)n * (size_t)g->shape.h * (size_t)g->shape.w + p;
    if (!g->affine.scale) return (double)g->d[pixel * (size_t)g->ld + (size_t)c];
    double centred = (double)g->z[pixel * (size_t)g->shape.c + (size_t)c] - (double)g->mean[c];
    return (double)g->affine.scale[c] *
           (rb_gradient_u(g, n, p, c) - (double)g->mean_d[c] - centred * (double)g->slope[c]);
}

#endif
