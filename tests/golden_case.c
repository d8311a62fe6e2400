#include "golden_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden_compare.h"
#include "io/weights.h"
#include "model/config.h"

typedef double reader(const void *data, size_t i);
static double read_float(const void *data, size_t i) { return (double)((const float *)data)[i]; }

typedef struct fixed_data {
    const int32_t *x;
    double step;
} fixed_data;
static double read_fixed(const void *data, size_t i) {
    return ((const fixed_data *)data)->x[i] * ((const fixed_data *)data)->step;
}

/* Sampled values of a map: the file counts N,C,H,W, we hold N,H,W,C. */
static void compare_map(tally *t, json_t *sampled, rb_shape s, reader *read, const void *data) {
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(sampled, "at"), key, value) {
        size_t i = strtoull(key, NULL, 10), pixels = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
        size_t n = i / (c * pixels), channel = i / pixels % c, p = i % pixels;
        tally_add(t, read(data, (n * pixels + p) * c + channel), json_number_value(value));
    }
}

/* ---- one case ---- */

typedef struct golden_case {
    json_t *root;
    rb_model model;
    rb_pool *pool;
    rb_ops ops;
    rb_exec exec;
    rb_shape image;
    float *input; /* n,h,w,3 */
    int32_t *labels;
    float *maps[RB_MAX_STREAMS], *d_maps[RB_MAX_STREAMS];
    tally states;
    int k;
} golden_case;

static revbifpn_status open_case(golden_case *g, const char *path, rb_cpu_level level, int threads,
                                 rb_error *err) {
    revbifpn_status status;
    json_error_t problem;
    revbifpn_model_config config;
    g->root = json_load_file(path, 0, &problem);
    if (!g->root) return rb_fail(err, REVBIFPN_BAD_FILE, "%s:%d: %s", path, problem.line, problem.text);
    const char *arch = json_string_value(json_object_get(g->root, "arch"));
    if (!arch) return rb_fail(err, REVBIFPN_BAD_FILE, "%s: no \"arch\"", path);
    TRY(rb_config_named(arch, &config, err));
    config.classes = golden_integer(g->root, "classes");
    config.neck = json_is_true(json_object_get(g->root, "neck"));
    config.drop = config.drop_path = 0;
    g->image = (rb_shape){golden_integer(g->root, "batch"), golden_integer(g->root, "height"),
                          golden_integer(g->root, "width"), 3};
    TRY(rb_model_check_input(&config, g->image, true, err));
    TRY(rb_model_create(&g->model, &config, err));
    TRY(rb_params_allocate(&g->model.params, true, err));
    TRY(rb_pool_open(&g->pool, threads, err));
    rb_ops_fill(&g->ops, level);
    return REVBIFPN_OK;
fail:
    return status;
}

static void close_case(golden_case *g) {
    json_decref(g->root);
    rb_exec_close(&g->exec);
    rb_model_close(&g->model);
    rb_pool_close(&g->pool);
    rb_free(g->input);
    rb_free(g->labels);
    for (int i = 0; i < RB_MAX_STREAMS; i++) {
        rb_free(g->maps[i]);
        rb_free(g->d_maps[i]);
    }
}

static void make_input(golden_case *g) {
    rb_shape s = g->image;
    g->input = rb_alloc(rb_elements(s) * sizeof(float));
    g->labels = rb_alloc((size_t)s.n * sizeof(int32_t));
    size_t pixels = (size_t)s.h * (size_t)s.w, at = 0;
    for (size_t n = 0; n < (size_t)s.n; n++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < 3; c++)
                g->input[at++] = (float)golden_u("input", (n * 3 + c) * pixels + p);
    for (int n = 0; n < s.n; n++)
        g->labels[n] = g->model.config.classes ? (7 * n + 3) % g->model.config.classes : 0;
    if (g->model.config.classes) return;
    for (int i = 0; i < g->model.config.streams; i++) {
        rb_shape m = {s.n, s.h / (4 << i), s.w / (4 << i), g->model.map_widths[i]};
        size_t count = rb_elements(m), map_pixels = (size_t)m.h * (size_t)m.w, k = 0;
        char name[32];
        snprintf(name, sizeof name, "cotangent%d", i);
        g->maps[i] = rb_alloc(count * sizeof(float));
        g->d_maps[i] = rb_alloc(count * sizeof(float));
        for (size_t n = 0; n < (size_t)m.n; n++)
            for (size_t p = 0; p < map_pixels; p++)
                for (size_t c = 0; c < (size_t)m.c; c++)
                    g->d_maps[i][k++] =
                        (float)(golden_u(name, (n * (size_t)m.c + c) * map_pixels + p) / (double)count);
    }
}

