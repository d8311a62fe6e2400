/* Data sets of objects in COCO's form, and what is common to all forms: classes, what is to be learned. */
#include "objects_case.h"

#define HEAD "{\"categories\": [{\"id\": 7, \"name\": \"dog\"}, {\"id\": 3, \"name\": \"cat\"}],\n"

static const char train[] =
    HEAD "\"images\": [{\"id\": 5, \"width\": 100, \"height\": 50, \"file_name\": \"b.jpg\"},\n"
         "{\"id\": 2, \"width\": 60, \"height\": 31, \"file_name\": \"sub/a.jpg\"},\n"
         "{\"id\": 9, \"width\": 60, \"height\": 32, \"file_name\": \"c.jpg\"},\n"
         "{\"id\": 11, \"width\": 60, \"height\": 90, \"file_name\": \"d.jpg\"},\n"
         "{\"id\": 12, \"file_name\": \"turned.jpg\"}, {\"id\": 13, \"file_name\": \"missing.jpg\"}],\n"
         "\"annotations\": [\n"
         "{\"id\": 1, \"image_id\": 5, \"category_id\": 7, \"bbox\": [-5, 2, 20, 10], \"area\": 150,\n"
         " \"segmentation\": [[0, 2, 15, 2, 15, 12, 0, 12]]},\n"
         "{\"id\": 2, \"image_id\": 5, \"category_id\": 3, \"bbox\": [1, 2, 3.5, 4]},\n"
         "{\"id\": 3, \"image_id\": 5, \"category_id\": 3, \"bbox\": [1, 2, 9, 9], \"iscrowd\": 1},\n"
         "{\"id\": 4, \"image_id\": 5, \"category_id\": 3, \"bbox\": [1, 2, 9, 9], \"ignore\": 1},\n"
         "{\"id\": 5, \"image_id\": 5, \"category_id\": 3, \"bbox\": [1, 2, 9, 9], \"area\": 0},\n"
         "{\"id\": 6, \"image_id\": 5, \"category_id\": 3, \"bbox\": [1, 2, 0.75, 9]},\n"
         "{\"id\": 7, \"image_id\": 5, \"category_id\": 3, \"bbox\": [1, 2, 9, 0.5], \"area\": 4},\n"
         "{\"id\": 8, \"image_id\": 5, \"category_id\": 3, \"bbox\": [100, 2, 9, 9]},\n"
         "{\"id\": 9, \"image_id\": 5, \"category_id\": 3, \"bbox\": [3, -9, 9, 9]},\n"
         "{\"id\": 10, \"image_id\": 5, \"category_id\": 3, \"bbox\": [99.5, 49, 1, 1]},\n"
         "{\"id\": 11, \"image_id\": 2, \"category_id\": 3, \"bbox\": [1, 2, 9, 9]},\n"
         "{\"id\": 12, \"image_id\": 9, \"category_id\": 3, \"bbox\": [1, 2, 9, 9], \"iscrowd\": 1},\n"
         "{\"id\": 13, \"image_id\": 13, \"category_id\": 3, \"bbox\": [1, 2, 9, 9]},\n"
         "{\"id\": 14, \"image_id\": 99, \"category_id\": 3, \"bbox\": [1, 2, 9, 9]}]}";

static const char val[] = HEAD "\"images\": [{\"id\": 0, \"width\": 40, \"height\": 40, \"file_name\": "
                               "\"v.jpg\"}], \"annotations\": []}";

static void put_coco(const char *folder) {
    char name[256];
    snprintf(name, sizeof name, "%s/annotations/instances_train.json", folder);
    put(name, train);
    snprintf(name, sizeof name, "%s/annotations/instances_val.json", folder);
    put(name, val);
    snprintf(name, sizeof name, "%s/images/turned.jpg", folder);
    put_picture(name, 30, 20, 6);
}

static void coco_is_read(void **state) {
    (void)state;
    put_coco("coco");
    rb_objects set = open_set("coco", RB_OBJECTS_TRAIN, false);
    assert_int_equal(set.form, RB_OBJECTS_COCO);
    assert_int_equal(set.class_count, 2);
    assert_string_equal(set.classes[0].name, "cat"); /* by rising id */
    assert_int_equal(set.classes[0].id, 3);
    assert_string_equal(set.classes[1].name, "dog");
    assert_int_equal(set.train.count, 6);
    assert_int_equal(set.train.left_out, 1);
    assert_false(set.train.outlines);
    check_picture(&set.train, 0, "coco/images/sub/a.jpg", 60, 31, 1);
    check_picture(&set.train, 1, "coco/images/b.jpg", 100, 50, 10);
    check_picture(&set.train, 3, "coco/images/d.jpg", 60, 90, 0);
    check_picture(&set.train, 4, "coco/images/turned.jpg", 20, 30, 0);
    check_picture(&set.train, 5, "coco/images/missing.jpg", 0, 0, 1);
    assert_int_equal(set.train.pictures[1].id, 5);
    assert_int_equal(set.val.pictures[0].id, 0);
    const rb_object *o = &set.train.objects[set.train.pictures[1].first];
    check_box(&o[0], 1, -5, 2, 20, 10);
    assert_true(o[0].area == 150 && o[1].area == 14 && o[0].id == 1);
    assert_true(o[2].crowd && o[3].ignore);
    rb_objects_close(&set);
    rb_objects_close(&set);
}

