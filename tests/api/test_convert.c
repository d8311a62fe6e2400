/* Weights from one format into another through the public header: the bits stay, the golden logits come out,
 * what describes them stays too; a config.json beside foreign weights is believed when it fits. */
#include "check.h"

#include <unistd.h>

#include "api/session.h"
#include "base/file.h"
#include "golden_case.h"
#include "golden_compare.h"
#include "io/weights.h"
#include "model/config.h"
#include "model/model.h"
#include "plain_weights.h"

enum { CLASSES = 10, BATCH = 2 };

/* S0 with the golden weights, class names and a preprocessing of its own, in a.safetensors; plain.safetensors
 * has the tensors alone, as another program would write them. */
static void write_weights(void) {
    static char *const names[CLASSES] = {"a", "b \"c\"", "ü", "d", "e", "f", "g", "h", "i", "j"};
    rb_error err;
    rb_model model;
    rb_weights_info info = {.preprocess = rb_preprocess_default(), .grid = 19};
    CHECK_OK(rb_config_named("s0", &info.config, &err), &err);
    info.config.classes = CLASSES;
    info.config.image_width = info.config.image_height = 64;
    info.preprocess.crop_pct = 0.9;
    strcpy(info.preprocess.interpolation, "bilinear");
    CHECK_OK(rb_weights_info_set_classes(&info, names, CLASSES, &err), &err);
    CHECK_OK(rb_model_create(&model, &info.config, &err), &err);
    CHECK_OK(rb_params_allocate(&model.params, false, &err), &err);
    golden_fill(&model.params);
    for (size_t i = 0; i < model.params.counters; i++) model.params.counter[i] = (int64_t)i << 33;
    CHECK_OK(rb_weights_save(inside("a.safetensors"), &model.params, &info, NULL, &err), &err);
    plain_weights_save(inside("plain.safetensors"), &model.params);
    rb_model_close(&model);
    rb_weights_info_close(&info);
}

static void there_and_back_keeps_every_bit_and_the_golden_logits(void **state) {
    (void)state;
    rb_error err;
    float formula[BATCH * CLASSES], pth[BATCH * CLASSES], back[BATCH * CLASSES];
    double error;
    ok(revbifpn_convert(ctx, inside("a.safetensors"), inside("b.pth"), NULL, NULL));
    ok(revbifpn_convert(ctx, inside("b.pth"), inside("c.safetensors"), NULL, NULL));
    check_same_files(inside("a.safetensors"), inside("c.safetensors")); /* names, config, grid too */
    ok(revbifpn_convert(ctx, inside("c.safetensors"), inside("d.pth.tar"), NULL, NULL));
    check_same_files(inside("b.pth"), inside("d.pth.tar"));
    const char *golden = source_path("tests/golden/s0_64_b2_c10.json");
    CHECK_OK(golden_logits(golden, NULL, formula, &error, &err), &err);
    assert_true(error <= 1e-5); /* as tests/golden has it */
    CHECK_OK(golden_logits(golden, inside("b.pth"), pth, &error, &err), &err);
    assert_true(error <= 1e-5);
    CHECK_OK(golden_logits(golden, inside("c.safetensors"), back, &error, &err), &err);
    assert_memory_equal(pth, formula, sizeof formula);
    assert_memory_equal(back, formula, sizeof formula);
}

static void what_cannot_be_converted_is_told(void **state) {
    (void)state;
    char a[4300];
    revbifpn_model_config other;
    snprintf(a, sizeof a, "%s/a.safetensors", folder);
    refused(revbifpn_convert(ctx, a, inside("x.onnx"), NULL, NULL), REVBIFPN_BAD_ARGUMENT, "must end in");
    refused(revbifpn_convert(ctx, a, inside("x.pth"), "model", NULL), REVBIFPN_BAD_ARGUMENT, "have keys");
    ok(revbifpn_config(ctx, "s1", &other));
    refused(revbifpn_convert(ctx, a, inside("x.pth"), NULL, &other), REVBIFPN_BAD_ARGUMENT,
            "another network");
    refused(revbifpn_convert(ctx, inside("gone.pth"), inside("x.pth"), NULL, NULL), REVBIFPN_IO_FAILED,
            "cannot open");
    refused(revbifpn_convert(ctx, source_path("tests/io/pth/views.pth"), inside("x.pth"), NULL, NULL),
            REVBIFPN_BAD_FILE, "nor the tensors of a published network");
    refused(revbifpn_convert(ctx, source_path("tests/io/pth/views.pth"), inside("x.pth"), NULL, &other),
            REVBIFPN_BAD_FILE, "'rev_stack.1.");
    assert_int_equal(access(inside("x.pth"), F_OK), -1);
}

