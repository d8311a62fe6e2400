#include "golden_detect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/detector.h"
#include "golden_compare.h"
#include "model/config.h"
#include "ops/mask_head/mask_head.h"

enum { MOST_IMAGES = 8, MOST_OBJECTS = 64 };

typedef struct detect_case {
    json_t *root;
    rb_detector detector;
    rb_pool *pool;
    rb_ops ops;
    rb_exec exec;
    rb_shape image;
    float *input;
    rb_truth truth[MOST_IMAGES];
    rb_frame frames[MOST_IMAGES];
    float boxes[MOST_IMAGES][MOST_OBJECTS][4];
    int32_t labels[MOST_IMAGES][MOST_OBJECTS];
    rb_mask masks[MOST_IMAGES][MOST_OBJECTS];
    rb_spans spans[MOST_IMAGES][MOST_OBJECTS];
} detect_case;

static json_t *load(const char *path, rb_error *err) {
    json_error_t problem;
    json_t *root = json_load_file(path, 0, &problem);
    if (!root && rb_fail(err, REVBIFPN_BAD_FILE, "%s:%d: %s", path, problem.line, problem.text)) return NULL;
    return root;
}

bool golden_is_detect(const char *path) {
    json_t *root = json_load_file(path, 0, NULL);
    bool is = json_object_get(root, "images") != NULL;
    json_decref(root);
    return is;
}

static revbifpn_status create(detect_case *g, rb_error *err) {
    revbifpn_status status;
    revbifpn_model_config backbone;
    TRY(rb_config_named(json_string_value(json_object_get(g->root, "arch")), &backbone, err));
    backbone.drop = backbone.drop_path = 0;
    bool masks = json_is_true(json_object_get(g->root, "mask"));
    revbifpn_detector_config c = rb_config_detector(&backbone, golden_integer(g->root, "classes"), masks);
    c.channels = golden_integer(g->root, "fpn");
    c.features = golden_integer(g->root, "fc");
    c.train_per_level = c.test_per_level = golden_integer(g->root, "rpn_pre");
    c.train_proposals = c.test_proposals = golden_integer(g->root, "rpn_max");
    c.anchors_drawn = c.boxes_drawn = 0;
    c.most_objects = MOST_OBJECTS;
    TRY(rb_detector_create(&g->detector, &c, err));
    if (strcmp(json_string_value(json_object_get(g->root, "norm")), "batch"))
        rb_model_fix_norms(&g->detector.model);
    TRY(rb_params_allocate(&g->detector.model.params, true, err));
    golden_fill(&g->detector.model.params);
fail:
    return status;
}

static void make_input(detect_case *g) {
    rb_shape s = g->image;
    size_t at = 0, pixels = (size_t)s.h * (size_t)s.w;
    g->input = rb_alloc(rb_elements(s) * sizeof(float));
    for (int n = 0; n < s.n; n++)
        for (int y = 0; y < s.h; y++)
            for (int x = 0; x < s.w; x++)
                for (int c = 0; c < 3; c++, at++) {
                    size_t i = ((size_t)n * 3 + (size_t)c) * pixels + (size_t)y * (size_t)s.w + (size_t)x;
                    bool inside = y < g->frames[n].height && x < g->frames[n].width;
                    g->input[at] = inside ? (float)golden_u("input", i) : 0.0f;
                }
}

static revbifpn_status draw_mask(detect_case *g, int n, int i, json_t *polygon, rb_error *err) {
    double points[64];
    size_t count = json_array_size(polygon), k;
    json_t *value;
    rb_polygon_room room = {0};
    json_array_foreach(polygon, k, value) points[k] = json_number_value(value);
    uint32_t h = (uint32_t)g->image.h, w = (uint32_t)g->image.w;
    revbifpn_status status = rb_polygon_draw(points, count / 2, h, w, &room, &g->spans[n][i], err);
    rb_polygon_room_close(&room);
    g->masks[n][i] = (rb_mask){h, w, g->spans[n][i].at, g->spans[n][i].count};
    return status;
}

