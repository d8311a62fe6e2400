/* COCO's measure: known results, results of a plain evaluator, any number of threads, and wrong files. */
#include "check.h"

#include <jansson.h>
#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "coco_case.h"
#include "data/root.h"
#include "eval/coco_eval.h"

static revbifpn *ctx;

static revbifpn_status judge(const char *gt, const char *dt, int masks, revbifpn_coco_report *out) {
    revbifpn_coco_options options = revbifpn_default_coco();
    options.gt = gt;
    options.dt = dt;
    options.masks = masks;
    return revbifpn_eval_coco(ctx, &options, out);
}

static void check_stats(const double *got, const double *want, double tolerance, const char *what) {
    for (int i = 0; i < 12; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance))
            fail_msg("%s: number %d is %.17g, wanted %.17g", what, i, got[i], want[i]);
}

static void golden_boxes(void **state) {
    (void)state;
    static const coco_case c = {.images = 3,
                                .categories = 2,
                                .objects = 6,
                                .detections = 10,
                                .object = {{0, 0, {10, 10, 50, 40}, 2000, 0, false},
                                           {0, 0, {70, 20, 20, 20}, 400, 0, false},
                                           {0, 1, {0, 0, 120, 110}, 12000, 0, false},
                                           {1, 0, {30, 30, 100, 100}, 9000, 0, true},
                                           {1, 0, {5, 5, 32, 32}, 1024, 0, false},
                                           {2, 1, {40, 40, 10, 12}, 120, 0, false}},
                                .detection = {{0, 0, {12, 11, 49, 40}, 0, .9, false},
                                              {0, 0, {70, 21, 20, 20}, 0, .8, false},
                                              {0, 0, {11, 10, 50, 40}, 0, .7, false},
                                              {0, 1, {3, 2, 115, 108}, 0, .6, false},
                                              {1, 0, {35, 35, 40, 40}, 0, .85, false},
                                              {1, 0, {60, 60, 30, 30}, 0, .75, false},
                                              {1, 0, {5, 6, 32, 32}, 0, .65, false},
                                              {2, 1, {41, 40, 10, 12}, 0, .5, false},
                                              {2, 0, {0, 0, 10, 10}, 0, .95, false},
                                              {2, 1, {200, 200, 40, 40}, 0, .55, false}}};
    static const double want[12] = {.634637, .739604, .739604, .65, .759901, .9,
                                    .358333, .866667, .866667, .8,  .95,     .9};
    revbifpn_coco_report report;
    case_write(&c, inside("gt.json"), inside("dt.json"));
    assert_int_equal(judge(inside("gt.json"), inside("dt.json"), 0, &report), REVBIFPN_OK);
    check_stats(report.stats, want, 5e-7, "golden boxes"); /* written with six digits */
    assert_int_equal(report.objects, 5);
    assert_int_equal(report.detections, 10);
}

static double whole(rb_rng *rng, uint32_t below) { return rb_rng_below(rng, below); }

/* Boxes on a coarse grid and few scores, so that overlaps and scores are often equal, and areas on the
 * limits. */
