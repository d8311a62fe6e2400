/* revbifpn export as a command: what it says, what it refuses. What the files compute is for
 * test_onnx_runtime. */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <revbifpn.h>

static char work[4096], weights[4200], out[4200];

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
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