static revbifpn_status reopen_exec(golden_case *g, bool training, bool stored, rb_error *err) {
    rb_exec_close(&g->exec);
    rb_step_bytes bytes = rb_model_measure(&g->model, &g->ops, g->pool, g->image, training, stored);
    return rb_exec_open(&g->exec, &g->ops, g->pool, &bytes, err);
}

static void compare_outputs(const golden_case *g, json_t *part, tally *t) {
    json_t *rows = json_object_get(part, "logits"), *maps = json_object_get(part, "pyramid"), *entry, *value;
    size_t n, i;
    json_array_foreach(rows, n, entry) json_array_foreach(entry, i, value) tally_add(
        t, (double)g->model.logits[n * (size_t)g->model.config.classes + i], json_number_value(value));
    json_array_foreach(maps, n, entry) {
        rb_shape s = g->model.streams.shape[n];
        s.c = g->model.map_widths[n];
        compare_map(t, entry, s, read_float, g->maps[n]);
    }
}

static void observe(void *arg, int op, const rb_streams *streams) {
    golden_case *g = arg;
    json_t *train = json_object_get(g->root, "train"), *sampled;
    json_t *states = json_array_get(json_object_get(train, "states_after_rev_stack"), (size_t)op);
    size_t i;
    json_array_foreach(states, i, sampled) {
        fixed_data data = {streams->x[i], ldexp(1, -g->k)};
        compare_map(&g->states, sampled, streams->shape[i], read_fixed, &data);
    }
}

/* Forward (and in training loss and backward), lowering k as the training step does. */
static revbifpn_status step(golden_case *g, bool training, bool stored, bool watch, double *loss,
                            rb_error *err) {
    revbifpn_status status;
    rb_images images = {.shape = g->image, .floats = g->input};
    rb_pass pass = {.exec = &g->exec, .err = err, .training = training, .stored = stored};
    rb_model *m = &g->model;
    TRY(reopen_exec(g, training, stored, err));
    for (g->k = RB_GRID_START;; g->k--) {
        g->states = (tally){0};
        pass.k = g->k;
        status = rb_model_forward(m, &pass, &images, watch ? observe : NULL, g);
        if (status != REVBIFPN_OUT_OF_RANGE || g->k == RB_GRID_FLOOR) break;
    }
    if (status != REVBIFPN_OK) return status;
    if (!m->config.classes) rb_model_maps(m, &pass, g->maps);
    if (!training) return REVBIFPN_OK;
    memset(m->params.gradient, 0, m->params.trained * sizeof(float));
    if (m->config.classes) {
        rb_softmax_loss(&g->exec, g->image.n, m->config.classes, m->logits, g->labels, 0, loss, m->d_logits);
        return rb_model_backward(m, &pass);
    }
    *loss = 0;
    for (int i = 0; i < m->streams.count; i++) {
        rb_shape s = m->streams.shape[i];
        s.c = m->map_widths[i];
        for (size_t k = 0; k < rb_elements(s); k++) *loss += (double)g->maps[i][k] * (double)g->d_maps[i][k];
    }
    return rb_model_backward_maps(m, &pass, g->d_maps);
fail:
    return status;
}

static void compare_gradients(const golden_case *g, golden_result *r) {
    tally grads = {0};
    tally_gradients(&grads, json_object_get(json_object_get(g->root, "train"), "grad"), &g->model.params);
    r->grad_error = tally_ratio(&grads);
}

static void compare_running(golden_case *g, golden_result *r) {
    tally running = {0};
    json_t *expected = json_object_get(json_object_get(g->root, "train"), "running"), *sampled;
    const char *name;
    rb_model_move_statistics(&g->model, &g->exec, false);
    json_object_foreach(expected, name, sampled) {
        int i = rb_params_find(&g->model.params, name);
        if (i < 0)
            running.error = INFINITY;
        else
            tally_flat(&running, sampled, rb_param_statistic(&g->model.params, i));
    }
    r->running_error = tally_ratio(&running);
}

