/* Exactness of whole training runs (SLOW-TEST): reversible = stored, any thread count, any rerun, to the bit;
 * the picture comes back from the pyramid; nothing more is kept for more depth; the plan is the run. */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "small_run.h"

enum { STEPS = 20 };

static void both_modes_agree(const small_run_options *options) {
    small_run reversible, stored;
    small_run_options o = *options;
    small_run_open(&reversible, &o);
    o.stored = true;
    small_run_open(&stored, &o);
    assert_true(reversible.bytes.kept + reversible.bytes.scratch < stored.bytes.kept + stored.bytes.scratch);
    small_run_steps(&reversible, STEPS);
    small_run_steps(&stored, STEPS);
    assert_true(isfinite(reversible.loss) && reversible.loss == stored.loss);
    small_run_assert_equal(&reversible, &stored);
    small_run_close(&reversible);
    small_run_close(&stored);
}

static void reversible_equals_stored_s0(void **state) {
    (void)state;
    small_run_options o = small_run_defaults("s0", 10);
    both_modes_agree(&o);
}

static void reversible_equals_stored_s3_with_stochastic_depth_and_dropout(void **state) {
    (void)state;
    small_run_options o = small_run_defaults("s3", 10);
    assert_true(o.config.drop > 0 && o.config.drop_path > 0);
    o.batch = 2;
    both_modes_agree(&o);
}

static small_run_options deep(int extension_levels) {
    small_run_options o = small_run_defaults("s0", 5);
    o.config.extension_levels = extension_levels;
    strcpy(o.config.name, "deep");
    o.config.drop_path = 0.2;
    return o;
}

static void reversible_equals_stored_with_eight_extension_levels(void **state) {
    (void)state;
    small_run_options o = deep(8);
    both_modes_agree(&o);
}

/* On every level: the emulation too. And bf16 is another arithmetic, not float32 under another name. */
static void reversible_equals_stored_in_bf16(void **state) {
    (void)state;
    small_run single, half;
    small_run_options o = deep(2);
    small_run_open(&single, &o);
    o.precision = REVBIFPN_BF16;
    for (int level = RB_CPU_REF + 1; level <= (int)rb_cpu_detect(); level++) {
        o.level = (rb_cpu_level)level;
        both_modes_agree(&o);
    }
    small_run_open(&half, &o);
    small_run_steps(&single, 1);
    small_run_steps(&half, 1);
    assert_true(half.loss != single.loss && fabs(half.loss - single.loss) < 0.05 * single.loss);
    small_run_close(&single);
    small_run_close(&half);
}

static void threads_and_reruns_do_not_change_a_bit(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 7, 2};
    small_run first, other;
    small_run_options o = deep(2);
    o.batch = 3;
    small_run_open(&first, &o);
    small_run_steps(&first, 6);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        o.threads = threads[i];
        small_run_open(&other, &o);
        small_run_steps(&other, 6);
        small_run_assert_equal(&first, &other);
        small_run_close(&other);
    }
    small_run_close(&first);
}

/* The kept bytes of deeper networks: no map more, only statistics and pooled means, counted here one by one.
 */
static size_t statistics_bytes(const rb_model *m, int batch) {
    size_t bytes = 0;
    for (int i = 0; i < m->block_count; i++) {
        const rb_mbconv *b = &m->blocks[i];
        const rb_conv_norm *layers[3] = {&b->expand, &b->depthwise, &b->project};
        for (int l = 0; l < 3; l++)
            if (layers[l]->c) bytes += rb_size_align(2 * (size_t)layers[l]->c * sizeof(float));
        if (b->squeeze) bytes += rb_size_align((size_t)batch * (size_t)b->mid * sizeof(float));
    }
    return bytes;
}

static void depth_keeps_only_statistics(void **state) {
    (void)state;
    size_t rest[3], maps[3];
    static const int levels[3] = {2, 8, 32};
    for (int i = 0; i < 3; i++) {
        small_run r;
        small_run_options o = deep(levels[i]);
        small_run_open(&r, &o);
        small_run_steps(&r, 1);
        assert_int_equal(r.step.exec.kept.high, r.bytes.state + r.bytes.kept);
        rest[i] = r.bytes.kept - statistics_bytes(&r.model, o.batch);
        maps[i] = r.bytes.state + r.bytes.gradient + r.bytes.scratch;
        small_run_close(&r);
    }
    assert_true(rest[0] == rest[1] && rest[1] == rest[2]);
    assert_true(maps[0] == maps[1] && maps[1] == maps[2]);
}

static void plan_is_the_run_and_nothing_is_allocated_after(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        small_run r;
        small_run_options o = small_run_defaults("s0", 10);
        o.stored = i % 2;
        o.precision = i < 2 ? REVBIFPN_FLOAT32 : REVBIFPN_BF16;
        small_run_open(&r, &o);
        small_run_steps(&r, 1);
        size_t allocations = rb_alloc_count();
        small_run_steps(&r, 2);
        assert_int_equal(rb_alloc_count(), allocations);
        assert_int_equal(r.step.exec.kept.high, r.bytes.state + r.bytes.kept);
        assert_int_equal(r.step.exec.scratch.high, r.bytes.gradient + r.bytes.scratch);
        small_run_close(&r);
    }
}

static void picture_comes_back_from_the_pyramid(void **state) {
    (void)state;
    static const int levels[2] = {2, 24};
    for (int i = 0; i < 4; i++) {
        small_run r;
        small_run_options o = deep(levels[i % 2]);
        o.side = 96;
        small_run_open(&r, &o);
        rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, (uint64_t)i, 0);
        for (size_t k = 0; k < rb_elements(r.image); k++) r.pictures[k] = (uint8_t)rb_rng_u32(&rng);
        float mean[3] = {0.5f, 0.5f, 0.5f}, std[3] = {0.25f, 0.25f, 0.25f};
        rb_images images = {.shape = r.image, .bytes = r.pictures, .mean = mean, .std = std};
        rb_pass pass = {.exec = &r.step.exec, .err = &r.err, .training = i < 2, .k = RB_GRID_START};
        CHECK_OK(rb_model_forward(&r.model, &pass, &images, NULL, NULL), &r.err);
        float *back = rb_alloc(rb_elements(r.image) * sizeof(float));
        CHECK_OK(rb_model_inverse(&r.model, &pass, back), &r.err);
        for (size_t k = 0; k < rb_elements(r.image); k++) {
            float value = ((float)r.pictures[k] - 255.0f * 0.5f) / (255.0f * 0.25f);
            assert_true(back[k] == (float)lrintf(ldexpf(value, RB_GRID_START)) * ldexpf(1, -RB_GRID_START));
        }
        rb_free(back);
        small_run_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reversible_equals_stored_s0),
        cmocka_unit_test(reversible_equals_stored_s3_with_stochastic_depth_and_dropout),
        cmocka_unit_test(reversible_equals_stored_with_eight_extension_levels),
        cmocka_unit_test(reversible_equals_stored_in_bf16),
        cmocka_unit_test(threads_and_reruns_do_not_change_a_bit),
        cmocka_unit_test(depth_keeps_only_statistics),
        cmocka_unit_test(plan_is_the_run_and_nothing_is_allocated_after),
        cmocka_unit_test(picture_comes_back_from_the_pyramid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
