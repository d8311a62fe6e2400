/* Evaluation of a classifier whose states leave every range that a batch may have: as running statistics that
 * lag behind the weights of a young network make them. It goes on, and pictures do not change one another. */
#include "session.h"

#include <math.h>

#include "api/context.h"
#include "api/tiny.h"

enum { PICTURES = 7 };
static int notes;
static char note[200];

static void noted(void *user, const char *line) {
    (void)user;
    notes++;
    snprintf(note, sizeof note, "%s", line);
}

static revbifpn_model *tiny(void) {
    revbifpn_model_config c;
    revbifpn_model *model;
    ok(tiny_config(ctx, &c));
    ok(revbifpn_model_create(ctx, &c, 1, &model));
    return model;
}

/* The last norm of a coupling, multiplied. */
static void amplify(revbifpn_model *model, float factor) {
    rb_params *p = &model->network.params;
    int i = rb_params_find(p, "rev_stack.1.rev_transform_0.f.xform_0_1.project_conv.norm.weight");
    assert_true(i >= 0);
    float *weight = rb_param_weight(p, i);
    for (size_t k = 0; k < p->list[i].count; k++) weight[k] *= factor;
    p->maps_current = false;
}

static revbifpn_metrics evaluate(revbifpn_model *model, int batch) {
    revbifpn_metrics metrics;
    revbifpn_val_options o = revbifpn_default_val();
    o.data = inside("data");
    o.batch = batch;
    o.note = noted;
    notes = 0;
    ok(revbifpn_evaluate(model, &o, &metrics));
    assert_int_equal(metrics.images, PICTURES);
    assert_true(isfinite(metrics.loss));
    return metrics;
}

static void states_of_any_size_are_judged(void **state) {
    (void)state;
    revbifpn_model *model = tiny();
    evaluate(model, 4);
    assert_int_equal(notes, 0);
    amplify(model, 1e8f); /* k about 7: the pictures still differ */
    revbifpn_metrics together = evaluate(model, 4);
    assert_int_equal(notes, 1);
    if (!strstr(note, "7 pictures were judged one by one")) fail_msg("%s", note);
    revbifpn_metrics alone = evaluate(model, 1);
    assert_int_equal(notes, 0);
    assert_true(together.loss == alone.loss && together.top1 == alone.top1);
    revbifpn_model_free(&model);
}

/* What float32 does not hold fails, and says where. */
static void values_that_are_not_finite_fail(void **state) {
    (void)state;
    revbifpn_model *model = tiny();
    revbifpn_metrics metrics;
    revbifpn_val_options o = revbifpn_default_val();
    o.data = inside("data");
    amplify(model, INFINITY);
    refused(revbifpn_evaluate(model, &o, &metrics), REVBIFPN_NOT_FINITE, "rev_stack");
    revbifpn_model_free(&model);
}

static int set_up(void **state) {
    (void)state;
    revbifpn_synth_options o = revbifpn_default_synth();
    open_session();
    o.folder = inside("data");
    o.train_images = 2;
    o.val_images = PICTURES;
    o.classes = 2;
    o.side = 32;
    ok(revbifpn_synth(ctx, &o, NULL, NULL));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_of_any_size_are_judged),
        cmocka_unit_test(values_that_are_not_finite_fail),
    };
    return cmocka_run_group_tests(tests, set_up, close_session) ? 1 : 0;
}
