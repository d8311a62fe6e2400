/* Whole steps with each optimizer: no bit depends on threads, an accumulated step is the step of the mean
 * loss, soft targets that are labels train as labels do. SLOW-TEST */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "small_run.h"

static small_run_options options_of(int rule) {
    small_run_options o = small_run_custom_options(small_run_custom(2, 3));
    o.optimizer = (rb_optimizer_options){.rule = (revbifpn_optimizer)rule, .momentum = 0.9, .decay = 0.01};
    o.optimizer.beta1 = 0.9, o.optimizer.beta2 = 0.999;
    o.optimizer.clip = rule % 2 ? 0.5 : 0;
    o.optimizer.clip_mode = (revbifpn_clip_mode)(rule / 2 % 3);
    o.optimizer.average = true, o.optimizer.average_decay = 0.9;
    return o;
}

static void threads_do_not_show(void **state) {
    (void)state;
    for (int rule = REVBIFPN_SGD; rule <= REVBIFPN_LAMBC; rule++) {
        small_run runs[3];
        small_run_options o = options_of(rule);
        for (int i = 0; i < 3; i++) {
            o.threads = i == 2 ? 7 : i + 1;
            small_run_open(&runs[i], &o);
            small_run_steps(&runs[i], 4);
        }
        for (int i = 1; i < 3; i++) small_run_assert_equal(&runs[0], &runs[i]);
        for (int i = 0; i < 3; i++) small_run_close(&runs[i]);
    }
}

/* The optimizer's arithmetic is the same at every level, but the gradients' is not: so from equal gradients.
 */
static void levels_do_not_show_in_the_update(void **state) {
    (void)state;
    for (int rule = REVBIFPN_SGD; rule <= REVBIFPN_LAMBC; rule++) {
        small_run ref, fast;
        small_run_options o = options_of(rule);
        small_run_open(&fast, &o);
        o.level = RB_CPU_REF;
        small_run_open(&ref, &o);
        const rb_params *a = &fast.model.params, *b = &ref.model.params;
        for (int step = 0; step < 3; step++) {
            rb_rng rng = rb_rng_open(4, RB_PURPOSE_TEST, (uint64_t)step, 0);
            for (size_t i = 0; i < a->trained; i++)
                a->gradient[i] = b->gradient[i] = (float)(rb_rng_uniform(&rng) - 0.5);
            rb_step_update(&fast.step, 0.01);
            rb_step_update(&ref.step, 0.01);
        }
        small_run_assert_equal(&fast, &ref);
        small_run_close(&fast);
        small_run_close(&ref);
    }
}

static void random_batch(small_run *r, uint64_t name) {
    rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, name, 0);
    for (size_t i = 0; i < rb_elements(r->image); i++) r->pictures[i] = (uint8_t)rb_rng_u32(&rng);
    for (int i = 0; i < r->image.n; i++) r->labels[i] = (int32_t)rb_rng_below(&rng, 5);
}

static double add(small_run *r, uint64_t name, int batch, int batches, const float *soft) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    rb_images images = {.shape = r->image, .bytes = r->pictures, .mean = mean, .std = std};
    rb_step_report report = {0};
    random_batch(r, name);
    rb_targets targets = {.labels = soft ? NULL : r->labels, .soft = soft};
    CHECK_OK(rb_step_add(&r->step, &images, targets, name, batch, batches, &report, &r->err), &r->err);
    return report.loss;
}

/* The same batch four times with a quarter of its loss each has the gradient of the batch alone. Without
 * dropout, whose numbers differ. The running statistics move with every batch, so four times. */
static void equal_batches_accumulate_to_one(void **state) {
    (void)state;
    small_run one, four;
    small_run_options o = options_of(REVBIFPN_ADAMW);
    o.config.drop = o.config.drop_path = 0;
    small_run_open(&one, &o);
    small_run_open(&four, &o);
    add(&one, 3, 0, 1, NULL);
    for (int i = 0; i < 4; i++) add(&four, 3, i, 4, NULL);
    const rb_params *p = &one.model.params, *q = &four.model.params;
    /* kernels that add their blocks to what is there round otherwise: a few units in the last place */
    rb_diff diff = rb_diff_f32(q->gradient, p->gradient, p->trained);
    assert_true(diff.rel_l2 < 1e-6);
    rb_step_update(&one.step, 0.1);
    rb_step_update(&four.step, 0.1);
    assert_memory_not_equal(p->statistics, q->statistics, p->running * sizeof(float));
    small_run_close(&one);
    small_run_close(&four);
}

/* Gradients of two batches together: the mean of those of each alone. Batch statistics are each batch's own.
 */
static void batches_accumulate_to_their_mean(void **state) {
    (void)state;
    small_run together, alone[2];
    small_run_options o = options_of(REVBIFPN_LAMB);
    small_run_open(&together, &o);
    double loss = add(&together, 5, 0, 2, NULL), losses = 0;
    const rb_params *p = &together.model.params;
    loss += add(&together, 6, 1, 2, NULL);
    float *mean = rb_alloc(p->trained * sizeof *mean);
    for (int i = 0; i < 2; i++) {
        small_run_open(&alone[i], &o);
        losses += add(&alone[i], 5 + (uint64_t)i, 0, 1, NULL) / 2;
        for (size_t k = 0; k < p->trained; k++) mean[k] += alone[i].model.params.gradient[k] / 2;
        small_run_close(&alone[i]);
    }
    rb_diff diff = rb_diff_f32(p->gradient, mean, p->trained);
    assert_true(diff.rel_l2 < 1e-6 && diff.rel_l2 >= 0);
    assert_true(fabs(loss - losses) < 1e-12);
    rb_free(mean);
    small_run_close(&together);
}

/* Soft targets of smoothed labels: the gradients of these labels; and their float32 rounding shows at most
 * there. */
static void soft_targets_of_labels(void **state) {
    (void)state;
    for (int binary = 0; binary < 2; binary++) {
        small_run hard, soft;
        small_run_options o = options_of(REVBIFPN_SGD);
        o.loss.binary = binary;
        small_run_open(&hard, &o);
        small_run_open(&soft, &o);
        add(&hard, 1, 0, 1, NULL);
        float targets[3 * 5];
        for (int i = 0; i < 15; i++) targets[i] = 0.02f + (i % 5 == hard.labels[i / 5] ? 0.9f : 0);
        add(&soft, 1, 0, 1, targets);
        const rb_params *p = &hard.model.params, *q = &soft.model.params;
        assert_true(rb_diff_f32(q->gradient, p->gradient, p->trained).rel_l2 < 1e-6);
        small_run_close(&hard);
        small_run_close(&soft);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(levels_do_not_show_in_the_update),
        cmocka_unit_test(equal_batches_accumulate_to_one),
        cmocka_unit_test(batches_accumulate_to_their_mean),
        cmocka_unit_test(soft_targets_of_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
