/* Scale jitter, colour jitter and mosaics in the loader: batches depend on the options alone, bad files are
 * stood in for, the plan holds. THREAD-TEST */
#include "detect_case.h"

#include <math.h>

static rb_detect_loader_options all_of_it(const rb_objects *set, int threads) {
    rb_detect_loader_options o = loader_options(set, true, threads);
    o.mosaic = 0.5;
    o.limits.scale_low = 0.5;
    o.limits.scale_high = 1.6;
    o.limits.colors = (rb_jitter){{0.4, 0.4, 0.4, 0.1}};
    return o;
}

static void same_batches_for_any_threads(void **state) {
    (void)state;
    write_set("threads", -1);
    rb_error err;
    CHECK_OK(rb_file_replace(inside("threads/images/4.jpg"), "no picture", 10, &err), &err);
    remove(inside("threads/images/11.jpg"));
    rb_objects set = open_set("threads", RB_OBJECTS_ALL, true);
    uint64_t want[STEPS], got[STEPS];
    rb_detect_loader_options options = all_of_it(&set, 0);
    read_hashes(&options, want);
    for (int i = 1; i < STEPS; i++) assert_true(want[i] != want[i - 1]);
    for (int t = 1; t < 6; t += 2) {
        options = all_of_it(&set, t);
        options.ring = 2 + t;
        read_hashes(&options, got);
        assert_memory_equal(got, want, sizeof want);
    }
    for (int skip = 0; skip < STEPS; skip += 3) { /* resumed; nothing is known yet of the bad files */
        options = all_of_it(&set, skip % 3);
        options.ring = 2;
        options.epoch = (uint64_t)(skip / 4);
        options.first_batch = skip % 4;
        rb_detect_loader *loader = open_loader(&options);
        for (int i = skip; i < STEPS && i < skip + 4; i++) {
            rb_detect_batch batch = next(loader);
            assert_true(batch_hash(&batch) == want[i]);
        }
        rb_detect_loader_close(&loader);
    }
    rb_objects_close(&set);
}

/* A bad file in a corner of a mosaic is stood in for, told under its own name, and counted. */
static void bad_corners_are_stood_in_for(void **state) {
    (void)state;
    write_set("corners", -1);
    remove(inside("corners/images/11.jpg"));
    rb_objects set = open_set("corners", RB_OBJECTS_ALL, true);
    rb_detect_loader_options options = all_of_it(&set, 2);
    options.mosaic = 1;
    rb_detect_loader *loader = open_loader(&options);
    int stood_in = 0, first = 0;
    for (int i = 0; i < 20; i++) {
        rb_detect_batch b = next(loader);
        for (int k = 0; k < b.count; k++) {
            assert_true(b.items[k].mosaic && b.items[k].picture != 11);
            stood_in += b.items[k].stands_in;
            first += b.items[k].stands_in && b.items[k].picture == 12; /* mostly by chance */
        }
    }
    assert_true(stood_in > 10 && stood_in < 50 && first < stood_in);
    const rb_loader_issue *issues;
    assert_int_equal(rb_detect_loader_issues(loader, &issues), 1);
    assert_string_equal(issues[0].path, inside("corners/images/11.jpg"));
    assert_non_null(strstr(issues[0].reason, "11.jpg"));
    rb_detect_loader_close(&loader);
    rb_objects_close(&set);
}

static size_t sum_of(const rb_detect_plan *plan) {
    size_t area = 0;
    for (int i = 0; i < plan->extent_count; i++)
        area += (size_t)plan->extents[i].height * (size_t)plan->extents[i].width;
    return area;
}

static void the_plan_holds(void **state) {
    (void)state;
    write_set("plan", -1);
    rb_objects set = open_set("plan", RB_OBJECTS_ALL, true);
    rb_detect_loader_options off = loader_options(&set, true, 2), options = all_of_it(&set, 2);
    rb_detect_plan before, plan;
    rb_error err;
    CHECK_OK(rb_detect_loader_plan(&off, &before, &err), &err);
    CHECK_OK(rb_detect_loader_plan(&options, &plan, &err), &err);
    assert_int_equal(plan.most_objects, 4 * before.most_objects);
    assert_int_equal(sum_of(&plan), sum_of(&before)); /* pictures are no larger */
    size_t object = 4 * sizeof(float) + sizeof(int32_t) + sizeof(rb_mask) + sizeof(size_t);
    size_t of_batch = BATCH * object * (size_t)before.most_objects;
    assert_int_equal(plan.bytes, before.bytes + (size_t)options.ring * 3 * of_batch + 4 * of_batch);
    rb_detect_loader *loader = open_loader(&options);
    int mosaics = 0, most = 0, small = 0;
    for (int i = 0; i < 24; i++) {
        rb_detect_batch b = next(loader);
        int fits = 0;
        for (int k = 0; k < plan.extent_count; k++)
            fits += b.height <= plan.extents[k].height && b.width <= plan.extents[k].width;
        assert_true(fits > 0);
        for (int k = 0; k < b.count; k++) {
            const rb_truth *t = &b.items[k].truth;
            assert_true(t->width <= b.width && t->height <= b.height && t->count <= plan.most_objects);
            mosaics += b.items[k].mosaic;
            small += t->width < 60 && t->height < 60;
            if (t->count > most) most = t->count;
        }
    }
    assert_in_range(mosaics, 30, 66);
    assert_true(most > before.most_objects && small > 3);
    rb_detect_loader_close(&loader);
    rb_objects_close(&set);
}

