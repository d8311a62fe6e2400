/* Batch norm with its statistics, hardswish and squeeze-excite: the whole chain that a convolution's backward
 * pass walks, against central differences. */
#include "gradient.h"

typedef struct chain {
    rb_shape s;
    bool act, excite, frozen;
    int r;
    const float *cotangent, *sample; /* n,h,w,c; n (without activation) */
    const float *run_mean, *run_var; /* frozen statistics */
} chain;

static double hswish(double u) { return u <= -3 ? 0 : u >= 3 ? u : u * (u + 3) / 6; }
static double hsigmoid(double u) { return u <= -3 ? 0 : u >= 3 ? 1 : (u + 3) / 6; }

/* Fields: z, gamma, beta, and with excitation w1, b1, w2, b2. */
static void normalise(const function *f, double *u) {
    const chain *k = f->context;
    const double *z = f->field[0].moved;
    size_t m = rb_pixels(k->s), c = (size_t)k->s.c;
    for (size_t i = 0; i < c; i++) {
        double mean = 0, var = 0;
        for (size_t p = 0; p < m; p++) mean += z[p * c + i] / (double)m;
        for (size_t p = 0; p < m; p++) var += (z[p * c + i] - mean) * (z[p * c + i] - mean) / (double)m;
        if (k->frozen) mean = (double)k->run_mean[i], var = (double)k->run_var[i];
        for (size_t p = 0; p < m; p++)
            u[p * c + i] =
                f->field[1].moved[i] * (z[p * c + i] - mean) / sqrt(var + (double)RB_NORM_EPSILON) +
                f->field[2].moved[i];
    }
}

static void gates(const function *f, const double *h, int n, double *gate) {
    const chain *k = f->context;
    const double *w1 = f->field[3].moved, *b1 = f->field[4].moved, *w2 = f->field[5].moved,
                 *b2 = f->field[6].moved;
    int c = k->s.c, pixels = k->s.h * k->s.w;
    double pooled[64] = {0}, hidden[64];
    for (int p = 0; p < pixels; p++)
        for (int i = 0; i < c; i++) pooled[i] += h[(n * pixels + p) * c + i] / pixels;
    for (int r = 0; r < k->r; r++) {
        double sum = b1[r];
        for (int i = 0; i < c; i++) sum += w1[r * c + i] * pooled[i];
        hidden[r] = hswish(sum);
    }
    for (int i = 0; i < c; i++) {
        double sum = b2[i];
        for (int r = 0; r < k->r; r++) sum += w2[i * k->r + r] * hidden[r];
        gate[i] = hsigmoid(sum);
    }
}

static double chain_loss(const function *f) {
    const chain *k = f->context;
    int c = k->s.c, pixels = k->s.h * k->s.w;
    double values[1024], gate[64], loss = 0;
    assert_true(rb_elements(k->s) <= 1024 && c <= 64);
    normalise(f, values);
    for (size_t i = 0; k->act && i < rb_elements(k->s); i++) values[i] = hswish(values[i]);
    for (int n = 0; n < k->s.n; n++) {
        for (int i = 0; i < c; i++) gate[i] = k->sample ? (double)k->sample[n] : 1;
        if (k->excite) gates(f, values, n, gate);
        for (int i = 0; i < pixels * c; i++)
            loss += (double)k->cotangent[n * pixels * c + i] * gate[i % c] * values[n * pixels * c + i];
    }
    return loss;
}

/* d_z of a formed gradient: the data gradient of a pointwise convolution with the unit matrix. */
static void formed_gradient(setup *s, const rb_gradient *g, float *d_z) {
    size_t c = (size_t)g->shape.c;
    float *unit = new_floats(s, c * c);
    for (size_t i = 0; i < c; i++) unit[i * c + i] = 1;
    rb_pointwise p = {.src = {.shape = g->shape, .ld = g->shape.c, .load = RB_LOAD_MAP, .data = g->z},
                      .oc = g->shape.c,
                      .wgt = unit};
    rb_sink sink = {.d = d_z, .ld = g->shape.c};
    rb_pointwise_backward(&s->x, &p, g, NULL, &sink);
}

/* Mean and variance of z, as the epilogue of a convolution gives them. */
static void statistics(setup *s, const chain *k, const float *z, float *mean, float *var) {
    size_t c = (size_t)k->s.c;
    if (k->frozen) {
        memcpy(mean, k->run_mean, c * sizeof *mean);
        memcpy(var, k->run_var, c * sizeof *var);
        return;
    }
    float *unit = new_floats(s, c * c), *copy = new_floats(s, rb_elements(k->s));
    for (size_t i = 0; i < c; i++) unit[i * c + i] = 1;
    rb_pointwise p = {
        .src = {.shape = k->s, .ld = k->s.c, .load = RB_LOAD_MAP, .data = z}, .oc = k->s.c, .wgt = unit};
    rb_pointwise_forward(&s->x, &p, copy, (rb_moments){mean, var});
}

