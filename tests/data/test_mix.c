/* Mixup, CutMix and erasing: what is drawn, how often, within which bounds; targets add up; options are
 * checked. That mixing itself equals timm's is in test_augment_vectors.c. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "data/erase.h"
#include "data/mix.h"

enum { BATCH = 6, WIDTH = 20, HEIGHT = 14, CLASSES = 5 };

static const int32_t labels[BATCH] = {0, 4, 2, 2, 1, 0};

static rb_mix both(rb_mix_mode mode) {
    rb_mix m = rb_mix_default();
    m.mixup = 0.8;
    m.cutmix = 1;
    m.mode = mode;
    return m;
}

/* λ of Beta(α, α): mean ½, variance 1/(4(2α + 1)); also for an α whose Gammas leave the doubles. */
static void shares_have_the_right_moments(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    static const double alphas[] = {1e-4, 0.2, 1, 3};
    for (int a = 0; a < 4; a++) {
        rb_mix m = rb_mix_default();
        m.mixup = alphas[a];
        double mean = 0, square = 0, variance = 1 / (4 * (2 * alphas[a] + 1));
        for (uint64_t i = 0; i < COUNT; i++) {
            rb_mixture mixtures[2];
            rb_mix_draw(&m, 2, HEIGHT, WIDTH, 1, 0, i, mixtures);
            double share = (double)mixtures[0].share;
            assert_true(share >= 0 && share <= 1 && !mixtures[0].cut);
            assert_memory_equal(&mixtures[0], &mixtures[1], sizeof *mixtures);
            mean += share / COUNT;
            square += (share - 0.5) * (share - 0.5) / COUNT;
        }
        assert_true(fabs(mean - 0.5) < 4 * sqrt(variance / COUNT));
        /* the fourth moment about the mean is at most variance/4: the bound of the deviation of `square` */
        assert_true(fabs(square - variance) < 4 * sqrt(variance / 4 / COUNT));
    }
}

static void modes_draw_for_batch_pair_or_element(void **state) {
    (void)state;
    int cuts = 0, unmixed = 0,
        alike = 0; /* equal boxes do come, but rarely: of 280 places and dozens of sizes */
    for (uint64_t i = 0; i < 2000; i++) {
        rb_mixture all[BATCH], pairs[BATCH], each[BATCH], again[BATCH];
        rb_mix m = both(RB_MIX_BATCH);
        m.probability = 0.75;
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, all);
        for (int k = 1; k < BATCH; k++) assert_memory_equal(&all[k], &all[0], sizeof *all);
        cuts += all[0].cut;
        unmixed += all[0].share == 1 && !all[0].cut;
        m = both(RB_MIX_PAIR);
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, pairs);
        for (int k = 0; k < BATCH; k++) assert_memory_equal(&pairs[k], &pairs[BATCH - 1 - k], sizeof *pairs);
        alike += !memcmp(&pairs[0], &pairs[1], sizeof *pairs);
        m.mode = RB_MIX_ELEM;
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, each);
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, again);
        assert_memory_equal(each, again, sizeof each);
        alike += !memcmp(&each[0], &each[BATCH - 1], sizeof *each);
    }
    assert_true(alike < 10);
    assert_in_range(cuts, 663, 837);    /* 0.375, four deviations of 21.7 */
    assert_in_range(unmixed, 422, 578); /* 0.25, four of 19.4 */
}

static void boxes_are_inside_and_give_the_share(void **state) {
    (void)state;
    rb_mix m = rb_mix_default();
    m.cutmix = 1;
    m.mode = RB_MIX_ELEM;
    for (int range = 0; range < 2; range++) {
        if (range) m.cut_min = 0.3, m.cut_max = 0.8;
        for (uint64_t i = 0; i < 1000; i++) {
            rb_mixture mixtures[BATCH];
            rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 3, 0, i, mixtures);
            for (int k = 0; k < BATCH; k++) {
                const rb_mixture *x = &mixtures[k];
                int w = x->box.x1 - x->box.x0, h = x->box.y1 - x->box.y0;
                assert_true(x->cut && x->box.x0 >= 0 && x->box.y0 >= 0 && x->box.x1 <= WIDTH &&
                            x->box.y1 <= HEIGHT);
                assert_true(x->share == (float)(1.0 - w * h / (double)(WIDTH * HEIGHT)));
                if (range) assert_true(w >= 6 && w < 16 && h >= 4 && h < 11);
            }
        }
    }
}

static void targets_add_up(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        rb_mix m = both((rb_mix_mode)(i % 3));
        rb_mixture mixtures[BATCH];
        float targets[BATCH * CLASSES];
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 4, 0, i, mixtures);
        rb_mix_targets(mixtures, BATCH, CLASSES, 0.1, labels, targets);
        for (int k = 0; k < BATCH; k++) {
            double sum = 0;
            for (int c = 0; c < CLASSES; c++) {
                float t = targets[k * CLASSES + c];
                bool mine = c == labels[k], other = c == labels[BATCH - 1 - k];
                double want =
                    0.02 + 0.9 * (mine * (double)mixtures[k].share + other * (1 - (double)mixtures[k].share));
                assert_true(fabs((double)t - want) < 2e-7); /* three roundings of numbers up to 1 */
                sum += (double)t;
            }
            assert_true(fabs(sum - 1) < 1e-6);
        }
    }
}

