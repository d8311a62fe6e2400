/* The report of a detector: the worst pictures that are kept, precision by class, the page. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "image/mark.h"
#include "report/detect_page.h"

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) count++;
    return count;
}

static rb_image gray(int width, int height) {
    rb_error err;
    rb_image image;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    memset(image.pixels, 128, (size_t)width * (size_t)height * 3);
    return image;
}

static void take(rb_shot *shot, const char *name, const rb_shot_box *boxes, int count) {
    rb_error err;
    rb_image picture = gray(40, 20);
    CHECK_OK(rb_shot_take(shot, name, &picture, boxes, count, &err), &err);
    rb_image_free(&picture);
}

static void f1_is_that_of_cases_by_hand(void **state) {
    (void)state;
    assert_true(rb_shot_f1(0, 0, 0) == 1);
    assert_true(rb_shot_f1(3, 0, 0) == 0 && rb_shot_f1(0, 3, 0) == 0);
    assert_true(rb_shot_f1(3, 3, 3) == 1 && rb_shot_f1(4, 2, 1) == 2.0 / 6);
}

/* More pictures than places, in an order that puts each new one somewhere else; those without flaw are not
 * shown, and of equal ones the first stay. */
static void the_worst_pictures_stay(void **state) {
    (void)state;
    rb_shots s = {0};
    char name[40];
    for (int i = 0; i < 97; i++) {
        int hits = i * 37 % 97;
        rb_shot *shot = rb_shots_judged(&s, 96, 96, hits);
        snprintf(name, sizeof name, "%d", hits);
        if (shot) take(shot, name, NULL, 0);
    }
    assert_int_equal(s.pictures, 97);
    assert_int_equal(s.flawed, 96);
    assert_int_equal(s.worst_count, RB_WORST);
    for (int i = 0; i < RB_WORST; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_string_equal(s.worst[i].name, name);
        assert_int_equal(s.worst[i].hits, i);
    }
    rb_shots_start(&s);
    assert_int_equal(s.pictures + s.flawed + s.worst_count, 0);
    for (int i = 0; i < 30; i++) {
        rb_shot *shot = rb_shots_judged(&s, 2, 0, 0);
        assert_int_equal(shot != NULL, i < RB_WORST);
        snprintf(name, sizeof name, "%d", i);
        if (shot) take(shot, name, NULL, 0);
    }
    for (int i = 0; i < RB_WORST; i++) assert_int_equal(atoi(s.worst[i].name), i);
    rb_shots_close(&s);
}

/* Pixels of the kept picture that have the colour of class 0, or nearly so: JPEG. */
static int reds(const rb_shot *s) {
    rb_error err;
    rb_image image;
    rb_decode_options options = {.max_pixels = 1 << 20};
    CHECK_OK(rb_image_decode("shot", s->jpeg, s->size, &options, &image, NULL, &err), &err);
    assert_int_equal(image.width, s->width);
    assert_int_equal(image.height, s->height);
    int count = 0;
    for (int i = 0; i < image.width * image.height; i++)
        count += image.pixels[3 * i] > 160 && image.pixels[3 * i + 1] < 110;
    rb_image_free(&image);
    return count;
}

static void pictures_fit_and_boxes_with_them(void **state) {
    (void)state;
    static const int sizes[][4] = {
        {40, 20, 320, 160}, {1000, 500, 320, 160}, {3, 900, 1, 320}, {200, 100, 200, 100}};
    rb_error err;
    rb_shot s = {0};
    for (int i = 0; i < 4; i++) {
        rb_image picture = gray(sizes[i][0], sizes[i][1]);
        double w = sizes[i][0], h = sizes[i][1];
        rb_shot_box box = {.corners = {w * 0.1, h * 0.4, w * 0.9, h * 0.9}, .text = "a 99"};
        CHECK_OK(rb_shot_take(&s, "p", &picture, &box, 1, &err), &err);
        rb_image_free(&picture);
        assert_int_equal(s.width, sizes[i][2]);
        assert_int_equal(s.height, sizes[i][3]);
        if (i != 2) assert_true(reds(&s) > s.width); /* an outline and the ground of a name */
        box.object = true;
        take(&s, "p", &box, 1);
        assert_int_equal(reds(&s), 0); /* black and white dashes, a dark ground */
    }
    rb_free(s.jpeg);
}

