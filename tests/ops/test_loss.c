/* Losses and their gradients: the typed golden values (spec 14.4) and what PyTorch and timm make of random
 * logits. */
#include "check.h"

#include <math.h>

#include "ops/ops.h"
#include "vectors.h"

static double loss_of(const rb_loss *l, float *gradient) {
    rb_exec x = {0};
    double loss;
    rb_loss_run(&x, l, &loss, gradient);
    return loss;
}

static void golden_values(void **state) {
    (void)state;
    const float logits[4] = {1, 2, -1, 0.5f};
    const int32_t label = 1;
    rb_loss l = {.n = 1, .classes = 4, .logits = logits, .labels = &label};
    assert_true(fabs(loss_of(&l, NULL) - 0.495181898) < 0.6e-9);
    l.smoothing = 0.1;
    assert_true(fabs(loss_of(&l, NULL) - 0.632681898) < 0.6e-9);
    /* 0.3 of class 1 and 0.7 of class 3, each with smoothing 0.1; float32 holds these targets to 3e-8 */
    const float soft[4] = {0.025f, (float)(0.025 + 0.9 * 0.3), 0.025f, (float)(0.025 + 0.9 * 0.7)};
    l.soft = soft;
    assert_true(fabs(loss_of(&l, NULL) - 1.577681898) < 1e-7);
}

static void check_case(size_t number, const json_t *one) {
    int classes = (int)vectors_number(one, "classes", 0), n = 5;
    size_t count = (size_t)(n * classes);
    float *logits = vectors_floats(one, "logits", count), got[64];
    double *labels_read = NULL, *gradient = vectors_numbers(one, "gradient", count);
    int32_t labels[5];
    rb_loss l = {.n = n, .classes = classes, .logits = logits};
    l.smoothing = vectors_number(one, "smoothing", 0);
    l.binary = !strcmp(json_string_value(json_object_get(one, "kind")), "bce");
    l.sum_classes = vectors_number(one, "sum", 0) > 0;
    l.threshold = vectors_number(one, "threshold", 0);
    float *soft = json_object_get(one, "soft") ? vectors_floats(one, "soft", count) : NULL;
    if (!soft) labels_read = vectors_numbers(one, "labels", (size_t)n);
    for (int i = 0; !soft && i < n; i++) labels[i] = (int32_t)labels_read[i];
    l.soft = soft;
    l.labels = soft ? NULL : labels;
    double loss = loss_of(&l, got), wanted = vectors_number(one, "loss", -1);
    if (!(fabs(loss - wanted) <= 1e-11 * fabs(wanted))) /* the file has 12 digits */
        fail_msg("case %zu: loss %.15g, wanted %.15g", number, loss, wanted);
    for (size_t i = 0; i < count; i++) /* rounded to float once */
        if (!(fabs((double)got[i] - gradient[i]) <= 6e-8 * fabs(gradient[i]) + 1e-12))
            fail_msg("case %zu: gradient[%zu] %.9g, wanted %.9g", number, i, (double)got[i], gradient[i]);
    float part[64];
    l.batches = 4; /* a power of two: exactly a quarter */
    assert_true(loss_of(&l, part) == loss);
    for (size_t i = 0; i < count; i++) assert_true(part[i] == got[i] / 4);
    free(logits);
    free(gradient);
    free(labels_read);
    free(soft);
}

static void torch_losses(void **state) {
    (void)state;
    json_t *root = vectors_open("optim_vectors.json"), *one;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "losses")), 11);
    json_array_foreach(json_object_get(root, "losses"), i, one) check_case(i, one);
    json_decref(root);
}

/* Logits of any size give finite losses; only what is not a number does not. */
static void large_logits(void **state) {
    (void)state;
    float logits[3] = {3e38f, -3e38f, 0}, gradient[3];
    const int32_t label = 0;
    rb_loss l = {.n = 1, .classes = 3, .logits = logits, .labels = &label};
    for (int binary = 0; binary < 2; binary++) {
        l.binary = binary;
        double loss = loss_of(&l, gradient);
        assert_true(isfinite(loss) && loss < 1);
        for (int i = 0; i < 3; i++) assert_true(fabsf(gradient[i]) <= 1);
    }
    logits[2] = NAN;
    assert_true(!isfinite(loss_of(&l, gradient)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(torch_losses),
        cmocka_unit_test(large_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