static void no_mixing_changes_nothing(void **state) {
    (void)state;
    static uint8_t images[BATCH * WIDTH * HEIGHT * 3], before[sizeof images];
    rb_rng rng = rb_rng_open(5, RB_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < sizeof images; i++) images[i] = before[i] = (uint8_t)rb_rng_u32(&rng);
    rb_mix m = both(RB_MIX_ELEM);
    m.probability = 0;
    rb_mixture mixtures[BATCH];
    float targets[BATCH * CLASSES];
    rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 5, 0, 0, mixtures);
    rb_mix_images(mixtures, BATCH, HEIGHT, WIDTH, images);
    assert_memory_equal(images, before, sizeof images);
    rb_mix_targets(mixtures, BATCH, CLASSES, 0, labels, targets);
    for (int i = 0; i < BATCH * CLASSES; i++)
        assert_true(targets[i] == (float)(labels[i / CLASSES] == i % CLASSES));
    m.probability = 1;
    rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 5, 0, 0, mixtures);
    rb_mix_images(mixtures, BATCH, HEIGHT, WIDTH, images);
    assert_memory_not_equal(images, before, sizeof images);
}

static void mix_refuses(rb_mix m, int batch, const char *part) {
    rb_error err;
    assert_int_equal(rb_mix_check(&m, batch, WIDTH, HEIGHT, &err), REVBIFPN_BAD_ARGUMENT);
    if (!strstr(err.text, part)) fail_msg("'%s' without '%s'", err.text, part);
}

static void options_are_checked(void **state) {
    (void)state;
    rb_error err;
    rb_mix m = rb_mix_default();
    assert_false(rb_mix_used(&m));
    CHECK_OK(rb_mix_check(&m, 5, WIDTH, HEIGHT, &err), &err); /* nothing is mixed, so 5 is fine */
    m = both(RB_MIX_BATCH);
    assert_true(rb_mix_used(&m));
    CHECK_OK(rb_mix_check(&m, 6, WIDTH, HEIGHT, &err), &err);
    mix_refuses(m, 5, "even batch");
    m.mixup = NAN;
    mix_refuses(m, 6, "mixup nan");
    m = both(RB_MIX_BATCH), m.cutmix = -1;
    mix_refuses(m, 6, "cutmix -1");
    m = both(RB_MIX_BATCH), m.switch_probability = 1.1;
    mix_refuses(m, 6, "mixup-switch-prob");
    m = both(RB_MIX_BATCH), m.cut_min = 0.5, m.cut_max = 0.5;
    mix_refuses(m, 6, "cutmix-minmax");
    m = both(RB_MIX_BATCH), m.cut_min = 0.5, m.cut_max = 0.51;
    mix_refuses(m, 6, "no box of such sides in 20 x 14");
    m = both(RB_MIX_BATCH), m.cut_min = 0, m.cut_max = 1;
    CHECK_OK(rb_mix_check(&m, 6, WIDTH, HEIGHT, &err), &err);
    assert_int_equal(rb_mix_mode_parse(&m.mode, "quarter", &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "mixup-mode 'quarter'"));
    rb_erase e = {.probability = 1, .count = 1};
    CHECK_OK(rb_erase_check(&e, &err), &err);
    CHECK_OK(rb_erase_mode_parse(&e.mode, "pixel", &err), &err);
    assert_int_equal(e.mode, RB_ERASE_PIXEL);
    assert_int_equal(rb_erase_mode_parse(&e.mode, "noise", &err), REVBIFPN_BAD_ARGUMENT);
    e.count = 0;
    assert_int_equal(rb_erase_check(&e, &err), REVBIFPN_BAD_ARGUMENT);
    e.count = 1, e.probability = -0.1;
    assert_int_equal(rb_erase_check(&e, &err), REVBIFPN_BAD_ARGUMENT);
}

