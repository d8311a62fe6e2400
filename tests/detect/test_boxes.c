/* Boxes, anchors and proposals against their definitions (spec 6, 8, 9). */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "detect/anchors.h"
#include "detect/box.h"
#include "detect/propose.h"

static rb_rng random_numbers(uint64_t which) { return rb_rng_open(7, RB_PURPOSE_TEST, which, 0); }

static float between(rb_rng *rng, double low, double high) {
    return (float)(low + (high - low) * rb_rng_uniform(rng));
}

static void random_box(rb_rng *rng, float box[4]) {
    box[0] = between(rng, 0, 80);
    box[1] = between(rng, 0, 80);
    box[2] = box[0] + between(rng, 1, 60);
    box[3] = box[1] + between(rng, 1, 60);
}

/* Spec 19.2. */
static void codes_are_golden(void **state) {
    (void)state;
    static const float from[4] = {10, 20, 50, 100}, to[4] = {12, 18, 60, 90};
    static const double plain[4] = {.15, -.075, .182321557, -.105360516},
                        scaled[4] = {1.5, -.75, .911607784, -.526802578};
    float code[4], back[4];
    rb_box_encode(from, to, rb_deviation_rpn, code);
    for (int i = 0; i < 4; i++) assert_true(fabs((double)code[i] - plain[i]) < 1e-6);
    rb_box_decode(from, code, rb_deviation_rpn, 1000, 1000, back);
    for (int i = 0; i < 4; i++) assert_true(fabsf(back[i] - to[i]) < 1e-4f);
    rb_box_encode(from, to, rb_deviation_roi, code);
    for (int i = 0; i < 4; i++) assert_true(fabs((double)code[i] - scaled[i]) < 1e-6);
    rb_box_decode(from, code, rb_deviation_roi, 55, 85, back);
    assert_true(back[2] == 55 && back[3] == 85); /* clipped */
}

static void growth_is_limited(void **state) {
    (void)state;
    static const float from[4] = {0, 0, 16, 16}, code[4] = {0, 0, 1000, -1000};
    float box[4];
    rb_box_decode(from, code, rb_deviation_rpn, 5000, 5000, box);
    assert_true(fabsf(box[2] - (8 + 500)) < 0.1f && box[0] == 0); /* 16 · 1000/16, about 8 */
    assert_true(fabsf(box[3] - box[1] - 16.0f * 16.0f / 1000.0f) < 1e-3f);
}

static void anchors_are_golden(void **state) {
    (void)state;
    static const float finest[3][4] = {{-22.627417f, -11.313708f, 22.627417f, 11.313708f},
                                       {-16, -16, 16, 16},
                                       {-11.313708f, -22.627417f, 11.313708f, 22.627417f}};
    rb_anchors a = rb_anchors_of(800, 1344);
    assert_int_equal(a.first[RB_PYRAMID_LEVELS], 268506);
    assert_true(a.h[4] == 12 && a.w[4] == 21 && a.h[3] == 25 && a.w[3] == 42);
    for (int i = 0; i < 3; i++) {
        float box[4], moved[4];
        rb_anchor_box(&a, i, box);
        for (int c = 0; c < 4; c++) assert_true(fabsf(box[c] - finest[i][c]) < 1e-5f);
        rb_anchor_box(&a, (2 * a.w[0] + 5) * 3 + i, moved); /* cell x 5, y 2 */
        assert_true(fabsf(moved[0] - box[0] - 20) < 1e-4f && fabsf(moved[3] - box[3] - 8) < 1e-4f);
    }
    assert_int_equal(rb_anchor_level(&a, a.first[3] - 1), 2);
    assert_int_equal(rb_anchor_level(&a, a.first[3]), 3);
}

static void cells_of_the_padding_are_not_valid(void **state) {
    (void)state;
    rb_anchors a = rb_anchors_of(128, 160);
    uint8_t *valid = malloc((size_t)a.first[RB_PYRAMID_LEVELS]);
    rb_anchors_valid(&a, 96, 128, valid);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++)
        for (int cell = 0; cell < a.h[l] * a.w[l]; cell++) {
            int y = cell / a.w[l], x = cell % a.w[l], stride = rb_level_stride(l);
            bool inside = y * stride < 96 && x * stride < 128;
            for (int i = 0; i < 3; i++) assert_int_equal(valid[a.first[l] + cell * 3 + i], inside);
        }
    free(valid);
}

