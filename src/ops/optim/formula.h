/* What a step of each optimizer does to one element (spec 10.2 to 10.5). A template: RB_REAL is the type of
 * the arithmetic and RB_FORM(name) the name of what is defined. The reference kernels take float, as the
 * network's state is; the tests take double as well, in which the golden values hold to all their digits.
 * Nothing is fused and the order is fixed: the vector kernels repeat it to the bit. */
#if !defined(RB_REAL) || !defined(RB_FORM)
#error "define RB_REAL and RB_FORM before including this"
#endif

#include <math.h>

#include "ops/ops.h"

/* The step's factors, worked out once. */
typedef struct RB_FORM(factors) {
    RB_REAL lr, decay, momentum, epsilon;
    RB_REAL keep1, take1, keep2, take2; /* β and 1 − β of both averages */
    RB_REAL unbias1, unbias2;           /* 1/(1 − β₁^t), 1/√(1 − β₂^t) */
    RB_REAL size, shrink;               /* lr·unbias1, 1 − lr·decay */
} RB_FORM(factors);

static inline RB_FORM(factors) RB_FORM(factors_of)(const rb_update *u) {
    double t = (double)u->step;
    double unbias1 = 1 / (1 - pow(u->beta1, t)), unbias2 = 1 / sqrt(1 - pow(u->beta2, t));
    return (RB_FORM(factors)){.lr = (RB_REAL)u->lr,
                              .decay = (RB_REAL)u->decay,
                              .momentum = (RB_REAL)u->momentum,
                              .epsilon = (RB_REAL)u->epsilon,
                              .keep1 = (RB_REAL)u->beta1,
                              .take1 = (RB_REAL)(1 - u->beta1),
                              .keep2 = (RB_REAL)u->beta2,
                              .take2 = (RB_REAL)(1 - u->beta2),
                              .unbias1 = (RB_REAL)unbias1,
                              .unbias2 = (RB_REAL)unbias2,
                              .size = (RB_REAL)(u->lr * unbias1),
                              .shrink = (RB_REAL)(1 - u->lr * u->decay)};
}

static inline RB_REAL RB_FORM(root)(RB_REAL x) {
    return (RB_REAL)(sizeof x == 4 ? sqrtf((float)x) : sqrt((double)x));
}

/* b ← μ·b + g + w·p;  p ← p − η·(g + w·p + μ·b)  (Sutskever et al. 2013, in PyTorch's form) */
static inline void RB_FORM(nesterov)(const RB_FORM(factors) * f, RB_REAL *p, RB_REAL g, RB_REAL *b) {
    g = g + f->decay * *p;
    *b = f->momentum * *b + g;
    *p = *p - f->lr * (g + f->momentum * *b);
}

/* b ← μ·b + g + w·p;  p ← p − η·b */
static inline void RB_FORM(momentum)(const RB_FORM(factors) * f, RB_REAL *p, RB_REAL g, RB_REAL *b) {
    g = g + f->decay * *p;
    *b = f->momentum * *b + g;
    *p = *p - f->lr * *b;
}

/* v ← v + (1 − α)(g² − v), from 1;  b ← μ·b + η·g/√(v + ε);  p ← p − b. Here α is β₂. */
static inline void RB_FORM(rmsprop)(const RB_FORM(factors) * f, RB_REAL *p, RB_REAL g, RB_REAL *v,
                                    RB_REAL *b) {
    g = g + f->decay * *p;
    *v = *v + f->take2 * (g * g - *v);
    *b = f->momentum * *b + f->lr * g / RB_FORM(root)(*v + f->epsilon);
    *p = *p - *b;
}

/* m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²  (Kingma and Ba 2015) */
static inline void RB_FORM(averages)(const RB_FORM(factors) * f, RB_REAL g, RB_REAL *m, RB_REAL *v) {
    *m = f->keep1 * *m + f->take1 * g;
    *v = f->keep2 * *v + f->take2 * (g * g);
}

/* p ← p·(1 − η·w) − η/(1 − β₁^t)·m/(√v/√(1 − β₂^t) + ε)  (Loshchilov and Hutter 2019) */
static inline void RB_FORM(adamw)(const RB_FORM(factors) * f, RB_REAL *p, RB_REAL g, RB_REAL *m, RB_REAL *v) {
    RB_FORM(averages)(f, g, m, v);
    *p = f->shrink * *p - f->size * *m / (RB_FORM(root)(*v) * f->unbias2 + f->epsilon);
}

/* The direction u = m/(1 − β₁^t)/(√v/√(1 − β₂^t) + ε) + w·p  (You et al. 2020) */
static inline RB_REAL RB_FORM(lamb)(const RB_FORM(factors) * f, RB_REAL p, RB_REAL g, RB_REAL *m,
                                    RB_REAL *v) {
    RB_FORM(averages)(f, g, m, v);
    return f->unbias1 * *m / (RB_FORM(root)(*v) * f->unbias2 + f->epsilon) + f->decay * p;
}