static void expect_description(const char *weights, int side, const char *name) {
    revbifpn_model *model;
    ok(revbifpn_model_load(ctx, weights, &model));
    const revbifpn_model_config *c = revbifpn_model_configuration(model);
    assert_string_equal(c->name, "s0");
    assert_int_equal(c->classes, CLASSES);
    assert_int_equal(c->image_width, side);
    const char *first = revbifpn_model_class(model, 1);
    assert_true(name ? first && !strcmp(first, name) : !first);
    revbifpn_model_free(&model);
}

static void write_card(const char *text) {
    rb_error err;
    CHECK_OK(rb_file_replace(inside("config.json"), text, strlen(text), &err), &err);
}

static void foreign_weights_take_the_card_beside_them_if_it_fits(void **state) {
    (void)state;
    char plain[4300];
    snprintf(plain, sizeof plain, "%s/plain.safetensors", folder);
    expect_description(plain, 64, "b \"c\""); /* the card that the writer of a.safetensors left */
    ok(revbifpn_convert(ctx, plain, inside("again.safetensors"), NULL, NULL));
    write_card(
        "{\"architecture\":\"revbifpn_s0\",\"num_classes\":10,\"pretrained_cfg\":{\"input_size\":[3,96,96],"
        "\"label_names\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}}");
    expect_description(plain, 96, "1"); /* as timm writes it */
    write_card("{\"architecture\":\"revbifpn_s1\",\"num_classes\":10}");
    expect_description(plain, 224, NULL); /* of another network: not believed */
    write_card("{\"architecture\":\"resnet50\"}");
    expect_description(plain, 224, NULL);
    refused((write_card("{\"architecture\":\"revbifpn_s9\"}"),
             revbifpn_convert(ctx, plain, inside("y.pth"), NULL, NULL)),
            REVBIFPN_BAD_FILE, "config.json: 'architecture'");
    refused((write_card("{\"architecture\":\"revbifpn_s0\",\"pretrained_cfg\":{\"input_size\":[3,100,96]}}"),
             revbifpn_convert(ctx, plain, inside("y.pth"), NULL, NULL)),
            REVBIFPN_BAD_FILE, "config.json: ");
    refused((write_card("{\"architecture\":\"revbifpn_s0\",\"pretrained_cfg\":{\"mean\":[0.5]}}"),
             revbifpn_convert(ctx, plain, inside("y.pth"), NULL, NULL)),
            REVBIFPN_BAD_FILE, "mean and std of 3 channels");
    refused((write_card("{"), revbifpn_convert(ctx, plain, inside("y.pth"), NULL, NULL)), REVBIFPN_BAD_FILE,
            "config.json:1");
    expect_description(inside("a.safetensors"), 64, "b \"c\""); /* says all of it itself */
}

static void a_config_of_another_kind_is_not_overwritten(void **state) {
    (void)state;
    const char *mine = "{\"base\": \"s0\"}\n";
    rb_error err;
    unsigned char *text;
    size_t size;
    write_card(mine);
    ok(revbifpn_convert(ctx, inside("a.safetensors"), inside("e.safetensors"), NULL, NULL));
    CHECK_OK(rb_file_read(inside("config.json"), 1 << 20, &text, &size, &err), &err);
    assert_string_equal((char *)text, mine);
    rb_free(text);
}

static void pictures_are_prepared_as_asked(void **state) {
    (void)state;
    revbifpn_model *model;
    ok(revbifpn_model_load(ctx, inside("a.safetensors"), &model));
    ok(revbifpn_model_prepare(model, 96, 64, 0.5, "bicubic"));
    assert_int_equal(revbifpn_model_configuration(model)->image_width, 96);
    ok(revbifpn_model_prepare(model, 0, 0, 0, NULL));
    assert_int_equal(revbifpn_model_configuration(model)->image_height, 64);
    refused(revbifpn_model_prepare(model, 100, 0, 0, NULL), REVBIFPN_BAD_ARGUMENT, "image_width");
    refused(revbifpn_model_prepare(model, 0, 0, 1.5, NULL), REVBIFPN_BAD_ARGUMENT, "crop-pct");
    refused(revbifpn_model_prepare(model, 0, 0, 0, "nearest"), REVBIFPN_BAD_ARGUMENT, "interpolation");
    assert_int_equal(revbifpn_model_configuration(model)->image_width, 96);
    revbifpn_model_free(&model);
}

static int set_up(void **state) {
    (void)state;
    open_session();
    write_weights();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back_keeps_every_bit_and_the_golden_logits),
        cmocka_unit_test(what_cannot_be_converted_is_told),
        cmocka_unit_test(foreign_weights_take_the_card_beside_them_if_it_fits),
        cmocka_unit_test(a_config_of_another_kind_is_not_overwritten),
        cmocka_unit_test(pictures_are_prepared_as_asked),
    };
    return cmocka_run_group_tests(tests, set_up, close_session) ? 1 : 0;
}
