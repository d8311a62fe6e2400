/* A detector's exported files, parsed back: their ends, and tensors with the values of the weights. What they
 * compute is for tests/cli/test_onnx_detector.c. */
#include "onnx/parsed.h"

#include <unistd.h>

#include "onnx/detector.h"
#include "small_detector.h"

enum { CLASSES = 5 };

static char folder[4096], path[4200];
static rb_error err;

static void export_to(const rb_detector *d, revbifpn_onnx_options o, parsed *p) {
    rb_weights_info info = small_detector_info(d);
    CHECK_OK(rb_onnx_export_detector(d, &info, &o, path, &err), &err);
    parse(p, path);
}

static void check_name(view end, const char *name) {
    view given = get(end, 1).bytes;
    if (!is(given, name))
        fail_msg("'%.*s' instead of '%s'", (int)(given.end - given.at), (const char *)given.at, name);
}

/* float32 is 1, int64 is 7. */
static uint64_t element_of(view end) { return get(get(get(end, 2).bytes, 1).bytes, 1).integer; }

/* A tensor that is in the file as it is in the weights. */
static void check_tensor(const rb_detector *d, const parsed *p, int index) {
    const rb_param *w = &d->model.params.list[index];
    const float *got = find_tensor(p, w->name, w->count);
    if (!got) fail_msg("%s is not there", w->name);
    assert_memory_equal(got, rb_param_weight(&d->model.params, index), w->count * sizeof(float));
}

static void check_weights(const rb_detector *d, const parsed *p, bool whole) {
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) check_tensor(d, p, d->fpn[l].wgt);
    check_tensor(d, p, d->rpn_conv.wgt);
    check_tensor(d, p, d->rpn_box.bias);
    if (!whole) return;
    check_tensor(d, p, d->fc[0].wgt);
    check_tensor(d, p, d->box_code.wgt);
    if (d->config.masks) check_tensor(d, p, d->upsample.wgt);
    if (d->config.masks) check_tensor(d, p, d->mask_logits.wgt);
}

/* The columns of map 1, between those of map 0 and map 2. */
static void check_columns(const rb_detector *d, const parsed *p) {
    const rb_param *w = &d->model.params.list[d->reduction.wgt];
    const float *all = rb_param_weight(&d->model.params, d->reduction.wgt);
    size_t first = (size_t)d->model.map_widths[0], width = (size_t)d->model.map_widths[1];
    const float *got =
        find_tensor(p, "neck.reduction_conv.conv.weight.1", (size_t)d->config.channels * width);
    assert_non_null(got);
    for (size_t o = 0; o < (size_t)d->config.channels; o++)
        for (size_t c = 0; c < width; c++)
            assert_true(got[o * width + c] == all[o * (size_t)w->shape[1] + first + c]);
}

static void check_raw(const rb_detector *d, bool free_size) {
    static const char *const kinds[3] = {"p", "objectness_p", "codes_p"};
    const int channels[3] = {d->config.channels, 3, 12};
    parsed p;
    export_to(d, (revbifpn_onnx_options){.heads = 1, .dynamic_size = free_size}, &p);
    assert_int_equal(p.inputs, 1);
    assert_int_equal(p.outputs, 15);
    assert_int_equal(p.metadata, 7);
    for (int i = 0; i < 15; i++) {
        char name[40];
        int level = i % RB_PYRAMID_LEVELS;
        snprintf(name, sizeof name, "%s%d", kinds[i / RB_PYRAMID_LEVELS], 2 + level);
        check_name(p.output[i], name);
        assert_int_equal(element_of(p.output[i]), 1);
        assert_int_equal(side(p.output[i], 0), -1);
        assert_int_equal(side(p.output[i], 1), channels[i / RB_PYRAMID_LEVELS]);
        assert_int_equal(side(p.output[i], 2), free_size ? -1 : 512 >> (2 + level));
        assert_int_equal(side(p.output[i], 3), free_size ? -1 : 640 >> (2 + level));
    }
    check_weights(d, &p, false);
    check_columns(d, &p);
    assert_null(find_tensor(&p, "roi_head.bbox_head.fc_cls.bias", CLASSES + 1));
    forget(&p);
}

static void check_whole(const rb_detector *d, bool keep_norms) {
    static const char *const names[4] = {"boxes", "scores", "labels", "masks"};
    parsed p;
    export_to(d, (revbifpn_onnx_options){.keep_norms = keep_norms}, &p);
    assert_int_equal(p.inputs, 2);
    assert_int_equal(p.outputs, d->config.masks ? 4 : 3);
    for (int i = 0; i < p.outputs; i++) {
        check_name(p.output[i], names[i]);
        assert_int_equal(element_of(p.output[i]), i == 2 ? 7 : 1);
        assert_int_equal(side(p.output[i], 0), -1);
    }
    assert_int_equal(side(p.output[0], 1), 4);
    if (d->config.masks) assert_int_equal(side(p.output[3], 2), 28);
    assert_true(keep_norms ? p.norms > 0 : p.norms == 0);
    check_weights(d, &p, true);
    forget(&p);
}

static void both_forms(void **state) {
    (void)state;
    for (int masks = 0; masks < 2; masks++) {
        rb_detector d;
        revbifpn_detector_config c = small_detector_config(CLASSES, masks);
        small_detector_open(&d, &c);
        for (int i = 0; i < 2; i++) {
            check_raw(&d, i);
            check_whole(&d, i);
        }
        rb_detector_close(&d);
    }
}

/* 32 pixels leave the coarsest level without a cell. */
static void small_inputs_are_refused(void **state) {
    (void)state;
    rb_detector d;
    revbifpn_onnx_options o = {.heads = 1};
    revbifpn_detector_config c = small_detector_config(CLASSES, false);
    c.short_side = 32;
    small_detector_open(&d, &c);
    rb_weights_info info = small_detector_info(&d);
    unlink(path);
    assert_int_equal(rb_onnx_export_detector(&d, &info, &o, path, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "at least 64"));
    assert_int_equal(access(path, F_OK), -1);
    o.dynamic_size = 1;
    CHECK_OK(rb_onnx_export_detector(&d, &info, &o, path, &err), &err);
    rb_detector_close(&d);
}

static void without_memory_it_fails_and_leaves_nothing(void **state) {
    (void)state;
    rb_detector d;
    revbifpn_onnx_options o = {.heads = 0};
    revbifpn_detector_config c = small_detector_config(CLASSES, true);
    small_detector_open(&d, &c);
    rb_weights_info info = small_detector_info(&d);
    unlink(path);
    for (long at = 0;; at++) {
        rb_alloc_fail_after(at);
        revbifpn_status status = rb_onnx_export_detector(&d, &info, &o, path, &err);
        bool done = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        if (done) {
            CHECK_OK(status, &err);
            assert_true(at > 200);
            break;
        }
        assert_int_equal(status, REVBIFPN_OUT_OF_MEMORY);
        assert_int_equal(access(path, F_OK), -1);
    }
    rb_detector_close(&d);
}

static int set_up(void **state) {
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/a.onnx", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms),
        cmocka_unit_test(small_inputs_are_refused),
        cmocka_unit_test(without_memory_it_fails_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
