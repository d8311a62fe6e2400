/* revbifpn export as a command: what it says, what it refuses. What the files compute is for
 * test_onnx_runtime and test_onnx_detector. */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <math.h>
#include <revbifpn.h>

#include "small_detector.h"

static char work[4096], weights[4200], detector[4200], out[4200];

static void files_are_written(void **state) {
    (void)state;
    char again[4200];
    size_t size;
    command_works("export --weights %s --out %s", weights, out);
    command_works("export --weights %s --out %s --fold --format onnx", weights,
                  path_of(again, work, "b.onnx"));
    assert_same_file(out, again); /* equal runs give equal files */
    char *bytes = file_bytes(out, &size);
    assert_non_null(memmem(bytes, size, "preprocessing", 13));
    assert_null(memmem(bytes, size, work, strlen(work))); /* no path in it */
    free(bytes);
    command_works("export --weights %s --out %s --no-fold --features --dynamic-size --imgsz 64x32", weights,
                  again);
    char *other = file_bytes(again, &size);
    assert_non_null(memmem(other, size, "64x32", 5));
    free(other);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    command_refuses(2, "exclude each other", "export --weights %s --out %s --fold --no-fold", weights, out);
    command_refuses(2, "nothing without --verify", "export --weights %s --out %s --python x", weights, out);
    command_refuses(2, "nothing without --verify", "export --weights %s --out %s --source x", weights, out);
    command_refuses(2, "not one of onnx", "export --weights %s --out %s --format tflite", weights, out);
    command_refuses(2, "--out FILE is missing", "export --weights %s", weights);
    command_refuses(1, "gone.pth", "export --weights %s/gone.pth --out %s", work, out);
    command_refuses(1, "/nowhere", "export --weights %s --out /nowhere/at/all.onnx", weights);
    command_refuses(2, "a multiple of", "export --weights %s --out %s --imgsz 33", weights, out);
    command_refuses(1, "cannot be run", "export --weights %s --out %s --verify --python /nowhere/python",
                    weights, out);
    command_refuses(1, "did not run it", "export --weights %s --out %s --verify --python /bin/false", weights,
                    out);
    command_refuses(1, "outputs", "export --weights %s --out %s --verify --python /bin/true", weights, out);
}

static void detectors_are_written(void **state) {
    (void)state;
    char again[4200];
    size_t size;
    command_works("export --weights %s --out %s", detector, out);
    command_works("export --weights %s --out %s --fold", detector, path_of(again, work, "b.onnx"));
    assert_same_file(out, again);
    char *bytes = file_bytes(out, &size);
    assert_non_null(memmem(bytes, size, "\"short_side\":512", 16));
    assert_non_null(memmem(bytes, size, "NonMaxSuppression", 17));
    assert_null(memmem(bytes, size, work, strlen(work)));
    free(bytes);
    command_works("export --weights %s --out %s --heads --imgsz 96x160", detector, again);
    bytes = file_bytes(again, &size);
    assert_non_null(memmem(bytes, size, "160x96", 6));
    assert_null(memmem(bytes, size, "NonMaxSuppression", 17));
    free(bytes);
}

static void wrong_options_of_detectors_are_refused(void **state) {
    (void)state;
    command_refuses(2, "--heads is for detectors", "export --weights %s --out %s --heads", weights, out);
    command_refuses(2, "for classifiers", "export --weights %s --out %s --features", detector, out);
    command_refuses(2, "for classifiers", "export --weights %s --out %s --crop-pct 1", detector, out);
    command_refuses(2, "for classifiers", "export --weights %s --out %s --interpolation bicubic", detector,
                    out);
    command_refuses(2, "at least 64", "export --weights %s --out %s --imgsz 96x32", detector, out);
    command_refuses(2, "32", "export --weights %s --out %s --imgsz 96x31", detector, out);
    command_refuses(1, "/nowhere", "export --weights %s --out /nowhere/at/all.onnx", detector);
    for (int heads = 0; heads < 2; heads++) {
        const char *form = heads ? "--heads" : "";
        command_refuses(1, "cannot be run",
                        "export --weights %s --out %s --verify --python /nowhere/python %s", detector, out,
                        form);
        command_refuses(1, "did not run it", "export --weights %s --out %s --verify --python /bin/false %s",
                        detector, out, form);
        command_refuses(1, "outputs", "export --weights %s --out %s --verify --python /bin/true %s", detector,
                        out, form);
    }
}

