/* Learning rates: the typed golden values (spec 14.3), timm's schedulers on a range of options, and the
 * noise. */
#include "check.h"

#include <math.h>

#include "train/schedule.h"
#include "vectors.h"

static revbifpn_train_config config_of(revbifpn_schedule kind, double lr, int epochs, int warmup) {
    revbifpn_train_config c = revbifpn_default_train();
    c.sched = kind;
    c.lr = lr;
    c.epochs = epochs;
    c.warmup_epochs = warmup;
    c.warmup_lr = 1e-6;
    return c;
}

typedef struct point {
    double t, rate, digit; /* the last digit given */
} point;

static void check_points(const revbifpn_train_config *c, const point *points, size_t count) {
    rb_schedule s = rb_schedule_of(c, 1);
    for (size_t i = 0; i < count; i++) {
        double rate = rb_schedule_rate(&s, points[i].t);
        if (!(fabs(rate - points[i].rate) <= 0.5001 * points[i].digit))
            fail_msg("t = %g: %.12g, wanted %.12g", points[i].t, rate, points[i].rate);
    }
}

static void golden_cosine(void **state) {
    (void)state;
    static const point points[] = {{0, 1e-6, 1e-12},       {1, 0.1000008, 1e-10}, {4, 0.4000002, 1e-10},
                                   {5, 0.499657391, 1e-9}, {150, 0.250005, 1e-9}, {299, 0.000023707, 1e-9},
                                   {300, 0.00001, 1e-12}};
    revbifpn_train_config c = config_of(REVBIFPN_COSINE, 0.5, 300, 5);
    c.min_lr = 1e-5;
    check_points(&c, points, sizeof points / sizeof *points);
    c.cooldown_epochs = 10;
    assert_int_equal(rb_schedule_epochs(&c), 310);
}

static void golden_step(void **state) {
    (void)state;
    static const point points[] = {
        {0, 1e-6, 1e-12},        {1, 0.016000667, 1e-9},   {2, 0.032000333, 1e-9},
        {3, 0.04656, 1e-12},     {4, 0.04656, 1e-12},      {5, 0.0451632, 1e-12},
        {10, 0.042494055, 1e-9}, {100, 0.013768364, 1e-9}, {449, 0.000161271, 1e-9}};
    revbifpn_train_config c = config_of(REVBIFPN_STEP, 0.048, 450, 3);
    c.decay_epochs = 2.4;
    c.decay_rate = 0.97;
    c.cooldown_epochs = 10;
    check_points(&c, points, sizeof points / sizeof *points);
    assert_int_equal(rb_schedule_epochs(&c), 450); /* no cooldown */
}

