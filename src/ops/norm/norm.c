/* Batch normalisation: the small per-channel steps, the same on every level.
 *
 * With M values a channel, z̄ their mean, v the biased variance, rstd = 1/√(v + eps):
 *   u = gamma·(z − z̄)·rstd + beta
 *   d_gamma = rstd·Σ d_u (z − z̄)      d_beta = Σ d_u
 *   d_z = gamma·rstd·(d_u − Σ d_u/M − (z − z̄)·rstd²·Σ d_u (z − z̄)/M) */
#include <math.h>

#include "ops/profile.h"

static double rstd_of(float var) { return 1.0 / sqrt((double)var + (double)RB_NORM_EPSILON); }

static void affine_of(int c, const float *mean, const float *var, const float *gamma, const float *beta,
                      rb_affine affine) {
    for (int i = 0; i < c; i++) {
        double scale = (double)gamma[i] * rstd_of(var[i]);
        affine.scale[i] = (float)scale;
        affine.shift[i] = (float)((double)beta[i] - (double)mean[i] * scale);
    }
}

static void sums_from_act(rb_shape shape, const double *act_sums, const float *gate, const float *pool,
                          double *sums) {
    size_t c = (size_t)shape.c;
    for (size_t i = 0; i < c; i++) {
        double sum = 0, sum_centred = 0;
        for (size_t n = 0; n < (size_t)shape.n; n++) {
            const double *a = act_sums + n * RB_ACT_SUMS * c + i;
            double g = gate ? (double)gate[n * c + i] : 1, q = pool ? (double)pool[n * c + i] : 0;
            sum += g * a[1 * c] + q * a[3 * c];
            sum_centred += g * a[2 * c] + q * a[4 * c];
        }
        sums[i] = sum;
        sums[c + i] = sum_centred;
    }
}

static void backward(rb_shape shape, const double *sums, const float *var, bool frozen, float *mean_d,
                     float *slope, float *d_gamma, float *d_beta) {
    double m = (double)rb_pixels(shape);
    for (int i = 0; i < shape.c; i++) {
        double rstd = rstd_of(var[i]);
        if (d_beta) d_beta[i] += (float)sums[i];
        if (d_gamma) d_gamma[i] += (float)(rstd * sums[shape.c + i]);
        mean_d[i] = frozen ? 0.0f : (float)(sums[i] / m);
        slope[i] = frozen ? 0.0f : (float)(rstd * rstd * sums[shape.c + i] / m);
    }
}

static void move(int c, size_t m, const float *mean, const float *var, float *running_mean,
                 float *running_var) {
    double unbias = m > 1 ? (double)m / (double)(m - 1) : 1;
    for (int i = 0; i < c; i++) {
        double old_mean = (double)running_mean[i], old_var = (double)running_var[i];
        running_mean[i] = (float)(old_mean + RB_NORM_MOMENTUM * ((double)mean[i] - old_mean));
        running_var[i] = (float)(old_var + RB_NORM_MOMENTUM * ((double)var[i] * unbias - old_var));
    }
}

void rb_norm_affine(rb_exec *x, int c, const float *mean, const float *var, const float *gamma,
                    const float *beta, rb_affine affine) {
    RB_RUN(x, RB_PROFILE_NORM_COEFFICIENTS, 0, 24.0 * c, affine_of(c, mean, var, gamma, beta, affine));
}

void rb_norm_sums_from_act(rb_exec *x, rb_shape shape, const double *act_sums, const float *gate,
                           const float *pool, double *sums) {
    double values = (double)shape.n * shape.c;
    RB_RUN(x, RB_PROFILE_NORM_COEFFICIENTS, 0, 16.0 * shape.c + (gate || pool ? 40 : 16) * values,
           sums_from_act(shape, act_sums, gate, pool, sums));
}

void rb_norm_backward(rb_exec *x, rb_shape shape, const double *sums, const float *var, bool frozen,
                      float *mean_d, float *slope, float *d_gamma, float *d_beta) {
    RB_RUN(x, RB_PROFILE_NORM_COEFFICIENTS, 0, 44.0 * shape.c,
           backward(shape, sums, var, frozen, mean_d, slope, d_gamma, d_beta));
}

void rb_norm_move(rb_exec *x, int c, size_t m, const float *mean, const float *var, float *running_mean,
                  float *running_var) {
    RB_RUN(x, RB_PROFILE_NORM_COEFFICIENTS, 0, 24.0 * c, move(c, m, mean, var, running_mean, running_var));
}