static revbifpn_status read_images(detect_case *g, rb_error *err) {
    revbifpn_status status;
    json_t *images = json_object_get(g->root, "images"), *image, *object, *value;
    size_t n, i, k;
    g->image = (rb_shape){(int)json_array_size(images), golden_integer(g->root, "height"),
                          golden_integer(g->root, "width"), 3};
    json_array_foreach(images, n, image) {
        json_t *objects = json_object_get(image, "objects");
        g->frames[n] = (rb_frame){golden_integer(image, "w"), golden_integer(image, "h")};
        json_array_foreach(objects, i, object) {
            json_array_foreach(json_object_get(object, "box"), k, value) g->boxes[n][i][k] =
                (float)json_number_value(value);
            g->labels[n][i] = golden_integer(object, "label");
            json_t *polygon = json_object_get(object, "polygon");
            if (polygon) TRY(draw_mask(g, (int)n, (int)i, polygon, err));
        }
        g->truth[n] = (rb_truth){.width = g->frames[n].width,
                                 .height = g->frames[n].height,
                                 .count = (int)json_array_size(objects),
                                 .boxes = g->boxes[n][0],
                                 .labels = g->labels[n],
                                 .masks = g->masks[n]};
    }
    return REVBIFPN_OK;
fail:
    return status;
}

static void close_case(detect_case *g) {
    json_decref(g->root);
    rb_exec_close(&g->exec);
    rb_detector_close(&g->detector);
    rb_pool_close(&g->pool);
    rb_free(g->input);
    for (int n = 0; n < MOST_IMAGES; n++)
        for (int i = 0; i < MOST_OBJECTS; i++) rb_spans_close(&g->spans[n][i]);
}

static revbifpn_status reopen(detect_case *g, bool training, bool stored, rb_error *err) {
    rb_exec_close(&g->exec);
    rb_step_bytes bytes = rb_detector_measure(&g->detector, &g->ops, g->pool, g->image, training, stored);
    return rb_exec_open(&g->exec, &g->ops, g->pool, &bytes, err);
}

static revbifpn_status train(detect_case *g, bool stored, rb_detect_losses *losses, rb_error *err) {
    revbifpn_status status;
    rb_images images = {.shape = g->image, .floats = g->input};
    rb_pass pass = {.exec = &g->exec, .err = err, .training = true, .stored = stored, .k = RB_GRID_START};
    rb_params *params = &g->detector.model.params;
    TRY(reopen(g, true, stored, err));
    memset(params->gradient, 0, params->trained * sizeof(float));
    status = rb_detector_train(&g->detector, &pass, &images, g->truth, 1, losses);
fail:
    return status;
}

/* ---- comparison ---- */

static void compare_losses(const detect_case *g, const rb_detect_losses *l, golden_detect *r) {
    json_t *expected = json_object_get(json_object_get(g->root, "train"), "losses");
    for (int i = 0; i < RB_LOSS_PARTS; i++) {
        json_t *one = json_object_get(expected, rb_loss_names[i]);
        if (one) r->loss_error = fmax(r->loss_error, fabs(l->part[i] - json_number_value(one)));
    }
}

/* Sums over the batch of proposals, boxes with an object and boxes without one. */
static void compare_counts(const detect_case *g, golden_detect *r) {
    json_t *rows = json_object_get(json_object_get(g->root, "train"), "proposals_positives_negatives"), *row;
    json_int_t sums[3] = {0};
    size_t n;
    json_array_foreach(rows, n, row) for (size_t i = 0; i < 3; i++) sums[i] +=
        json_integer_value(json_array_get(row, i));
    for (int i = 0; i < 3; i++) r->same_choices &= g->detector.counts[i] == sums[i];
}

static revbifpn_status compare_mask(detect_case *g, int n, const rb_detection *d, const float *mask,
                                    json_t *expected, golden_detect *r, rb_error *err) {
    rb_spans spans = {0};
    rb_mask_paste(mask, d->box, g->frames[n].width, g->frames[n].height, &spans);
    double area = 0, golden = json_number_value(json_object_get(expected, "area"));
    for (size_t i = 0; i < spans.count; i++) area += spans.at[i].end - spans.at[i].begin;
    if (spans.failed) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a mask");
    rb_spans_close(&spans);
    r->area_error = fmax(r->area_error, fabs(area - golden) / fmax(golden, 1));
    return REVBIFPN_OK;
}

