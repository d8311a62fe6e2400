/* What happens to a detector's pictures: sizes, draws, boxes and masks, against the same in plain words. */
#include "objects_case.h"

#include <math.h>

#include "data/detect_change.h"
#include "image/opencv.h"

static void sizes_within_limits(void **state) {
    (void)state;
    static const struct {
        int w, h, to_w, to_h;
    } cases[] = {{640, 480, 1067, 800},  {480, 640, 800, 1067},   {1333, 800, 1333, 800},
                 {500, 375, 1067, 800},  {2666, 1600, 1333, 800}, {4000, 100, 1333, 33},
                 {100, 4000, 33, 1333},  {1, 10000, 1, 1333},     {800, 800, 800, 800},
                 {1280, 720, 1333, 750}, {427, 640, 800, 1199}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_detect_limits limits = {.long_side = 1333, .short_side = 800};
        rb_detect_draw d = rb_detect_draw_for(&limits, cases[i].w, cases[i].h, false, NULL);
        if (d.width != cases[i].to_w || d.height != cases[i].to_h)
            fail_msg("%d x %d: %d x %d", cases[i].w, cases[i].h, d.width, d.height);
    }
    assert_int_equal(rb_detect_padded(1), 32);
    assert_int_equal(rb_detect_padded(1333), 1344);
    assert_int_equal(rb_detect_padded(800), 800);
}

static void limits_are_read(void **state) {
    (void)state;
    rb_detect_limits l;
    rb_error err;
    CHECK_OK(rb_detect_limits_parse("1333x800", "--limits", &l, &err), &err);
    assert_true(l.long_side == 1333 && l.short_side == 800 && l.short_least == 0);
    CHECK_OK(rb_detect_limits_parse("1333x640-800", "--limits", &l, &err), &err);
    assert_true(l.long_side == 1333 && l.short_side == 800 && l.short_least == 640);
    static const char *const wrong[] = {"",          "1333",         "1333x",        "x800",
                                        "1333x800x", "800x1333",     "1333x800-640", "1333x-800",
                                        "20x10",     "99999999x800", "17000x800"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (rb_detect_limits_parse(wrong[i], "--limits", &l, &err) != REVBIFPN_BAD_ARGUMENT)
            fail_msg("'%s' was taken", wrong[i]);
        assert_non_null(strstr(err.text, "--limits"));
    }
}

static void draws_have_the_range(void **state) {
    (void)state;
    rb_detect_limits l = {.long_side = 1333, .short_side = 800, .short_least = 790, .mirror = 0.5};
    int heights[11] = {0}, mirrored = 0;
    for (int i = 0; i < 1100; i++) {
        rb_rng rng = rb_rng_open(5, RB_PURPOSE_AUGMENT, 0, (uint64_t)i);
        rb_detect_draw d = rb_detect_draw_for(&l, 400, 400, true, &rng);
        assert_in_range(d.height, 790, 800);
        assert_int_equal(d.width, d.height);
        heights[d.height - 790]++;
        mirrored += d.mirror;
    }
    for (int i = 0; i < 11; i++) assert_in_range(heights[i], 60, 140);
    assert_in_range(mirrored, 480, 620);
    rb_detect_draw d = rb_detect_draw_for(&l, 400, 200, false, NULL); /* nothing is drawn in evaluation */
    assert_true(d.width == 1333 && d.height == 667 && !d.mirror);
    d = rb_detect_draw_for(&l, 0, 0, false, NULL);
    assert_true(d.width == 800 && d.height == 800);
}

static void extents_hold_every_batch(void **state) {
    (void)state;
    rb_picture of[] = {{.width = 640, .height = 480},
                       {.width = 480, .height = 640},
                       {.width = 300, .height = 300},
                       {.width = 4000, .height = 100},
                       {.first = 0}};
    rb_pictures pictures = {.pictures = of, .count = 4};
    rb_detect_limits l = {.long_side = 1333, .short_side = 800};
    rb_detect_extent e[2];
    assert_int_equal(rb_detect_extents(&l, &pictures, NULL, 0, true, e), 2);
    assert_true(e[0].width == 800 && e[0].height == 1088 && e[1].width == 1344 && e[1].height == 800);
    assert_int_equal(rb_detect_extents(&l, &pictures, NULL, 0, false, e), 1);
    assert_true(e[0].width == 1344 && e[0].height == 1088);
    const uint32_t list[] = {3};
    assert_int_equal(rb_detect_extents(&l, &pictures, list, 1, true, e), 1);
    assert_true(e[0].width == 1344 && e[0].height == 64);
}

