/* What programs do with detectors through the public header: memory that comes back, answers that make sense,
 * plans that hold. THREAD-TEST */
#define _GNU_SOURCE
#include "check.h"

#include <revbifpn.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/counter.h"
#include "base/memory.h"

enum { ROOM = 4400 };

static char work[4096];

static const char *inside(const char *folder, const char *name, char path[ROOM]) {
    int length = snprintf(path, ROOM, "%s/%s", folder, name);
    assert_in_range(length, 1, ROOM - 1);
    return path;
}

/* Four narrow streams. */
static revbifpn_status narrow(revbifpn *ctx, revbifpn_model_config *c) {
    revbifpn_status status = revbifpn_config(ctx, "s0", c);
    for (int i = 0; i < 4; i++) {
        c->widths[i] = 48;
        c->head_widths[i] = 16;
    }
    c->blocks_per_level = 1;
    c->extension_levels = 0;
    c->fc_features = 16;
    c->classes = 0;
    return status;
}

static revbifpn_status train(revbifpn *ctx, const char *folder) {
    revbifpn_status status;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    revbifpn_synth_options synth = revbifpn_default_synth();
    revbifpn_train_config c = revbifpn_default_train();
    char data[ROOM], out[ROOM];
    synth.folder = c.data = inside(folder, "data", data);
    synth.train_images = 4;
    synth.val_images = 2;
    synth.classes = 2;
    synth.side = 64;
    synth.objects = 2;
    c.out = inside(folder, "run", out);
    c.task = REVBIFPN_SEGMENT;
    c.fpn = c.fc = 8;
    c.long_side = c.short_side = 64;
    c.epochs = 1;
    c.batch = 2;
    c.bn_eval = 1;
    TRY(revbifpn_synth(ctx, &synth, NULL, NULL));
    TRY(narrow(ctx, &c.model));
    TRY(revbifpn_trainer_open(ctx, &c, 0, &trainer));
    while (!report.finished) TRY(revbifpn_trainer_step(trainer, &report));
    assert_true(report.val.images == 2 && report.val.boxes[REVBIFPN_COCO_AP] >= 0);
    TRY(revbifpn_trainer_checkpoint(trainer));
fail:
    revbifpn_trainer_close(&trainer);
    return status;
}

static void check_found(revbifpn *ctx, const revbifpn_image *image, const revbifpn_detection *at, int count) {
    uint8_t *pixels = malloc((size_t)image->width * (size_t)image->height);
    assert_in_range(count, 1, 100);
    for (int i = 0; i < count; i++) {
        assert_true(at[i].x1 >= 0 && at[i].y1 >= 0 && at[i].x2 <= image->width + 0.01 &&
                    at[i].y2 <= image->height + 0.01 && at[i].x2 >= at[i].x1 && at[i].y2 >= at[i].y1);
        assert_true(at[i].score > 0.05 && at[i].score <= 1 && (!i || at[i].score <= at[i - 1].score));
        assert_true(at[i].label >= 0 && at[i].label < 2 && *at[i].name);
        assert_non_null(at[i].mask);
        assert_int_equal(revbifpn_mask_pixels(ctx, at[i].mask, image->width, image->height, pixels),
                         REVBIFPN_OK);
        for (int y = 0; y < image->height; y++) /* nothing is set beyond a pixel around the box */
            for (int x = 0; x < image->width; x++)
                if (pixels[y * image->width + x])
                    assert_true(x + 2 > at[i].x1 && x - 1 < at[i].x2 && y + 2 > at[i].y1 && y - 1 < at[i].y2);
    }
    assert_int_equal(revbifpn_mask_pixels(ctx, at[0].mask, image->width + 1, image->height, pixels),
                     REVBIFPN_BAD_ARGUMENT);
    free(pixels);
}

/* The ONNX file and what it computes. */
static revbifpn_status export(revbifpn_detector *detector, const char *folder) {
    revbifpn_status status;
    static float input[3 * 96 * 64], maps[15][256 * 24 * 16];
    static revbifpn_raw_detections raw;
    float *out[15];
    int width, height;
    char path[ROOM], picture[ROOM];
    for (int i = 0; i < 15; i++) out[i] = maps[i];
    inside(folder, "data/images/val_00001.jpg", picture);
    TRY(revbifpn_export_detector_onnx(detector, inside(folder, "out.onnx", path), NULL));
    TRY(revbifpn_detector_input_read(detector, picture, 96, 64, input, &width, &height));
    TRY(revbifpn_detector_run(detector, input, 96, 64, width, height, &raw));
    TRY(revbifpn_detector_run_heads(detector, input, 1, 96, 64, out));
fail:
    return status;
}

