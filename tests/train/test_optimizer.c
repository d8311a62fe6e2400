/* The optimizers on whole parameter lists: the typed golden values (spec 14.2), and steps of PyTorch's and
 * timm's optimizers and clipping on random tensors (scripts/golden/make_optim_vectors.py). */
#include "check.h"

#include <float.h>
#include <math.h>

#include "base/cpu.h"
#include "train/optimizer.h"
#include "vectors.h"

#define RB_REAL double
#define RB_FORM(name) name##_double
#include "ops/optim/formula.h"

/* ---- the formulas in double: all digits given */

typedef struct golden {
    revbifpn_optimizer rule;
    double momentum, beta1, beta2, epsilon;
    double p[3][2], digit[3];
} golden;

static const golden goldens[] = {
    {REVBIFPN_SGD,
     0.9,
     0,
     0,
     0,
     {{.9791, -1.9392}, {.93032971, -1.92859552}, {.979550013, -1.917632437}},
     {1e-9, 1e-9, 1e-9}},
    {REVBIFPN_MOMENTUM,
     0.9,
     0,
     0,
     0,
     {{.989, -1.968}, {.958111, -1.947232}, {.969352789, -1.931593568}},
     {1e-9, 1e-9, 1e-9}},
    {REVBIFPN_ADAMW,
     0,
     0.9,
     0.999,
     1e-8,
     {{.899000010, -1.898000003}, {.801582814, -1.856080148}, {.820160675, -1.833653223}},
     {1e-9, 1e-9, 1e-9}},
    {REVBIFPN_RMSPROPTF,
     0.9,
     0,
     0.9,
     1e-3,
     {{.988419192, -1.966477717}, {.954768926, -1.945174547}, {.969563525, -1.929555335}},
     {1e-9, 1e-9, 1e-9}},
    {REVBIFPN_LAMB,
     0,
     0.9,
     0.999,
     1e-6,
     {{.842667439, -1.841108637}, {.656654863, -1.761127289}, {.777410640, -1.617093641}},
     {1e-9, 1e-9, 1e-9}},
};
enum { GOLDENS = sizeof goldens / sizeof *goldens };
static const double golden_gradients[3][2] = {{.1, -.3}, {.2, .1}, {-.4, .05}};

typedef struct element {
    double p, a, b, u;
} element;

static void step_in_double(const factors_double *f, revbifpn_optimizer rule, element *e, double g) {
    switch (rule) {
    case REVBIFPN_SGD: nesterov_double(f, &e->p, g, &e->a); break;
    case REVBIFPN_MOMENTUM: momentum_double(f, &e->p, g, &e->a); break;
    case REVBIFPN_RMSPROPTF: rmsprop_double(f, &e->p, g, &e->a, &e->b); break;
    case REVBIFPN_ADAMW: adamw_double(f, &e->p, g, &e->a, &e->b); break;
    default: e->u = lamb_double(f, e->p, g, &e->a, &e->b);
    }
}

/* The gradients here have norms below 1, so lamb clips none. */
static void follow(const factors_double *f, element e[2]) {
    double trust = hypot(e[0].p, e[1].p) / hypot(e[0].u, e[1].u);
    for (int k = 0; k < 2; k++) e[k].p -= f->lr * trust * e[k].u;
}

static void golden_values_in_double(void **state) {
    (void)state;
    for (int i = 0; i < GOLDENS; i++) {
        const golden *q = &goldens[i];
        double v = q->rule == REVBIFPN_RMSPROPTF;
        element e[2] = {{1, v, 0, 0}, {-2, v, 0, 0}};
        for (int t = 0; t < 3; t++) {
            rb_update u = {.rule = q->rule, .lr = 0.1, .decay = 0.01, .momentum = q->momentum};
            u.beta1 = q->beta1, u.beta2 = q->beta2, u.epsilon = q->epsilon, u.step = (uint64_t)t + 1;
            factors_double f = factors_of_double(&u);
            for (int k = 0; k < 2; k++) step_in_double(&f, q->rule, &e[k], golden_gradients[t][k]);
            if (q->rule == REVBIFPN_LAMB) follow(&f, e);
            for (int k = 0; k < 2; k++)
                if (!(fabs(e[k].p - q->p[t][k]) <= 0.5001 * q->digit[t]))
                    fail_msg("rule %d step %d: %.12g, wanted %.9f", (int)q->rule, t + 1, e[k].p, q->p[t][k]);
        }
    }
}

