/* The loader of pictures with objects: groups, sizes of batches, the same batches whatever the threads,
 * resume, what stands in for bad files. THREAD-TEST */
#include "detect_case.h"

#include "data/detect_sampler.h"

/* Fits into one of the planned extents, and is as small as multiples of 32 can be. */
static void check_extent(const rb_detect_loader *l, const rb_detect_batch *b) {
    const rb_detect_plan *plan = rb_detect_loader_planned(l);
    int fits = 0, height = 0, width = 0;
    for (int i = 0; i < plan->extent_count; i++)
        fits += b->height <= plan->extents[i].height && b->width <= plan->extents[i].width;
    assert_true(fits > 0);
    for (int i = 0; i < b->count; i++) {
        const rb_truth *t = &b->items[i].truth;
        assert_true(t->count <= plan->most_objects);
        if (t->height > height) height = t->height;
        if (t->width > width) width = t->width;
    }
    assert_int_equal(b->height, rb_detect_padded(height));
    assert_int_equal(b->width, rb_detect_padded(width));
}

static void training_goes_group_by_group(void **state) {
    (void)state;
    write_set("groups", -1);
    rb_objects set = open_set("groups", RB_OBJECTS_ALL, true);
    rb_detect_loader_options options = loader_options(&set, true, 2);
    options.end_epoch = 3;
    rb_detect_loader *loader = open_loader(&options);
    const rb_detect_plan *plan = rb_detect_loader_planned(loader);
    assert_int_equal(plan->pictures, 15);
    assert_int_equal(plan->most_objects, 3);
    assert_int_equal(plan->batches, 4); /* 8 upright, 7 wide */
    assert_int_equal(plan->extent_count, 2);
    int first[3] = {0};
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[PICTURES] = {0}, wide_batches = 0;
        for (int i = 0; i < 4; i++) {
            rb_detect_batch b = next(loader);
            assert_int_equal(b.epoch, epoch);
            assert_int_equal(b.index, i);
            assert_int_equal(b.last, i == 3);
            assert_int_equal(b.count, BATCH);
            check_extent(loader, &b);
            bool wide = b.items[0].width > b.items[0].height;
            wide_batches += wide;
            if (!i) first[epoch] = b.items[0].picture;
            for (int k = 0; k < BATCH; k++) {
                assert_int_equal(b.items[k].width > b.items[k].height, wide);
                assert_int_equal(b.items[k].id, 100 + b.items[k].picture);
                assert_false(b.items[k].stands_in);
                seen[b.items[k].picture]++;
            }
        }
        assert_int_equal(wide_batches, 2);
        int twice = 0;
        for (int i = 0; i < PICTURES; i++) {
            if (i == 7 || i == 9)
                assert_int_equal(seen[i], 0);
            else
                assert_in_range(seen[i], 1, 2);
            twice += seen[i] == 2;
        }
        assert_int_equal(twice, 1);
    }
    assert_int_equal(next(loader).count, 0);
    assert_true(first[0] != first[1] || first[1] != first[2]);
    rb_detect_loader_close(&loader);
    rb_objects_close(&set);
}

static void same_batches_for_any_threads(void **state) {
    (void)state;
    write_set("threads", -1);
    rb_error err;
    CHECK_OK(rb_file_replace(inside("threads/images/4.jpg"), "no picture", 10, &err), &err);
    rb_objects set = open_set("threads", RB_OBJECTS_ALL, true);
    for (int training = 0; training < 2; training++) {
        uint64_t want[STEPS], got[STEPS];
        rb_detect_loader_options options = loader_options(&set, training, 0);
        read_hashes(&options, want);
        for (int i = 1; i < STEPS; i++) assert_true(want[i] != want[i - 1]);
        for (int t = 1; t < 6; t += 2) {
            options = loader_options(&set, training, t);
            options.ring = 2 + t;
            read_hashes(&options, got);
            assert_memory_equal(got, want, sizeof want);
        }
        for (int skip = 0; skip < STEPS; skip += 3) { /* resumed */
            options = loader_options(&set, training, skip % 3);
            options.ring = 2;
            options.epoch = (uint64_t)(skip / (training ? 4 : 5));
            options.first_batch = skip % (training ? 4 : 5);
            rb_detect_loader *loader = open_loader(&options);
            for (int i = skip; i < STEPS && i < skip + 4; i++) {
                rb_detect_batch batch = next(loader);
                assert_true(batch_hash(&batch) == want[i]);
            }
            rb_detect_loader_close(&loader);
        }
        options.seed++;
        options.epoch = 0, options.first_batch = 0;
        read_hashes(&options, got);
        if (training) assert_true(got[0] != want[0] && got[9] != want[9]);
    }
    rb_objects_close(&set);
}