/* ---- objects ---- */

#define SIDES 90, 70

static const char annotations[] =
    "{\"categories\": [{\"id\": 1, \"name\": \"a\"}, {\"id\": 2, \"name\": \"b\"}], \"images\": [\n"
    "{\"id\": 1, \"width\": 90, \"height\": 70, \"file_name\": \"a.png\"}], \"annotations\": [\n"
    "{\"id\": 1, \"image_id\": 1, \"category_id\": 2, \"bbox\": [-4.5, 3.3, 30.7, 20.1],\n"
    " \"segmentation\": [[1, 3, 26, 3, 20, 23.5, 3, 20], [60, 60, 70, 60, 70, 69, 60, 69]]},\n"
    "{\"id\": 2, \"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 1, 5, 5], \"iscrowd\": 1},\n"
    "{\"id\": 3, \"image_id\": 1, \"category_id\": 1, \"bbox\": [80, 60, 30, 30], \"segmentation\":\n"
    " {\"size\": [70, 90], \"counts\": [5660, 7, 63, 7, 63, 7, 493]}},\n"
    "{\"id\": 4, \"image_id\": 1, \"category_id\": 1, \"bbox\": [89.9999999, 60, 1, 1]},\n"
    "{\"id\": 5, \"image_id\": 1, \"category_id\": 2, \"bbox\": [10, 10, 1, 1]}]}";

/* The mask of an object of the file as pixels of the result. */
static void plain_mask(const rb_pictures *p, const rb_object *o, const rb_detect_draw *d, uint8_t *to) {
    static uint8_t from[90 * 70];
    rb_segment_room room = {0};
    rb_mask mask;
    rb_error err;
    CHECK_OK(rb_segment_draw(&o->segment, p->block.bytes, 70, 90, &room, &mask, &err), &err);
    rb_mask_to_pixels(mask, from, 90);
    for (int y = 0; y < d->height; y++)
        for (int x = 0; x < d->width; x++)
            to[y * d->width + (d->mirror ? d->width - 1 - x : x)] =
                from[rb_opencv_nearest(70, d->height, y) * 90 + rb_opencv_nearest(90, d->width, x)];
    rb_segment_room_close(&room);
}

/* Corners in the result. */
static void plain_box(const rb_object *o, const rb_detect_draw *d, float want[4]) {
    float sx = (float)((double)d->width / 90), sy = (float)((double)d->height / 70), w = (float)d->width;
    float x1 = fmaxf((float)o->box[0] * sx, 0), x2 = fminf((float)(o->box[0] + o->box[2]) * sx, w);
    want[0] = d->mirror ? w - x2 : x1;
    want[1] = fmaxf((float)o->box[1] * sy, 0);
    want[2] = d->mirror ? w - x1 : x2;
    want[3] = fminf((float)(o->box[1] + o->box[3]) * sy, (float)d->height);
}

/* Returns how many were left out since nothing of them was left. */
static int check_objects(const rb_objects *set, const rb_detect_draw *d, const rb_truth *t) {
    static const int learned[] = {0, 2, 3, 4};
    uint8_t *pixels = malloc((size_t)d->width * (size_t)d->height);
    uint8_t *got = malloc((size_t)d->width * (size_t)d->height);
    int i = 0;
    assert_true(t->width == d->width && t->height == d->height);
    for (int k = 0; k < 4; k++) {
        const rb_object *o = &set->train.objects[learned[k]];
        float want[4];
        plain_box(o, d, want);
        if (!(want[2] > want[0])) continue;
        assert_true(i < t->count);
        assert_memory_equal(t->boxes + 4 * i, want, sizeof want);
        assert_int_equal(t->labels[i], o->label);
        if (t->masks) {
            plain_mask(&set->train, o, d, pixels);
            assert_int_equal(t->masks[i].width, d->width);
            assert_int_equal(t->masks[i].height, d->height);
            rb_mask_to_pixels(t->masks[i], got, (size_t)d->width);
            assert_memory_equal(got, pixels, (size_t)d->width * (size_t)d->height);
            assert_int_equal(t->masks[i].count > 0, k < 2);
        }
        i++;
    }
    assert_int_equal(t->count, i);
    free(pixels);
    free(got);
    return 4 - i;
}