/* ---- the optimizer, in float */

typedef struct setup {
    rb_params params;
    rb_optimizer optimizer;
    rb_pool *pool;
    rb_ops ops;
    rb_exec exec;
    rb_error err;
} setup;

static void open_setup(setup *s, const int shapes[][5], int count, const rb_optimizer_options *options,
                       rb_cpu_level level, int threads) {
    *s = (setup){0};
    rb_ops_fill(&s->ops, level);
    CHECK_OK(rb_pool_open(&s->pool, threads, &s->err), &s->err);
    for (int i = 0; i < count; i++) {
        rb_param p = {.kind = RB_PARAM_TRAINED, .ndim = shapes[i][0]};
        int index;
        snprintf(p.name, sizeof p.name, "tensor%d", i);
        for (int k = 0; k < p.ndim; k++) p.shape[k] = shapes[i][1 + k];
        CHECK_OK(rb_params_add(&s->params, &p, &index, &s->err), &s->err);
    }
    rb_param running = {.kind = RB_PARAM_RUNNING, .ndim = 1, .shape = {3}, .name = "running"};
    int index;
    CHECK_OK(rb_params_add(&s->params, &running, &index, &s->err), &s->err);
    rb_params_layout(&s->params);
    CHECK_OK(rb_params_allocate(&s->params, true, &s->err), &s->err);
    CHECK_OK(rb_optimizer_open(&s->optimizer, &s->params, options, &s->err), &s->err);
    s->exec = (rb_exec){.ops = &s->ops, .pool = s->pool};
}

static void close_setup(setup *s) {
    rb_optimizer_close(&s->optimizer);
    rb_params_close(&s->params);
    rb_pool_close(&s->pool);
}

/* Numbers of all tensors, one after the other, into a block, or out of it. */
static void scatter(const setup *s, const float *from, float *block) {
    for (int i = 0; i < s->params.count; i++) {
        const rb_param *p = &s->params.list[i];
        if (p->kind != RB_PARAM_TRAINED) continue;
        memcpy(block + p->offset, from, p->count * sizeof *from);
        from += p->count;
    }
}

static void check_block(const setup *s, const float *block, const double *wanted, double tolerance,
                        const char *what) {
    for (int i = 0; i < s->params.count; i++) {
        const rb_param *p = &s->params.list[i];
        if (p->kind != RB_PARAM_TRAINED) continue;
        for (size_t k = 0; k < p->count; k++, wanted++)
            if (!(fabs((double)block[p->offset + k] - *wanted) <= tolerance * (1 + fabs(*wanted))))
                fail_msg("%s: %s[%zu] = %.9g, wanted %.9g", what, p->name, k, (double)block[p->offset + k],
                         *wanted);
    }
}

static void golden_values_in_float(void **state) {
    (void)state;
    static const int shape[1][5] = {{2, 1, 2}};
    for (int i = 0; i < GOLDENS; i++) {
        const golden *q = &goldens[i];
        setup s;
        rb_optimizer_options options = {.rule = q->rule, .momentum = q->momentum, .decay = 0.01};
        options.beta1 = q->beta1, options.beta2 = q->beta2, options.epsilon = q->epsilon;
        open_setup(&s, shape, 1, &options, rb_cpu_detect(), 1);
        s.params.weight[0] = 1, s.params.weight[1] = -2;
        for (int t = 0; t < 3; t++) {
            for (int k = 0; k < 2; k++) s.params.gradient[k] = (float)golden_gradients[t][k];
            rb_optimizer_step(&s.optimizer, &s.exec, 0.1);
            /* a handful of roundings a step */
            check_block(&s, s.params.weight, q->p[t], 4 * FLT_EPSILON, "golden");
        }
        close_setup(&s);
    }
}

static const int shapes[5][5] = {{4, 3, 2, 3, 3}, {2, 5, 4}, {1, 7}, {2, 4, 7}, {1, 4}};
enum { TENSORS = 5, ELEMENTS = 54 + 20 + 7 + 28 + 4, STEPS = 6 };