/* Every picture of a batch is what data/detect_change.h makes of its file. */
static void check_content(const rb_objects *set, const rb_detect_batch *b) {
    rb_detect_room room = {0};
    rb_detect_truth truth;
    rb_error err;
    static uint8_t want[160 * 160 * 3];
    CHECK_OK(rb_detect_truth_open(&truth, 3, true, &err), &err);
    for (int i = 0; i < b->count; i++) {
        const rb_detect_item *item = &b->items[i];
        const rb_truth *t = &item->truth;
        rb_detect_draw draw = rb_detect_draw_whole(t->width, t->height, item->mirrored);
        rb_decode_options decode = {.max_pixels = 1 << 20, .apply_exif = true};
        rb_image image;
        CHECK_OK(rb_image_read(rb_picture_path(&set->train, item->picture), &decode, &image, NULL, &err),
                 &err);
        assert_true(image.width == item->width && image.height == item->height);
        CHECK_OK(rb_detect_change_image(&draw, &image, want, (size_t)t->width * 3, &room, &err), &err);
        CHECK_OK(rb_detect_change_objects(&draw, &set->train, item->picture, &room, &truth, &err), &err);
        for (int y = 0; y < t->height; y++)
            assert_memory_equal(b->images +
                                    ((size_t)i * (size_t)b->height + (size_t)y) * (size_t)b->width * 3,
                                want + (size_t)y * (size_t)t->width * 3, (size_t)t->width * 3);
        assert_int_equal(t->count, truth.view.count);
        if (t->count) assert_memory_equal(t->boxes, truth.boxes, (size_t)t->count * 16);
        for (int k = 0; k < t->count; k++) {
            assert_int_equal(t->labels[k], truth.labels[k]);
            assert_int_equal(t->masks[k].count, truth.masks[k].count);
            assert_memory_equal(t->masks[k].spans, truth.masks[k].spans,
                                truth.masks[k].count * sizeof(rb_span));
        }
        assert_true(item->scale[0] == (float)((double)t->width / item->width));
        rb_image_free(&image);
    }
    rb_detect_truth_close(&truth);
    rb_detect_room_close(&room);
}

static void batches_hold_what_was_changed(void **state) {
    (void)state;
    write_set("content", -1);
    rb_objects set = open_set("content", RB_OBJECTS_ALL, true);
    for (int training = 0; training < 2; training++) {
        rb_detect_loader_options options = loader_options(&set, training, training);
        options.ring = 2;
        rb_detect_loader *loader = open_loader(&options);
        int mirrored = 0;
        for (int i = 0; i < 10; i++) {
            rb_detect_batch b = next(loader);
            check_content(&set, &b);
            for (int k = 0; k < b.count; k++) mirrored += b.items[k].mirrored;
            if (training) continue;
            assert_int_equal(b.count, i % 5 == 4 ? 1 : BATCH);
            for (int k = 0; k < b.count; k++) {
                assert_int_equal(b.items[k].picture, i % 5 * BATCH + k);
                assert_int_equal(b.items[k].truth.height < b.items[k].truth.width
                                     ? b.items[k].truth.height <= 100 && b.items[k].truth.width <= 150
                                     : b.items[k].truth.width <= 100 && b.items[k].truth.height <= 150,
                                 1);
            }
        }
        assert_in_range(mirrored, training ? 8 : 0, training ? 32 : 0);
        rb_detect_loader_close(&loader);
    }
    rb_objects_close(&set);
}