static void random_case(rb_rng *rng, coco_case *c) {
    *c = (coco_case){.images = 1 + (int)rb_rng_below(rng, CASE_IMAGES),
                     .categories = 1 + (int)rb_rng_below(rng, CASE_CATEGORIES)};
    int crowded = rb_rng_below(rng, 10) == 0;
    c->objects = (int)rb_rng_below(rng, 40);
    c->detections = crowded ? 300 : (int)rb_rng_below(rng, 80);
    for (int i = 0; i < c->objects; i++) {
        double side = rb_rng_below(rng, 3) ? 8 * (1 + whole(rng, 16)) : 32 * (1 + 2 * whole(rng, 2));
        c->object[i] =
            (case_box){.image = (int)rb_rng_below(rng, (uint32_t)c->images),
                       .category = (int)rb_rng_below(rng, (uint32_t)c->categories),
                       .box = {4 * whole(rng, 20), 4 * whole(rng, 20), side, 4 * (1 + whole(rng, 30))},
                       .area = rb_rng_below(rng, 2) ? side * side : whole(rng, 12000),
                       .crowd = rb_rng_below(rng, 8) == 0};
    }
    for (int i = 0; i < c->detections; i++) {
        case_box *d = &c->detection[i];
        *d = (case_box){.image = crowded ? 0 : (int)rb_rng_below(rng, (uint32_t)c->images),
                        .category = crowded ? 0 : (int)rb_rng_below(rng, (uint32_t)c->categories),
                        .box = {4 * whole(rng, 20), 4 * whole(rng, 20), 4 * (1 + whole(rng, 30)),
                                4 * (1 + whole(rng, 30))},
                        .score = whole(rng, 12) / 12};
        if (!c->objects || !rb_rng_below(rng, 4)) continue;
        const case_box *o = &c->object[rb_rng_below(rng, (uint32_t)c->objects)];
        memcpy(d->box, o->box, sizeof d->box);
        d->image = o->image;
        d->category = o->category;
        for (int k = 0; k < 4; k++) d->box[k] += 2 * whole(rng, 2);
    }
}

static void random_sets_equal_a_plain_evaluator(void **state) {
    (void)state;
    static coco_case c;
    rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, 0, 0);
    for (int round = 0; round < 60; round++) {
        double want[12];
        char what[32];
        revbifpn_coco_report report;
        random_case(&rng, &c);
        case_write(&c, inside("gt.json"), inside("dt.json"));
        case_stats(&c, want);
        if (judge(inside("gt.json"), inside("dt.json"), 0, &report)) fail_msg("%s", revbifpn_message(ctx));
        snprintf(what, sizeof what, "set %d", round);
        check_stats(report.stats, want, 1e-12, what); /* sums of at most 4040 doubles in another order */
    }
}

typedef struct class_log {
    revbifpn_coco_class seen[80];
    int count;
} class_log;
static void log_class(void *user, const revbifpn_coco_class *one) {
    class_log *log = user;
    log->seen[log->count] = *one;
    log->seen[log->count++].name = NULL;
}

static void threads_do_not_change_a_bit(void **state) {
    (void)state;
    static coco_case c;
    static class_log first, again;
    rb_rng rng = rb_rng_open(4, RB_PURPOSE_TEST, 0, 0);
    do random_case(&rng, &c);
    while (c.objects < 30 || c.detections < 70 || c.images < 5 || c.categories < 3);
    case_write(&c, inside("gt.json"), inside("dt.json"));
    for (int threads = 1; threads <= 5; threads++) {
        revbifpn_options o = revbifpn_default_options();
        revbifpn_coco_options options = revbifpn_default_coco();
        revbifpn_coco_report a, b;
        revbifpn *other = NULL;
        o.threads = threads;
        assert_int_equal(revbifpn_open(&other, &o), REVBIFPN_OK);
        again.count = 0;
        options.gt = inside("gt.json");
        options.dt = inside("dt.json");
        options.class_stats = log_class;
        options.user = &again;
        assert_int_equal(revbifpn_eval_coco(other, &options, &b), REVBIFPN_OK);
        if (threads == 1) a = b, first = again;
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(&first, &again, sizeof first);
        assert_int_equal(again.count, c.categories);
        revbifpn_close(&other);
    }
}

static void write_text(const char *name, const char *text) {
    rb_error err = {0};
    CHECK_OK(rb_file_replace(inside(name), text, strlen(text), &err), &err);
}

#define IMAGES "\"images\": [{\"id\": 1, \"width\": 20, \"height\": 10}], "
#define CATEGORIES "\"categories\": [{\"id\": 3, \"name\": \"x\"}]"
#define OBJECT                                                                                               \
    "{\"id\": 5, \"image_id\": 1, \"category_id\": 3, \"bbox\": [2, 2, 6, 6], \"area\": 36, \"iscrowd\": "   \
    "0, "                                                                                                    \
    "\"segmentation\": [[2, 2, 8, 2, 8, 8, 2, 8]]}"