static revbifpn_status compare_detections(detect_case *g, int n, const rb_detections *found, json_t *expected,
                                          golden_detect *r, rb_error *err) {
    revbifpn_status status;
    size_t i, k;
    json_t *one, *value;
    r->same_choices &= (size_t)found->count == json_array_size(expected);
    if (!r->same_choices) return REVBIFPN_OK;
    json_array_foreach(expected, i, one) {
        const rb_detection *d = &found->at[i];
        r->same_choices &= d->label == golden_integer(one, "label");
        double score = json_number_value(json_object_get(one, "score"));
        r->score_error = fmax(r->score_error, fabs((double)d->score - score));
        json_array_foreach(json_object_get(one, "box"), k, value) r->box_error =
            fmax(r->box_error, fabs((double)d->box[k] - json_number_value(value)));
        if (found->masks && json_object_get(one, "area"))
            TRY(compare_mask(g, n, d, found->masks + i * RB_MASK_SIDE * RB_MASK_SIDE, one, r, err));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

static revbifpn_status detect(detect_case *g, golden_detect *r, rb_error *err) {
    revbifpn_status status;
    static rb_detections found[MOST_IMAGES];
    rb_images images = {.shape = g->image, .floats = g->input};
    rb_pass pass = {.exec = &g->exec, .err = err, .k = RB_GRID_START};
    TRY(reopen(g, false, false, err));
    TRY(rb_detector_detect(&g->detector, &pass, &images, g->frames, found));
    json_t *expected = json_object_get(g->root, "test");
    for (int n = 0; n < g->image.n; n++)
        TRY(compare_detections(g, n, &found[n], json_array_get(expected, (size_t)n), r, err));
fail:
    return status;
}

static revbifpn_status run(detect_case *g, golden_detect *r, rb_error *err) {
    revbifpn_status status;
    rb_detect_losses losses;
    tally grads = {0};
    const rb_params *params = &g->detector.model.params;
    float *stored = rb_alloc(params->trained * sizeof(float));
    if (!stored) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for gradients");
    r->same_choices = true;
    TRY(train(g, true, &losses, err));
    memcpy(stored, params->gradient, params->trained * sizeof(float));
    TRY(train(g, false, &losses, err));
    r->reversible_equals_stored = !memcmp(stored, params->gradient, params->trained * sizeof(float));
    compare_losses(g, &losses, r);
    compare_counts(g, r);
    tally_gradients(&grads, json_object_get(json_object_get(g->root, "train"), "grad"), params);
    r->grad_error = tally_ratio(&grads);
    TRY(detect(g, r, err));
fail:
    rb_free(stored);
    return status;
}

revbifpn_status golden_detect_run(const char *path, rb_cpu_level level, int threads, golden_detect *r,
                                  rb_error *err) {
    revbifpn_status status = REVBIFPN_BAD_FILE;
    const char *slash = strrchr(path, '/');
    detect_case *g = rb_alloc(sizeof *g);
    *r = (golden_detect){0};
    snprintf(r->file, sizeof r->file, "%s", slash ? slash + 1 : path);
    if (!g) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %s", path);
    if (!(g->root = load(path, err))) goto fail;
    TRY(create(g, err));
    TRY(read_images(g, err));
    make_input(g);
    TRY(rb_pool_open(&g->pool, threads, err));
    rb_ops_fill(&g->ops, level);
    TRY(run(g, r, err));
    r->stored = json_number_value(json_object_get(g->root, "float32_stored"));
    r->pass = r->same_choices && r->reversible_equals_stored && r->loss_error <= 1e-5 &&
              r->grad_error <= 1e-5 && r->score_error <= 1e-4 && r->box_error <= 1e-4 &&
              r->area_error <= 1e-3;
fail:
    close_case(g);
    rb_free(g);
    return status;
}

void golden_detect_print(const golden_detect *r) {
    printf("{\"file\": \"%s\", \"loss_error\": %.3g, \"grad_error\": %.3g, \"float32_stored\": %.3g, "
           "\"score_error\": %.3g, \"box_error\": %.3g, \"area_error\": %.3g, \"same_choices\": %s, "
           "\"reversible_equals_stored\": %s, \"pass\": %s}\n",
           r->file, r->loss_error, r->grad_error, r->stored, r->score_error, r->box_error, r->area_error,
           r->same_choices ? "true" : "false", r->reversible_equals_stored ? "true" : "false",
           r->pass ? "true" : "false");
}
