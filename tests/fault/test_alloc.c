/* Every single allocation fails once: the call gives OUT_OF_MEMORY, nothing crashes or leaks (the sanitizer
 * build sees leaks), and without the failure the same call works. */
#define _GNU_SOURCE
#include "check.h"

#include <jansson.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/synth.h"
#include "fault/fail_each.h"
#include "image/image.h"
#include "io/pth.h"
#include "model/model.h"

static char work[4096], data[4200], run[4200], saved[4200], other_classes[4200], config_path[4200],
    path[4200];
static revbifpn_model_config config; /* two streams, 32 × 32, three classes */

/* Takes the context's text; without a context memory was out already. */
static revbifpn_status told(revbifpn *ctx, revbifpn_status status, rb_error *err) {
    return status ? rb_fail(err, status, "%s", ctx ? revbifpn_message(ctx) : "out of memory") : status;
}

static revbifpn_status open_context(revbifpn **ctx, rb_error *err) {
    revbifpn_options options = revbifpn_default_options();
    options.threads = 2;
    *ctx = NULL;
    return told(*ctx, revbifpn_open(ctx, &options), err);
}

static revbifpn_status create_and_plan(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_memory memory;
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_plan(ctx, &config, 32, 32, 4, 1, REVBIFPN_REVERSIBLE, REVBIFPN_FLOAT32, &memory),
             err));
    TRY(told(ctx, revbifpn_model_create(ctx, &config, 1, &model), err));
    TRY(told(ctx, revbifpn_model_save(model, path), err));
fail:
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return status;
}

static revbifpn_status load_predict_recover(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_image image = {0}, seen = {0}, recovered = {0};
    revbifpn_prediction best[3];
    int found;
    char picture[4400];
    revbifpn_status status;
    snprintf(picture, sizeof picture, "%s/val/ring/0001.jpg", data);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_model_load(ctx, saved, &model), err));
    TRY(told(ctx, revbifpn_predict_file(model, picture, best, 3, &found), err));
    TRY(told(ctx, revbifpn_image_read(ctx, picture, &image), err));
    TRY(told(ctx, revbifpn_recover(model, &image, &seen, &recovered), err));
    assert_memory_equal(seen.pixels, recovered.pixels, 32 * 32 * 3);
fail:
    revbifpn_image_free(&image);
    revbifpn_image_free(&seen);
    revbifpn_image_free(&recovered);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return status;
}

static revbifpn_status look_inside(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_image image = {0}, seen = {0};
    revbifpn_map maps[REVBIFPN_MAX_STREAMS], gradient = {0};
    static const char *const lines[] = {"text"};
    int count = 0, index;
    char picture[4400];
    revbifpn_status status;
    snprintf(picture, sizeof picture, "%s/val/ring/0001.jpg", data);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_model_load(ctx, saved, &model), err));
    TRY(told(ctx, revbifpn_image_read(ctx, picture, &image), err));
    TRY(told(ctx, revbifpn_features(model, &image, maps, &count), err));
    TRY(told(ctx, revbifpn_saliency(model, &image, &index, &gradient, &seen), err));
    TRY(told(ctx, revbifpn_image_annotate(ctx, &image, lines, 1), err));
fail:
    for (int i = 0; i < count; i++) revbifpn_map_free(&maps[i]);
    revbifpn_map_free(&gradient);
    revbifpn_image_free(&image);
    revbifpn_image_free(&seen);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return status;
}

static revbifpn_status evaluate(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_metrics metrics;
    revbifpn_val_options options = revbifpn_default_val();
    options.data = data;
    options.workers = 0;
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_model_load(ctx, saved, &model), err));
    TRY(told(ctx, revbifpn_evaluate(model, &options, &metrics), err));
    assert_int_equal(metrics.images, 3);
fail:
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return status;
}

static void ignore_argument(void *user, const char *name, const char *old, const char *new) {
    (void)user, (void)name, (void)old, (void)new;
}

static int bits; /* of runs and checks; 0: 8 */

/* Opens a run (new or not), takes one step, writes a checkpoint. With an average of the weights the step is a
 * whole epoch, so that the average is judged and saved, too. */
static revbifpn_status one_step(bool resume, bool average, int workers, rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report;
    revbifpn_train_config c = revbifpn_default_train();
    c.model = config;
    c.data = data;
    c.out = run;
    c.batch = 4;
    c.epochs = 1000000; /* a resumed one goes on */
    c.workers = workers;
    c.bits = bits;
    c.hash = average ? REVBIFPN_HASH_TENSOR : REVBIFPN_HASH_STEP;
    if (average) {
        c.opt = REVBIFPN_RMSPROPTF;
        c.model_ema = 1;
        c.accumulate = 3;
    }
    revbifpn_status status;
    if (!resume) remove_folder(run);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_trainer_open(ctx, &c, resume, &trainer), err));
    TRY(told(ctx, revbifpn_trainer_step(trainer, &report), err));
    TRY(told(ctx, revbifpn_trainer_checkpoint(trainer), err));