#define TRUTH "{" IMAGES "\"annotations\": [" OBJECT "], " CATEGORIES "}"
#define RESULT "{\"image_id\": 1, \"category_id\": 3, \"bbox\": [2, 2, 6, 6], \"score\": 0.5}"

static void no_results_are_nothing_found(void **state) {
    (void)state;
    static const double want[12] = {0, 0, 0, 0, -1, -1, 0, 0, 0, 0, -1, -1};
    revbifpn_coco_report report;
    write_text("gt.json", TRUTH);
    write_text("dt.json", "[]");
    for (int masks = 0; masks < 2; masks++) {
        assert_int_equal(judge(inside("gt.json"), inside("dt.json"), masks, &report), REVBIFPN_OK);
        check_stats(report.stats, want, 0, "no results");
    }
}

/* A box without mask, and masks whose box says something else. */
static void masks_are_judged_by_their_area(void **state) {
    (void)state;
    revbifpn_coco_report report;
    write_text("gt.json", "{\"images\": [{\"id\": 1, \"width\": 200, \"height\": 100}], \"annotations\": "
                          "[{\"id\": 5, \"image_id\": 1, \"category_id\": 3, \"bbox\": [0, 0, 40, 40], "
                          "\"area\": 1600, \"segmentation\": [[0, 0, 40, 40]]}], " CATEGORIES "}");
    write_text("dt.json",
               "[{\"image_id\": 1, \"category_id\": 3, \"bbox\": [0, 0, 1, 1], \"score\": 0.5, "
               "\"segmentation\": [[0, 0, 40, 40]]}, {\"image_id\": 1, \"category_id\": 3, \"bbox\": [0, 0, "
               "50, 50], \"score\": 0.7, \"segmentation\": [[100, 50, 10, 10]]}]");
    assert_int_equal(judge(inside("gt.json"), inside("dt.json"), 1, &report), REVBIFPN_OK);
    /* the better-scored mask is small by its own area, so among medium ones it is no mistake; its box is
     * medium */
    assert_true(fabs(report.stats[REVBIFPN_COCO_AP_MEDIUM] - 1) < 1e-12);
    assert_true(fabs(report.stats[REVBIFPN_COCO_AP] - 0.5) < 1e-12);
}

static void what_is_not_listed_is_left_out(void **state) {
    (void)state;
    revbifpn_coco_report report;
    write_text(
        "gt.json",
        "{" IMAGES "\"annotations\": [" OBJECT
        ", {\"image_id\": 9, \"category_id\": 3}, {\"image_id\": \"1\", \"category_id\": 4}], " CATEGORIES
        "}");
    write_text("dt.json",
               "[" RESULT ", {\"image_id\": 1, \"category_id\": 4, \"bbox\": [2, 2, 6, 6], \"score\": 0.6}]");
    assert_int_equal(judge(inside("gt.json"), inside("dt.json"), 0, &report), REVBIFPN_OK);
    assert_true(fabs(report.stats[0] - 1) < 1e-12);
    assert_int_equal(report.objects_left_out, 2);
    assert_int_equal(report.detections_left_out, 1);
}

typedef struct wrong {
    const char *gt, *dt, *reason;
    int masks;
    revbifpn_status status;
} wrong;

