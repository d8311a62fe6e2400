/* Mixing and erasing of a batch before the network: what is done depends on epoch, batch and samples alone,
 * and stops when it should. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "train/prepare.h"

enum { BATCH = 4, SIDE = 32, CLASSES = 3, BYTES = BATCH * SIDE * SIDE * 3 };

static const int32_t labels[BATCH] = {0, 2, 1, 1};
static const uint32_t samples[BATCH] = {5, 9, 9, 2}, repetitions[BATCH] = {0, 0, 1, 0};
static uint8_t pictures[BYTES];

static rb_batch new_batch(uint64_t epoch, int index) {
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < BYTES; i++) pictures[i] = (uint8_t)rb_rng_u32(&rng);
    return (rb_batch){.epoch = epoch,
                      .index = index,
                      .count = BATCH,
                      .height = SIDE,
                      .width = SIDE,
                      .images = pictures,
                      .labels = labels,
                      .samples = samples,
                      .repetitions = repetitions};
}

static rb_prepare_options all_options(void) {
    rb_prepare_options o = {.mix = rb_mix_default(),
                            .erase = {.probability = 1, .mode = RB_ERASE_RAND, .count = 3},
                            .smoothing = 0.1,
                            .classes = CLASSES,
                            .batch = BATCH,
                            .seed = 7};
    o.mix.mixup = 0.5;
    o.mix.cutmix = 1;
    o.mix.mode = RB_MIX_ELEM;
    return o;
}

static void opened(rb_prepare *p, rb_prepare_options o) {
    rb_error err;
    *p = (rb_prepare){0};
    CHECK_OK(rb_prepare_open(p, &o, &err), &err);
}

/* A second run meets batch 3 of epoch 2 without having seen any other. */
static void the_same_after_a_resume(void **state) {
    (void)state;
    static uint8_t first[BYTES];
    float soft[BATCH * CLASSES];
    rb_prepare one, two;
    rb_images a = {0}, b = {0};
    opened(&one, all_options());
    opened(&two, all_options());
    for (int i = 0; i < 4; i++) {
        rb_batch batch = new_batch(2, i);
        rb_prepare_batch(&one, &batch, &a);
        if (i) assert_memory_not_equal(first, pictures, sizeof first);
        memcpy(first, pictures, sizeof first);
    }
    memcpy(soft, one.soft, sizeof soft);
    rb_batch batch = new_batch(2, 3);
    rb_prepare_batch(&two, &batch, &b);
    assert_memory_equal(first, pictures, sizeof first);
    assert_memory_equal(soft, two.soft, sizeof soft);
    assert_int_equal(a.patch_count, b.patch_count);
    assert_true(a.patch_count >= BATCH);
    for (int i = 0; i < a.patch_count; i++) {
        const rb_patch *p = &a.patches[i], *q = &b.patches[i];
        assert_true(p->image == q->image && p->x == q->x && p->y == q->y && p->w == q->w && p->h == q->h);
        assert_true(p->fill == RB_PATCH_COLOR && p->x + p->w <= SIDE && p->y + p->h <= SIDE && p->w > 0);
        assert_memory_equal(&p->values, &q->values, sizeof p->values);
        if (i) assert_true(p->image >= a.patches[i - 1].image);
    }
    /* the same sample twice, but for another time: other boxes */
    const rb_patch *second = NULL, *third = NULL;
    for (int i = a.patch_count - 1; i >= 0; i--) {
        if (a.patches[i].image == 1) second = &a.patches[i];
        if (a.patches[i].image == 2) third = &a.patches[i];
    }
    assert_true(second && third);
    assert_memory_not_equal(&second->values, &third->values, sizeof second->values);
    rb_prepare_close(&one);
    rb_prepare_close(&two);
}

static void mixing_ends_but_targets_stay_soft(void **state) {
    (void)state;
    static uint8_t before[BYTES];
    rb_prepare p;
    rb_images images = {0};
    rb_prepare_options o = all_options();
    o.mix_off_epoch = 3;
    opened(&p, o);
    rb_batch batch = new_batch(2, 0);
    memcpy(before, pictures, sizeof before);
    rb_prepare_batch(&p, &batch, &images);
    assert_memory_not_equal(before, pictures, sizeof before);
    for (uint64_t epoch = 3; epoch < 6; epoch++) {
        batch = new_batch(epoch, 0);
        rb_prepare_batch(&p, &batch, &images);
        assert_memory_equal(before, pictures, sizeof before);
        for (int i = 0; i < BATCH * CLASSES; i++) {
            double want = 0.1 / 3 + (labels[i / CLASSES] == i % CLASSES ? 0.9 : 0);
            assert_true(fabs((double)p.soft[i] - want) < 1e-7); /* one rounding to float32 */
        }
    }
    rb_prepare_close(&p);
}

static void half_a_batch_remains(void **state) {
    (void)state;
    rb_prepare p;
    rb_images images = {0};
    rb_prepare_options o = all_options();
    o.mix.mode = RB_MIX_HALF;
    opened(&p, o);
    rb_batch batch = new_batch(2, 0);
    rb_prepare_batch(&p, &batch, &images);
    assert_int_equal(images.shape.n, BATCH / 2);
    assert_true(images.patch_count > 0);
    for (int i = 0; i < images.patch_count; i++) assert_in_range(images.patches[i].image, 0, BATCH / 2 - 1);
    rb_prepare_close(&p);
}

static void nothing_asked_nothing_done(void **state) {
    (void)state;
    static uint8_t before[BYTES];
    rb_prepare p;
    rb_images images = {.patch_count = 9};
    rb_prepare_options o = all_options();
    o.mix = rb_mix_default();
    o.erase.probability = 0;
    opened(&p, o);
    rb_batch batch = new_batch(0, 0);
    memcpy(before, pictures, sizeof before);
    rb_prepare_batch(&p, &batch, &images);
    assert_memory_equal(before, pictures, sizeof before);
    assert_true(!p.soft && !images.patches && !images.patch_count);
    rb_prepare_close(&p);
}

/* Each allocation fails once: one line, nothing leaks. */
static void memory_runs_out(void **state) {
    (void)state;
    for (long n = 0; n < 3; n++) {
        rb_prepare p = {0};
        rb_error err;
        rb_prepare_options o = all_options();
        rb_alloc_fail_after(n);
        assert_int_equal(rb_prepare_open(&p, &o, &err), REVBIFPN_OUT_OF_MEMORY);
        rb_alloc_fail_after(-1);
        assert_non_null(strstr(err.text, "out of memory"));
        rb_prepare_close(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_after_a_resume),
        cmocka_unit_test(half_a_batch_remains),
        cmocka_unit_test(mixing_ends_but_targets_stay_soft),
        cmocka_unit_test(nothing_asked_nothing_done),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
