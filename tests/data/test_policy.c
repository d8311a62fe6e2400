/* Strings of policies and colour jitter: what is refused and how it is said; draws: ranges, frequencies,
 * order. */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "data/policy.h"

static void refuses(const char *text, const char *part) {
    rb_policy p;
    rb_error err;
    assert_int_equal(rb_policy_parse(&p, text, &err), REVBIFPN_BAD_ARGUMENT);
    if (!strstr(err.text, part) || !strstr(err.text, "aa '") || strchr(err.text, '\n'))
        fail_msg("'%s' gives '%s' without '%s'", text, err.text, part);
}

static rb_policy parsed(const char *text) {
    rb_policy p;
    rb_error err;
    CHECK_OK(rb_policy_parse(&p, text, &err), &err);
    return p;
}

static void bad_strings(void **state) {
    (void)state;
    refuses("rnd-m9", "begins with none of rand, v0");
    refuses("v0x", "begins with none");
    refuses("RAND", "begins with none");
    refuses("augmix-m3", "begins with none");
    refuses("rand-", "section ''");
    refuses("rand-m9-", "section ''");
    refuses("rand-m", "section 'm': no number");
    refuses("rand-m9.5", "a whole magnitude");
    refuses("rand-m-9", "section 'm'");
    refuses("rand-m9x", "section 'm9x'");
    refuses("rand-m1e2", "section 'm1e2'");
    refuses("rand-m9-m8", "section 'm8': given twice");
    refuses("rand-n0", "1 … 16 operations");
    refuses("rand-n17", "1 … 16 operations");
    refuses("rand-n1.5", "1 … 16 operations");
    refuses("rand-mstd", "section 'mstd'");
    refuses("rand-mstd0.5.5", "section 'mstd0.5.5'");
    refuses("rand-mstd0.00000000000000000000000000000000000000001", "section 'mstd0");
    refuses("rand-mmax0", "1 … 1000");
    refuses("rand-p1.5", "a probability");
    refuses("rand-inc0", "inc1");
    refuses("rand-inc", "section 'inc'");
    refuses("rand-q3", "section 'q3': m, n, p");
    refuses("rand-thingamajigs3", "m, n, p");
    refuses("rand-w1", "w0");
    refuses("rand-w0-tweights", "given twice");
    refuses("rand-w0-inc1", "w0 has no weights for inc1");
    refuses("rand-n14-w0", "only 13 have a weight");
    refuses("rand-tweights2", "section 'tweights2'");
    refuses("original-m9", "only mstd");
    refuses("v0-mstd0.5-mstd0.5", "one section too many");
    refuses("v0-mstd", "only mstd");
    refuses("v0-", "only mstd");
}

static void good_strings(void **state) {
    (void)state;
    rb_policy p = parsed("");
    assert_true(!p.layers && !p.pairs);
    p = parsed("rand-inc1-n3-p1-m12-mmax15-mstd200");
    assert_true(p.layers == 3 && p.probability == 1 && p.magnitude == 12 && p.largest == 15 &&
                isinf(p.deviation));
    assert_ptr_equal(p.choices, rb_rand_increasing);
    p = parsed("rand-w0-m5");
    assert_true(p.weights == rb_rand_w0 && p.choices == rb_rand_choices && p.largest == 10);
    p = parsed("v0r-mstd1.5");
    assert_true(p.deviation == 1.5 && p.pairs == rb_auto_policies[1].pairs && !p.layers);
}

/* RandAugment: every operation as often as every other, half of them happening, both signs and both filters.
 */
