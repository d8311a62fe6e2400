/* Losses of the logits, mean over the batch (spec 9). The target t of a label y with smoothing ε is
 * t_k = ε/K + (1 − ε)·[k = y] (Szegedy et al. 2016); soft targets come as they are.
 *   cross entropy  −Σ_k t_k log p_k,                              d = (Σt·p − t)/n
 *   binary         −Σ_k t_k log σ_k + (1 − t_k) log(1 − σ_k),     d = (σ − t)/n, both over K unless summed
 * In double, one sample after the other: n × classes is small. */
#include <math.h>

#include "ops/profile.h"

typedef struct target {
    double on, off; /* of a label */
    double share;   /* what gradients are divided by */
} target;

static const float *row_of(const rb_loss *l, const float *table, int i) {
    return table + (size_t)i * (size_t)l->classes;
}

static double log_sum_exp(const float *row, int classes) {
    double largest = -INFINITY, sum = 0;
    for (int k = 0; k < classes; k++)
        if ((double)row[k] > largest) largest = (double)row[k];
    for (int k = 0; k < classes; k++) sum += exp((double)row[k] - largest);
    return largest + log(sum);
}

/* `d` is the sample's row, or NULL. */
static double entropy_of_label(const rb_loss *l, const target *t, int i, float *d) {
    const float *row = row_of(l, l->logits, i);
    double log_sum = log_sum_exp(row, l->classes), sum_logits = 0;
    for (int k = 0; k < l->classes; k++) sum_logits += (double)row[k];
    for (int k = 0; d && k < l->classes; k++) {
        double wanted = t->off + (k == l->labels[i] ? t->on : 0);
        d[k] = (float)((exp((double)row[k] - log_sum) - wanted) / t->share);
    }
    return t->on * (log_sum - (double)row[l->labels[i]]) + t->off * (l->classes * log_sum - sum_logits);
}

static double entropy_of_soft(const rb_loss *l, const target *t, int i, float *d) {
    const float *row = row_of(l, l->logits, i), *soft = row_of(l, l->soft, i);
    double log_sum = log_sum_exp(row, l->classes), sum = 0, mass = 0;
    for (int k = 0; k < l->classes; k++) {
        sum += (double)soft[k] * (log_sum - (double)row[k]);
        mass += (double)soft[k];
    }
    for (int k = 0; d && k < l->classes; k++)
        d[k] = (float)((mass * exp((double)row[k] - log_sum) - (double)soft[k]) / t->share);
    return sum;
}

static double binary(const rb_loss *l, const target *t, int i, float *d) {
    const float *row = row_of(l, l->logits, i), *soft = l->soft ? row_of(l, l->soft, i) : NULL;
    double sum = 0;
    for (int k = 0; k < l->classes; k++) {
        double wanted = soft ? (double)soft[k] : t->off + (k == l->labels[i] ? t->on : 0);
        if (l->threshold > 0) wanted = wanted > l->threshold ? 1 : 0;
        double z = (double)row[k], small = exp(-fabs(z));
        sum += fmax(z, 0) - z * wanted + log1p(small);
        if (d) d[k] = (float)(((z < 0 ? small : 1) / (1 + small) - wanted) / t->share);
    }
    return l->sum_classes ? sum : sum / l->classes;
}

static double mean_loss(const rb_loss *l, float *d_logits) {
    target t = {.on = 1 - l->smoothing, .off = l->smoothing / l->classes};
    double total = 0;
    t.share = (double)l->n * (l->batches ? l->batches : 1);
    if (l->binary && !l->sum_classes) t.share *= l->classes;
    for (int i = 0; i < l->n; i++) {
        float *d = d_logits ? d_logits + (size_t)i * (size_t)l->classes : NULL;
        total += l->binary ? binary(l, &t, i, d)
                 : l->soft ? entropy_of_soft(l, &t, i, d)
                           : entropy_of_label(l, &t, i, d);
    }
    return total / l->n;
}

void rb_loss_run(rb_exec *x, const rb_loss *l, double *loss, float *d_logits) {
    RB_RUN(x, RB_PROFILE_LOSS, 0, (d_logits ? 8.0 : 4.0) * l->n * l->classes, *loss = mean_loss(l, d_logits));
}

void rb_softmax_loss(rb_exec *x, int n, int classes, const float *logits, const int32_t *labels,
                     double smoothing, double *loss, float *d_logits) {
    rb_loss l = {.n = n, .classes = classes, .logits = logits, .labels = labels, .smoothing = smoothing};
    rb_loss_run(x, &l, loss, d_logits);
}
