/* The index of an annotation file: order, links, names, outlines. */
#include "root.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/coco.h"

/* Annotations come before what they refer to; ids are out of order, of both kinds. */
static const char text[] =
    "{\"info\": {\"year\": 2017}, \"annotations\": [\n"
    "{\"id\": 11, \"image_id\": 30, \"category_id\": 5, \"bbox\": [1, 2.5, 3, 4], \"area\": 7.25, "
    "\"iscrowd\": 1,\n"
    " \"segmentation\": {\"size\": [10, 20], \"counts\": [10, 20, 170]}},\n"
    "{\"id\": 12, \"image_id\": \"7\", \"category_id\": 2, \"ignore\": true},\n"
    "{\"id\": 13, \"image_id\": 30, \"category_id\": 2, \"segmentation\": [[1, 1, 5, 5]]},\n"
    "{\"id\": 14, \"image_id\": 31, \"category_id\": 2},\n"
    "{\"id\": 15, \"image_id\": 7, \"category_id\": 9},\n"
    "{\"id\": 16, \"image_id\": 7, \"category_id\": 5}],\n"
    "\"categories\": [{\"id\": 5, \"name\": \"hot dog\", \"supercategory\": \"food\"}, {\"id\": 2}],\n"
    "\"images\": [{\"id\": 30, \"width\": 20, \"height\": 10, \"file_name\": \"b/\\u00e9.jpg\"}, {\"id\": "
    "8},\n"
    "{\"id\": 7, \"width\": 4, \"height\": 3, \"file_name\": \"a.jpg\"}]}";

static void write_text(const char *content) {
    rb_error err = {0};
    CHECK_OK(rb_file_replace(inside("gt.json"), content, strlen(content), &err), &err);
}

static void objects_lie_picture_by_picture(void **state) {
    (void)state;
    rb_coco c;
    rb_error err = {0};
    write_text(text);
    CHECK_OK(rb_coco_open(&c, inside("gt.json"), true, &err), &err);
    assert_int_equal(c.image_count, 3);
    assert_int_equal(c.category_count, 2);
    assert_int_equal(c.object_count, 4);
    assert_int_equal(c.left_out, 2);
    const int64_t ids[] = {7, 8, 30}, objects[] = {12, 16, 11, 13};
    const size_t first[] = {0, 2, 2, 4};
    for (size_t i = 0; i < 4; i++) {
        if (i < 3) assert_int_equal(c.images[i].id, ids[i]);
        assert_int_equal(c.images[i].first, first[i]);
        assert_int_equal(c.objects[i].id, objects[i]);
        assert_int_equal(c.objects[i].image, i < 2 ? 0 : 2);
    }
    assert_string_equal(c.text.bytes + c.images[0].file_name, "a.jpg");
    assert_string_equal(c.text.bytes + c.images[1].file_name, "");
    assert_string_equal(c.text.bytes + c.images[2].file_name, "b/\xc3\xa9.jpg");
    assert_string_equal(c.text.bytes + c.categories[1].name, "hot dog");
    assert_int_equal(c.images[2].width, 20);
    assert_int_equal(c.images[2].height, 10);
    const rb_coco_object *crowd = &c.objects[2], *plain = &c.objects[0];
    assert_true(crowd->crowd && crowd->has_box && crowd->has_area && !crowd->ignore && crowd->category == 1);
    assert_true(crowd->box[1] == 2.5 && crowd->box[3] == 4 && crowd->area == 7.25);
    assert_true(!plain->crowd && !plain->has_box && !plain->has_area && plain->ignore &&
                plain->category == 0);
    assert_int_equal(crowd->segment.form, RB_SEGMENT_RUNS);
    assert_int_equal(c.objects[3].segment.form, RB_SEGMENT_BOXES);
    assert_int_equal(plain->segment.form, RB_SEGMENT_NONE);
    assert_int_equal(rb_coco_find_image(&c, 30), 2);
    assert_int_equal(rb_coco_find_image(&c, 9), -1);
    assert_int_equal(rb_coco_find_category(&c, 2), 0);
    rb_coco_close(&c);
    CHECK_OK(rb_coco_open(&c, inside("gt.json"), false, &err), &err);
    assert_int_equal(c.block.size, 0);
    rb_coco_close(&c);
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    write_text(text);
    for (long n = 0;; n++) {
        rb_coco c;
        rb_error err = {0};
        rb_alloc_fail_after(n);
        revbifpn_status status = rb_coco_open(&c, inside("gt.json"), true, &err);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        rb_coco_close(&c);
        if (pending) {
            assert_int_equal(status, REVBIFPN_OK);
            assert_true(n > 6);
            return;
        }
        if (status != REVBIFPN_OUT_OF_MEMORY || !err.text[0])
            fail_msg("allocation %ld: %d, '%s'", n, status, err.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_lie_picture_by_picture),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
