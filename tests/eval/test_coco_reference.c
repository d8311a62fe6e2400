/* The numbers of COCO's reference evaluator: of the committed random sets, and of ../shared/data/coco_eval
 * where that is. */
#include "check.h"

#include <jansson.h>
#include <math.h>

#include "data/root.h"
#include "eval/coco_eval.h"
#include "vectors.h"

/* Sums of thousands of doubles below 1 in another order. */
#define TOLERANCE 1e-12

/* Curves are those whose means are the scores, and asking for them changes no number. */
static void check_curves(const rb_coco_score *scores, const rb_coco_score *plain, const rb_coco_curve *curves,
                         size_t count) {
    assert_memory_equal(scores, plain, count * sizeof *scores);
    for (size_t k = 0; k < count; k++) {
        double sums[RB_COCO_CURVES] = {0};
        for (int c = 0; c < RB_COCO_CURVES; c++)
            for (int i = 0; i < RB_COCO_RECALLS; i++) sums[c] += curves[k].precision[c][i];
        assert_true(fabs(sums[RB_COCO_AT_50] / RB_COCO_RECALLS - scores[k].ap50) < TOLERANCE);
        assert_true(fabs(sums[RB_COCO_AT_75] / RB_COCO_RECALLS - scores[k].ap75) < TOLERANCE);
    }
}

static rb_coco_score evaluate(const char *gt, const char *dt, rb_coco_options options) {
    rb_error err = {0};
    rb_coco truth;
    rb_coco_results results;
    rb_pool *pool = NULL;
    CHECK_OK(rb_pool_open(&pool, 3, &err), &err);
    CHECK_OK(rb_coco_open(&truth, gt, options.masks, &err), &err);
    CHECK_OK(rb_coco_results_open(&results, dt, options.masks, &err), &err);
    CHECK_OK(rb_coco_results_resolve(&results, &truth, dt, &err), &err);
    rb_coco_score *scores = calloc(truth.category_count, sizeof *scores);
    rb_coco_score *plain = calloc(truth.category_count, sizeof *plain);
    rb_coco_curve *curves = calloc(truth.category_count, sizeof *curves);
    rb_coco_paths paths = {gt, dt};
    CHECK_OK(rb_coco_evaluate(&truth, &results, &options, paths, pool, plain, NULL, &err), &err);
    CHECK_OK(rb_coco_evaluate(&truth, &results, &options, paths, pool, scores, curves, &err), &err);
    check_curves(scores, plain, curves, truth.category_count);
    free(plain);
    free(curves);
    rb_coco_score mean = rb_coco_mean(scores, truth.category_count, &options);
    free(scores);
    rb_coco_close(&truth);
    rb_coco_results_close(&results);
    rb_pool_close(&pool);
    return mean;
}

static void stats_of(const rb_coco_score *s, double stats[12]) {
    const double in_order[12] = {s->ap[0],        s->ap50,  s->ap75,         s->ap[1],
                                 s->ap[2],        s->ap[3], s->ar_limits[0], s->ar_limits[1],
                                 s->ar_limits[2], s->ar[1], s->ar[2],        s->ar[3]};
    memcpy(stats, in_order, sizeof in_order);
}

static void check_number(double got, double want, double tolerance, const char *what, const char *name) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s, %s: %.17g, wanted %.17g", what, name, got, want);
}

static void committed_sets(void **state) {
    (void)state;
    json_t *file = vectors_open("coco_sets.json");
    const json_t *c;
    size_t i;
    json_array_foreach(json_object_get(file, "cases"), i, c) {
        assert_int_equal(json_dump_file(json_object_get(c, "truth"), inside("gt.json"), 0), 0);
        assert_int_equal(json_dump_file(json_object_get(c, "results"), inside("dt.json"), 0), 0);
        for (int masks = 0; masks < 2; masks++) {
            const char *kind = masks ? "segm" : "bbox";
            rb_coco_options options = rb_coco_default_options();
            options.masks = masks;
            rb_coco_score mean = evaluate(inside("gt.json"), inside("dt.json"), options);
            double got[12], *want = vectors_numbers(c, kind, 12);
            stats_of(&mean, got);
            for (int k = 0; k < 12; k++) check_number(got[k], want[k], TOLERANCE, kind, "a committed set");
            free(want);
        }
    }
    assert_int_equal(i, 4);
    json_decref(file);
}