/* Boxes may be anywhere. */
static void boxes_outside_draw_nothing_wrong(void **state) {
    (void)state;
    rb_shot s = {0};
    rb_shot_box boxes[] = {{.corners = {-1e30, -1e30, 1e30, 1e30}, .object = true, .text = "y"},
                           {.corners = {NAN, 0, 5, 5}, .object = true},
                           {.corners = {500, 1e300, 900, -1e300}, .text = "x"},
                           {.corners = {5, 5, 5, 5}}};
    take(&s, "p", boxes, 4);
    assert_true(s.size > 0);
    rb_free(s.jpeg);
}

static void classes_with_most_objects_come_first(void **state) {
    (void)state;
    rb_precision p = {0};
    double at50[RB_PRECISION_POINTS], at75[RB_PRECISION_POINTS];
    for (int label = 0; label < 20; label++) {
        for (int i = 0; i < RB_PRECISION_POINTS; i++) {
            at50[i] = label / 20.0;
            at75[i] = label / 40.0;
        }
        rb_precision_add(&p, label, (size_t)(label * 7 % 20 / 2 + 1), at50, at75);
    }
    rb_precision_end(&p);
    assert_int_equal(p.with_objects, 20);
    assert_int_equal(p.count, RB_PRECISION_CLASSES);
    assert_true(fabs(p.at50[50] - 0.475) < 1e-12 && fabs(p.at75[100] - 0.2375) < 1e-12);
    for (int i = 0; i < p.count; i++) {
        assert_int_equal(p.objects[i], 10 - i / 2);
        assert_int_equal(p.objects[i], p.label[i] * 7 % 20 / 2 + 1);
        assert_true(p.classes[i][3] == p.label[i] / 20.0);
        if (i % 2) assert_true(p.label[i] > p.label[i - 1]); /* of equal ones the first */
    }
}

/* ---- the page ---- */

static const char *const hostile[] = {"<img src=x onerror=y>", "b"};
#define HEAD "epoch,lr,train_loss,loss_rpn_cls,loss_rpn_bbox,loss_cls,loss_bbox,"

static rb_text page_of(rb_detect_report *report, const char *results) {
    rb_error err;
    rb_text page = {0};
    revbifpn_memory memory = {.weights_bytes = 100, .gradient_bytes = 100, .total_bytes = 200};
    rb_speed speed = {1, 0.125, 0.25};
    rb_fact fact = {"<i>", "</td>"};
    report->page = (rb_page){.title = "a</title>",
                             .summary = "s",
                             .results = results,
                             .epochs = 5,
                             .memory = &memory,
                             .speeds = &speed,
                             .speed_count = 1,
                             .arguments = &fact,
                             .argument_count = 1};
    report->classes = hostile;
    report->least_score = 0.3;
    CHECK_OK(rb_detect_report_page(report, &page, &err), &err);
    assert_int_equal(count_of(page.bytes, "onerror=y>") + count_of(page.bytes, "<script"), 0);
    assert_int_equal(count_of(page.bytes, "http") + count_of(page.bytes, "url("), 0);
    assert_int_equal(count_of(page.bytes, "src=\""), count_of(page.bytes, "src=\"data:image/jpeg;base64,"));
    assert_int_equal(count_of(page.bytes, "<section>"), count_of(page.bytes, "</section>"));
    assert_int_equal(count_of(page.bytes, "<div"), count_of(page.bytes, "</div>"));
    assert_int_equal(count_of(page.bytes, "<figure"), count_of(page.bytes, "</figure>"));
    return page;
}