static void what_is_learned(void **state) {
    (void)state;
    put_coco("learn");
    rb_objects set = open_set("learn", RB_OBJECTS_ALL, true);
    const rb_picture *p = &set.train.pictures[1];
    for (int i = 0; i < 10; i++)
        if (rb_object_learns(&set.train.objects[p->first + (size_t)i], p) != (i == 0 || i == 1 || i == 9))
            fail_msg("annotation %d", i + 1);
    uint32_t list[6];
    assert_int_equal(rb_pictures_to_learn(&set.train, list), 3); /* not the flat one, not those without any */
    assert_int_equal(list[0], 1);
    assert_int_equal(list[1], 2); /* a crowd alone */
    assert_int_equal(list[2], 5); /* of unknown size */
    assert_int_equal(rb_pictures_most_objects(&set.train), 3);
    assert_true(set.train.outlines && !set.val.outlines);
    rb_segment_room room = {0};
    rb_mask mask;
    rb_error err;
    CHECK_OK(rb_segment_draw(&set.train.objects[p->first].segment, set.train.block.bytes, p->height, p->width,
                             &room, &mask, &err),
             &err);
    assert_int_equal(rb_mask_area(mask), 150);
    rb_segment_room_close(&room);
    rb_objects_close(&set);
}

static void cocos_own_layout(void **state) {
    (void)state;
    put("coco17/annotations/instances_train2017.json", train);
    put("coco17/annotations/instances_val2017.json", val);
    put("coco17/images/train2017/x", "");
    put("coco17/val2017/x", "");
    rb_objects set = open_set("coco17", RB_OBJECTS_TRAIN, false);
    check_picture(&set.train, 1, "coco17/images/train2017/b.jpg", 100, 50, 10);
    check_picture(&set.val, 0, "coco17/val2017/v.jpg", 40, 40, 0);
    rb_objects_close(&set);
    set = open_set("coco17", RB_OBJECTS_EVALUATE, false);
    assert_int_equal(set.train.count, 0);
    assert_int_equal(set.val.count, 1);
    rb_objects_close(&set);
}

static void classes_of_weights(void **state) {
    (void)state;
    put_coco("named");
    static const char *const names[] = {"dog", "bird", "cat"};
    rb_objects set;
    rb_error err;
    rb_objects_options options = options_for(RB_OBJECTS_EVALUATE, false);
    options.class_names = names;
    options.classes = 3;
    CHECK_OK(rb_objects_open(&set, inside("named"), &options, &err), &err);
    assert_int_equal(set.class_count, 3);
    assert_int_equal(set.classes[0].id, 7);
    assert_int_equal(set.classes[1].id, -1);
    assert_int_equal(set.classes[2].id, 3);
    rb_objects_close(&set);
    options.purpose = RB_OBJECTS_ALL;
    CHECK_OK(rb_objects_open(&set, inside("named"), &options, &err), &err);
    check_box(&set.train.objects[set.train.pictures[1].first], 0, -5, 2, 20, 10);
    rb_objects_close(&set);
    options.classes = 2;
    refuses(
        "named", &options, REVBIFPN_BAD_DATA,
        "named/annotations/instances_train.json: the class 'cat' is not in the class list of the weights");
}

static void what_is_wrong_is_told(void **state) {
    (void)state;
    static const struct {
        const char *categories, *images, *objects, *part;
        revbifpn_status status;
    } cases[] = {
        {"{\"id\": 1, \"name\": \"a\"}, {\"id\": 2, \"name\": \"a\"}", "{\"id\": 1, \"file_name\": \"x\"}",
         "", "instances_train.json: the categories 1 and 2 are both called 'a'", REVBIFPN_BAD_DATA},
        {"{\"id\": 1}", "{\"id\": 4, \"width\": 3, \"height\": 3}", "",
         "instances_train.json: image 4 has no file_name", REVBIFPN_BAD_FILE},
        {"{\"id\": 1}", "{\"id\": 4, \"width\": 3, \"height\": 3, \"file_name\": \"x\"}",
         "{\"id\": 17, \"image_id\": 4, \"category_id\": 1}",
         "instances_train.json: annotation 17 has no bbox", REVBIFPN_BAD_FILE},
        {"{\"id\": 1}", "{\"id\": 4, \"width\": 3, \"height\": 3, \"file_name\": \"x\"}", "7",
         "instances_train.json: line ", REVBIFPN_BAD_FILE},
        {"", "{\"id\": 4, \"width\": 3, \"height\": 3, \"file_name\": \"x\"}", "", "no classes in it",
         REVBIFPN_BAD_DATA},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text, "{\"categories\": [%s], \"images\": [%s], \"annotations\": [%s]}",
                 cases[i].categories, cases[i].images, cases[i].objects);
        put("wrong/annotations/instances_train.json", text);
        rb_objects_options options = options_for(RB_OBJECTS_ALL, false);
        refuses("wrong", &options, cases[i].status, cases[i].part);
    }
}