/* A "Python" that answers each input with that number of detections, of nothing but zeros. */
static void other_answers_are_told(void **state) {
    (void)state;
    char script[4200], line[4300];
    static const char *const floats[] = {"\\000\\000\\312\\102", /* 101 */
                                         "\\000\\000\\100\\100", /* 3 */
                                         "\\000\\000\\200\\277" /* -1 */};
    path_of(script, work, "answers.sh");
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        put(line, sizeof line, "#!/bin/sh\nprintf '%s' > \"$5\"\n", floats[i]);
        write_text(script, line);
        assert_int_equal(chmod(script, 0700), 0);
        command_refuses(1, "other values", "export --weights %s --out %s --verify --python %s", detector, out,
                        script);
    }
}

/* A picture as an input, and what is found in it, are those of revbifpn_detect. */
static void an_input_is_its_picture(void **state) {
    (void)state;
    enum { WIDTH = 640, HEIGHT = 512, SIZE = 3 * WIDTH * HEIGHT };
    static revbifpn_raw_detections raw;
    revbifpn_detector *d;
    revbifpn *ctx;
    revbifpn_image image = {.width = 320, .height = 200};
    const revbifpn_detection *at;
    char picture[4200];
    int count, width, height;
    float *input = malloc(SIZE * sizeof *input);
    image.pixels = malloc(3 * 320 * 200);
    assert_true(input && image.pixels);
    for (int i = 0; i < 3 * 320 * 200; i++) image.pixels[i] = (uint8_t)(i / 3 % 320 / 40 * 31 + i / 9600 * 7);
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    assert_int_equal(revbifpn_detector_load(ctx, detector, &d), REVBIFPN_OK);
    assert_int_equal(revbifpn_image_write_png(ctx, path_of(picture, work, "a.png"), &image), REVBIFPN_OK);
    assert_int_equal(revbifpn_detector_input_read(d, picture, WIDTH, HEIGHT, input, &width, &height),
                     REVBIFPN_OK);
    assert_true(width == 640 && height == 400);
    assert_true(input[(size_t)399 * WIDTH] != 0 && input[(size_t)400 * WIDTH] == 0);
    assert_int_equal(revbifpn_detector_run(d, input, WIDTH, HEIGHT, width, height, &raw), REVBIFPN_OK);
    assert_int_equal(revbifpn_detect(d, &image, &at, &count), REVBIFPN_OK); /* padded to 640 × 416 */
    assert_true(count > 20 && raw.count > 20);
    assert_true(fabs((double)raw.boxes[0][2] / 2 - at[0].x2) < 20); /* the same place, not the same bits */
    assert_int_equal(revbifpn_detector_input_read(d, picture, WIDTH, 416, input, &width, &height),
                     REVBIFPN_OK);
    assert_int_equal(revbifpn_detector_run(d, input, WIDTH, 416, width, height, &raw), REVBIFPN_OK);
    assert_int_equal(raw.count, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(raw.labels[i], at[i].label);
        assert_true(fabs((double)raw.scores[i] - at[i].score) < 1e-5);
        assert_true(fabs((double)raw.boxes[i][0] / 2 - at[i].x1) < 1e-3);
        assert_true(fabs((double)raw.boxes[i][3] / 2 - at[i].y2) < 1e-3);
        assert_true(raw.boxes[i][2] <= 640 && raw.boxes[i][3] <= 400);
    }
    assert_int_equal(revbifpn_detector_run(d, input, WIDTH, 416, width, 417, &raw), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_detector_run(d, input, WIDTH, 400, width, 400, &raw), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_detector_input_read(d, picture, WIDTH, 400, input, &width, &height),
                     REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_detector_input_read(d, "/nowhere/a.jpg", WIDTH, 416, input, &width, &height),
                     REVBIFPN_IO_FAILED);
    free(input);
    free(image.pixels);
    revbifpn_detector_free(&d);
    revbifpn_close(&ctx);
}