static rb_optimizer_options options_named(const char *name) {
    static const char *const names[] = {"sgd", "momentum", "rmsproptf", "adamw", "lamb", "lambc"};
    rb_optimizer_options o = {.momentum = 0.9, .decay = 0.03, .beta1 = 0.9, .beta2 = 0.999};
    for (int i = 0; i < 6; i++)
        if (!strcmp(name, names[i])) o.rule = (revbifpn_optimizer)i;
    if (o.rule == REVBIFPN_MOMENTUM) o.momentum = 0.85;
    if (o.rule == REVBIFPN_RMSPROPTF) o.epsilon = 1e-3;
    if (o.rule == REVBIFPN_LAMBC) o.beta1 = 0.8, o.beta2 = 0.99;
    return o;
}

static void check_steps(const json_t *root, const json_t *one, rb_cpu_level level, int threads) {
    const char *name = json_string_value(json_object_get(one, "name"));
    rb_optimizer_options options = options_named(name);
    setup s;
    open_setup(&s, shapes, TENSORS, &options, level, threads);
    float *weights = vectors_floats(root, "weights", ELEMENTS);
    double *rates = vectors_numbers(root, "rates", STEPS);
    scatter(&s, weights, s.params.weight);
    for (int i = 0, seen = 0; i < STEPS; i++) {
        float *g =
            vectors_floats(json_array_get(json_object_get(root, "gradients"), (size_t)i), NULL, ELEMENTS);
        scatter(&s, g, s.params.gradient);
        rb_optimizer_step(&s.optimizer, &s.exec, rates[i]);
        free(g);
        if (i != 0 && i != 2 && i != 5) continue;
        const json_t *list = json_array_get(json_object_get(one, "weights"), (size_t)seen++);
        double *wanted = vectors_numbers(list, NULL, ELEMENTS);
        /* PyTorch in float64: what remains are our roundings to float, a handful for each step. Directions of
         * lamb and adamw are as large as 1 however small the gradient is, so their relative error counts. */
        check_block(&s, s.params.weight, wanted, (4 + 2 * i) * (double)FLT_EPSILON, name);
        free(wanted);
    }
    free(weights);
    free(rates);
    close_setup(&s);
}

static void torch_steps(void **state) {
    (void)state;
    json_t *root = vectors_open("optim_vectors.json"), *one;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "optimizers")), 6);
    json_array_foreach(json_object_get(root, "optimizers"), i, one) for (rb_cpu_level level = RB_CPU_REF;
                                                                         level <= rb_cpu_detect(); level++)
        check_steps(root, one, level, 1 + (int)level);
    json_decref(root);
}

/* Clipping with a rate of 0 leaves the clipped gradients where they were (sgd does not touch them). */
static void torch_clipping(void **state) {
    (void)state;
    static const char *const modes[] = {"norm", "value", "agc"};
    json_t *root = vectors_open("optim_vectors.json"), *one;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "clipping")), 4);
    json_array_foreach(json_object_get(root, "clipping"), i, one) {
        rb_optimizer_options options = {.clip = vectors_number(one, "limit", 0)};
        setup s;
        for (int k = 0; k < 3; k++)
            if (!strcmp(modes[k], json_string_value(json_object_get(one, "mode"))))
                options.clip_mode = (revbifpn_clip_mode)k;
        open_setup(&s, shapes, TENSORS, &options, rb_cpu_detect(), 2);
        float *weights = vectors_floats(root, "weights", ELEMENTS);
        float *g = vectors_floats(json_array_get(json_object_get(root, "gradients"), 0), NULL, ELEMENTS);
        double *wanted = vectors_numbers(one, "gradients", ELEMENTS);
        scatter(&s, weights, s.params.weight);
        scatter(&s, g, s.params.gradient);
        rb_optimizer_step(&s.optimizer, &s.exec, 0);
        check_block(&s, s.params.gradient, wanted, FLT_EPSILON, modes[options.clip_mode]);
        free(weights);
        free(g);
        free(wanted);
        close_setup(&s);
    }
    json_decref(root);
}

/* ---- groups, average, memory */

