/* Which detections of a picture are right: by class, overlap and score, each object once. */
#include "check.h"

#include "eval/hits.h"

static const float boxes[] = {0, 0, 10, 10, 20, 0, 30, 10, 21, 0, 31, 10};
static const int32_t labels[] = {0, 1, 1};
static const rb_truth truth = {.width = 40, .height = 20, .count = 3, .boxes = boxes, .labels = labels};

static int count_hits(const rb_detection *list, int count, int *found) {
    static rb_detections all;
    bool taken[3];
    all.count = count;
    for (int i = 0; i < count; i++) all.at[i] = list[i];
    return rb_detect_hits(&truth, &all, 0.3, 0.5, taken, found);
}

static void each_object_is_found_once(void **state) {
    (void)state;
    int found;
    const rb_detection twice[] = {{{0, 0, 10, 10}, 0.9f, 0}, {{0, 0, 10, 9}, 0.8f, 0}};
    assert_int_equal(count_hits(twice, 2, &found), 1);
    assert_int_equal(found, 2);
    /* both overlap the second object most; the later takes the third */
    const rb_detection near[] = {{{20, 0, 30, 10}, 0.9f, 1}, {{20, 0, 30, 10}, 0.5f, 1}};
    assert_int_equal(count_hits(near, 2, &found), 2);
}

static void class_overlap_and_score_count(void **state) {
    (void)state;
    int found;
    const rb_detection list[] = {{{0, 0, 10, 10}, 0.9f, 1},   /* another class */
                                 {{0, 0, 10, 4.9f}, 0.8f, 0}, /* overlaps by 0.49 */
                                 {{0, 0, 10, 10}, 0.29f, 0}}; /* too unlikely */
    assert_int_equal(count_hits(list, 3, &found), 0);
    assert_int_equal(found, 2);
    const rb_detection half[] = {{{0, 0, 10, 5}, 0.31f, 0}};
    assert_int_equal(count_hits(half, 1, &found), 1);
    assert_int_equal(count_hits(half, 0, &found), 0);
    assert_int_equal(found, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_object_is_found_once),
        cmocka_unit_test(class_overlap_and_score_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