static void options_of_the_other_kind_are_refused(void **state) {
    (void)state;
    revbifpn *ctx;
    revbifpn_model *model;
    revbifpn_detector *d;
    revbifpn_onnx_options o = revbifpn_default_onnx();
    float *const none[15] = {0};
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    assert_int_equal(revbifpn_model_load(ctx, weights, &model), REVBIFPN_OK);
    assert_int_equal(revbifpn_detector_load(ctx, detector, &d), REVBIFPN_OK);
    o.heads = 1;
    assert_int_equal(revbifpn_export_onnx(model, out, &o), REVBIFPN_BAD_ARGUMENT);
    o.features = 1;
    assert_int_equal(revbifpn_export_detector_onnx(d, out, &o), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_export_detector_onnx(d, out, NULL), REVBIFPN_OK);
    assert_int_equal(revbifpn_detector_run_heads(d, NULL, 0, 64, 64, none), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_detector_run_heads(d, NULL, 1, 65, 64, none), REVBIFPN_BAD_ARGUMENT);
    revbifpn_model_free(&model);
    revbifpn_detector_free(&d);
    revbifpn_close(&ctx);
}

/* The functions behind it, on their own: a batch is its pictures one by one, to the bit. */
static void batches_are_their_pictures(void **state) {
    (void)state;
    enum { PICTURES = 3, SIZE = 3 * 32 * 32, CLASSES = 4, LARGE = 48 * 8 * 8, SMALL = 48 * 4 * 4 };
    static float in[PICTURES * SIZE], logits[PICTURES * CLASSES], one[CLASSES];
    static float large[PICTURES * LARGE], small[PICTURES * SMALL];
    revbifpn *ctx;
    revbifpn_model *model;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    assert_int_equal(revbifpn_model_load(ctx, weights, &model), REVBIFPN_OK);
    for (int i = 0; i < PICTURES * SIZE; i++) in[i] = (float)(i * 7919 % 1000) / 250 - 2;
    assert_int_equal(revbifpn_run(model, in, PICTURES, 32, 32, 0, (float *[]){logits}), REVBIFPN_OK);
    for (int i = 0; i < PICTURES; i++) {
        assert_int_equal(revbifpn_run(model, in + i * SIZE, 1, 32, 32, 0, (float *[]){one}), REVBIFPN_OK);
        assert_memory_equal(one, logits + i * CLASSES, sizeof one);
    }
    assert_int_equal(revbifpn_run(model, in, PICTURES, 32, 32, 1, (float *[]){large, small}), REVBIFPN_OK);
    rb_diff nothing = rb_diff_f32(small, small + SMALL, SMALL);
    assert_true(nothing.max_abs > 0); /* pictures differ, so do their maps */
    assert_int_equal(revbifpn_run(model, in, 1, 33, 32, 0, (float *[]){one}), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_run(model, in, 0, 32, 32, 0, (float *[]){one}), REVBIFPN_BAD_ARGUMENT);
    assert_int_equal(revbifpn_input_read(model, "/nowhere/a.jpg", in), REVBIFPN_IO_FAILED);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
}

static int set_up(void **state) {
    (void)state;
    char network[4200];
    revbifpn *ctx;
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    make_folder(work);
    make_tiny_network(path_of(network, work, "tiny.json"));
    path_of(weights, work, "a.safetensors");
    path_of(out, work, "a.onnx");
    rb_detector d;
    revbifpn_detector_config of_detector = small_detector_config(3, true);
    small_detector_open(&d, &of_detector);
    small_detector_save(path_of(detector, work, "d.safetensors"), &d);
    rb_detector_close(&d);
    if (revbifpn_open(&ctx, NULL) || revbifpn_config(ctx, network, &config)) return -1;
    config.classes = 4;
    if (revbifpn_model_create(ctx, &config, 7, &model) || revbifpn_model_save(model, weights)) return -1;
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(batches_are_their_pictures),
        cmocka_unit_test(detectors_are_written),
        cmocka_unit_test(wrong_options_of_detectors_are_refused),
        cmocka_unit_test(other_answers_are_told),
        cmocka_unit_test(an_input_is_its_picture),
        cmocka_unit_test(options_of_the_other_kind_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