static void boxes_and_masks_follow(void **state) {
    (void)state;
    put("set/annotations/instances_train.json", annotations);
    rb_objects set = open_set("set", RB_OBJECTS_ALL, true);
    rb_detect_room room = {0};
    rb_error err;
    int left_out = 0;
    assert_int_equal(rb_pictures_most_objects(&set.train), 4);
    for (int masks = 0; masks < 2; masks++) {
        rb_detect_truth truth;
        CHECK_OK(rb_detect_truth_open(&truth, 4, masks, &err), &err);
        for (int i = 0; i < 40; i++) {
            rb_detect_limits l = {.long_side = 40 + 7 * i, .short_side = 40 + 3 * i};
            rb_detect_draw d = rb_detect_draw_for(&l, SIDES, false, NULL);
            d.mirror = i % 2;
            CHECK_OK(rb_detect_change_objects(&d, &set.train, 0, &room, &truth, &err), &err);
            assert_int_equal(truth.view.masks != NULL, masks);
            left_out += check_objects(&set, &d, &truth.view);
        }
        rb_detect_truth_close(&truth);
    }
    assert_in_range(left_out, 1, 79); /* the one at the edge, where rounding leaves nothing of it */
    rb_detect_room_close(&room);
    rb_objects_close(&set);
}

static void wrong_outlines_are_told(void **state) {
    (void)state;
    static const char *const runs[][2] = {
        {"{\"size\": [90, 70], \"counts\": [6300]}", "a mask of 70 x 90 in a picture of 90 x 70"},
        {"{\"size\": [70, 90], \"counts\": [630]}", "run lengths of 630 pixels"}};
    for (int i = 0; i < 2; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            "{\"categories\": [{\"id\": 1, \"name\": \"a\"}], \"images\": [{\"id\": 1, \"width\": 90, "
            "\"height\": 70, \"file_name\": \"a.png\"}], \"annotations\": [{\"id\": 31, \"image_id\": 1, "
            "\"category_id\": 1, \"bbox\": [1, 1, 9, 9], \"segmentation\": %s}]}",
            runs[i][0]);
        put("wrong/annotations/instances_train.json", text);
        rb_objects set = open_set("wrong", RB_OBJECTS_ALL, true);
        rb_detect_room room = {0};
        rb_detect_truth truth;
        rb_error err = {0};
        rb_detect_draw d = rb_detect_draw_whole(90, 70, false);
        CHECK_OK(rb_detect_truth_open(&truth, 1, true, &err), &err);
        assert_int_equal(rb_detect_change_objects(&d, &set.train, 0, &room, &truth, &err), REVBIFPN_BAD_FILE);
        if (!strstr(err.text, runs[i][1]) || !strstr(err.text, "wrong/images/a.png: annotation 31: "))
            fail_msg("%s", err.text);
        rb_detect_truth_close(&truth);
        rb_detect_room_close(&room);
        rb_objects_close(&set);
    }
}

static void pictures_are_resized(void **state) {
    (void)state;
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, 9, 7, &err), &err);
    for (int i = 0; i < 9 * 7 * 3; i++) image.pixels[i] = (uint8_t)(i * 37);
    rb_detect_room room = {0};
    uint8_t dst[20 * 64], want[18 * 14 * 3];
    for (int i = 0; i < 3; i++) { /* memory grows, and is used again */
        rb_detect_draw d = rb_detect_draw_whole(9 + 9 * (i % 2), 7 + 7 * (i % 2), i == 1);
        CHECK_OK(rb_detect_change_image(&d, &image, dst, 64, &room, &err), &err);
        rb_opencv_resize r = rb_opencv_resize_whole(d.width, d.height, false);
        void *scratch = rb_alloc(rb_opencv_resize_scratch(&r));
        rb_opencv_resize_run(&r, &image, want, (size_t)d.width * 3, scratch);
        rb_free(scratch);
        if (d.mirror) rb_image_flip(want, d.width, d.height);
        for (int y = 0; y < d.height; y++)
            assert_memory_equal(dst + 64 * y, want + d.width * 3 * y, (size_t)d.width * 3);
    }
    rb_detect_room_close(&room);
    rb_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_within_limits),    cmocka_unit_test(limits_are_read),
        cmocka_unit_test(draws_have_the_range),   cmocka_unit_test(extents_hold_every_batch),
        cmocka_unit_test(boxes_and_masks_follow), cmocka_unit_test(wrong_outlines_are_told),
        cmocka_unit_test(pictures_are_resized),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
