/* A detector's weights from one format into another, and those of another program, through the public header:
 * MMDetection's names with or without something that describes them. */
#include "check.h"

#include <unistd.h>

#include "api/session.h"
#include "image/image.h"
#include "model/config.h"
#include "plain_weights.h"
#include "small_detector.h"

enum { CLASSES = 3, SIDE = 96 };

/* S0 with narrow heads and names: in NAME.safetensors; NAME-plain.safetensors and NAME-plain.pth are the
 * tensors alone. */
static void write_weights(const char *name, bool masks) {
    static char *const names[CLASSES] = {"cat", "a \"b\"", "ü"};
    rb_error err;
    rb_detector d;
    revbifpn_model_config backbone;
    char file[64];
    CHECK_OK(rb_config_named("s0", &backbone, &err), &err);
    revbifpn_detector_config c = rb_config_detector(&backbone, CLASSES, masks);
    c.channels = 8;
    c.features = 12;
    small_detector_open(&d, &c);
    rb_weights_info info = small_detector_info(&d);
    CHECK_OK(rb_weights_info_set_classes(&info, names, CLASSES, &err), &err);
    snprintf(file, sizeof file, "%s.safetensors", name);
    CHECK_OK(rb_weights_save(inside(file), &d.model.params, &info, NULL, &err), &err);
    snprintf(file, sizeof file, "%s-plain.safetensors", name);
    plain_weights_save(inside(file), &d.model.params);
    snprintf(file, sizeof file, "%s-plain.pth", name);
    plain_weights_save(inside(file), &d.model.params);
    rb_weights_info_close(&info);
    rb_detector_close(&d);
}

static void there_and_back_keeps_every_byte(void **state) {
    (void)state;
    for (int masks = 0; masks < 2; masks++) {
        char from[4300];
        snprintf(from, sizeof from, "%s/%s.safetensors", folder, masks ? "mask" : "faster");
        ok(revbifpn_convert(ctx, from, inside("a.pth"), NULL, NULL));
        ok(revbifpn_convert(ctx, inside("a.pth"), inside("b.safetensors"), NULL, NULL));
        check_same_files(from, inside("b.safetensors"));
    }
}

/* What a detector finds in a picture, at limits of SIDE. */
static int find(const char *weights, revbifpn_detection found[100], char names[100][16]) {
    revbifpn_detector *d;
    uint8_t pixels[SIDE * SIDE * 3];
    const revbifpn_detection *at;
    int count;
    for (int i = 0; i < SIDE * SIDE * 3; i++) pixels[i] = (uint8_t)(i * i / 7);
    revbifpn_image image = {.width = SIDE, .height = SIDE, .pixels = pixels};
    ok(revbifpn_detector_load(ctx, weights, &d));
    ok(revbifpn_detector_limits(d, SIDE, SIDE));
    ok(revbifpn_detect(d, &image, &at, &count));
    for (int i = 0; i < count; i++) {
        found[i] = at[i];
        snprintf(names[i], 16, "%s", at[i].name);
    }
    revbifpn_detector_free(&d);
    return count;
}

static void expect_numbers(const char *weights, bool masks) {
    revbifpn_task task;
    revbifpn_detector *d;
    ok(revbifpn_weights_task(ctx, weights, &task));
    assert_int_equal(task, masks ? REVBIFPN_SEGMENT : REVBIFPN_DETECT);
    ok(revbifpn_detector_load(ctx, weights, &d));
    const revbifpn_detector_config *c = revbifpn_detector_configuration(d);
    assert_string_equal(c->backbone.name, "s0");
    assert_true(c->backbone.neck && !c->backbone.classes);
    assert_int_equal(c->classes, CLASSES);
    assert_int_equal(c->channels, 8);
    assert_int_equal(c->features, 12);
    assert_int_equal(c->masks, masks);
    assert_int_equal(c->long_side, 1333);
    assert_null(revbifpn_detector_class(d, 0));
    revbifpn_detector_free(&d);
}