static const char *const folders[] = {"val2014_100", "val2014_100_boxarea", "two_images", "three_images_segm",
                                      "crowd_one_image"};

static const char *fixture(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "data/coco_eval/%s/%s", folder, name);
    const char *found = shared_path(path);
    if (!found) fail_msg("../shared/%s is missing", path);
    return found;
}

static json_t *expected_of(const char *folder) {
    json_t *expected = json_load_file(fixture(folder, "expected.json"), 0, NULL);
    assert_non_null(expected);
    return expected;
}

static rb_coco_score evaluate_fixture(const char *folder, const json_t *expected, const char *kind,
                                      rb_coco_options options) {
    const char *gt = fixture(folder, json_string_value(json_object_get(expected, "gt")));
    const char *dt =
        fixture(folder, json_string_value(json_object_get(json_object_get(expected, "dt"), kind)));
    options.masks = !strcmp(kind, "segm");
    return evaluate(gt, dt, options);
}

static void shared_fixtures(void **state) {
    (void)state;
    static const char *const names[12] = {"AP",  "AP50", "AP75",  "APs", "APm", "APl",
                                          "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"};
    if (!shared_path("data/coco_eval")) {
        printf("../shared/data/coco_eval is not here\n");
        skip();
    }
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        json_t *expected = expected_of(folders[f]), *unused;
        const char *kind;
        double tolerance = json_number_value(json_object_get(expected, "tolerance"));
        json_object_foreach(json_object_get(expected, "dt"), kind, unused) {
            rb_coco_score mean = evaluate_fixture(folders[f], expected, kind, rb_coco_default_options());
            double got[12];
            stats_of(&mean, got);
            for (int k = 0; k < 12; k++)
                check_number(got[k], vectors_number(json_object_get(expected, kind), names[k], NAN),
                             tolerance > 0 ? tolerance : TOLERANCE, folders[f], names[k]);
        }
        json_decref(expected);
    }
}

/* The same files with five ranges of areas. */
static void shared_fixture_with_other_areas(void **state) {
    (void)state;
    static const char *const names[] = {"nano", "micro", "small", "medium", "large"};
    rb_coco_options options = rb_coco_default_options();
    options.areas = 6;
    const double areas[6][2] = {{0, 1e10}, {0, 64}, {64, 256}, {256, 1024}, {1024, 9216}, {9216, 1e10}};
    memcpy(options.area, areas, sizeof areas);
    if (!shared_path("data/coco_eval")) skip();
    json_t *expected = expected_of("val2014_100");
    for (int masks = 0; masks < 2; masks++) {
        const char *kind = masks ? "segm" : "bbox";
        const json_t *want = json_object_get(json_object_get(expected, "five_area_ranges"), kind);
        rb_coco_score mean = evaluate_fixture("val2014_100", expected, kind, options);
        for (int a = 0; a < 5; a++) {
            char ap[16], ar[16];
            snprintf(ap, sizeof ap, "AP_%s", names[a]);
            snprintf(ar, sizeof ar, "AR_%s", names[a]);
            check_number(mean.ap[a + 1], vectors_number(want, ap, NAN), TOLERANCE, kind, ap);
            check_number(mean.ar[a + 1], vectors_number(want, ar, NAN), TOLERANCE, kind, ar);
        }
    }
    json_decref(expected);
}

/* Its image id is the string "2299". */
static void ids_may_be_strings(void **state) {
    (void)state;
    if (!shared_path("data/coco_eval")) skip();
    const char *dt = fixture("crowd_one_image", "dt.json");
    rb_coco_score numbers = evaluate(fixture("crowd_one_image", "gt.json"), dt, rb_coco_default_options());
    rb_coco_score strings =
        evaluate(fixture("crowd_one_image", "gt_string_ids.json"), dt, rb_coco_default_options());
    assert_memory_equal(&numbers, &strings, sizeof numbers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_sets),
        cmocka_unit_test(shared_fixtures),
        cmocka_unit_test(shared_fixture_with_other_areas),
        cmocka_unit_test(ids_may_be_strings),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