static void bad_files_are_stood_in_for(void **state) {
    (void)state;
    write_set("bad", 12); /* its sides are exchanged in the annotations */
    rb_error err;
    CHECK_OK(rb_file_replace(inside("bad/images/9.jpg"), "no picture", 10, &err), &err);
    remove(inside("bad/images/0.jpg"));
    rb_objects set = open_set("bad", RB_OBJECTS_ALL, true);
    rb_detect_loader_options options = loader_options(&set, false, 2);
    rb_detect_loader *loader = open_loader(&options);
    for (int i = 0; i < 5; i++) {
        rb_detect_batch b = next(loader);
        for (int k = 0; k < b.count; k++) {
            int asked = i * BATCH + k, bad = asked == 0 || asked == 9 || asked == 12;
            assert_int_equal(b.items[k].picture, asked + bad);
            assert_int_equal(b.items[k].stands_in, bad);
            assert_true(b.items[k].truth.width <= b.width && b.items[k].truth.height <= b.height);
        }
        check_content(&set, &b);
    }
    const rb_loader_issue *issues;
    assert_int_equal(rb_detect_loader_issues(loader, &issues), 3);
    assert_string_equal(issues[0].path, inside("bad/images/0.jpg"));
    assert_non_null(strstr(issues[2].reason, "12.jpg: 75 x 50 pixels, and 50 x 75 in the annotations"));
    assert_true(rb_detect_loader_worked(loader).pictures >= PICTURES);
    rb_detect_loader_close(&loader);
    options.max_bad = 2;
    loader = open_loader(&options);
    rb_detect_batch b;
    for (int i = 0; i < 3; i++) next(loader);
    assert_int_equal(rb_detect_loader_next(loader, &b, &err), REVBIFPN_BAD_DATA);
    assert_non_null(strstr(err.text, "3 unreadable files, more than the limit of 2 (--max-bad): "));
    rb_detect_loader_close(&loader);
    rb_objects_close(&set);
}

/* Draws belong to the sample that was asked for. */
static void what_stands_in_is_drawn_alike(void **state) {
    (void)state;
    bool mirrored[2][24 * BATCH];
    write_set("draws", -1);
    rb_objects set = open_set("draws", RB_OBJECTS_ALL, true);
    for (int bad = 0; bad < 2; bad++) {
        if (bad) remove(inside("draws/images/0.jpg")), remove(inside("draws/images/5.jpg"));
        rb_detect_loader_options options = loader_options(&set, true, 0);
        rb_detect_loader *loader = open_loader(&options);
        int stood_in = 0;
        for (int i = 0; i < 24 * BATCH; i += BATCH) {
            rb_detect_batch b = next(loader);
            for (int k = 0; k < BATCH; k++) {
                mirrored[bad][i + k] = b.items[k].mirrored;
                stood_in += b.items[k].stands_in;
            }
        }
        assert_true(bad ? stood_in >= 12 : !stood_in);
        rb_detect_loader_close(&loader);
    }
    assert_memory_equal(mirrored[0], mirrored[1], sizeof mirrored[0]);
    rb_objects_close(&set);
}

/* In a batch of its own a bad picture sets the size, and what stands in is made to fit. */
static void what_stands_in_fits(void **state) {
    (void)state;
    write_set("fit", -1);
    remove(inside("fit/images/0.jpg")); /* wide; the next one is upright */
    rb_objects set = open_set("fit", RB_OBJECTS_ALL, true);
    rb_detect_loader_options options = loader_options(&set, false, 0);
    options.batch = 1;
    rb_detect_loader *loader = open_loader(&options);
    rb_detect_batch b = next(loader);
    assert_true(b.width == 160 && b.height == 128);
    assert_int_equal(b.items[0].picture, 1);
    assert_int_equal(b.items[0].truth.height, 128);
    assert_int_equal(b.items[0].truth.width, 85);
    check_content(&set, &b);
    rb_detect_loader_close(&loader);
    rb_objects_close(&set);
}

