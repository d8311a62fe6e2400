/* The adaptive grid (DESIGN 4): a net whose states grow past the range repeats its step on a coarser grid
 * with the same final bits in both modes, on any thread count and from any starting state; non-finite values
 * and an exhausted grid fail the step, say where, and move nothing. */
#include "check.h"

#include <math.h>

#include "small_run.h"

static small_run_options small(void) {
    small_run_options o = small_run_defaults("s0", 5);
    o.config.extension_levels = 1;
    strcpy(o.config.name, "grid");
    return o;
}

static int find(const small_run *r, const char *name) {
    int i = rb_params_find(&r->model.params, name);
    assert_true(i >= 0);
    return i;
}

/* Makes one coupling add large values: gamma of a last norm. */
static void amplify(small_run *r, float gamma) {
    int i = find(r, "rev_stack.3.f.xform_0_1.project_conv.norm.weight");
    float *weight = rb_param_weight(&r->model.params, i);
    for (size_t k = 0; k < r->model.params.list[i].count; k++) weight[k] = gamma;
    r->model.params.maps_current = false;
}

static void growing_states_lower_the_grid_with_the_same_bits(void **state) {
    (void)state;
    small_run first, other;
    small_run_options o = small();
    small_run_open(&first, &o);
    amplify(&first, 700); /* far past ±256, the range of 2^-22 */
    small_run_steps(&first, 3);
    assert_true(first.step.k < RB_GRID_START && first.lowered == RB_GRID_START - first.step.k);
    static const int threads[] = {2, 1, 3, 7};
    for (int i = 0; i < 4; i++) {
        o.stored = i == 0;
        o.threads = threads[i];
        small_run_open(&other, &o);
        amplify(&other, 700);
        small_run_steps(&other, 3);
        small_run_assert_equal(&first, &other);
        small_run_close(&other);
    }
    /* as a resumed run would: another executor goes on from the saved weights, momenta and k */
    small_run_open(&other, &o);
    memcpy(other.model.params.weight, first.model.params.weight, first.model.params.trained * sizeof(float));
    memcpy(other.model.params.statistics, first.model.params.statistics,
           first.model.params.running * sizeof(float));
    memcpy(other.model.params.counter, first.model.params.counter,
           first.model.params.counters * sizeof(int64_t));
    memcpy(other.step.optimizer.slot[0], first.step.optimizer.slot[0],
           first.model.params.trained * sizeof(float));
    other.step.optimizer.steps = first.step.optimizer.steps;
    other.step.k = first.step.k;
    other.done = first.done;
    small_run_steps(&first, 2);
    small_run_steps(&other, 2);
    small_run_assert_equal(&first, &other);
    small_run_close(&other);
    small_run_close(&first);
}

/* States between half of the range and the range: nothing is repeated, k falls after the step. */
static void half_of_the_range_lowers_the_grid_afterwards(void **state) {
    (void)state;
    small_run r;
    small_run_options o = small();
    small_run_open(&r, &o);
    amplify(&r, 35); /* largest about 35 · 5 standard deviations: between 128 and 256 */
    CHECK_OK(small_run_step(&r), &r.err);
    assert_int_equal(r.step.k, RB_GRID_START - 1);
    small_run_close(&r);
}

typedef struct snapshot {
    float *weight, *statistics, *momentum;
    int64_t counter;
    int k;
} snapshot;

static float *copy(const float *from, size_t count) {
    float *to = rb_alloc(count * sizeof *to);
    memcpy(to, from, count * sizeof *to);
    return to;
}

static snapshot take(const small_run *r) {
    const rb_params *p = &r->model.params;
    return (snapshot){copy(p->weight, p->trained), copy(p->statistics, p->running),
                      copy(r->step.optimizer.slot[0], p->trained), p->counter[0], r->step.k};
}

static void assert_nothing_moved(const small_run *r, snapshot *s) {
    const rb_params *p = &r->model.params;
    assert_memory_equal(p->weight, s->weight, p->trained * sizeof(float));
    assert_memory_equal(p->statistics, s->statistics, p->running * sizeof(float));
    assert_memory_equal(r->step.optimizer.slot[0], s->momentum, p->trained * sizeof(float));
    assert_int_equal(p->counter[0], s->counter);
    assert_int_equal(r->step.k, s->k);
    rb_free(s->weight);
    rb_free(s->statistics);
    rb_free(s->momentum);
}