static void frequencies_of_rand_augment(void **state) {
    (void)state;
    enum { COUNT = 30000 };
    rb_policy p = parsed("rand-m9-mstd0.5");
    int kinds[RB_CHANGE_HUE + 1] = {0}, total = 0, left = 0, bilinear = 0, moves = 0;
    double degrees = 0, square = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        rb_rng rng = rb_rng_open(4, RB_PURPOSE_AUGMENT, 0, i);
        rb_change changes[RB_POLICY_LAYERS];
        int count = rb_policy_draw(&p, RB_INTERPOLATION_RANDOM, &rng, changes);
        assert_in_range(count, 0, 2);
        total += count;
        for (int k = 0; k < count; k++) {
            const rb_change *c = &changes[k];
            kinds[c->kind]++;
            if (c->kind == RB_CHANGE_ROTATE || c->kind >= RB_CHANGE_SHEAR_X)
                moves++, bilinear += c->sampling == RB_SAMPLING_BILINEAR;
            if (c->kind != RB_CHANGE_ROTATE) continue;
            left += c->argument > 0;
            degrees += fabs(c->argument);
            square += c->argument * c->argument;
            assert_true(fabs(c->argument) <= 30);
        }
    }
    int turns = kinds[RB_CHANGE_ROTATE];
    for (int k = 0; k < RB_CHANGE_HUE; k++)
        assert_in_range(kinds[k], 1826, 2174); /* 2000, four deviations of 43.5 */
    assert_int_equal(kinds[RB_CHANGE_HUE], 0);
    assert_in_range(total, 29510, 30490); /* 30000, four of 122 */
    assert_true(abs(2 * left - turns) < 4 * sqrt(turns) && abs(2 * bilinear - moves) < 4 * sqrt(moves));
    /* 3·N(9, ½) cut at 30: two deviations above the mean, so the cut takes 0.5·0.0085·3 = 0.013 off it */
    double mean = degrees / turns;
    assert_true(fabs(mean - 26.987) < 4 * 1.5 / sqrt(turns));
    assert_true(sqrt(square / turns - mean * mean) > 1.3 && sqrt(square / turns - mean * mean) < 1.55);
}

static void weights_are_drawn_without_repetition(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    rb_policy p = parsed("rand-m9-n3-p1-w0");
    int first_rotates = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        rb_rng rng = rb_rng_open(5, RB_PURPOSE_AUGMENT, 0, i);
        rb_change c[RB_POLICY_LAYERS];
        assert_int_equal(rb_policy_draw(&p, RB_INTERPOLATION_BICUBIC, &rng, c), 3);
        assert_true(c[0].kind != c[1].kind && c[0].kind != c[2].kind && c[1].kind != c[2].kind);
        for (int k = 0; k < 3; k++)
            assert_true(c[k].kind != RB_CHANGE_POSTERIZE && c[k].kind != RB_CHANGE_INVERT &&
                        c[k].sampling == RB_SAMPLING_BICUBIC);
        first_rotates += c[0].kind == RB_CHANGE_ROTATE;
    }
    assert_in_range(first_rotates, 5741, 6259); /* 0.3, four deviations of 65 */
    p = parsed("rand-n15-p1-tweights");         /* all of them, each once */
    for (uint64_t i = 0; i < 200; i++) {
        rb_rng rng = rb_rng_open(6, RB_PURPOSE_AUGMENT, 0, i);
        rb_change c[RB_POLICY_LAYERS];
        unsigned seen = 0;
        assert_int_equal(rb_policy_draw(&p, RB_INTERPOLATION_BILINEAR, &rng, c), 15);
        for (int k = 0; k < 15; k++) seen |= 1u << c[k].kind;
        assert_int_equal(seen, 0x7FFF);
    }
}

static void pairs_of_auto_augment(void **state) {
    (void)state;
    enum { COUNT = 25000 };
    rb_policy p = parsed("original");
    int counts[3] = {0}, bits[9] = {0};
    for (uint64_t i = 0; i < COUNT; i++) {
        rb_rng rng = rb_rng_open(7, RB_PURPOSE_AUGMENT, 0, i);
        rb_change c[RB_POLICY_LAYERS];
        int count = rb_policy_draw(&p, RB_INTERPOLATION_RANDOM, &rng, c);
        counts[count]++;
        for (int k = 0; k < count; k++)
            if (c[k].kind == RB_CHANGE_POSTERIZE) bits[(int)c[k].argument]++;
    }
    double happens = 0; /* expected number of changes: the mean over pairs of the probabilities' sums */
    for (int i = 0; i < RB_POLICY_PAIRS; i++)
        happens += (p.pairs[i][0].probability + p.pairs[i][1].probability) / RB_POLICY_PAIRS;
    assert_true(fabs((counts[1] + 2.0 * counts[2]) / COUNT - happens) < 4 * 0.7 / sqrt(COUNT));
    assert_true(bits[7] > 300 && bits[6] > 500 && !bits[8] && !bits[5]); /* magnitudes 8; 7, 6 and 5 */
    rb_rng a = rb_rng_open(8, RB_PURPOSE_AUGMENT, 0, 0), before = a;
    rb_change none[RB_POLICY_LAYERS];
    p = parsed("");
    assert_int_equal(rb_policy_draw(&p, RB_INTERPOLATION_RANDOM, &a, none), 0);
    assert_memory_equal(&a, &before, sizeof a);
}

