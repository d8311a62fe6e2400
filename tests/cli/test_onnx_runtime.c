/* Exported files in ONNX Runtime: the logits and maps of this program, within 1e-4; and onnx.checker. Needs a
 * Python with onnx and onnxruntime, named by REVBIFPN_PYTHON; else skipped. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include "golden_case.h"
#include "golden_compare.h"
#include "io/weights.h"
#include "model/config.h"
#include "small_run.h"

static char work[4096], weights[4200], out[4200];

/* Weights by the golden formula: norms with statistics of their own, values of trained size. */
static void write_weights(revbifpn_model_config config) {
    rb_error err;
    rb_model model;
    rb_weights_info info = {.config = config, .preprocess = rb_preprocess_default(), .grid = 22};
    CHECK_OK(rb_config_check(&config, &err), &err);
    CHECK_OK(rb_model_create(&model, &config, &err), &err);
    CHECK_OK(rb_params_allocate(&model.params, false, &err), &err);
    golden_fill(&model.params);
    CHECK_OK(rb_weights_save(weights, &model.params, &info, NULL, &err), &err);
    rb_model_close(&model);
}

static void check_file(void) {
    char line[9000];
    put(line, sizeof line, "'%s' -c \"import onnx; onnx.checker.check_model('%s', full_check=True)\"",
        getenv("REVBIFPN_PYTHON"), out);
    assert_int_equal(system(line), 0);
}

static void agree(revbifpn_model_config config) {
    static const char *const options[] = {"", "--no-fold", "--features", "--dynamic-size",
                                          "--dynamic-size --features --no-fold"};
    write_weights(config);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        command_works("export --weights %s --out %s --verify %s", weights, out, options[i]);
        check_file();
    }
}

static void custom_networks_agree(void **state) {
    (void)state;
    for (int streams = 2; streams <= 4; streams += 2) {
        revbifpn_model_config c = small_run_custom(streams, streams);
        agree(c);
        c.neck = c.classes = 0;
        agree(c);
    }
}

static void the_smallest_published_one_agrees(void **state) {
    (void)state;
    rb_error err;
    revbifpn_model_config c;
    CHECK_OK(rb_config_named("s0", &c, &err), &err);
    c.classes = 10;
    c.image_width = 96;
    c.image_height = 64;
    agree(c);
}

/* A file with one wrong weight must be noticed. */
static void another_file_does_not_agree(void **state) {
    (void)state;
    char script[4200], line[9000];
    write_weights(small_run_custom(2, 3));
    put(script, sizeof script, "%s/wrong.sh", work); /* a "Python" that spoils the file before it is run */
    FILE *f = fopen(script, "we");
    assert_non_null(f);
    fprintf(f,
            "#!/bin/sh\n'%s' -c \"import onnx, numpy, sys; m = onnx.load(sys.argv[1])\n"
            "for t in m.graph.initializer:\n"
            "    if t.name == 'head.fc.bias': t.raw_data = (numpy.frombuffer(t.raw_data, 'f4') + "
            "0.001).tobytes()\n"
            "onnx.save(m, sys.argv[1])\" \"$3\"\nexec '%s' \"$@\"\n",
            getenv("REVBIFPN_PYTHON"), getenv("REVBIFPN_PYTHON"));
    assert_int_equal(fclose(f), 0);
    put(line, sizeof line, "chmod +x %s", script);
    assert_int_equal(system(line), 0);
    command_result r = command("export --weights %s --out %s --verify --python %s", weights, out, script);
    if (r.code != 1 || !strstr(r.out, "TOO LARGE")) fail_msg("exit %d: %s%s", r.code, r.out, r.err);
    command_forget(&r);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(weights, work, "a.safetensors");
    path_of(out, work, "a.onnx");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    char line[4200];
    const char *python = getenv("REVBIFPN_PYTHON");
    if (!python || !*python) skip_all("REVBIFPN_PYTHON names no Python with onnx and onnxruntime");
    snprintf(line, sizeof line, "'%.4000s' -c 'import numpy, onnx, onnxruntime' 2> /dev/null", python);
    if (system(line)) skip_all("REVBIFPN_PYTHON has no onnx or no onnxruntime");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(custom_networks_agree),
        cmocka_unit_test(the_smallest_published_one_agrees),
        cmocka_unit_test(another_file_does_not_agree),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