static void fails_saying(small_run *r, const char *operation, const char *value) {
    snapshot before = take(r);
    assert_int_equal(small_run_step(r), REVBIFPN_NOT_FINITE);
    if (!strstr(r->err.text, operation) || !strstr(r->err.text, value))
        fail_msg("'%s' names neither '%s' nor '%s'", r->err.text, operation, value);
    assert_nothing_moved(r, &before);
}

static void failed_steps_name_the_place_and_move_nothing(void **state) {
    (void)state;
    small_run r;
    small_run_options o = small();
    small_run_open(&r, &o);
    small_run_steps(&r, 1);
    amplify(&r, 1e8f); /* out of range even at 2^-10 */
    fails_saying(&r, "rev_stack.3.f.xform_0_1", "stream 1");
    amplify(&r, NAN);
    fails_saying(&r, "rev_stack.3.f.xform_0_1", "nan");
    amplify(&r, INFINITY);
    fails_saying(&r, "rev_stack.3.f.xform_0_1", "stream 1");
    amplify(&r, 1);
    int fc = find(&r, "head.fc.bias");
    rb_param_weight(&r.model.params, fc)[0] = NAN;
    fails_saying(&r, "head.fc", "nan");
    rb_param_weight(&r.model.params, fc)[0] = 0;
    small_run_steps(&r, 1);
    small_run_close(&r);
}

/* Of the run's first pictures; the grid they needed in *k. */
static revbifpn_status infer(small_run *r, int count, int *k) {
    static const float mean[3] = {0.5f, 0.5f, 0.5f}, std[3] = {0.25f, 0.25f, 0.25f};
    rb_images images = {.shape = r->image, .bytes = r->pictures, .mean = mean, .std = std};
    images.shape.n = count;
    rb_pass pass = {.exec = &r->step.exec, .err = &r->err, .k = r->step.k};
    revbifpn_status status = rb_model_forward_on_a_grid(&r->model, &pass, &images);
    *k = pass.k;
    return status;
}

/* Inference repeats a batch on a coarser grid where it must, and changes nothing. */
static void inference_lowers_only_for_itself(void **state) {
    (void)state;
    small_run r;
    small_run_options o = small();
    small_run_open(&r, &o);
    amplify(&r, 5000);
    snapshot before = take(&r);
    int k;
    CHECK_OK(infer(&r, r.image.n, &k), &r.err);
    assert_true(k < r.step.k);
    assert_true(isfinite(r.model.logits[0]));
    assert_nothing_moved(&r, &before);
    small_run_close(&r);
}

/* What fails a step of training, and a batch, is only large to one picture, up to what float32 holds. */
static void one_picture_goes_on_below_the_floor(void **state) {
    (void)state;
    static const float gamma[] = {1e8f, 1e14f};
    small_run r;
    small_run_options o = small();
    small_run_open(&r, &o);
    for (int i = 0, k; i < 2; i++) {
        amplify(&r, gamma[i]);
        fails_saying(&r, "rev_stack.3.f.xform_0_1", "the coarsest grid is 2^-10");
        assert_int_equal(infer(&r, r.image.n, &k), REVBIFPN_NOT_FINITE);
        assert_int_equal(k, RB_GRID_FLOOR);
        CHECK_OK(infer(&r, 1, &k), &r.err);
        assert_true(k < RB_GRID_FLOOR && k > RB_GRID_LAST);
        assert_true(rb_model_stream(&r.model, &(rb_pass){.k = k}, 0).step == ldexpf(1, -k));
        assert_true(isfinite(r.model.logits[0]));
        assert_true(i == 0 || k < 0);
    }
    amplify(&r, 1e38f);
    int k;
    assert_int_equal(infer(&r, 1, &k), REVBIFPN_NOT_FINITE);
    small_run_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_states_lower_the_grid_with_the_same_bits),
        cmocka_unit_test(half_of_the_range_lowers_the_grid_afterwards),
        cmocka_unit_test(failed_steps_name_the_place_and_move_nothing),
        cmocka_unit_test(inference_lowers_only_for_itself),
        cmocka_unit_test(one_picture_goes_on_below_the_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
