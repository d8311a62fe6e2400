/* A detector's exported files in ONNX Runtime: this program's maps, boxes, scores, labels and masks; and
 * onnx.checker. Needs a Python with onnx and onnxruntime, named by REVBIFPN_PYTHON; else skipped. SLOW-TEST
 */
#define _GNU_SOURCE
#include "cli/runs.h"

#include "small_detector.h"

static char work[4096], weights[4200], out[4200];

static void python_agrees(const char *program) {
    char line[9000];
    put(line, sizeof line, "'%s' -c \"%s\" '%s'", getenv("REVBIFPN_PYTHON"), program, out);
    if (system(line)) fail_msg("%s", line);
}

static void check_file(void) {
    python_agrees("import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)");
}

/* `background`: added to the logit of nothing. */
static void write_weights(int classes, bool masks, float background) {
    rb_detector d;
    revbifpn_detector_config c = small_detector_config(classes, masks);
    small_detector_open(&d, &c);
    rb_param_weight(&d.model.params, d.box_class.bias)[classes] += background;
    small_detector_save(weights, &d);
    rb_detector_close(&d);
}

static void agree(int classes, bool masks, const char *options) {
    write_weights(classes, masks, 0);
    command_result r = command("export --weights %s --out %s --verify %s", weights, out, options);
    if (r.code) fail_msg("%s: exit %d: %s%s", options, r.code, r.out, r.err);
    assert_non_null(strstr(r.out, "good"));
    command_forget(&r);
    check_file();
}

/* … with the pictures of a folder. */
static void agree_on_pictures(bool masks, const char *form) {
    char folder[4200], options[4300];
    path_of(folder, work, "set");
    if (!has_file(folder, "val")) make_set(folder, 2, 2, 2, 64);
    put(options, sizeof options, "%s --source %s/val", form, folder);
    agree(3, masks, options);
}

static void raw_heads_agree(void **state) {
    (void)state;
    agree(3, false, "--heads");
    agree(3, true, "--heads --dynamic-size --no-fold");
    agree_on_pictures(false, "--heads");
}

static void detections_agree(void **state) {
    (void)state;
    agree_on_pictures(false, "");
    agree(7, true, "--no-fold");
    agree(1, true, "--dynamic-size");
}

/* Every box is of one of four levels, and all of them occur: else the test above would show little. */
static void all_levels_occur(void **state) {
    (void)state;
    agree(3, false, "");
    python_agrees(
        "import numpy as n, onnxruntime as o, sys; s = o.InferenceSession(sys.argv[1]); x = "
        "n.random.default_rng(3).standard_normal((1, 3, 512, 640)).astype('f4'); b = s.run(['boxes'], "
        "{'input': x, 'size': n.array([512, 640], 'f4')})[0]; r = ((b[:, 2] - b[:, 0]) * (b[:, 3] - "
        "b[:, 1])) ** 0.5; assert min((r < 112).sum(), ((r >= 112) & (r < 224)).sum(), ((r >= 224) & "
        "(r < 448)).sum(), (r >= 448).sum()) > 0, r");
}

/* Where there is nothing, outputs are empty and no error; and a comparison of nothing is no success. */
static void nothing_found_is_no_success(void **state) {
    (void)state;
    write_weights(3, true, 20);
    command_refuses(1, "nothing was found", "export --weights %s --out %s --verify", weights, out);
    python_agrees("import numpy as n, onnxruntime as o, sys; s = o.InferenceSession(sys.argv[1]); r = "
                  "s.run(None, {'input': n.zeros((1, 3, 512, 640), 'f4'), 'size': n.zeros(2, 'f4')}); assert "
                  "[a.shape for a in r] == [(0, 4), (0,), (0,), (0, 28, 28)], r");
}

/* A "Python" that adds to a tensor before the file is run. */
static void spoil(const char *script, const char *tensor, const char *change) {
    char line[4300];
    FILE *f = fopen(script, "we");
    assert_non_null(f);
    fprintf(f,
            "#!/bin/sh\n'%s' -c \"import onnx, numpy, sys; m = onnx.load(sys.argv[1])\n"
            "t, = [t for t in m.graph.initializer if t.name == '%s']\n"
            "t.raw_data = (numpy.frombuffer(t.raw_data, 'f4') + numpy.float32(%s)).tobytes()\n"
            "onnx.save(m, sys.argv[1])\" \"$3\" || exit\nexec '%s' \"$@\"\n",
            getenv("REVBIFPN_PYTHON"), tensor, change, getenv("REVBIFPN_PYTHON"));
    assert_int_equal(fclose(f), 0);
    put(line, sizeof line, "chmod +x %s", script);
    assert_int_equal(system(line), 0);
}

/* One wrong number anywhere behind the backbone must be noticed. */
static void another_file_does_not_agree(void **state) {
    (void)state;
    static const struct {
        const char *options, *tensor, *change;
    } wrongs[] = {{"--heads", "rpn_head.rpn_reg.bias", "0.001"},
                  {"--heads", "neck.fpn_convs.4.conv.bias", "0.001"},
                  {"", "roi_head.bbox_head.fc_reg.bias", "0.01"},
                  {"", "roi_head.bbox_head.shared_fcs.1.bias", "0.05"},
                  {"", "roi_head.mask_head.conv_logits.bias", "0.01"},
                  {"", "proposals.p4.suppress.overlap", "-0.2"},
                  {"", "box_head.suppress.overlap", "0.3"},
                  {"", "proposals.p4.anchors.stride", "1"},
                  {"", "mask_head.roi.steps", "-1"},
                  {"", "box_head.roi.unit", "20"}};
    char script[4200];
    write_weights(3, true, 0);
    path_of(script, work, "wrong.sh");
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        spoil(script, wrongs[i].tensor, wrongs[i].change);
        command_result r = command("export --weights %s --out %s --verify --python %s %s", weights, out,
                                   script, wrongs[i].options);
        if (r.code != 1 || !strstr(r.out, "TOO LARGE"))
            fail_msg("%s: exit %d: %s%s", wrongs[i].tensor, r.code, r.out, r.err);
        command_forget(&r);
    }
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
        cmocka_unit_test(raw_heads_agree),
        cmocka_unit_test(detections_agree),
        cmocka_unit_test(all_levels_occur),
        cmocka_unit_test(nothing_found_is_no_success),
        cmocka_unit_test(another_file_does_not_agree),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
