/* Matching and drawing (spec 7) against the definition with a whole matrix of overlaps. THREAD-TEST */
#include "check.h"

#include <math.h>

#include "detect/assign.h"
#include "detect/box.h"

enum { BOXES = 9000, TRUTHS = 40 };

typedef struct world {
    float boxes[BOXES][4], truth[TRUTHS][4];
    uint8_t valid[BOXES];
} world;

/* Sides on a coarse grid, so that equal overlaps abound. */
static void random_box(rb_rng *rng, float box[4]) {
    box[0] = (float)rb_rng_below(rng, 50) * 4;
    box[1] = (float)rb_rng_below(rng, 50) * 4;
    box[2] = box[0] + 4 + (float)rb_rng_below(rng, 12) * 4;
    box[3] = box[1] + 4 + (float)rb_rng_below(rng, 12) * 4;
}

static world *make_world(uint64_t which) {
    world *w = malloc(sizeof *w);
    rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, which, 1);
    for (int i = 0; i < BOXES; i++) {
        random_box(&rng, w->boxes[i]);
        w->valid[i] = rb_rng_below(&rng, 5) > 0;
    }
    for (int g = 0; g < TRUTHS; g++) random_box(&rng, w->truth[g]);
    return w;
}

static int32_t expected(const rb_assignment *a, int i, const float *best_of) {
    int32_t result = RB_LEFT_OUT;
    float most = -1;
    int object = 0;
    if (a->valid && !a->valid[i]) return RB_LEFT_OUT;
    for (int g = 0; g < a->truths; g++) {
        float overlap = rb_box_overlap(a->boxes + 4 * i, a->truth + 4 * g);
        if (overlap > most) most = overlap, object = g;
    }
    if (most < a->negative) result = RB_BACKGROUND;
    if (most >= a->positive) result = object + 1;
    for (int g = 0; g < a->truths && a->least <= 1; g++)
        if (best_of[g] >= a->least && rb_box_overlap(a->boxes + 4 * i, a->truth + 4 * g) == best_of[g])
            result = g + 1;
    return result;
}

static void run(const rb_assignment *a, int threads, int32_t *result) {
    rb_error err;
    rb_pool *pool;
    rb_ops ops;
    rb_ops_fill(&ops, RB_CPU_REF);
    CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
    rb_exec x = {.ops = &ops, .pool = pool};
    CHECK_OK(rb_arena_open(&x.scratch, 1 << 16, "scratch", &err), &err);
    rb_assign(&x, a, result);
    assert_int_equal(x.scratch.top, 0);
    rb_arena_close(&x.scratch);
    rb_pool_close(&pool);
}

static void hold(const rb_assignment *a) {
    static int32_t result[BOXES], again[BOXES];
    float best_of[TRUTHS] = {0};
    int counts[3] = {0};
    for (int g = 0; g < a->truths; g++) {
        best_of[g] = -1;
        for (int i = 0; i < a->count; i++)
            if (!a->valid || a->valid[i])
                best_of[g] = fmaxf(best_of[g], rb_box_overlap(a->boxes + 4 * i, a->truth + 4 * g));
    }
    run(a, 1, result);
    for (int threads = 2; threads <= 3; threads++) {
        run(a, threads, again);
        assert_memory_equal(result, again, (size_t)a->count * sizeof *result);
    }
    for (int i = 0; i < a->count; i++) {
        assert_int_equal(result[i], expected(a, i, best_of));
        counts[result[i] < 0 ? 0 : result[i] == 0 ? 1 : 2]++;
    }
    assert_true(counts[1] > 0 && (counts[2] > 0 || !a->truths));
}

static void matching_is_by_the_definition(void **state) {
    (void)state;
    for (uint64_t which = 0; which < 3; which++) {
        world *w = make_world(which);
        rb_assignment a = {.boxes = w->boxes[0],
                           .valid = w->valid,
                           .count = BOXES,
                           .truth = w->truth[0],
                           .truths = TRUTHS,
                           .positive = 0.7f,
                           .negative = 0.3f,
                           .least = 0.3f};
        hold(&a);
        a.valid = NULL;
        a.positive = a.negative = 0.5f;
        a.least = 2;
        hold(&a);
        a.truths = 0; /* all background */
        hold(&a);
        free(w);
    }
}