fail:
    revbifpn_trainer_close(&trainer);
    revbifpn_close(&ctx);
    return status;
}

/* A run that begins with weights of a network with other classes: a new last layer, its own rate, part of it
 * frozen. */
static revbifpn_status fine_tuned(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report;
    revbifpn_train_config c = revbifpn_default_train();
    c.model = config;
    c.model.classes = 0;
    c.data = data;
    c.out = run;
    c.batch = 4;
    c.weights = other_classes;
    c.freeze = "1";
    c.backbone_lr_scale = 0.5;
    c.workers = 0;
    revbifpn_status status;
    remove_folder(run);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_trainer_open(ctx, &c, 0, &trainer), err));
    TRY(told(ctx, revbifpn_trainer_step(trainer, &report), err));
    TRY(told(ctx, revbifpn_trainer_checkpoint(trainer), err));
fail:
    revbifpn_trainer_close(&trainer);
    revbifpn_close(&ctx);
    return status;
}

/* From one format into the other and back. */
static revbifpn_status convert(rb_error *err) {
    revbifpn *ctx = NULL;
    char pth[4300];
    revbifpn_status status;
    snprintf(pth, sizeof pth, "%s/converted.pth", work);
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_convert(ctx, saved, pth, NULL, NULL), err));
    TRY(told(ctx, revbifpn_convert(ctx, pth, path, NULL, &config), err));
fail:
    revbifpn_close(&ctx);
    return status;
}

/* A checkpoint of MMDetection, whose names of classes become metadata. */
static revbifpn_status read_checkpoint(rb_error *err) {
    rb_tensor_file *file = NULL;
    revbifpn_status status = rb_tensor_file_open(&file, source_path("tests/io/pth/mmdetection.pth"), err);
    if (!status && !rb_tensor_file_metadata(file, RB_PTH_CLASSES))
        status = rb_fail(err, REVBIFPN_BAD_FILE, "the names are lost");
    rb_tensor_file_close(&file);
    return status;
}

/* A run with itself, whose tensors are hashed; arguments included. */
static revbifpn_status compare_runs(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_run_difference difference;
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_compare_runs(ctx, run, run, ignore_argument, NULL, &difference), err));
    assert_true(difference.steps > 0 && difference.hashed == difference.steps && !difference.epoch);
fail:
    revbifpn_close(&ctx);
    return status;
}

static revbifpn_status new_run(rb_error *err) { return one_step(false, false, 0, err); }
static revbifpn_status resumed_run(rb_error *err) { return one_step(true, false, 0, err); }
static revbifpn_status new_average(rb_error *err) { return one_step(false, true, 0, err); }
static revbifpn_status resumed_average(rb_error *err) { return one_step(true, true, 0, err); }
static revbifpn_status run_with_workers(rb_error *err) { return one_step(false, false, 2, err); }

static revbifpn_status tensors(rb_error *err) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    const rb_tensor_source sources[2] = {
        {.name = "a", .dtype = RB_DTYPE_F32, .ndim = 2, .shape = {2, 3}, .data = values},
        {.name = "b", .dtype = RB_DTYPE_F32, .ndim = 1, .shape = {6}, .data = values}};
    const rb_tensor_metadata metadata = {"key", "value"};
    rb_tensor_file *file = NULL;
    float read[6];
    revbifpn_status status;
    TRY(rb_tensor_file_write(path, sources, 2, &metadata, 1, err));
    TRY(rb_tensor_file_open(&file, path, err));
    TRY(rb_tensor_file_read(file, "b", RB_DTYPE_F32, 1, sources[1].shape, read, err));
    assert_memory_equal(read, values, sizeof values);
fail:
    rb_tensor_file_close(&file);
    return status;
}

/* Written as PyTorch does it, and both of its forms read; a view among the tensors. */
static revbifpn_status pytorch(rb_error *err) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    const rb_tensor_source source = {"a", RB_DTYPE_F32, 2, {2, 3}, values};
    const rb_tensor_metadata entry = {"config", "{}"};
    rb_tensor_file *file = NULL, *legacy = NULL;
    float read[6];
    int64_t turned[2] = {3, 2};
    char pth[4300];
    revbifpn_status status;
    snprintf(pth, sizeof pth, "%s/written.pth", work);
    TRY(rb_pth_write(pth, &source, 1, &entry, 1, err));
    TRY(rb_tensor_file_open(&file, pth, err));
    TRY(rb_tensor_file_read(file, "a", RB_DTYPE_F32, 2, source.shape, read, err));
    assert_memory_equal(read, values, sizeof values);
    TRY(rb_tensor_file_open(&legacy, source_path("tests/io/pth/small-legacy.pth"), err));
    TRY(rb_tensor_file_read(legacy, "w.t", RB_DTYPE_F32, 2, turned, read, err));
    assert_true(read[1] == 4);