static void orders_are_permutations(void **state) {
    (void)state;
    bool wide[10] = {0, 1, 0, 0, 1, 0, 0, 0, 0, 0};
    rb_detect_order order;
    rb_error err;
    CHECK_OK(rb_detect_order_open(&order, wide, 10, 3, &err), &err);
    assert_int_equal(order.batch_count, 4);
    uint32_t want[3], again[3];
    int places[4] = {0};
    for (uint64_t epoch = 0; epoch < 100; epoch++) {
        rb_detect_order_shuffle(&order, 1, epoch);
        int seen[10] = {0};
        for (int b = 0; b < 4; b++) {
            rb_detect_order_batch(&order, b, want, again);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(wide[want[i]], wide[want[0]]);
                assert_true(again[i] < 2 && !(seen[want[i]] & 1 << again[i]));
                seen[want[i]] |= 1 << again[i];
            }
            if (wide[want[0]]) {
                places[b]++;
                assert_true(want[0] != want[1] &&
                            want[2] == want[0]); /* two of three: filled from the front */
            }
        }
        for (int i = 0; i < 10; i++) assert_true(seen[i] & 1);
    }
    for (int b = 0; b < 4; b++) assert_in_range(places[b], 10, 45);
    rb_detect_order_close(&order);
    bool all_wide[2] = {1, 1};
    CHECK_OK(rb_detect_order_open(&order, all_wide, 2, 5, &err), &err);
    assert_int_equal(order.batch_count, 1);
    rb_detect_order_shuffle(&order, 1, 0);
    uint32_t five[5], times[5];
    rb_detect_order_batch(&order, 0, five, times);
    assert_true(five[4] == five[0] && times[4] == 2 && times[3] == 1);
    rb_detect_order_close(&order);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    write_set("options", -1);
    rb_objects set = open_set("options", RB_OBJECTS_ALL, true);
    rb_detect_loader *loader;
    rb_detect_plan plan;
    rb_error err;
    for (int i = 0; i < 7; i++) {
        rb_detect_loader_options options = loader_options(&set, true, 1);
        if (i == 0) options.batch = 0;
        if (i == 1) options.threads = 1000;
        if (i == 2) options.ring = 1;
        if (i == 3) options.max_pixels = 0;
        if (i == 4) options.limits.short_side = 400;
        if (i == 5) options.pictures = NULL;
        if (i == 6) options.max_bad = -1;
        assert_int_equal(rb_detect_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
        assert_int_equal(rb_detect_loader_plan(&options, &plan, &err), REVBIFPN_BAD_ARGUMENT);
        assert_null(loader);
    }
    rb_pictures none = {.pictures = set.train.pictures};
    rb_detect_loader_options options = loader_options(&set, true, 1);
    options.pictures = &none;
    assert_int_equal(rb_detect_loader_open(&loader, &options, &err), REVBIFPN_BAD_DATA);
    options = loader_options(&set, true, 1);
    CHECK_OK(rb_detect_loader_plan(&options, &plan, &err), &err);
    assert_int_equal(plan.batches, 4);
    assert_true(plan.bytes > 3u * 4 * 100 * 150 * 3 && plan.bytes < 3u * 4 * 200 * 200 * 3);
    rb_objects_close(&set);
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    write_set("memory", -1);
    rb_objects set = open_set("memory", RB_OBJECTS_ALL, true);
    rb_detect_loader_options options = loader_options(&set, true, 0);
    options.batch = 2;
    options.mosaic = 1;
    options.limits.colors.amount[0] = 0.5;
    for (long n = 0;; n++) {
        rb_detect_loader *loader = NULL;
        rb_detect_batch b;
        rb_error err = {0};
        rb_alloc_fail_after(n);
        revbifpn_status status = rb_detect_loader_open(&loader, &options, &err);
        if (!status) status = rb_detect_loader_next(loader, &b, &err);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        rb_detect_loader_close(&loader);
        if (pending) {
            assert_int_equal(status, REVBIFPN_OK);
            assert_true(n > 25);
            break;
        }
        if (status != REVBIFPN_OUT_OF_MEMORY || !err.text[0])
            fail_msg("allocation %ld: %d, '%s'", n, status, err.text);
    }
    rb_objects_close(&set);
}

static void real_sets_are_delivered(void **state) {
    (void)state;
    static const char *const names[] = {"data/facades", "data/nuclei"};
    if (!shared_path(names[0])) {
        print_message("the real data sets are not here: not delivered\n");
        skip();
    }
    for (int i = 0; i < 2; i++) {
        rb_objects set;
        rb_error err = {0};
        rb_objects_options open = options_for(RB_OBJECTS_TRAIN, true);
        CHECK_OK(rb_objects_open(&set, shared_path(names[i]), &open, &err), &err);
        rb_detect_loader_options options = loader_options(&set, false, 2);
        options.pictures = &set.val;
        options.limits = (rb_detect_limits){.long_side = 640, .short_side = 384};
        options.max_bad = 0;
        options.end_epoch = 1;
        rb_detect_loader *loader = open_loader(&options);
        int pictures = 0;
        size_t objects = 0, learned = 0;
        for (rb_detect_batch b; (b = next(loader)).count;)
            for (int k = 0; k < b.count; k++) {
                pictures++;
                objects += (size_t)b.items[k].truth.count;
            }
        for (int p = 0; p < set.val.count; p++)
            for (size_t k = set.val.pictures[p].first; k < set.val.pictures[p + 1].first; k++)
                learned += rb_object_learns(&set.val.objects[k], &set.val.pictures[p]);
        assert_int_equal(pictures, set.val.count);
        assert_int_equal(objects, learned);
        rb_detect_loader_close(&loader);
        rb_objects_close(&set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_permutations),      cmocka_unit_test(training_goes_group_by_group),
        cmocka_unit_test(same_batches_for_any_threads), cmocka_unit_test(batches_hold_what_was_changed),
        cmocka_unit_test(bad_files_are_stood_in_for),   cmocka_unit_test(what_stands_in_is_drawn_alike),
        cmocka_unit_test(what_stands_in_fits),          cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(real_sets_are_delivered),      cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