/* Later objects win the boxes that earlier ones hold. */
static void an_object_takes_its_best_boxes(void **state) {
    (void)state;
    static const float boxes[2][4] = {{0, 0, 10, 10}, {100, 100, 110, 110}};
    static const float truth[2][4] = {{0, 0, 10, 10}, {0, 0, 10, 20}};
    rb_assignment a = {.boxes = boxes[0], .count = 2, .truth = truth[0], .truths = 2};
    a.positive = 0.7f;
    a.negative = a.least = 0.3f;
    int32_t result[2];
    run(&a, 1, result);
    assert_true(result[0] == 2 && result[1] == RB_BACKGROUND);
}

static void draws_are_fair_and_repeatable(void **state) {
    (void)state;
    enum { ALL = 40, MOST = 10, ROUNDS = 8000 };
    int hits[ALL] = {0};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        int32_t list[ALL], again[ALL];
        for (int i = 0; i < ALL; i++) list[i] = again[i] = i * 3;
        rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, round, 2), same = rng;
        assert_int_equal(rb_draw(&rng, list, ALL, MOST), MOST);
        assert_int_equal(rb_draw(&same, again, ALL, MOST), MOST);
        assert_memory_equal(list, again, sizeof list);
        for (int i = 0; i < MOST; i++) {
            assert_true(list[i] % 3 == 0 && (!i || list[i] > list[i - 1]));
            hits[list[i] / 3]++;
        }
    }
    for (int i = 0; i < ALL; i++) /* 2000 each; six deviations of √(8000 · ¼ · ¾) = 39 */
        assert_true(abs(hits[i] - 2000) < 6 * 39);
    int32_t few[3] = {4, 5, 9};
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, 0, 2);
    assert_true(rb_draw(&rng, few, 3, 5) == 3 && few[0] == 4 && few[2] == 9);
}

/* `positives` boxes with an object and `negatives` of background, in turns, others between them; the numbers
 * that are drawn. */
static void hold_share(int positives, int negatives, int most, int share, int with_object, int background) {
    enum { ALL = 100 };
    int32_t result[ALL], positive[ALL], negative[ALL];
    rb_drawn drawn = {positive, negative, 7, 7};
    rb_rng rng = rb_rng_open(3, RB_PURPOSE_TEST, (uint64_t)most, (uint64_t)positives);
    for (int i = 0; i < ALL; i++) {
        bool object = i % 2 && positives > 0, nothing = !(i % 2) && negatives > 0;
        result[i] = object ? 1 + i : nothing ? RB_BACKGROUND : RB_LEFT_OUT;
        positives -= object, negatives -= nothing;
    }
    rb_draw_matched(&rng, result, ALL, most, share, &drawn);
    assert_true(drawn.positives == with_object && drawn.negatives == background);
    for (int i = 0; i < with_object; i++)
        assert_true(result[positive[i]] > 0 && (!i || positive[i] > positive[i - 1]));
    for (int i = 0; i < background; i++)
        assert_true(result[negative[i]] == RB_BACKGROUND && (!i || negative[i] > negative[i - 1]));
}

static void background_fills_up(void **state) {
    (void)state;
    hold_share(40, 45, 40, 2, 20, 20);
    hold_share(40, 45, 40, 4, 10, 30);
    hold_share(3, 45, 40, 4, 3, 37); /* few with an object: more background */
    hold_share(40, 5, 40, 2, 20, 5); /* but not the other way round */
    hold_share(40, 45, 0, 2, 40, 45);
    hold_share(0, 0, 40, 2, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching_is_by_the_definition),
        cmocka_unit_test(an_object_takes_its_best_boxes),
        cmocka_unit_test(draws_are_fair_and_repeatable),
        cmocka_unit_test(background_fills_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
