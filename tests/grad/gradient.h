/* What the gradient tests share: an executor for a level, random floats, and central differences in double.
 *
 * Every test writes its function once more, in double and in the plainest form, differentiates that
 * numerically, and compares with what the operators give; on every level, the reference first. */
#ifndef RB_TESTS_GRAD_GRADIENT_H
#define RB_TESTS_GRAD_GRADIENT_H

#include <math.h>

#include "base/rng.h"
#include "check.h"
#include "ops/ops.h"

/* Analytic gradients are floats formed from floats (statistics, affine, gate: some twenty roundings of 6e-8,
 * amplified by |u| up to about 4): 1e-5 of the value and of the gradient's root mean square. */
#define GRADIENT_TOLERANCE 1e-5
/* Steps of the central difference: its own error is step²·f'''/6 + 1e-16·|f|/step, both below 1e-8 here; and
 * so small that hardly a value crosses a corner of hardswish on the way. */
#define GRADIENT_STEP 1e-5

typedef struct setup {
    rb_exec x;
    rb_ops ops;
    rb_rng rng;
} setup;

static inline setup *setup_open(rb_cpu_level level, int number) {
    setup *s = calloc(1, sizeof *s);
    assert_non_null(s);
    rb_error err;
    rb_ops_fill(&s->ops, level);
    CHECK_OK(rb_pool_open(&s->x.pool, 2, &err), &err);
    CHECK_OK(rb_arena_open(&s->x.scratch, 64 << 20, "test", &err), &err);
    s->x.ops = &s->ops;
    s->rng = rb_rng_open(77, RB_PURPOSE_TEST, (uint64_t)number, 0);
    return s;
}
static inline void setup_close(setup *s) {
    rb_pool_close(&s->x.pool);
    rb_arena_close(&s->x.scratch);
    free(s);
}
#define FOR_LEVELS(level) for (rb_cpu_level level = RB_CPU_REF; level <= rb_cpu_detect(); level++)

/* From the arena: they live until setup_close. */
static inline float *new_floats(setup *s, size_t count) {
    float *p = rb_arena_push(&s->x.scratch, (count + 1) * sizeof *p);
    memset(p, 0, count * sizeof *p);
    return p;
}
static inline double *new_doubles(setup *s, size_t count) {
    double *p = rb_arena_push(&s->x.scratch, (count + 1) * sizeof *p);
    memset(p, 0, count * sizeof *p);
    return p;
}
static inline float *random_floats(setup *s, size_t count, double range) {
    float *p = new_floats(s, count);
    for (size_t i = 0; i < count; i++) p[i] = (float)(range * (2 * rb_rng_uniform(&s->rng) - 1));
    return p;
}

/* All inputs of a function, floats and the same values in double, which the differences move. */
enum { MAX_FIELDS = 8 };
typedef struct field {
    const char *name;
    size_t count;
    float *value, *gradient; /* gradient: what the operators say */
    double *moved;           /* what the function reads */
} field;
typedef struct function {
    field field[MAX_FIELDS];
    int fields;
    double (*loss)(const struct function *f);
    const void *context;
} function;

static inline field *add_field(setup *s, function *f, const char *name, size_t count, double range) {
    assert_true(f->fields < MAX_FIELDS);
    field *d = &f->field[f->fields++];
    *d = (field){name, count, random_floats(s, count, range), new_floats(s, count), new_doubles(s, count)};
    for (size_t i = 0; i < count; i++) d->moved[i] = (double)d->value[i];
    return d;
}

static inline double difference(const function *f, double *at) {
    double value = *at;
    *at = value + GRADIENT_STEP;
    double up = f->loss(f);
    *at = value - GRADIENT_STEP;
    double down = f->loss(f);
    *at = value;
    return (up - down) / (2 * GRADIENT_STEP);
}

static inline void check_field(const function *f, field *d, const char *what) {
    double square = 0;
    for (size_t i = 0; i < d->count; i++) square += (double)d->gradient[i] * (double)d->gradient[i];
    double rms = sqrt(square / (double)d->count);
    for (size_t i = 0; i < d->count; i++) {
        double want = difference(f, &d->moved[i]), got = (double)d->gradient[i];
        if (!(fabs(got - want) <= GRADIENT_TOLERANCE * (rms + fabs(want)) + 1e-7))
            fail_msg("%s: d_%s[%zu] = %.9g, central difference %.9g, rms %.3g", what, d->name, i, got, want,
                     rms);
    }
}
static inline void check_gradients(function *f, const char *what, rb_cpu_level level) {
    char text[128];
    snprintf(text, sizeof text, "%s, %s", what, rb_cpu_name(level));
    for (int i = 0; i < f->fields; i++) check_field(f, &f->field[i], text);
}

static inline double dot(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}
/* ⟨a, b⟩ = ⟨c, d⟩ to 1e-6 of Σ|a b|: each side's operands were rounded to float once (6e-8) or summed in
 * float runs. */
static inline void check_adjoint(const char *what, rb_cpu_level level, const float *a, const float *b,
                                 size_t count, const float *c, const float *d, size_t other) {
    double left = dot(a, b, count), right = dot(c, d, other), size = 0;
    for (size_t i = 0; i < count; i++) size += fabs((double)a[i] * (double)b[i]);
    if (!(fabs(left - right) <= 1e-6 * size))
        fail_msg("%s, %s: ⟨A x, y⟩ = %.12g, ⟨x, Aᵀ y⟩ = %.12g, Σ|…| %.3g", what, rb_cpu_name(level), left,
                 right, size);
}

#endif