/* The published float32 errors from bounds.json beside the file, when there is one. */
static void read_bounds(const char *path, golden_result *r) {
    char bounds[4096];
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path + 1) : 0;
    snprintf(bounds, sizeof bounds, "%.*sbounds.json", folder, path);
    snprintf(r->file, sizeof r->file, "%s", path + folder);
    json_t *root = json_load_file(bounds, 0, NULL);
    char *key = strdup(r->file), *dot = strstr(key, ".json");
    if (dot) *dot = 0;
    json_t *entry = json_object_get(root, key);
    r->bound = json_number_value(json_object_get(entry, "float32_reversible"));
    r->stored = json_number_value(json_object_get(entry, "float32_stored"));
    free(key);
    json_decref(root);
}

/* Float32 over some 300 layers: forward figures within 1e-5 whatever the file; gradients within the bound. */
static bool within(const golden_result *r) {
    return r->reversible_equals_stored && r->eval_error <= 1e-5 && r->loss_error <= 1e-5 &&
           r->state_error <= 1e-5 && r->running_error <= 1e-5 &&
           r->grad_error <= (r->bound > 0 ? r->bound : 2e-5);
}

revbifpn_status golden_run(const char *path, rb_cpu_level level, int threads, golden_result *r,
                           rb_error *err) {
    revbifpn_status status;
    golden_case g = {0};
    float *stored = NULL;
    *r = (golden_result){0};
    TRY(open_case(&g, path, level, threads, err));
    read_bounds(path, r);
    golden_fill(&g.model.params);
    make_input(&g);
    json_t *train = json_object_get(g.root, "train");
    double loss = 0;
    tally eval = {0}, outputs = {0};
    TRY(step(&g, false, false, false, NULL, err));
    compare_outputs(&g, json_object_get(g.root, "eval"), &eval);
    r->eval_error = tally_ratio(&eval);
    TRY(step(&g, true, true, false, &loss, err));
    size_t bytes = g.model.params.trained * sizeof(float);
    stored = rb_alloc(bytes);
    memcpy(stored, g.model.params.gradient, bytes);
    TRY(step(&g, true, false, true, &loss, err));
    r->reversible_equals_stored = !memcmp(stored, g.model.params.gradient, bytes);
    r->loss_error = fabs(loss - json_number_value(json_object_get(train, "loss")));
    compare_outputs(&g, train, &outputs);
    r->state_error = tally_ratio(&g.states);
    compare_gradients(&g, r);
    compare_running(&g, r);
    r->pass = within(r);
fail:
    rb_free(stored);
    close_case(&g);
    return status;
}

static revbifpn_status fill_from_file(rb_params *params, const char *weights, rb_error *err) {
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    TRY(rb_tensor_file_open(&file, weights, err));
    status = rb_weights_read(file, params, NULL, err);
fail:
    rb_tensor_file_close(&file);
    return status;
}

revbifpn_status golden_logits(const char *path, const char *weights, float *logits, double *error,
                              rb_error *err) {
    revbifpn_status status;
    golden_case g = {0};
    tally eval = {0};
    TRY(open_case(&g, path, rb_cpu_detect(), 2, err));
    if (weights)
        TRY(fill_from_file(&g.model.params, weights, err));
    else
        golden_fill(&g.model.params);
    make_input(&g);
    TRY(step(&g, false, false, false, NULL, err));
    compare_outputs(&g, json_object_get(g.root, "eval"), &eval);
    *error = tally_ratio(&eval);
    memcpy(logits, g.model.logits, (size_t)g.image.n * (size_t)g.model.config.classes * sizeof *logits);
fail:
    close_case(&g);
    return status;
}

void golden_print(const golden_result *r) {
    printf("{\"file\": \"%s\", \"eval_error\": %.3g, \"loss_error\": %.3g, \"state_error\": %.3g, "
           "\"grad_error\": %.3g, "
           "\"running_error\": %.3g, \"reversible_equals_stored\": %s, \"pass\": %s}\n",
           r->file, r->eval_error, r->loss_error, r->state_error, r->grad_error, r->running_error,
           r->reversible_equals_stored ? "true" : "false", r->pass ? "true" : "false");
}