fail:
    rb_tensor_file_close(&file);
    rb_tensor_file_close(&legacy);
    return status;
}

/* The set packed into shards, then read from them: first without indexes, then from those. */
static revbifpn_status shards(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_check_report report;
    revbifpn_shard_report packed;
    char out[4300];
    revbifpn_status status;
    snprintf(out, sizeof out, "%s/shards", work);
    remove_folder(out);
    revbifpn_shard_options options = revbifpn_default_shards();
    options.data = data;
    options.out = out;
    options.shards = 2;
    revbifpn_check_options check = revbifpn_default_check();
    check.data = out;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_shards(ctx, &options, &packed), err));
    TRY(told(ctx, revbifpn_check(ctx, &check, &report), err));
    TRY(told(ctx, revbifpn_check(ctx, &check, &report), err));
    assert_true(report.train == 12 && report.val == 3 && !report.faults);
fail:
    revbifpn_close(&ctx);
    return status;
}

/* Rasters: a run of a whole epoch on 16 bits, a picture for its last weights, a check. */
static revbifpn_status rasters(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_image image = {0}, seen = {0};
    revbifpn_prediction best[3];
    revbifpn_check_report report;
    int found, index;
    char weights[4300], picture[4400];
    revbifpn_status status;
    snprintf(weights, sizeof weights, "%s/weights/last.safetensors", run);
    snprintf(picture, sizeof picture, "%s/val/ring/0001.jpg", data);
    revbifpn_check_options check = revbifpn_default_check();
    check.data = data;
    check.bits = bits = 16;
    status = one_step(false, true, 0, err);
    bits = 0;
    if (status != REVBIFPN_OK) return status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_check(ctx, &check, &report), err));
    TRY(told(ctx, revbifpn_model_load(ctx, weights, &model), err));
    TRY(told(ctx, revbifpn_model_image(model, picture, &image), err));
    TRY(told(ctx, revbifpn_predict(model, &image, best, 3, &found), err));
    TRY(told(ctx, revbifpn_saliency(model, &image, &index, NULL, &seen), err));
fail:
    revbifpn_image_free(&image);
    revbifpn_image_free(&seen);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return status;
}

/* Lists of good and bad pictures, and the files of CIFAR-10. */
static revbifpn_status lists(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_check_report report;
    char list[4300], cifar[4300];
    revbifpn_status status;
    snprintf(list, sizeof list, "%s/list.txt", work);
    snprintf(cifar, sizeof cifar, "%s/cifar", work);
    revbifpn_check_options check = revbifpn_default_check();
    check.data = list;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_check(ctx, &check, &report), err));
    assert_int_equal(report.found[REVBIFPN_UNREADABLE], 1);
    check.data = cifar;
    TRY(told(ctx, revbifpn_check(ctx, &check, &report), err));
    assert_int_equal(report.train, 2);
fail:
    revbifpn_close(&ctx);
    return status;
}

/* The picture NAME of the work folder. */
static revbifpn_status decode(const char *name, rb_error *err) {
    rb_image image = {0};
    rb_decode_options options = {.max_pixels = 1000000, .apply_exif = true};
    char file[4400];
    snprintf(file, sizeof file, "%s/%s", work, name);
    revbifpn_status status = rb_image_read(file, &options, &image, NULL, err);
    if (status == REVBIFPN_OK) rb_image_free(&image);
    return status;
}

static revbifpn_status decode_png(rb_error *err) { return decode("a.png", err); }
static revbifpn_status decode_jpeg(rb_error *err) { return decode("a.jpg", err); }

static revbifpn_status read_network(rb_error *err) {
    revbifpn *ctx = NULL;
    revbifpn_model_config c;
    revbifpn_cost cost;
    revbifpn_status status;
    TRY(open_context(&ctx, err));
    TRY(told(ctx, revbifpn_config(ctx, config_path, &c), err));
    TRY(told(ctx, revbifpn_inspect(ctx, &c, 32, 32, NULL, NULL, &cost), err));
fail:
    revbifpn_close(&ctx);
    return status;
}

static void networks(void **state) {
    (void)state;
    fail_each("config.json and inspect", read_network, true);
    fail_each("create, plan, save", create_and_plan, true);
    fail_each("load, predict, recover", load_predict_recover, true);
    fail_each("maps, gradient, text", look_inside, true);
    fail_each("evaluate", evaluate, true);
    fail_each("convert", convert, true);
    fail_each("a checkpoint", read_checkpoint, true);
}