static void foreign_weights_are_told_by_their_tensors(void **state) {
    (void)state;
    static revbifpn_detection own[100], plain[100];
    static char own_names[100][16], plain_names[100][16];
    static const char *const words[CLASSES] = {"cat", "a \"b\"", "ü"}, *const numbers[CLASSES] = {"0", "1",
                                                                                                  "2"};
    expect_numbers(inside("faster-plain.safetensors"), false);
    expect_numbers(inside("faster-plain.pth"), false);
    expect_numbers(inside("mask-plain.pth"), true);
    int count = find(inside("faster.safetensors"), own, own_names);
    assert_in_range(count, 1, 100);
    assert_int_equal(find(inside("faster-plain.pth"), plain, plain_names), count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(own[i].label, plain[i].label);
        assert_true(own[i].score == plain[i].score && own[i].x1 == plain[i].x1 && own[i].y2 == plain[i].y2);
        assert_string_equal(own_names[i], words[own[i].label]);
        assert_string_equal(plain_names[i], numbers[own[i].label]);
    }
}

static void what_does_not_fit_is_told(void **state) {
    (void)state;
    rb_error err;
    revbifpn_model *model;
    const char *only = "roi_head.bbox_head.fc_cls.weight";
    float zero[8] = {0};
    rb_tensor_source scores = {.name = only, .dtype = RB_DTYPE_F32, .ndim = 2, .shape = {4, 2}, .data = zero};
    refused(revbifpn_model_load(ctx, inside("faster-plain.pth"), &model), REVBIFPN_UNSUPPORTED,
            "classifier's");
    CHECK_OK(rb_tensor_file_write(inside("heads.safetensors"), &scores, 1, NULL, 0, &err), &err);
    refused(revbifpn_convert(ctx, inside("heads.safetensors"), inside("x.pth"), NULL, NULL),
            REVBIFPN_BAD_FILE, "nor the tensors of a published network");
    rb_tensor_source of[] = {
        scores,
        {.name = "backbone.rev_stack.1.rev_transform_0.f.xform_0_1.project_conv.conv.weight",
         .dtype = RB_DTYPE_F32,
         .ndim = 4,
         .shape = {24, 0, 1, 1},
         .data = zero}};
    CHECK_OK(rb_tensor_file_write(inside("no-neck.safetensors"), of, 2, NULL, 0, &err), &err);
    refused(revbifpn_convert(ctx, inside("no-neck.safetensors"), inside("x.pth"), NULL, NULL),
            REVBIFPN_BAD_FILE, "a detector of 3 classes, 0 channels, 2 features");
    assert_int_equal(access(inside("x.pth"), F_OK), -1);
}

/* A set of two classes, for a detector of three that does not name them. */
static void a_set_of_another_count_of_classes_is_refused(void **state) {
    (void)state;
    revbifpn_detector *d;
    revbifpn_metrics metrics;
    revbifpn_synth_options synth = revbifpn_default_synth();
    revbifpn_detector_val_options options = revbifpn_default_detector_val();
    synth.folder = options.data = inside("data");
    synth.train_images = 1;
    synth.val_images = 2;
    synth.classes = 2;
    synth.side = 64;
    synth.objects = 1;
    ok(revbifpn_synth(ctx, &synth, NULL, NULL));
    ok(revbifpn_detector_load(ctx, inside("faster-plain.pth"), &d));
    refused(revbifpn_evaluate_detector(d, &options, &metrics), REVBIFPN_BAD_DATA,
            "2 classes; the weights are for 3, and do not name them");
    revbifpn_detector_free(&d);
}

static int set_up(void **state) {
    (void)state;
    open_session();
    write_weights("faster", false);
    write_weights("mask", true);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back_keeps_every_byte),
        cmocka_unit_test(foreign_weights_are_told_by_their_tensors),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(a_set_of_another_count_of_classes_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, close_session) ? 1 : 0;
}
