/* Exported files, parsed back: tensors have the values of the weights (with folded norms times the norm's
 * scale), the ends are what the options say. What the files compute is for tests/cli/test_onnx_runtime.c. */
#include "onnx/parsed.h"

#include <math.h>
#include <unistd.h>

#include "io/weights.h"
#include "model/config.h"
#include "onnx/export.h"
#include "onnx/graph.h"
#include "small_run.h"
#include "golden_case.h"
#include "golden_compare.h"

/* ---- networks ---- */

static char folder[4096], path[4200];
static rb_error err;

typedef struct net {
    rb_model model;
    rb_weights_info info;
} net;

static void open_net(net *n, revbifpn_model_config config) {
    *n = (net){.info = {.config = config, .preprocess = rb_preprocess_default(), .grid = 22}};
    CHECK_OK(rb_config_check(&config, &err), &err);
    CHECK_OK(rb_model_create(&n->model, &config, &err), &err);
    CHECK_OK(rb_params_allocate(&n->model.params, false, &err), &err);
    golden_fill(&n->model.params);
}

static void close_net(net *n) { rb_model_close(&n->model); }

static void export_net(const net *n, revbifpn_onnx_options o, parsed *p) {
    CHECK_OK(rb_onnx_export(&n->model, &n->info, &o, path, &err), &err);
    parse(p, path);
}

static int count_norms(const rb_model *m) {
    int count = m->config.classes > 0;
    for (int i = 0; i < m->block_count; i++) count += 2 + (m->blocks[i].expand.c > 0);
    return count;
}

/* One Add a coupling but where a stream opens, and one a transform of the head. */
static int count_adds(const rb_model *m, bool head) {
    int count = head ? m->config.streams - 1 : 0;
    for (int i = 0; i < m->stack.count; i++) count += !m->stack.couplings[i].opens;
    return count;
}

static void check_values(const net *n, const parsed *p, bool folded) {
    const rb_params *params = &n->model.params;
    int seen = 0;
    for (int b = 0; b < n->model.block_count; b++) {
        const rb_conv_norm *l = &n->model.blocks[b].project;
        const rb_param *w = &params->list[l->wgt];
        if (w->count > 1 << 16) continue;
        const float *got = find_tensor(p, w->name, w->count), *own = rb_param_weight(params, l->wgt);
        assert_non_null(got);
        for (size_t i = 0; i < w->count; i++) {
            int c = (int)(i / (w->count / (size_t)w->shape[0]));
            double scale = (double)rb_param_weight(params, l->gamma)[c] /
                           sqrt((double)rb_param_statistic(params, l->running_var)[c] + 1e-3);
            double want = (double)own[i] * (folded ? scale : 1);
            assert_true(fabs((double)got[i] - want) <= 3e-7 * fabs(want)); /* two roundings to float32 */
        }
        seen++;
    }
    assert_true(seen > 0);
}

static void check_net(revbifpn_model_config config) {
    net n;
    parsed p;
    open_net(&n, config);
    bool head = config.classes > 0;
    for (int keep = 0; keep < 2; keep++) {
        export_net(&n, (revbifpn_onnx_options){.keep_norms = keep}, &p);
        assert_int_equal(p.norms, keep ? count_norms(&n.model) : 0);
        assert_int_equal(p.adds, count_adds(&n.model, head));
        assert_int_equal(p.metadata, 5);
        assert_int_equal(p.outputs, head ? 1 : config.streams);
        assert_int_equal(side(p.output[0], 0), -1);
        assert_int_equal(side(p.output[0], 1), head ? config.classes : n.model.map_widths[0]);
        check_values(&n, &p, !keep);
        forget(&p);
    }
    export_net(&n, (revbifpn_onnx_options){.features = 1, .dynamic_size = 1}, &p);
    assert_int_equal(p.outputs, config.streams);
    assert_int_equal(p.adds, count_adds(&n.model, false));
    for (int i = 0; i < config.streams; i++) {
        assert_int_equal(side(p.output[i], 1), n.model.map_widths[i]);
        assert_int_equal(side(p.output[i], 2), -1);
        assert_int_equal(side(p.output[i], 3), -1);
    }
    forget(&p);
    close_net(&n);
}

static void custom_networks(void **state) {
    (void)state;
    for (int streams = 2; streams <= 5; streams++) {
        revbifpn_model_config c = small_run_custom(streams, 1 + streams % 3);
        check_net(c);
        c.neck = 0;
        check_net(c);
        c.classes = 0;
        check_net(c);
    }
}

static void the_smallest_published_one(void **state) {
    (void)state;
    revbifpn_model_config c;
    CHECK_OK(rb_config_named("s0", &c, &err), &err);
    check_net(c);
}

static void without_memory_it_fails_and_leaves_nothing(void **state) {
    (void)state;
    net n;
    revbifpn_onnx_options o = {.features = 0};
    open_net(&n, small_run_custom(2, 3));
    unlink(path);
    for (long at = 0;; at++) {
        rb_alloc_fail_after(at);
        revbifpn_status status = rb_onnx_export(&n.model, &n.info, &o, path, &err);
        bool done = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        if (done) {
            CHECK_OK(status, &err);
            assert_true(at > 50);
            break;
        }
        assert_int_equal(status, REVBIFPN_OUT_OF_MEMORY);
        assert_int_equal(access(path, F_OK), -1);
    }
    close_net(&n);
}

/* A tensor list whose sizes claim more than protocol buffers hold: refused before a byte is written. */
static void two_gibibytes_are_refused(void **state) {
    (void)state;
    rb_onnx_graph g = {0};
    static const float none;
    rb_onnx_tensor large = {.name = {"large"}, .ndim = 2, .shape = {1 << 15, 1 << 14}, .floats = &none};
    rb_onnx_add_tensor(&g, &large);
    unlink(path);
    assert_int_equal(rb_onnx_write(&g, "g", path, &err), REVBIFPN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "2 GiB"));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rb_onnx_write(&g, "g", "/nowhere/at/all.onnx", &err), REVBIFPN_UNSUPPORTED);
    rb_onnx_graph_close(&g);
    assert_int_equal(rb_onnx_write(&g, "g", "/nowhere/at/all.onnx", &err), REVBIFPN_IO_FAILED);
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
        cmocka_unit_test(custom_networks),
        cmocka_unit_test(the_smallest_published_one),
        cmocka_unit_test(without_memory_it_fails_and_leaves_nothing),
        cmocka_unit_test(two_gibibytes_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