/* The two sums of d_u, and what excitation adds to the gradient on its way. */
static void activation_sums(setup *s, const chain *k, function *f, rb_gradient *g, double *sums) {
    size_t c = (size_t)k->s.c, per_sample = (size_t)k->s.n * c;
    rb_act_sums act = {
        .sums = new_doubles(s, per_sample * RB_ACT_SUMS), .z = g->z, .mean = g->mean, .affine = g->affine};
    rb_act_sums_pass(&s->x, k->s, k->cotangent, act);
    if (k->excite) {
        field *d = f->field;
        rb_squeeze q = {.n = k->s.n,
                        .c = k->s.c,
                        .r = k->r,
                        .w1 = d[3].value,
                        .b1 = d[4].value,
                        .w2 = d[5].value,
                        .b2 = d[6].value};
        float *pooled = new_floats(s, per_sample), *gate = new_floats(s, per_sample),
              *pool = new_floats(s, per_sample);
        rb_squeeze_pool(&s->x, k->s, g->z, g->affine, pooled);
        rb_squeeze_gate(&s->x, &q, pooled, gate);
        rb_squeeze_backward(&s->x, &q, (size_t)(k->s.h * k->s.w), pooled, act.sums, pool, d[3].gradient,
                            d[4].gradient, d[5].gradient, d[6].gradient);
        g->gate = gate, g->pool = pool;
    }
    rb_norm_sums_from_act(&s->x, k->s, act.sums, g->gate, g->pool, sums);
}

static void chain_backward(setup *s, const chain *k, function *f) {
    field *z = &f->field[0], *gamma = &f->field[1], *beta = &f->field[2];
    size_t c = (size_t)k->s.c;
    float *mean = new_floats(s, c), *var = new_floats(s, c), *mean_d = new_floats(s, c),
          *slope = new_floats(s, c);
    rb_affine affine = {new_floats(s, c), new_floats(s, c)};
    statistics(s, k, z->value, mean, var);
    rb_norm_affine(&s->x, k->s.c, mean, var, gamma->value, beta->value, affine);
    rb_gradient g = {.shape = k->s,
                     .d = k->cotangent,
                     .ld = k->s.c,
                     .z = z->value,
                     .act = k->act,
                     .sample = k->sample,
                     .affine = affine,
                     .mean = mean,
                     .mean_d = mean_d,
                     .slope = slope};
    double *sums = new_doubles(s, 2 * c);
    if (k->act)
        activation_sums(s, k, f, &g, sums);
    else
        rb_norm_sums(&s->x, &g, sums);
    rb_norm_backward(&s->x, k->s, sums, var, k->frozen, mean_d, slope, gamma->gradient, beta->gradient);
    formed_gradient(s, &g, z->gradient);
}

static void run_chain(rb_cpu_level level, chain k, const char *what) {
    setup *s = setup_open(level, 10);
    size_t c = (size_t)k.s.c, r = (size_t)k.r;
    function f = {.loss = chain_loss, .context = &k};
    add_field(s, &f, "z", rb_elements(k.s), 3);
    add_field(s, &f, "gamma", c, 2);
    add_field(s, &f, "beta", c, 1);
    k.cotangent = random_floats(s, rb_elements(k.s), 1);
    if (!k.act) k.sample = random_floats(s, (size_t)k.s.n, 1);
    if (k.excite) {
        add_field(s, &f, "w1", r * c, 1);
        add_field(s, &f, "b1", r, 1);
        add_field(s, &f, "w2", r * c, 1);
        add_field(s, &f, "b2", c, 1);
    }
    if (k.frozen) {
        float *var = random_floats(s, c, 0.4);
        for (size_t i = 0; i < c; i++) var[i] += 1;
        k.run_var = var, k.run_mean = random_floats(s, c, 0.5);
    }
    chain_backward(s, &k, &f);
    check_gradients(&f, what, level);
    setup_close(s);
}

static void norm_alone(void **state) {
    (void)state;
    FOR_LEVELS(level) run_chain(level, (chain){.s = {3, 4, 3, 5}}, "norm, sample factor");
}
static void norm_alone_frozen(void **state) {
    (void)state;
    FOR_LEVELS(level)
    run_chain(level, (chain){.s = {2, 4, 3, 5}, .frozen = true}, "frozen norm, sample factor");
}
static void norm_and_activation(void **state) {
    (void)state;
    FOR_LEVELS(level) run_chain(level, (chain){.s = {2, 4, 5, 6}, .act = true}, "norm, hardswish");
}
static void norm_and_activation_frozen(void **state) {
    (void)state;
    FOR_LEVELS(level)
    run_chain(level, (chain){.s = {2, 3, 5, 6}, .act = true, .frozen = true}, "frozen norm, act");
}
static void norm_activation_excitation(void **state) {
    (void)state;
    FOR_LEVELS(level)
    run_chain(level, (chain){.s = {3, 4, 5, 6}, .act = true, .excite = true, .r = 3},
              "norm, hardswish, excitation");
}
static void two_values_a_channel(void **state) {
    (void)state;
    FOR_LEVELS(level)
    run_chain(level, (chain){.s = {2, 1, 1, 4}, .act = true, .excite = true, .r = 1}, "two values a channel");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_alone),
        cmocka_unit_test(norm_alone_frozen),
        cmocka_unit_test(norm_and_activation),
        cmocka_unit_test(norm_and_activation_frozen),
        cmocka_unit_test(norm_activation_excitation),
        cmocka_unit_test(two_values_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