static void erasing_draws_boxes(void **state) {
    (void)state;
    enum { COUNT = 10000, SIDE = 200 };
    rb_erase e = {.probability = 0.3, .mode = RB_ERASE_PIXEL, .count = 3};
    int erased = 0, boxes = 0;
    double area = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        rb_erasure list[RB_ERASE_BOXES], again[RB_ERASE_BOXES];
        int count = rb_erase_draw(&e, SIDE, SIDE, 1, 0, i, list);
        assert_int_equal(rb_erase_draw(&e, SIDE, SIDE, 1, 0, i, again), count);
        assert_in_range(count, 0, 3);
        erased += count > 0;
        boxes += count;
        for (int k = 0; k < count; k++) {
            const rb_erasure *b = &list[k];
            assert_memory_equal(b, &again[k], sizeof *b);
            assert_true(b->x >= 0 && b->y >= 0 && b->w > 0 && b->h > 0 && b->x + b->w <= SIDE &&
                        b->y + b->h <= SIDE);
            area += (double)b->w * b->h * (count == 1) / (SIDE * SIDE);
            if (k) assert_true(rb_rng_u32(&list[k].values) != rb_rng_u32(&list[k - 1].values));
        }
    }
    assert_in_range(erased, 2816, 3184); /* 0.3, four deviations of 46 */
    assert_true(fabs(boxes / (double)erased - 2) < 0.06);
    assert_true(area > 0.02 * erased / 3 && area < 1.0 / 3 * erased / 3);
    e.probability = 0;
    rb_erasure list[RB_ERASE_BOXES];
    for (uint64_t i = 0; i < 1000; i++) assert_int_equal(rb_erase_draw(&e, SIDE, SIDE, 1, 0, i, list), 0);
    e = (rb_erase){.probability = 1, .count = 1}; /* 1 × 1: no box of a pixel is smaller */
    assert_int_equal(rb_erase_draw(&e, 1, 1, 1, 0, 0, list), 0);
}

/* Half: the first half is drawn, mixed and labelled as `elem` does it; the second is left as it is. */
static void half_is_the_first_half_of_elem(void **state) {
    (void)state;
    enum { SIZE = HEIGHT * WIDTH * 3 };
    static uint8_t half[BATCH * SIZE], elem[BATCH * SIZE], before[BATCH * SIZE];
    int mixed = 0;
    for (uint64_t i = 0; i < 50; i++) {
        rb_mixture h[BATCH], e[BATCH];
        float th[BATCH * CLASSES], te[BATCH * CLASSES];
        rb_rng rng = rb_rng_open(8, RB_PURPOSE_TEST, i, 0);
        for (int k = 0; k < BATCH * SIZE; k++) before[k] = half[k] = elem[k] = (uint8_t)rb_rng_u32(&rng);
        rb_mix m = both(RB_MIX_HALF);
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, h);
        m.mode = RB_MIX_ELEM;
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, e);
        rb_mix_images(h, BATCH, HEIGHT, WIDTH, half);
        rb_mix_images(e, BATCH, HEIGHT, WIDTH, elem);
        rb_mix_targets(h, BATCH, CLASSES, 0.1, labels, th);
        rb_mix_targets(e, BATCH, CLASSES, 0.1, labels, te);
        assert_memory_equal(half, elem, sizeof half / 2);
        assert_memory_equal(half + sizeof half / 2, before + sizeof half / 2, sizeof half / 2);
        assert_memory_equal(th, te, sizeof th / 2);
        mixed += memcmp(half, before, sizeof half / 2) != 0;
    }
    assert_true(mixed > 40);
}

/* On values of 8 bits both do the same; and 16 bits stay within their range. */
static void words_are_mixed_as_bytes(void **state) {
    (void)state;
    enum { SIZE = BATCH * HEIGHT * WIDTH * 3 };
    static uint8_t bytes[SIZE];
    static uint16_t words[SIZE], large[SIZE], was[SIZE];
    for (uint64_t i = 0; i < 60; i++) {
        rb_mixture mixtures[BATCH];
        rb_rng rng = rb_rng_open(9, RB_PURPOSE_TEST, i, 0);
        for (int k = 0; k < SIZE; k++) {
            words[k] = bytes[k] = (uint8_t)rb_rng_u32(&rng);
            was[k] = large[k] = (uint16_t)(65535 - words[k]);
        }
        rb_mix m = both((rb_mix_mode)(i % 4));
        rb_mix_draw(&m, BATCH, HEIGHT, WIDTH, 2, 1, i, mixtures);
        rb_mix_images(mixtures, BATCH, HEIGHT, WIDTH, bytes);
        rb_mix_words(mixtures, BATCH, HEIGHT, WIDTH, 3, words);
        rb_mix_words(mixtures, BATCH, HEIGHT, WIDTH, 3, large);
        for (int k = 0; k < SIZE; k++) {
            const rb_mixture *x = &mixtures[k / (SIZE / BATCH)];
            int partner = (BATCH - 1 - k / (SIZE / BATCH)) * (SIZE / BATCH) + k % (SIZE / BATCH);
            double want = (double)x->share * was[k] + (double)x->rest * was[partner];
            assert_int_equal(words[k], bytes[k]);
            if (!x->cut && !(fabs(large[k] - want) <= 0.51)) fail_msg("%d, wanted %g", large[k], want);
            if (x->cut) assert_true(large[k] == was[k] || large[k] == was[partner]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_have_the_right_moments),
        cmocka_unit_test(modes_draw_for_batch_pair_or_element),
        cmocka_unit_test(boxes_are_inside_and_give_the_share),
        cmocka_unit_test(half_is_the_first_half_of_elem),
        cmocka_unit_test(words_are_mixed_as_bytes),
        cmocka_unit_test(targets_add_up),
        cmocka_unit_test(no_mixing_changes_nothing),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(erasing_draws_boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