/* From the epoch on that closes them there are no mosaics, and nothing else is different. */
static void mosaics_end(void **state) {
    (void)state;
    write_set("end", -1);
    rb_objects set = open_set("end", RB_OBJECTS_ALL, true);
    rb_detect_loader_options options = all_of_it(&set, 2);
    options.mosaic_end = 2; /* four batches an epoch */
    uint64_t with[STEPS], without[STEPS];
    read_hashes(&options, with);
    options.mosaic = 0;
    read_hashes(&options, without);
    for (int i = 0; i < STEPS; i++) assert_int_equal(with[i] == without[i], i >= 8);
    rb_objects_close(&set);
}

/* A set of PNG files, which no decoder rounds. */
static rb_objects exact_set(void) {
    rb_text text = {0};
    rb_text_add(&text, "{\"categories\": [{\"id\": 1, \"name\": \"a\"}], \"images\": [");
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        snprintf(name, sizeof name, "exact/images/%d.png", i);
        put_picture(name, sides[i][0], sides[i][1], 1);
        rb_text_format(&text, "%s{\"id\": %d, \"width\": %d, \"height\": %d, \"file_name\": \"%d.png\"}",
                       i ? "," : "", i + 1, sides[i][0], sides[i][1], i);
    }
    rb_text_add(&text, "], \"annotations\": [");
    for (int i = 0; i < PICTURES; i++)
        rb_text_format(&text,
                       "%s{\"id\": %d, \"image_id\": %d, \"category_id\": 1, \"bbox\": [%d.25, 3.5, 30, 40], "
                       "\"segmentation\": [[%d, 4, 30, 6, 22, 30]]}",
                       i ? "," : "", i + 1, i + 1, i, i);
    rb_text_add(&text, "]}");
    assert_false(text.failed);
    put("exact/annotations/instances_train.json", text.bytes);
    rb_text_close(&text);
    return open_set("exact", RB_OBJECTS_ALL, true);
}

/* The number is that of the loader before there was any of this. */
static void without_them_nothing_has_changed(void **state) {
    (void)state;
    rb_objects set = exact_set();
    uint64_t hashes[STEPS];
    rb_detect_loader_options options = loader_options(&set, true, 0);
    read_hashes(&options, hashes);
    uint64_t hash = hash_bytes(1, hashes, sizeof hashes);
    if (hash != 0x73288f2a6d8553f0u) fail_msg("%016llx", (unsigned long long)hash);
    rb_objects_close(&set);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    static const struct {
        double mosaic, low, high;
        const char *text;
    } wrong[] = {{-0.1, 0, 0, "mosaic -0.1: not a probability"},
                 {1.1, 0, 0, "mosaic 1.1: not a probability"},
                 {(double)NAN, 0, 0, "not a probability"},
                 {0, 0.01, 1, "scale-jitter 0.01..1: two rising factors in 0.05 … 10"},
                 {0, 1.5, 1, "scale-jitter 1.5..1"},
                 {0, 0, 1, "scale-jitter 0..1"},
                 {0, 0.5, 11, "scale-jitter 0.5..11"}};
    write_set("wrong", -1);
    rb_objects set = open_set("wrong", RB_OBJECTS_ALL, true);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rb_detect_loader_options options = loader_options(&set, true, 0);
        rb_detect_loader *loader;
        rb_error err = {0};
        options.mosaic = wrong[i].mosaic;
        options.limits.scale_low = wrong[i].low;
        options.limits.scale_high = wrong[i].high;
        assert_int_equal(rb_detect_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
        if (!strstr(err.text, wrong[i].text)) fail_msg("%s", err.text);
    }
    rb_objects_close(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_batches_for_any_threads),
        cmocka_unit_test(bad_corners_are_stood_in_for),
        cmocka_unit_test(the_plan_holds),
        cmocka_unit_test(mosaics_end),
        cmocka_unit_test(without_them_nothing_has_changed),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