/* MMDetection's 1x: a tenth after 8 and after 11 epochs; 500 steps of warm-up from a thousandth. */
static void milestones_and_warm_up(void **state) {
    (void)state;
    static const point points[] = {
        {0, 0.02, 1e-12}, {7, 0.02, 1e-12}, {8, 0.002, 1e-12}, {10, 0.002, 1e-12}, {11, 0.0002, 1e-12}};
    revbifpn_train_config c = config_of(REVBIFPN_MILESTONES, 0.02, 12, 0);
    c.milestones = "8,11";
    c.warmup_steps = 500;
    check_points(&c, points, sizeof points / sizeof *points);
    rb_schedule s = rb_schedule_of(&c, 1);
    assert_true(fabs(rb_schedule_warmth(&s, 0) - 0.001) < 1e-15);
    assert_true(fabs(rb_schedule_warmth(&s, 250) - 0.5005) < 1e-15);
    assert_true(rb_schedule_warmth(&s, 499) < 1 && rb_schedule_warmth(&s, 500) == 1);
    c.sched_on_updates = 1;
    s = rb_schedule_of(&c, 10); /* by steps, ten an epoch */
    assert_true(rb_schedule_rate(&s, 79) == 0.02 && fabs(rb_schedule_rate(&s, 80) - 0.002) < 1e-15);
    double numbers[RB_MILESTONES];
    assert_int_equal(rb_milestones_parse("16,22.5,30", numbers), 3);
    assert_true(numbers[1] == 22.5);
    static const char *const wrong[] = {"", "8,", "8,8", "8,3", "0", "-1", "8;11", "a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(rb_milestones_parse(wrong[i], numbers), 0);
}

static revbifpn_train_config config_of_case(const json_t *one) {
    static const char *const names[] = {"", "cosine", "step", "poly", "constant"};
    const json_t *o = json_object_get(one, "options");
    revbifpn_train_config c = revbifpn_default_train();
    const char *name = json_string_value(json_object_get(o, "sched"));
    for (int i = 1; i < 5; i++)
        if (!strcmp(name, names[i])) c.sched = (revbifpn_schedule)i;
    assert_true(c.sched != REVBIFPN_RISE_FALL);
    c.epochs = (int)vectors_number(one, "epochs", 0);
    c.lr = vectors_number(one, "lr", 0);
    c.sched_on_updates = vectors_number(one, "steps", 0) > 0;
    c.warmup_epochs = (int)vectors_number(o, "warmup_epochs", 0);
    c.warmup_lr = vectors_number(o, "warmup_lr", 0);
    c.warmup_prefix = json_is_true(json_object_get(o, "warmup_prefix"));
    c.cooldown_epochs = (int)vectors_number(o, "cooldown_epochs", 0);
    c.min_lr = vectors_number(o, "min_lr", 0);
    c.decay_epochs = vectors_number(o, "decay_epochs", c.decay_epochs);
    c.decay_rate = vectors_number(o, "decay_rate", c.decay_rate);
    c.lr_k_decay = vectors_number(o, "k_decay", 1);
    c.lr_cycle_mul = vectors_number(o, "cycle_mul", 1);
    c.lr_cycle_decay = vectors_number(o, "cycle_decay", c.lr_cycle_decay);
    c.lr_cycle_limit = (int)vectors_number(o, "cycle_limit", 1);
    return c;
}

static void timm_schedules(void **state) {
    (void)state;
    json_t *root = vectors_open("optim_vectors.json"), *one;
    size_t i, cases = json_array_size(json_object_get(root, "schedules"));
    assert_int_equal(cases, 20);
    json_array_foreach(json_object_get(root, "schedules"), i, one) {
        revbifpn_train_config c = config_of_case(one);
        size_t count = json_array_size(json_object_get(one, "times"));
        double *times = vectors_numbers(one, "times", count), *rates = vectors_numbers(one, "rates", count);
        rb_schedule s = rb_schedule_of(&c, (int)vectors_number(one, "steps", 0));
        for (size_t k = 0; k < count; k++) {
            double rate = rb_schedule_rate(&s, times[k]);
            /* the file has 12 digits */
            if (!(fabs(rate - rates[k]) <= 1e-11 * fabs(rates[k]) + 1e-15))
                fail_msg("case %zu, t = %g: %.15g, timm has %.15g", i, times[k], rate, rates[k]);
        }
        assert_int_equal(rb_schedule_epochs(&c), (int)vectors_number(one, "total", 0));
        free(times);
        free(rates);
    }
    json_decref(root);
}

/* By steps whatever the arguments say: up to the rate at the end of the warm-up, down to 0. */
static void rise_and_fall(void **state) {
    (void)state;
    revbifpn_train_config c = config_of(REVBIFPN_RISE_FALL, 0.1, 4, 1);
    rb_schedule s = rb_schedule_of(&c, 10);
    assert_true(fabs(rb_schedule_rate(&s, 0) - 0.01) < 1e-15 && fabs(rb_schedule_rate(&s, 9) - 0.1) < 1e-15);
    assert_true(fabs(rb_schedule_rate(&s, 10) - 0.1) < 1e-15);
    assert_true(fabs(rb_schedule_rate(&s, 25) - 0.05) < 1e-15 && rb_schedule_rate(&s, 39) < 3e-4);
    assert_int_equal(rb_schedule_epochs(&c), 4);
}

/* Only inside its range, below its limit, the same for the same seed and time, with the deviation of a normal
 * that is cut at ±0.67: 0.3689. */
static void noise(void **state) {
    (void)state;
    revbifpn_train_config c = config_of(REVBIFPN_CONSTANT, 1, 10000, 0);
    c.lr_noise_from = 0.2;
    c.lr_noise_to = 0.9;
    rb_schedule s = rb_schedule_of(&c, 1), again = rb_schedule_of(&c, 1);
    c.seed = 1;
    rb_schedule other = rb_schedule_of(&c, 1);
    double sum = 0, squares = 0;
    int differ = 0;
    for (int t = 0; t < 10000; t++) {
        double z = rb_schedule_rate(&s, t) - 1;
        if (t < 2000 || t >= 9000) {
            assert_true(z == 0);
            continue;
        }
        assert_true(z != 0 && fabs(z) < 0.67 && rb_schedule_rate(&again, t) - 1 == z);
        differ += rb_schedule_rate(&other, t) - 1 != z;
        sum += z;
        squares += z * z;
    }
    assert_int_equal(differ, 7000);
    assert_true(fabs(sum / 7000) < 5 * 0.3689 / sqrt(7000)); /* five standard errors */
    assert_true(fabs(sqrt(squares / 7000) - 0.3689) < 0.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cosine),          cmocka_unit_test(golden_step),
        cmocka_unit_test(milestones_and_warm_up), cmocka_unit_test(timm_schedules),
        cmocka_unit_test(rise_and_fall),          cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