static void the_page_holds_it_all(void **state) {
    (void)state;
    rb_shots s = {0};
    rb_precision boxes = {0}, masks = {0};
    double at50[RB_PRECISION_POINTS] = {1}, at75[RB_PRECISION_POINTS] = {0.5};
    rb_shot_box box = {.corners = {1, 1, 9, 9}, .text = "\"><b>"};
    for (int i = 0; i < 3; i++) take(rb_shots_judged(&s, 4, 2, 1), "\"><b>.jpg", &box, 1);
    take(&s.seen[s.seen_count++], "seen.jpg", &box, 1);
    for (int i = 0; i < 2; i++) {
        rb_precision_add(&boxes, i, 5, at50, at75);
        rb_precision_add(&masks, i, 5, at50, at75);
    }
    rb_precision_end(&boxes);
    rb_precision_end(&masks);
    rb_detect_report report = {.shots = &s, .boxes = &boxes, .masks = &masks};
    rb_text page = page_of(&report, HEAD "loss_mask,ap,ap50,ap75,mask_ap,mask_ap50,mask_ap75,grid\n"
                                         "1,0.1,9,1,2,3,2,1,0.25,0.5,0.125,0.2,0.4,0.1,22\n"
                                         "2,0.1,8,1,2,2,2,1,0.2,0.5,0.125,0.3,0.4,0.1,22\n");
    static const char *const parts[] = {"<b>2 of 5</b>epochs",
                                        "<b>0.3000</b>best AP of masks",
                                        "<b>2</b>its epoch",
                                        "<b>0.2000</b>last AP of boxes",
                                        "<b>0.125</b>pictures a second",
                                        "<title>1: proposal box 2</title>",
                                        "<title>2: class 2</title>",
                                        "<title>1: mask 1</title>",
                                        "Boxes: average precision by epoch",
                                        "Masks: average precision by epoch",
                                        "Boxes: precision by recall, mean",
                                        "Masks: precision by recall at an overlap of 0.50, by class",
                                        "&lt;img src=x onerror=y&gt; (5)",
                                        "3 validation pictures, 3 of them with a flaw",
                                        "F1 0.33: <span class=\"good\">1 of 4 objects</span>",
                                        "1 wrong of 2 found",
                                        "A training batch as the network sees it",
                                        "<tr><th>&lt;i&gt;</th><td>&lt;/td&gt;</td></tr>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(page.bytes, parts[i])) fail_msg("the page lacks '%s'", parts[i]);
    assert_int_equal(count_of(page.bytes, "<svg class=\"chart\""), 9);
    assert_int_equal(count_of(page.bytes, "<img "), 4);
    rb_text_close(&page);
    rb_shots_close(&s);
}

/* No object, nothing found, no batch: −1 for every number. */
static void a_page_about_nothing(void **state) {
    (void)state;
    rb_shots s = {0};
    rb_precision none = {0};
    for (int i = 0; i < 3; i++) assert_null(rb_shots_judged(&s, 0, 0, 0));
    rb_precision_end(&none);
    rb_detect_report report = {.shots = &s, .boxes = &none};
    rb_text page = page_of(&report, HEAD "ap,ap50,ap75,grid\n1,0.1,9,1,2,3,2,-1,-1,-1,22\n");
    assert_non_null(strstr(page.bytes, "<b>–</b>best AP<"));
    assert_non_null(strstr(page.bytes, "No class has an object"));
    assert_non_null(strstr(page.bytes, "3 validation pictures, 0 of them with a flaw"));
    assert_int_equal(count_of(page.bytes, "average precision by epoch"), 0);
    assert_int_equal(count_of(page.bytes, "Masks"), 0);
    assert_int_equal(count_of(page.bytes, "<img ") + count_of(page.bytes, "nan"), 0);
    rb_text_close(&page);
    page = page_of(&report, "");
    rb_text_close(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f1_is_that_of_cases_by_hand),
        cmocka_unit_test(the_worst_pictures_stay),
        cmocka_unit_test(pictures_fit_and_boxes_with_them),
        cmocka_unit_test(boxes_outside_draw_nothing_wrong),
        cmocka_unit_test(classes_with_most_objects_come_first),
        cmocka_unit_test(the_page_holds_it_all),
        cmocka_unit_test(a_page_about_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
