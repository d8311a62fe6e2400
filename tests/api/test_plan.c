/* plan through the public header: the largest that fits fits, the next does not; the plan grows with the
 * question. */
#include "check.h"

#include "base/rng.h"

static revbifpn *context(void) {
    revbifpn *ctx;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    return ctx;
}

static uint64_t bytes_of(revbifpn *ctx, const revbifpn_model_config *c, int batch, const revbifpn_solve *s) {
    revbifpn_memory m;
    if (revbifpn_plan(ctx, c, c->image_width, c->image_height, batch, s->training, s->activations,
                      s->precision, &m))
        fail_msg("%s", revbifpn_message(ctx));
    return m.total_bytes;
}

/* The question one step further: false when there is none. */
static bool next_of(revbifpn *ctx, const revbifpn_solve *s, revbifpn_solution *a) {
    if (s->variable == REVBIFPN_SOLVE_BATCH) a->batch++;
    if (s->variable == REVBIFPN_SOLVE_IMGSZ) {
        a->model.image_width += 32;
        a->model.image_height += 32;
    }
    if (s->variable != REVBIFPN_SOLVE_MODEL) return true;
    char name[3] = {'s', (char)(a->model.name[1] + 1), 0};
    if (name[1] > '6') return false;
    assert_int_equal(revbifpn_config(ctx, name, &a->model), REVBIFPN_OK);
    if (s->keep_size) {
        a->model.image_width = s->model.image_width;
        a->model.image_height = s->model.image_height;
    }
    return true;
}

static void largest_fits_and_the_next_does_not(void **state) {
    (void)state;
    revbifpn *ctx = context();
    rb_rng rng = rb_rng_open(11, RB_PURPOSE_TEST, 0, 0);
    int answered = 0;
    for (int i = 0; i < 120; i++) {
        revbifpn_solve s = {.batch = 1 + (int)rb_rng_below(&rng, 20), .training = i % 3 != 0};
        revbifpn_solution a;
        char name[3] = {'s', (char)('0' + rb_rng_below(&rng, 7)), 0};
        assert_int_equal(revbifpn_config(ctx, name, &s.model), REVBIFPN_OK);
        s.variable = (revbifpn_solve_for)(i % 3);
        s.activations = i % 2 ? REVBIFPN_STORED : REVBIFPN_REVERSIBLE;
        s.precision = i % 4 < 2 ? REVBIFPN_FLOAT32 : REVBIFPN_BF16;
        s.keep_size = i % 5 == 0;
        s.max_memory = (uint64_t)(rb_rng_uniform(&rng) * 8e9);
        revbifpn_status status = revbifpn_plan_largest(ctx, &s, &a);
        if (status == REVBIFPN_DOES_NOT_FIT) continue;
        if (status) fail_msg("%s", revbifpn_message(ctx));
        answered++;
        assert_true(a.memory.total_bytes <= s.max_memory);
        assert_true(a.memory.total_bytes == bytes_of(ctx, &a.model, a.batch, &s));
        if (next_of(ctx, &s, &a)) assert_true(bytes_of(ctx, &a.model, a.batch, &s) > s.max_memory);
    }
    assert_true(answered > 60);
    revbifpn_close(&ctx);
}

static void too_small_a_limit_is_refused(void **state) {
    (void)state;
    revbifpn *ctx = context();
    revbifpn_solve s = {.batch = 2, .training = 1, .max_memory = 1000};
    revbifpn_solution a;
    assert_int_equal(revbifpn_config(ctx, "s0", &s.model), REVBIFPN_OK);
    for (int v = 0; v < 3; v++) {
        s.variable = (revbifpn_solve_for)v;
        assert_int_equal(revbifpn_plan_largest(ctx, &s, &a), REVBIFPN_DOES_NOT_FIT);
        assert_non_null(strstr(revbifpn_message(ctx), "1000"));
    }
    revbifpn_close(&ctx);
}

/* One picture of one cell cannot train: the search starts at the next size. */
static void smallest_training_size_is_known(void **state) {
    (void)state;
    revbifpn *ctx = context();
    revbifpn_solve s = {.batch = 1, .training = 1, .variable = REVBIFPN_SOLVE_IMGSZ, .max_memory = 1 << 30};
    revbifpn_solution a;
    assert_int_equal(revbifpn_config(ctx, "s0", &s.model), REVBIFPN_OK);
    assert_int_equal(revbifpn_plan_largest(ctx, &s, &a), REVBIFPN_OK);
    assert_true(a.model.image_width >= 64);
    revbifpn_close(&ctx);
}

static void more_of_anything_needs_more(void **state) {
    (void)state;
    revbifpn *ctx = context();
    revbifpn_solve s = {.training = 1};
    assert_int_equal(revbifpn_config(ctx, "s0", &s.model), REVBIFPN_OK);
    for (int training = 0; training < 2; training++) {
        s.training = training;
        for (int batch = 1; batch < 70; batch++)
            assert_true(bytes_of(ctx, &s.model, batch + 1, &s) > bytes_of(ctx, &s.model, batch, &s));
    }
    revbifpn_close(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_fits_and_the_next_does_not),
        cmocka_unit_test(too_small_a_limit_is_refused),
        cmocka_unit_test(smallest_training_size_is_known),
        cmocka_unit_test(more_of_anything_needs_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