/* A group whose rate is scaled by ½ moves as if the rate were half; one of scale 0 stays. */
static void groups_have_their_own_rate(void **state) {
    (void)state;
    for (int rule = REVBIFPN_SGD; rule <= REVBIFPN_LAMBC; rule++) {
        rb_optimizer_options options = {.rule = (revbifpn_optimizer)rule, .momentum = 0.9, .decay = 0.03};
        options.beta1 = 0.9, options.beta2 = 0.999;
        setup s[2];
        json_t *root = vectors_open("optim_vectors.json");
        float *weights = vectors_floats(root, "weights", ELEMENTS);
        float *g = vectors_floats(json_array_get(json_object_get(root, "gradients"), 1), NULL, ELEMENTS);
        for (int k = 0; k < 2; k++) {
            open_setup(&s[k], shapes, TENSORS, &options, rb_cpu_detect(), 1);
            scatter(&s[k], weights, s[k].params.weight);
            scatter(&s[k], g, s[k].params.gradient);
        }
        s[0].optimizer.group[0].scale = 0.5;
        s[0].optimizer.group[1].scale = 0;
        rb_optimizer_step(&s[0].optimizer, &s[0].exec, 0.25);
        rb_optimizer_step(&s[1].optimizer, &s[1].exec, 0.125);
        const rb_params *p = &s[0].params;
        assert_memory_equal(p->weight, s[1].params.weight, p->decayed * sizeof(float));
        for (int k = 2; k < 5; k += 2) /* the tensors of one dimension */
            assert_memory_equal(p->weight + p->list[k].offset, weights + (k == 2 ? 74 : 109),
                                p->list[k].count * sizeof(float));
        assert_memory_not_equal(p->weight, s[1].params.gradient, p->decayed * sizeof(float));
        for (int k = 0; k < 2; k++) close_setup(&s[k]);
        free(weights);
        free(g);
        json_decref(root);
    }
}

static void the_average_follows(void **state) {
    (void)state;
    rb_optimizer_options options = {.average = true, .average_decay = 0.75};
    setup s;
    open_setup(&s, shapes, TENSORS, &options, rb_cpu_detect(), 2);
    for (size_t i = 0; i < s.params.trained; i++) s.params.weight[i] = 1, s.params.gradient[i] = -4;
    s.params.statistics[1] = 8;
    rb_optimizer_start(&s.optimizer);
    s.params.statistics[1] = 16;
    rb_optimizer_step(&s.optimizer, &s.exec, 1); /* weights become 5 */
    assert_true(s.optimizer.average[0] == 2 && s.optimizer.average_statistics[1] == 10);
    assert_true(s.params.weight[0] == 5);
    rb_optimizer_swap_average(&s.optimizer);
    assert_true(s.params.weight[0] == 2 && s.params.statistics[1] == 10 && !s.params.maps_current);
    rb_optimizer_swap_average(&s.optimizer);
    assert_true(s.params.weight[0] == 5 && s.params.statistics[1] == 16);
    close_setup(&s);
    /* the published warm-up: 0 after the first step, 1 − k^(−2/3) until it reaches the decay */
    assert_true(rb_average_decay(0.9998, true, 1) == 0 &&
                fabs(rb_average_decay(0.9998, true, 8) - 0.75) < 1e-12);
    assert_true(rb_average_decay(0.9998, true, 10000000) == 0.9998 && rb_average_decay(0.9, false, 1) == 0.9);
}

static void the_plan_is_what_is_taken(void **state) {
    (void)state;
    for (int i = 0; i < 2 * (REVBIFPN_LAMBC + 1); i++) {
        rb_optimizer_options options = {.rule = (revbifpn_optimizer)(i / 2), .average = i % 2};
        setup s;
        open_setup(&s, shapes, TENSORS, &options, rb_cpu_detect(), 1);
        size_t bytes = rb_optimizer_bytes(&s.params, options.rule, options.average);
        assert_int_equal(s.optimizer.state.high, bytes);
        assert_int_equal(s.optimizer.state.capacity, bytes);
        size_t slots = options.rule <= REVBIFPN_MOMENTUM ? 1 : 2;
        assert_int_equal(bytes, (slots + (size_t)(i % 2)) * s.params.trained * 4 + (i % 2 ? 64 : 0));
        size_t before = rb_alloc_count();
        rb_optimizer_step(&s.optimizer, &s.exec, 0.1);
        assert_int_equal(rb_alloc_count(), before);
        close_setup(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values_in_double),
        cmocka_unit_test(golden_values_in_float),
        cmocka_unit_test(torch_steps),
        cmocka_unit_test(torch_clipping),
        cmocka_unit_test(groups_have_their_own_rate),
        cmocka_unit_test(the_average_follows),
        cmocka_unit_test(the_plan_is_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