static void strings_of_jitter(void **state) {
    (void)state;
    static const char *const bad[] = {
        "x",   "0.4,",    "0.4,0.4", "0.4,0.4,0.4,0.6", "-0.1", "0.1,0.1,0.1,0.1,0.1",
        "nan", "0.4;0.4", ",",       "0.4,0.4,0.4,0.1,"};
    rb_jitter j;
    rb_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (rb_jitter_parse(&j, bad[i], &err) != REVBIFPN_BAD_ARGUMENT) fail_msg("'%s' is taken", bad[i]);
        assert_non_null(strstr(err.text, "color-jitter '"));
    }
    CHECK_OK(rb_jitter_parse(&j, "0.4", &err), &err);
    assert_true(j.amount[0] == 0.4 && j.amount[1] == 0.4 && j.amount[2] == 0.4 && j.amount[3] == 0);
    CHECK_OK(rb_jitter_parse(&j, "1,0,2.5,0.5", &err), &err);
    assert_true(j.amount[0] == 1 && j.amount[1] == 0 && j.amount[2] == 2.5 && j.amount[3] == 0.5);
    CHECK_OK(rb_jitter_parse(&j, "", &err), &err);
    assert_true(j.amount[0] == 0 && j.amount[2] == 0);
}

static void draws_of_jitter(void **state) {
    (void)state;
    enum { COUNT = 24000 };
    rb_jitter j = {{0.4, 0, 1.5, 0.1}};
    static const double low[] = {0.6, 0, -0.1}, high[] = {1.4, 2.5, 0.1};
    int orders[27] = {0}, kinds = 0;
    double mean[3] = {0};
    for (uint64_t i = 0; i < COUNT; i++) {
        rb_rng rng = rb_rng_open(9, RB_PURPOSE_AUGMENT, 0, i);
        rb_change c[RB_JITTERS];
        int order = 0;
        assert_int_equal(rb_jitter_draw(&j, &rng, c), 3);
        for (int k = 0; k < 3; k++) {
            int which = c[k].kind == RB_CHANGE_BRIGHTNESS ? 0 : c[k].kind == RB_CHANGE_COLOR ? 1 : 2;
            if (which == 2) assert_int_equal(c[k].kind, RB_CHANGE_HUE);
            assert_true(c[k].argument >= low[which] && c[k].argument < high[which]);
            mean[which] += c[k].argument / COUNT;
            order = order * 3 + which;
        }
        orders[order]++;
    }
    for (int i = 0; i < 27; i++) {
        kinds += orders[i] > 0;
        if (orders[i]) assert_in_range(orders[i], 3768, 4232); /* a sixth, four deviations of 58 */
    }
    assert_int_equal(kinds, 6);
    for (int k = 0; k < 3; k++)
        assert_true(fabs(mean[k] - (low[k] + high[k]) / 2) < 4 * (high[k] - low[k]) / sqrt(12.0 * COUNT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_strings),
        cmocka_unit_test(good_strings),
        cmocka_unit_test(frequencies_of_rand_augment),
        cmocka_unit_test(weights_are_drawn_without_repetition),
        cmocka_unit_test(pairs_of_auto_augment),
        cmocka_unit_test(strings_of_jitter),
        cmocka_unit_test(draws_of_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