static void training(void **state) {
    (void)state;
    fail_each("a new run", new_run, true);
    fail_each("a resumed run", resumed_run, true);
    fail_each("a run with two workers", run_with_workers, false);
    fail_each("a new run with an average", new_average, true);
    fail_each("a resumed run with an average", resumed_average, true);
    fail_each("two runs compared", compare_runs, true);
    fail_each("16 bits", rasters, true);
    fail_each("a run that begins with weights", fine_tuned, true);
}

static void files(void **state) {
    (void)state;
    fail_each("safetensors", tensors, true);
    fail_each("PyTorch's files", pytorch, true);
    fail_each("PNG", decode_png, true);
    fail_each("JPEG", decode_jpeg, true);
}

static void sources(void **state) {
    (void)state;
    fail_each("shards", shards, true);
    fail_each("list and CIFAR-10", lists, true);
}

/* No file is written with half of its metadata when the JSON library is out of memory. Reading is not tried:
 * jansson's own parser (2.14) corrupts its buffer then. */
static void json_writing(void **state) {
    (void)state;
    json_too = true;
    json_set_alloc_funcs(rb_alloc, rb_free);
    fail_each("JSON: create, save", create_and_plan, true);
    fail_each("JSON: a checkpoint", read_checkpoint, true);
    json_set_alloc_funcs(malloc, free);
    json_too = false;
}

static int set_up(void **state) {
    (void)state;
    rb_error err = {0};
    rb_image image = {0};
    rb_synth_options synth = {.images_train = 12, .images_val = 3, .classes = 3, .side = 32, .seed = 1};
    make_folder(work);
    snprintf(data, sizeof data, "%s/data", work);
    snprintf(run, sizeof run, "%s/run", work);
    snprintf(saved, sizeof saved, "%s/saved.safetensors", work);
    snprintf(other_classes, sizeof other_classes, "%s/five.safetensors", work);
    snprintf(path, sizeof path, "%s/written.safetensors", work);
    snprintf(config_path, sizeof config_path, "%s/tiny.json", work);
    CHECK_OK(rb_synth_classify(data, &synth, NULL, NULL, &err), &err);
    FILE *f = fopen(config_path, "we");
    assert_non_null(f);
    fputs("{\"base\": \"s0\", \"name\": \"tiny\", \"streams\": 2, \"widths\": [48, 48], \"classes\": 3,"
          " \"blocks_per_level\": 1, \"extension_levels\": 0, \"head_widths\": [48, 48],"
          " \"kernels\": [3, 3], \"kernel_pads\": [0, 0], \"expansions\": [1, 2],"
          " \"squeeze_ratios\": [0.25, 0], \"head_kernels\": [3, 3], \"head_kernel_pads\": [0, 0],"
          " \"head_expansions\": [1, 1], \"head_squeeze_ratios\": [0, 0.25],"
          " \"fc_features\": 16, \"image_width\": 32, \"image_height\": 32}",
          f);
    fclose(f);
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    CHECK_OK(open_context(&ctx, &err), &err);
    CHECK_OK(told(ctx, revbifpn_config(ctx, config_path, &config), &err), &err);
    CHECK_OK(told(ctx, revbifpn_model_create(ctx, &config, 1, &model), &err), &err);
    CHECK_OK(told(ctx, revbifpn_model_save(model, saved), &err), &err);
    revbifpn_model_free(&model);
    revbifpn_model_config five = config;
    five.classes = 5;
    CHECK_OK(told(ctx, revbifpn_model_create(ctx, &five, 1, &model), &err), &err);
    CHECK_OK(told(ctx, revbifpn_model_save(model, other_classes), &err), &err);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    char file[4400];
    CHECK_OK(rb_image_alloc(&image, 33, 17, &err), &err);
    snprintf(file, sizeof file, "%s/a.png", work);
    CHECK_OK(rb_image_write_png(file, &image, &err), &err);
    snprintf(file, sizeof file, "%s/a.jpg", work);
    CHECK_OK(rb_image_write_jpeg(file, &image, 90, &err), &err);
    rb_image_free(&image);
    static const unsigned char records[2 * 3073] = {3, 1, 2};
    snprintf(file, sizeof file, "%s/list.txt", work);
    CHECK_OK(rb_file_replace(file, "a.png cat\ngone.png dog\na.jpg cat\n", 33, &err), &err);
    snprintf(file, sizeof file, "%s/cifar", work);
    CHECK_OK(rb_folder_make(file, &err), &err);
    snprintf(file, sizeof file, "%s/cifar/data_batch_1.bin", work);
    CHECK_OK(rb_file_replace(file, records, sizeof records, &err), &err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),   cmocka_unit_test(networks),     cmocka_unit_test(training),
        cmocka_unit_test(sources), cmocka_unit_test(json_writing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