static revbifpn_status use(revbifpn *ctx, const char *folder) {
    revbifpn_status status;
    revbifpn_detector *detector = NULL;
    revbifpn_image image = {0};
    revbifpn_metrics metrics;
    revbifpn_task task;
    const revbifpn_detection *at;
    revbifpn_detector_val_options val = revbifpn_default_detector_val();
    int count;
    char weights[ROOM], picture[ROOM], data[ROOM], results[ROOM];
    inside(folder, "run/weights/last.safetensors", weights);
    val.data = inside(folder, "data", data);
    val.results = inside(folder, "results.json", results);
    TRY(revbifpn_weights_task(ctx, weights, &task));
    assert_int_equal(task, REVBIFPN_SEGMENT);
    TRY(revbifpn_detector_load(ctx, weights, &detector));
    assert_int_equal(revbifpn_detector_configuration(detector)->long_side, 64);
    assert_string_equal(revbifpn_detector_class(detector, 0), "cross");
    assert_null(revbifpn_detector_class(detector, 2));
    for (int i = 1; i <= 2; i++) { /* wide and upright: the arenas are opened anew */
        char name[40];
        snprintf(name, sizeof name, "data/images/val_0000%d.jpg", i);
        TRY(revbifpn_image_read(ctx, inside(folder, name, picture), &image));
        TRY(revbifpn_detect(detector, &image, &at, &count));
        check_found(ctx, &image, at, count);
        TRY(revbifpn_image_draw(ctx, &image, at, count));
        revbifpn_image_free(&image);
    }
    TRY(export(detector, folder));
    TRY(revbifpn_evaluate_detector(detector, &val, &metrics));
    assert_true(metrics.images == 2 && !access(results, F_OK));
    assert_int_equal(revbifpn_detector_limits(detector, 16, 16), REVBIFPN_BAD_ARGUMENT);
    TRY(revbifpn_detector_limits(detector, 96, 96));
fail:
    revbifpn_image_free(&image);
    revbifpn_detector_free(&detector);
    return status;
}

static revbifpn_detector_config small_detector(revbifpn *ctx) {
    revbifpn_detector_config d = revbifpn_default_detector_config();
    assert_int_equal(narrow(ctx, &d.backbone), REVBIFPN_OK);
    d.classes = 3;
    d.masks = 1;
    d.channels = d.features = 16;
    return d;
}

static revbifpn_status measure(revbifpn *ctx) {
    revbifpn_status status;
    revbifpn_memory memory, more;
    revbifpn_detector_cost cost;
    revbifpn_bench_result r;
    revbifpn_bench_options bench = revbifpn_default_bench();
    revbifpn_detector_config d = small_detector(ctx);
    TRY(revbifpn_plan_detector(ctx, &d, 96, 64, 2, 1, REVBIFPN_REVERSIBLE, &memory));
    TRY(revbifpn_plan_detector(ctx, &d, 96, 64, 3, 1, REVBIFPN_REVERSIBLE, &more));
    assert_true(more.activation_bytes == memory.activation_bytes + memory.activation_bytes_per_sample);
    TRY(revbifpn_inspect_detector(ctx, &d, 96, 64, NULL, NULL, &cost));
    assert_true(cost.parameters > 10000 && cost.macs_run < cost.macs);
    bench.detector = &d;
    bench.width = 96;
    bench.height = 64;
    bench.batch = 2;
    bench.steps = 2;
    for (bench.training = 0; bench.training < 2; bench.training++) {
        TRY(revbifpn_bench(ctx, &bench, &r));
        assert_true(r.allocations_after_first_step == 0 && r.arena_high_bytes <= r.arena_planned_bytes);
    }
    assert_true(r.planned_bytes + 96 * 64 * 3 * 2 >= memory.total_bytes); /* the input is counted in a plan */
fail:
    return status;
}

static void every_byte_comes_back(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        counter c = fresh();
        revbifpn *ctx = NULL;
        char folder[4200];
        snprintf(folder, sizeof folder, "%s/whole-%d", work, threads);
        assert_int_equal(mkdir(folder, 0700), 0);
        size_t outside = rb_alloc_count();
        revbifpn_status status = open_with(&c, threads, &ctx);
        if (!status) status = train(ctx, folder);
        if (!status) status = use(ctx, folder);
        if (!status) status = measure(ctx);
        if (status) fail_msg("%s", revbifpn_message(ctx));
        assert_int_equal(rb_alloc_count(), outside);
        revbifpn_close(&ctx);
        assert_true(c.calls > 200);
        assert_int_equal(c.live, 0);
        assert_int_equal(c.wrong, 0);
    }
}

static void wrong_calls_are_refused(void **state) {
    (void)state;
    revbifpn *ctx = NULL;
    revbifpn_detector *detector = NULL;
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    revbifpn_memory memory;
    char path[ROOM];
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    assert_int_equal(narrow(ctx, &config), REVBIFPN_OK);
    config.classes = 2;
    assert_int_equal(revbifpn_model_create(ctx, &config, 0, &model), REVBIFPN_OK);
    assert_int_equal(revbifpn_model_save(model, inside(work, "classifier.safetensors", path)), REVBIFPN_OK);
    assert_int_equal(revbifpn_detector_load(ctx, path, &detector), REVBIFPN_UNSUPPORTED);
    assert_non_null(strstr(revbifpn_message(ctx), "weights of a classifier"));
    assert_null(detector);
    revbifpn_detector_config d = small_detector(ctx);
    assert_int_equal(revbifpn_plan_detector(ctx, &d, 100, 64, 1, 1, REVBIFPN_REVERSIBLE, &memory),
                     REVBIFPN_BAD_ARGUMENT);
    d.classes = 0;
    assert_int_equal(revbifpn_plan_detector(ctx, &d, 96, 64, 1, 1, REVBIFPN_REVERSIBLE, &memory),
                     REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(revbifpn_message(ctx), "classes is 0"));
    d = small_detector(ctx);
    d.backbone.streams = 3;
    assert_int_equal(revbifpn_plan_detector(ctx, &d, 96, 64, 1, 1, REVBIFPN_REVERSIBLE, &memory),
                     REVBIFPN_BAD_ARGUMENT);
    d.struct_size = 3;
    assert_int_equal(revbifpn_plan_detector(ctx, &d, 96, 64, 1, 1, REVBIFPN_REVERSIBLE, &memory),
                     REVBIFPN_BAD_ARGUMENT);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_byte_comes_back),
                                       cmocka_unit_test(wrong_calls_are_refused)};
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