static void wrong_files_are_refused_with_their_place(void **state) {
    (void)state;
    static const wrong cases[] = {
        {"[]", "[]", "gt.json: line 1, byte 1: '[' where an object is expected", 0, REVBIFPN_BAD_FILE},
        {"{}", "[]", "no \"images\": this is no annotation file", 0, REVBIFPN_BAD_FILE},
        {"{" IMAGES CATEGORIES "}", "[]", "no \"annotations\"", 0, REVBIFPN_BAD_FILE},
        {"{\"images\": [], \"annotations\": [], " CATEGORIES "}", "[]", "the list of images is empty", 0,
         REVBIFPN_BAD_FILE},
        {"{\"images\": [{\"id\": 1}, {\"id\": 1}], \"annotations\": [], " CATEGORIES "}", "[]",
         "image id 1 is there twice", 0, REVBIFPN_BAD_FILE},
        {"{\"images\": [{}], \"annotations\": [], " CATEGORIES "}", "[]", "an image without an id", 0,
         REVBIFPN_BAD_FILE},
        {"{\"images\": [{\"id\": 1.5}], \"annotations\": [], " CATEGORIES "}", "[]",
         "1.5 where a whole number", 0, REVBIFPN_BAD_FILE},
        {"{\"images\": [{\"id\": \"x1\"}], \"annotations\": [], " CATEGORIES "}", "[]",
         "the id \"x1\" is no whole number", 0, REVBIFPN_BAD_FILE},
        {"{" IMAGES "\"annotations\": [{\"id\": 2}], " CATEGORIES "}", "[]",
         "without image_id or category_id", 0, REVBIFPN_BAD_FILE},
        {"{" IMAGES "\"annotations\": [{\"id\": 2, \"image_id\": 1, \"category_id\": 3, \"bbox\": [1, 1, 2, "
         "2]}], " CATEGORIES "}",
         "[]", "gt.json: annotation 2 has no area", 0, REVBIFPN_BAD_DATA},
        {"{" IMAGES
         "\"annotations\": [{\"id\": 2, \"image_id\": 1, \"category_id\": 3, \"area\": 1}], " CATEGORIES "}",
         "[]", "gt.json: annotation 2 has no bbox", 0, REVBIFPN_BAD_DATA},
        {"{\"images\": [{\"id\": 1}], \"annotations\": [" OBJECT "], " CATEGORIES "}",
         "[{\"image_id\": 1, \"category_id\": 3, \"score\": 1, \"segmentation\": {\"size\": [1, 1], "
         "\"counts\": [1]}}]",
         "gt.json: annotation 5: the picture's size of 0 × 0 holds no mask", 1, REVBIFPN_BAD_FILE},
        {TRUTH, "{}", "dt.json: line 1, byte 1: '{' where an array is expected", 0, REVBIFPN_BAD_FILE},
        {TRUTH, "[" RESULT ",\n" RESULT, "dt.json: line 2, byte ", 0, REVBIFPN_BAD_FILE},
        {TRUTH, "[{\"image_id\": 1, \"category_id\": 3, \"bbox\": [NaN, 2, 6, 6], \"score\": 0.5}]",
         "line 1, byte 45: NaN and Infinity are no JSON", 0, REVBIFPN_BAD_FILE},
        {TRUTH, "[{\"image_id\": 1, \"category_id\": 3, \"bbox\": [2, 6, 6], \"score\": 0.5}]",
         "a bbox of 3 numbers", 0, REVBIFPN_BAD_FILE},
        {TRUTH, "[{\"image_id\": 1, \"category_id\": 3, \"bbox\": [2, 6, 6, 6]}]", "result 1 has no score", 0,
         REVBIFPN_BAD_FILE},
        {TRUTH, "[{\"image_id\": 1, \"category_id\": 3, \"score\": 1}]", "result 1 has no bbox", 0,
         REVBIFPN_BAD_FILE},
        {TRUTH, "[" RESULT "]", "result 1 has no segmentation", 1, REVBIFPN_BAD_FILE},
        {TRUTH, "[" RESULT ", {\"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 6, 6], \"score\": 1}]",
         "dt.json: result 2: the annotations have no image 7", 0, REVBIFPN_BAD_DATA},
        {TRUTH,
         "[{\"image_id\": 1, \"category_id\": 3, \"score\": 1, \"segmentation\": {\"size\": [10, 20], "
         "\"counts\": \"oooooooooooo0\"}}]",
         "dt.json: result 1: a run length of more than 40 bits", 1, REVBIFPN_BAD_FILE},
        {TRUTH,
         "[{\"image_id\": 1, \"category_id\": 3, \"score\": 1, \"segmentation\": {\"size\": [10, 20], "
         "\"counts\": [0, 2000000000, 2000000000, 2000000000]}}]",
         "dt.json: result 1: run lengths of more than the 200 pixels of 10 × 20", 1, REVBIFPN_BAD_FILE},
        {TRUTH,
         "[{\"image_id\": 1, \"category_id\": 3, \"score\": 1, \"segmentation\": {\"size\": [100000, "
         "100000], \"counts\": [0]}}]",
         "a size is [height, width], sides of 1 … 1048576, less than 2^31 pixels", 1, REVBIFPN_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wrong *w = &cases[i];
        revbifpn_coco_report report;
        write_text("gt.json", w->gt);
        write_text("dt.json", w->dt);
        revbifpn_status status = judge(inside("gt.json"), inside("dt.json"), w->masks, &report);
        const char *said = revbifpn_message(ctx);
        if (status != w->status || !strstr(said, w->reason) || strchr(said, '\n'))
            fail_msg("case %zu: %d, '%s'; wanted %d, '%s'", i, (int)status, said, (int)w->status, w->reason);
    }
    revbifpn_coco_report report;
    assert_int_equal(judge(inside("missing.json"), inside("dt.json"), 0, &report), REVBIFPN_IO_FAILED);
    assert_int_equal(judge("", inside("dt.json"), 0, &report), REVBIFPN_BAD_ARGUMENT);
}

static void truncated_files_are_refused_at_every_byte(void **state) {
    (void)state;
    const char truth[] = TRUTH, results[] =
                                    "[" RESULT ", {\"image_id\": 1, \"category_id\": 3, \"score\": 1, "
                                    "\"segmentation\": {\"size\": [10, 20], \"counts\": [3, 4, 193]}}]";
    char part[sizeof truth + sizeof results];
    revbifpn_coco_report report;
    write_text("gt.json", truth);
    write_text("dt.json", results);
    assert_int_equal(judge(inside("gt.json"), inside("dt.json"), 0, &report), REVBIFPN_OK);
    for (int which = 0; which < 2; which++) {
        const char *whole_text = which ? results : truth, *name = which ? "dt.json" : "gt.json";
        for (size_t n = 0; n < strlen(whole_text); n++) {
            snprintf(part, n + 1, "%s", whole_text);
            write_text(name, part);
            assert_int_equal(judge(inside("gt.json"), inside("dt.json"), 0, &report), REVBIFPN_BAD_FILE);
            if (!strstr(revbifpn_message(ctx), name)) fail_msg("%s", revbifpn_message(ctx));
        }
        write_text(name, whole_text);
    }
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    write_text("gt.json", TRUTH);
    write_text("dt.json", "[{\"image_id\": 1, \"category_id\": 3, \"score\": 1, \"segmentation\": [[2, 2, 6, "
                          "6], [3, 3, 2, 2]]}]");
    for (long n = 0;; n++) {
        revbifpn_coco_report report;
        rb_alloc_fail_after(n);
        revbifpn_status status = judge(inside("gt.json"), inside("dt.json"), 1, &report);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        if (pending) {
            assert_int_equal(status, REVBIFPN_OK);
            assert_true(n > 30);
            return;
        }
        if (status != REVBIFPN_OUT_OF_MEMORY || !strstr(revbifpn_message(ctx), "memory"))
            fail_msg("allocation %ld: %d, '%s'", n, (int)status, revbifpn_message(ctx));
    }
}

static int open_all(void **state) {
    if (revbifpn_open(&ctx, NULL)) return -1;
    return make_root(state);
}

static int close_all(void **state) {
    revbifpn_close(&ctx);
    return remove_root(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_boxes),
        cmocka_unit_test(random_sets_equal_a_plain_evaluator),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(no_results_are_nothing_found),
        cmocka_unit_test(masks_are_judged_by_their_area),
        cmocka_unit_test(what_is_not_listed_is_left_out),
        cmocka_unit_test(wrong_files_are_refused_with_their_place),
        cmocka_unit_test(every_failed_allocation_is_told),
        cmocka_unit_test(truncated_files_are_refused_at_every_byte),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
