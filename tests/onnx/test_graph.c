/* Exported files, parsed back: every value is made before it is read and only once, tensors have the bytes of
 * their shapes and the values of the weights (with folded norms times the norm's scale), the ends are what
 * the options say. What the files compute is for tests/cli/test_onnx_runtime.c. */
#include "check.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/weights.h"
#include "model/config.h"
#include "onnx/export.h"
#include "onnx/graph.h"
#include "small_run.h"
#include "golden_case.h"
#include "golden_compare.h"

/* ---- a reader of the wire format ---- */

typedef struct view {
    const unsigned char *at, *end;
} view;

typedef struct field {
    int number, kind;
    uint64_t integer;
    view bytes;
} field;

static uint64_t read_varint(view *v) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        assert_true(v->at < v->end);
        value |= (uint64_t)(*v->at & 0x7f) << shift;
        if (!(*v->at++ & 0x80)) return value;
    }
    fail_msg("a varint of more than 10 bytes");
    return 0;
}

static bool next(view *v, field *f) {
    if (v->at == v->end) return false;
    uint64_t key = read_varint(v);
    *f = (field){.number = (int)(key >> 3), .kind = (int)(key & 7)};
    assert_true(f->kind == 0 || f->kind == 2 || f->kind == 5);
    if (f->kind == 0) f->integer = read_varint(v);
    size_t size = f->kind == 5 ? 4 : f->kind == 2 ? (size_t)read_varint(v) : 0;
    assert_true(size <= (size_t)(v->end - v->at));
    f->bytes = (view){v->at, v->at + size};
    v->at += size;
    return true;
}

static bool is(view v, const char *text) {
    return (size_t)(v.end - v.at) == strlen(text) && !memcmp(v.at, text, strlen(text));
}

static bool same(view a, view b) {
    return a.end - a.at == b.end - b.at && !memcmp(a.at, b.at, (size_t)(a.end - a.at));
}

/* The first field of that number in a message. */
static field get(view v, int number) {
    field f;
    while (next(&v, &f))
        if (f.number == number) return f;
    fail_msg("no field %d", number);
    return f;
}

/* ---- the parsed file ---- */

enum { MOST = 8192 };
typedef struct parsed {
    unsigned char *bytes;
    size_t size;
    view graph;
    view known[MOST]; /* names of values so far */
    int known_count, nodes, norms, adds, tensors, outputs, metadata, resizes;
    view output[8], tensor[MOST];
} parsed;

static bool is_known(const parsed *p, view name) {
    for (int i = 0; i < p->known_count; i++)
        if (same(p->known[i], name)) return true;
    return false;
}

static void make_known(parsed *p, view name) {
    if (is_known(p, name)) fail_msg("'%.*s' is made twice", (int)(name.end - name.at), (const char *)name.at);
    assert_true(p->known_count < MOST);
    p->known[p->known_count++] = name;
}

static void parse_node(parsed *p, view node) {
    view v = node;
    field f;
    while (next(&v, &f))
        if (f.number == 1 && f.bytes.at != f.bytes.end && !is_known(p, f.bytes))
            fail_msg("'%.*s' is read before it is made", (int)(f.bytes.end - f.bytes.at),
                     (const char *)f.bytes.at);
    for (v = node; next(&v, &f);)
        if (f.number == 2) make_known(p, f.bytes);
    view op = get(node, 4).bytes;
    p->nodes++;
    p->norms += is(op, "BatchNormalization");
    p->adds += is(op, "Add");
    p->resizes += is(op, "Resize");
}

/* Data type, shape and bytes belong together. */
static void parse_tensor(parsed *p, view tensor) {
    view v = tensor;
    field f;
    uint64_t count = 1;
    while (next(&v, &f))
        if (f.number == 1) count *= f.integer;
    uint64_t type = get(tensor, 2).integer, size = type == 1 ? 4 : 8;
    assert_true(type == 1 || type == 7);
    view raw = get(tensor, 9).bytes;
    assert_int_equal(raw.end - raw.at, count * size);
    make_known(p, get(tensor, 8).bytes);
    assert_true(p->tensors < MOST);
    p->tensor[p->tensors++] = tensor;
}

static void parse(parsed *p, const char *path) {
    rb_error err;
    field f;
    *p = (parsed){.size = 0};
    CHECK_OK(rb_file_read(path, 1 << 30, &p->bytes, &p->size, &err), &err);
    view model = {p->bytes, p->bytes + p->size}, v = model;
    assert_int_equal(get(model, 1).integer, 8);
    assert_int_equal(get(get(model, 8).bytes, 2).integer, 17);
    p->graph = get(model, 7).bytes;
    for (v = p->graph; next(&v, &f);) {
        if (f.number == 11) make_known(p, get(f.bytes, 1).bytes);
        if (f.number == 5) parse_tensor(p, f.bytes);
    }
    for (v = p->graph; next(&v, &f);)
        if (f.number == 1) parse_node(p, f.bytes);
    for (v = p->graph; next(&v, &f);)
        if (f.number == 12) {
            assert_true(is_known(p, get(f.bytes, 1).bytes));
            p->output[p->outputs++] = f.bytes;
        }
    for (v = model; next(&v, &f);) p->metadata += f.number == 14;
}

static void forget(parsed *p) { rb_free(p->bytes); }

static const float *find_tensor(const parsed *p, const char *name, size_t count) {
    static float copy[1 << 16];
    for (int i = 0; i < p->tensors; i++)
        if (is(get(p->tensor[i], 8).bytes, name)) {
            view raw = get(p->tensor[i], 9).bytes;
            assert_int_equal(raw.end - raw.at, count * sizeof(float));
            assert_true(count <= sizeof copy / sizeof *copy);
            return memcpy(copy, raw.at, count * sizeof(float)); /* the file does not align them */
        }
    return NULL;
}

/* Number of a side of an end, −1 when it has a name. */
static int64_t side(view end, int i) {
    view shape = get(get(get(end, 2).bytes, 1).bytes, 2).bytes;
    field f;
    while (next(&shape, &f))
        if (f.number == 1 && !i--)
            return get(f.bytes, f.bytes.at[0] >> 3).number == 1 ? (int64_t)get(f.bytes, 1).integer : -1;
    fail_msg("no such side");
    return 0;
}

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
