/* Every single allocation of a detector's work fails once: one clear line, nothing leaks, no half-written
 * file.
 */
#define _GNU_SOURCE
#include "fault/fail_each.h"

#include <unistd.h>

#include "base/file.h"
#include "data/synth.h"
#include "model/model.h"

static char work[4096], data[4200], run[4200], classifier[4200], weights[4300], results[4200], picture[4300],
    config_path[4200];
static revbifpn_model_config config; /* four narrow streams */

static revbifpn_status told(revbifpn *ctx, revbifpn_status status, rb_error *err) {
    return status ? rb_fail(err, status, "%s", ctx ? revbifpn_message(ctx) : "out of memory") : status;
}

static revbifpn_status open_context(revbifpn **ctx, rb_error *err) {
    revbifpn_options options = revbifpn_default_options();
    options.threads = 1;
    *ctx = NULL;
    return told(*ctx, revbifpn_open(ctx, &options), err);
}

static revbifpn_detector_config small_detector(void) {
    revbifpn_detector_config d = revbifpn_default_detector_config();
    d.backbone = config;
    d.classes = 2;
    d.masks = 1;
    d.channels = 8;
    d.features = 8;
    return d;
}

static revbifpn_status plan_and_inspect(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_memory memory;
    revbifpn_detector_cost cost;
    revbifpn_detector_config d = small_detector();
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_plan_detector(ctx, &d, 64, 64, 1, 1, REVBIFPN_REVERSIBLE, &memory), err));
    TRY(told(ctx, revbifpn_inspect_detector(ctx, &d, 64, 64, NULL, NULL, &cost), err));
fail:
    revbifpn_close(&ctx);
    return status;
}

/* An epoch of two steps, one for each shape of picture, with its validation and all files; or a run that goes
 * on by one more. */
static revbifpn_status one_epoch(bool resume, const char *from, rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report;
    revbifpn_train_config c = revbifpn_default_train();
    c.task = REVBIFPN_SEGMENT;
    c.model = config;
    c.data = data;
    c.out = run;
    c.fpn = c.fc = 8;
    c.long_side = c.short_side = 64;
    c.batch = 2;
    c.epochs = 1000000; /* a resumed one goes on */
    c.bn_eval = 1;
    c.workers = 0;
    c.weights = from;
    revbifpn_status status;
    if (!resume) remove_folder(run);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_trainer_open(ctx, &c, resume, &trainer), err));
    do TRY(told(ctx, revbifpn_trainer_step(trainer, &report), err));
    while (!report.epoch_done);
fail:
    revbifpn_trainer_close(&trainer);
    revbifpn_close(&ctx);
    return status;
}

static revbifpn_status new_run(rb_error *err) { return one_epoch(false, "", err); }
static revbifpn_status resumed_run(rb_error *err) { return one_epoch(true, "", err); }
static revbifpn_status from_classifier(rb_error *err) { return one_epoch(false, classifier, err); }

static revbifpn_status find_and_draw(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_detector *detector = NULL;
    revbifpn_image image = {0};
    const revbifpn_detection *found;
    int count;
    revbifpn_task task;
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_weights_task(ctx, weights, &task), err));
    assert_true(task == REVBIFPN_SEGMENT);
    TRY(told(ctx, revbifpn_detector_load(ctx, weights, &detector), err));
    TRY(told(ctx, revbifpn_image_read(ctx, picture, &image), err));
    TRY(told(ctx, revbifpn_detect(detector, &image, &found, &count), err));
    TRY(told(ctx, revbifpn_image_draw(ctx, &image, found, count), err));
fail:
    revbifpn_image_free(&image);
    revbifpn_detector_free(&detector);
    revbifpn_close(&ctx);
    return status;
}

static revbifpn_status judge(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_detector *detector = NULL;
    revbifpn_metrics metrics;
    revbifpn_detector_val_options options = revbifpn_default_detector_val();
    revbifpn_status status;
    options.data = data;
    options.results = results;
    options.workers = 0;
    unlink(results);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_detector_load(ctx, weights, &detector), err));
    TRY(told(ctx, revbifpn_evaluate_detector(detector, &options, &metrics), err));
fail:
    assert_true((status == REVBIFPN_OK) == !access(results, F_OK));
    revbifpn_detector_free(&detector);
    revbifpn_close(&ctx);
    return status;
}

/* What an exported file is compared with; writing one: tests/onnx. */
static revbifpn_status run_an_input(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_detector *detector = NULL;
    static float input[3 * 64 * 64];
    static revbifpn_raw_detections raw;
    int width, height;
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_detector_load(ctx, weights, &detector), err));
    TRY(told(ctx, revbifpn_detector_input_read(detector, picture, 64, 64, input, &width, &height), err));
    TRY(told(ctx, revbifpn_detector_run(detector, input, 64, 64, width, height, &raw), err));
fail:
    revbifpn_detector_free(&detector);
    revbifpn_close(&ctx);
    return status;
}

static void runs(void **state) {
    (void)state;
    fail_each("plan and inspect", plan_and_inspect, true);
    fail_each("a run that begins with a classifier", from_classifier, true);
    rb_error err = {0};
    CHECK_OK(new_run(&err), &err); /* what it allocates, the one before did, too */
    fail_each("a resumed run", resumed_run, true);
}

static void use(void **state) {
    (void)state;
    fail_each("detect and draw", find_and_draw, true);
    fail_each("evaluate", judge, true);
    fail_each("run an input", run_an_input, true);
}

static int set_up(void **state) {
    (void)state;
    rb_error err = {0};
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    static const char text[] = "{\"base\": \"s0\", \"name\": \"narrow\", \"widths\": [48, 48, 48, 48],"
                               " \"blocks_per_level\": 1, \"extension_levels\": 0, \"classes\": 2,"
                               " \"head_widths\": [16, 16, 16, 16], \"fc_features\": 16}";
    rb_synth_options synth = {
        .images_train = 2, .images_val = 1, .classes = 2, .side = 64, .seed = 1, .objects = 2};
    make_folder(work);
    snprintf(data, sizeof data, "%s/data", work);
    snprintf(run, sizeof run, "%s/run", work);
    snprintf(classifier, sizeof classifier, "%s/classifier.safetensors", work);
    snprintf(weights, sizeof weights, "%s/run/weights/last.safetensors", work);
    snprintf(results, sizeof results, "%s/results.json", work);
    snprintf(picture, sizeof picture, "%s/images/val_00001.jpg", data);
    snprintf(config_path, sizeof config_path, "%s/narrow.json", work);
    CHECK_OK(rb_synth_objects(data, &synth, NULL, NULL, &err), &err);
    CHECK_OK(rb_file_replace(config_path, text, sizeof text - 1, &err), &err);
    CHECK_OK(open_context(&ctx, &err), &err);
    CHECK_OK(told(ctx, revbifpn_config(ctx, config_path, &config), &err), &err);
    CHECK_OK(told(ctx, revbifpn_model_create(ctx, &config, 1, &model), &err), &err);
    CHECK_OK(told(ctx, revbifpn_model_save(model, classifier), &err), &err);
    config.classes = 0;
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(runs), cmocka_unit_test(use)};
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