static void splits_must_fit(void **state) {
    (void)state;
    put("halves/annotations/instances_train.json", train);
    rb_objects_options options = options_for(RB_OBJECTS_TRAIN, false);
    refuses("halves", &options, REVBIFPN_BAD_DATA, "halves: no annotations/instances_val.json");
    put("halves/annotations/instances_val.json",
        "{\"categories\": [{\"id\": 4, \"name\": \"dog\"}], \"images\": [{\"id\": 0, \"width\": 40, "
        "\"height\": 40, \"file_name\": \"v.jpg\"}], \"annotations\": []}");
    refuses("halves", &options, REVBIFPN_BAD_DATA,
            "the category 'dog' has the id 4; in the training annotations it is 7");
    put("halves/annotations/instances_val.json",
        "{\"categories\": [{\"id\": 4, \"name\": \"cow\"}], \"images\": [{\"id\": 0, \"width\": 40, "
        "\"height\": 40, \"file_name\": \"v.jpg\"}], \"annotations\": []}");
    refuses("halves", &options, REVBIFPN_BAD_DATA, "the class 'cow' is not in the training annotations");
    put("halves/annotations/instances_val.json", val);
    options.outlines = true;
    refuses("halves", &options, REVBIFPN_BAD_DATA, "halves: no outlines (masks) in its split 'val'");
    put("nothing/here", "");
    refuses("nothing", &options, REVBIFPN_BAD_DATA, "nothing: neither annotations/instances_train.json");
    refuses("absent", &options, REVBIFPN_BAD_DATA, "absent: there is no such folder");
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    put_coco("memory");
    for (long n = 0;; n++) {
        rb_objects set;
        rb_error err = {0};
        rb_objects_options options = options_for(RB_OBJECTS_ALL, true);
        rb_alloc_fail_after(n);
        revbifpn_status status = rb_objects_open(&set, inside("memory"), &options, &err);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        rb_objects_close(&set);
        if (pending) {
            assert_int_equal(status, REVBIFPN_OK);
            assert_true(n > 20);
            return;
        }
        if (status != REVBIFPN_OUT_OF_MEMORY || !err.text[0])
            fail_msg("allocation %ld: %d, '%s'", n, status, err.text);
    }
}

static void real_sets(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int classes, train, val;
        size_t train_objects, val_objects;
        bool outlines;
    } sets[] = {{"data/bccd", 3, 292, 72, 3941, 945, false},
                {"data/microcontrollers", 4, 119, 30, 136, 41, false},
                {"data/facades", 10, 150, 40, 4575, 1426, true},
                {"data/nuclei", 1, 218, 57, 8687, 2407, true}};
    if (!shared_path(sets[0].name)) {
        print_message("the real data sets are not here: not read\n");
        skip();
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        rb_objects set;
        rb_error err = {0};
        rb_objects_options options = options_for(RB_OBJECTS_TRAIN, sets[i].outlines);
        CHECK_OK(rb_objects_open(&set, shared_path(sets[i].name), &options, &err), &err);
        assert_int_equal(set.class_count, sets[i].classes);
        assert_int_equal(set.train.count, sets[i].train);
        assert_int_equal(set.val.count, sets[i].val);
        assert_int_equal(set.train.object_count, sets[i].train_objects);
        assert_int_equal(set.val.object_count, sets[i].val_objects);
        assert_int_equal(set.val.outlines, sets[i].outlines);
        for (int k = 0; k < set.val.count; k++) { /* the sizes are those of the files */
            int width, height;
            rb_decode_options decode = {.max_pixels = 1 << 24, .apply_exif = true};
            CHECK_OK(rb_image_measure(rb_picture_path(&set.val, k), &decode, &width, &height, &err), &err);
            assert_int_equal(width, set.val.pictures[k].width);
            assert_int_equal(height, set.val.pictures[k].height);
        }
        rb_objects_close(&set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coco_is_read),
        cmocka_unit_test(what_is_learned),
        cmocka_unit_test(cocos_own_layout),
        cmocka_unit_test(classes_of_weights),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(splits_must_fit),
        cmocka_unit_test(real_sets),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
