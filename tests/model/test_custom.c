/* SLOW-TEST. Networks that nobody published: two to six streams, odd widths, other kernels and expansions,
 * one to four input channels, with and without neck. Reversible = stored to the bit, and every level of
 * kernels finds the same loss. */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "small_run.h"

/* Two steps in both modes and on every level; losses of levels differ by rounding alone (float32 over some
 * fifty layers with batch statistics of few values: 1e-3 is a hundred times more than was seen). */
static void agrees(const small_run_options *options) {
    small_run reversible, stored, level;
    small_run_options o = *options;
    small_run_open(&reversible, &o);
    small_run_steps(&reversible, 2);
    o.stored = true;
    small_run_open(&stored, &o);
    small_run_steps(&stored, 2);
    small_run_assert_equal(&reversible, &stored);
    o.stored = false;
    for (int l = RB_CPU_REF; l < (int)rb_cpu_detect(); l++) {
        o.level = (rb_cpu_level)l;
        small_run_open(&level, &o);
        small_run_steps(&level, 2);
        assert_true(fabs(level.loss - reversible.loss) <= 1e-3);
        small_run_close(&level);
    }
    small_run_close(&reversible);
    small_run_close(&stored);
}

static void any_number_of_streams_and_channels(void **state) {
    (void)state;
    for (int streams = 2; streams <= RB_MAX_STREAMS; streams++) {
        small_run_options o = small_run_custom_options(small_run_custom(streams, 3));
        agrees(&o);
    }
}

static void without_neck_and_without_residual_blocks(void **state) {
    (void)state;
    revbifpn_model_config c = small_run_custom(3, 3);
    c.neck = 0;
    small_run_options o = small_run_custom_options(c);
    agrees(&o);
    c.blocks_per_level = 0;
    c.extension_levels = 0;
    o = small_run_custom_options(c);
    agrees(&o);
}

static void picture_comes_back(small_run *r, bool training) {
    float *floats = rb_alloc(rb_elements(r->image) * sizeof(float));
    float *back = rb_alloc(rb_elements(r->image) * sizeof(float));
    rb_rng rng = rb_rng_open(4, RB_PURPOSE_TEST, (uint64_t)r->image.c, 0);
    for (size_t i = 0; i < rb_elements(r->image); i++)
        floats[i] = (float)((int)rb_rng_below(&rng, 1 << 20) - (1 << 19)) * 0x1p-18f; /* on the grid */
    rb_images images = {.shape = r->image, .floats = floats};
    rb_pass pass = {.exec = &r->step.exec, .err = &r->err, .training = training, .k = RB_GRID_START};
    CHECK_OK(rb_model_forward(&r->model, &pass, &images, NULL, NULL), &r->err);
    CHECK_OK(rb_model_inverse(&r->model, &pass, back), &r->err);
    assert_memory_equal(back, floats, rb_elements(r->image) * sizeof(float));
    rb_free(floats);
    rb_free(back);
}

/* Other channel counts are repeated cyclically into the first stream, and come back from it. */
static void pictures_of_one_to_four_channels(void **state) {
    (void)state;
    for (int channels = 1; channels <= 4; channels++) {
        small_run r;
        revbifpn_model_config c = small_run_custom(3, channels);
        c.widths[0] = 16 * (channels + 1);
        small_run_options o = small_run_custom_options(c);
        small_run_open(&r, &o);
        picture_comes_back(&r, true);
        small_run_close(&r);
    }
}

/* A plan of inference knows no inverse: one must fit where the forward fitted, also after a head with a large
 * last map. */
static void picture_comes_back_in_the_memory_of_inference(void **state) {
    (void)state;
    small_run r;
    revbifpn_model_config c = small_run_custom(3, 3);
    c.fc_features = 1000;
    small_run_options o = small_run_custom_options(c);
    o.side *= 2;
    small_run_open(&r, &o);
    rb_exec_close(&r.step.exec);
    rb_step_bytes bytes = rb_model_measure(&r.model, &r.ops, r.pool, r.image, false, false);
    CHECK_OK(rb_exec_open(&r.step.exec, &r.ops, r.pool, &bytes, &r.err), &r.err);
    picture_comes_back(&r, false);
    assert_int_equal(r.step.exec.scratch.high, bytes.scratch);
    small_run_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_streams_and_channels),
        cmocka_unit_test(without_neck_and_without_residual_blocks),
        cmocka_unit_test(pictures_of_one_to_four_channels),
        cmocka_unit_test(picture_comes_back_in_the_memory_of_inference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
