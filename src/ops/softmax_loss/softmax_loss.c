/* Cross entropy of the softmax with label smoothing (Szegedy et al. 2016), mean over the batch:
 *   target t_k = ε/K + (1 − ε)·[k = y];  loss = −Σ_k t_k log p_k;  d_logits = (p − t)/n
 * In double, one sample after the other: n × classes is small. */
#include <math.h>

#include "ops/profile.h"

static double softmax_loss(int n, int classes, const float *logits, const int32_t *labels, float smoothing,
                           float *d_logits) {
    double total = 0, off = (double)smoothing / classes, on = 1 - (double)smoothing;
    for (int i = 0; i < n; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        double largest = -INFINITY, sum = 0, sum_logits = 0;
        for (int k = 0; k < classes; k++) {
            if ((double)row[k] > largest) largest = (double)row[k];
            sum_logits += (double)row[k];
        }
        for (int k = 0; k < classes; k++) sum += exp((double)row[k] - largest);
        double log_sum = largest + log(sum);
        total += on * (log_sum - (double)row[labels[i]]) + off * (classes * log_sum - sum_logits);
        if (!d_logits) continue;
        for (int k = 0; k < classes; k++) {
            double target = off + (k == labels[i] ? on : 0);
            d_logits[(size_t)i * (size_t)classes + (size_t)k] =
                (float)((exp((double)row[k] - log_sum) - target) / n);
        }
    }
    return total / n;
}

void rb_softmax_loss(rb_exec *x, int n, int classes, const float *logits, const int32_t *labels,
                     float smoothing, double *loss, float *d_logits) {
    RB_RUN(x, RB_PROFILE_SOFTMAX_LOSS, 0, (d_logits ? 8.0 : 4.0) * n * classes,
           *loss = softmax_loss(n, classes, logits, labels, smoothing, d_logits));
}