/* Of 500 random boxes: what is kept overlaps no kept one before it by more, what is not does. */
static void suppression_is_greedy(void **state) {
    (void)state;
    enum { COUNT = 500 };
    static float boxes[COUNT][4];
    uint8_t keep[COUNT];
    rb_rng rng = random_numbers(1);
    for (int i = 0; i < COUNT; i++) random_box(&rng, boxes[i]);
    int kept = rb_box_suppress(boxes[0], COUNT, 0.5f, keep), counted = 0;
    for (int i = 0; i < COUNT; i++) {
        bool covered = false;
        for (int j = 0; j < i; j++) covered |= keep[j] && rb_box_overlap(boxes[j], boxes[i]) > 0.5f;
        assert_int_equal(keep[i], !covered);
        counted += keep[i];
    }
    assert_true(kept == counted && kept > 20 && kept < COUNT);
    static const float nothing[2][4] = {{5, 5, 5, 9}, {5, 5, 5, 9}};
    assert_int_equal(rb_box_suppress(nothing[0], 2, 0.5f, keep), 2); /* without area: never suppressed */
}

static int falling(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* With many equal scores, negative ones and not-a-numbers. */
static void the_best_are_selected(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static float scores[COUNT], sorted[COUNT];
    static uint32_t counts[1 << 16];
    static int32_t out[COUNT];
    rb_rng rng = random_numbers(2);
    for (int round = 0; round < 40; round++) {
        int count = 1 + (int)rb_rng_below(&rng, COUNT), most = 1 + (int)rb_rng_below(&rng, COUNT),
            numbers = 0;
        for (int i = 0; i < count; i++) {
            bool few = round % 2;
            scores[i] = few ? (float)rb_rng_below(&rng, 7) - 3 : between(&rng, -3, 3);
            if (round % 5 == 0 && rb_rng_below(&rng, 10) == 0) scores[i] = NAN;
            if (!isnan(scores[i])) sorted[numbers++] = scores[i];
        }
        qsort(sorted, (size_t)numbers, sizeof *sorted, falling);
        int found = rb_select_best(scores, count, most, counts, out),
            expected = numbers < most ? numbers : most;
        assert_int_equal(found, expected);
        float last = sorted[expected - 1], sum = 0, golden = 0;
        int before = -1;
        for (int i = 0; i < found; i++) {
            assert_true(out[i] > before && scores[out[i]] >= last);
            for (int j = before + 1; j < out[i];
                 j++) /* passed over: smaller, or equal when there was no room */
                assert_true(isnan(scores[j]) || scores[j] <= last);
            before = out[i];
            sum += scores[out[i]];
            golden += sorted[i];
        }
        assert_true(fabsf(sum - golden) < 0.05f);
        for (int j = 0; j < before; j++) /* of equal ones the first */
            if (scores[j] == last) {
                bool taken = false;
                for (int i = 0; i < found; i++) taken |= out[i] == j;
                for (int i = 0; i < found && !taken; i++) assert_true(out[i] < j || scores[out[i]] > last);
            }
    }
}

/* Where levels have equal scores the finer one comes first; a better score comes before all. */
static void finer_levels_come_first(void **state) {
    (void)state;
    enum { SIDE = 128, MOST = 12 };
    static float scores[32 * 32 * 3], codes[32 * 32 * 12], better[3] = {0, 0, 1}, boxes[4 * MOST];
    rb_error err;
    rb_ops ops;
    rb_pool *pool;
    CHECK_OK(rb_pool_open(&pool, 2, &err), &err);
    rb_ops_fill(&ops, RB_CPU_REF);
    rb_anchors anchors = rb_anchors_of(SIDE, SIDE);
    rb_propose p = {.anchors = &anchors, .per_level = 4, .most = MOST, .threshold = 0.7f};
    rb_exec dry = {.ops = &ops, .pool = pool, .scratch = rb_arena_dry(), .dry = true};
    rb_exec x = {.ops = &ops, .pool = pool};
    rb_rpn_maps maps;
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) maps.scores[l] = scores, maps.codes[l] = codes;
    maps.scores[3] = (float[4 * 4 * 3]){0}; /* 32 pixels a cell */
    memcpy((float *)(uintptr_t)maps.scores[3], better, sizeof better);
    rb_propose_run(&dry, &p, NULL, 0, 0, NULL);
    CHECK_OK(rb_arena_open(&x.scratch, dry.scratch.high, "test", &err), &err);
    int found = rb_propose_run(&x, &p, &maps, SIDE, SIDE, boxes);
    float anchor[4], sides[MOST];
    rb_anchor_box(&anchors, anchors.first[3] + 2, anchor);
    assert_true(found > 2 && boxes[2] == fminf(anchor[2], SIDE) && boxes[3] == fminf(anchor[3], SIDE));
    for (int i = 0; i < found; i++) {
        const float *b = boxes + 4 * i;
        sides[i] = fmaxf(b[2] - b[0], b[3] - b[1]);
    }
    assert_true(sides[1] <= 46 && sides[found - 1] > 46); /* the finest level's are 45 long at most */
    rb_arena_close(&x.scratch);
    rb_pool_close(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_golden),        cmocka_unit_test(growth_is_limited),
        cmocka_unit_test(anchors_are_golden),      cmocka_unit_test(cells_of_the_padding_are_not_valid),
        cmocka_unit_test(suppression_is_greedy),   cmocka_unit_test(the_best_are_selected),
        cmocka_unit_test(finer_levels_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
