/* The report's parts: escaping, Base64, confusion counts, the mistakes that are kept, axes, the page. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "report/chart.h"
#include "report/html.h"
#include "report/report.h"

static void assert_escaped(const char *text, const char *expected) {
    rb_text out = {0};
    rb_html_text(&out, text);
    assert_string_equal(out.bytes ? out.bytes : "", expected);
    rb_text_close(&out);
}

static void hostile_text_is_escaped(void **state) {
    (void)state;
    assert_escaped("", "");
    assert_escaped("<script>alert('a & \"b\"')</script>",
                   "&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;");
    assert_escaped("Käfer 甲虫 🪲", "Käfer 甲虫 🪲");
    /* an incomplete, an overlong and a surrogate form, and control characters */
    assert_escaped("a\xc3z", "a\xef\xbf\xbdz");
    assert_escaped("\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("\x01\x1b\x7f\n", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n");
}

/* RFC 4648, section 10 */
static void base64_is_that_of_the_rfc(void **state) {
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        rb_text out = {0};
        rb_base64(&out, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(out.bytes ? out.bytes : "", vectors[i][1]);
        rb_text_close(&out);
    }
}

static void steps_of_axes_are_round(void **state) {
    (void)state;
    assert_true(fabs(rb_chart_step(1, 5) - 0.2) < 1e-12);
    assert_true(fabs(rb_chart_step(10, 5) - 2) < 1e-12);
    assert_true(fabs(rb_chart_step(11, 5) - 5) < 1e-12);
    assert_true(fabs(rb_chart_step(0.003, 5) - 0.001) < 1e-12);
    assert_true(fabs(rb_chart_step(29, 5) - 10) < 1e-12);
}

/* The marks of an axis, joined by blanks. */
static const char *marks_of(const double *values, size_t count, bool may_be_logarithmic, char marks[400]) {
    static const double x[] = {1, 2, 3, 4};
    rb_text out = {0};
    rb_chart chart = {.title = "Loss",
                      .x = x,
                      .count = count,
                      .may_be_logarithmic = may_be_logarithmic,
                      .series_count = 1,
                      .series = {{"loss", values}}};
    rb_chart_draw(&out, &chart);
    rb_text_add_bytes(&out, "", 1);
    marks[0] = 0;
    for (const char *p = out.bytes; (p = strstr(p, "text-anchor=\"end\">"));) {
        p += strlen("text-anchor=\"end\">");
        snprintf(marks + strlen(marks), 400 - strlen(marks), "%s%.*s", *marks ? " " : "",
                 (int)strcspn(p, "<"), p);
    }
    if (strstr(out.bytes, "(logarithmic)")) strcat(marks, " log");
    rb_text_close(&out);
    return marks;
}

/* From twenty times on, and only when all values have a logarithm. */
static void a_wide_range_makes_the_axis_logarithmic(void **state) {
    (void)state;
    char marks[400];
    static const double falling[] = {2.3, 1, 0.3, 0.11}, narrow[] = {2.1, 1, 0.3, 0.11},
                        zero[] = {2.3, 1, 0, 0.01};
    static const double wide[] = {30, 1, NAN, 2e-5}, exact[] = {10, 1, 1, 0.5}, huge[] = {1e12, 1, 1e-12, 1};
    assert_string_equal(marks_of(falling, 4, true, marks), "0.1 0.2 0.5 1 2 5 log");
    assert_string_equal(marks_of(falling, 4, false, marks), "0 0.5 1 1.5 2 2.5");
    assert_string_equal(marks_of(narrow, 4, true, marks), "0 0.5 1 1.5 2 2.5");
    assert_string_equal(marks_of(zero, 4, true, marks), "0 0.5 1 1.5 2 2.5");
    assert_string_equal(marks_of(exact, 4, true, marks), "0.5 1 2 5 10 log");
    assert_string_equal(marks_of(wide, 4, true, marks), "1e-05 0.0001 0.001 0.01 0.1 1 10 100 log");
    assert_string_equal(marks_of(huge, 4, true, marks),
                        "1e-12 1e-09 1e-06 0.001 1 1000 1e+06 1e+09 1e+12 log");
    assert_string_equal(marks_of(falling, 1, true, marks), "2.3 2.35 2.4 2.45 2.5 2.55");
}

static rb_image gray_picture(int side, uint8_t value) {
    rb_error err;
    rb_image image;
    CHECK_OK(rb_image_alloc(&image, side, side, &err), &err);
    memset(image.pixels, value, (size_t)side * (size_t)side * 3);
    return image;
}

static void add(rb_collection *c, int label, int predicted, double probability, const char *path,
                uint8_t value) {
    rb_error err;
    rb_image picture = gray_picture(8, value);
    CHECK_OK(rb_collection_add(c, label, predicted, probability, path, &picture, &err), &err);
    rb_image_free(&picture);
}

static void counts_are_those_of_a_case_by_hand(void **state) {
    (void)state;
    rb_error err;
    rb_collection c;
    CHECK_OK(rb_collection_open(&c, 3, &err), &err);
    static const int judged[][2] = {{0, 0}, {0, 1}, {1, 1}, {2, 1}, {2, 1}, {2, 2}, {1, 0}};
    for (int i = 0; i < 7; i++) add(&c, judged[i][0], judged[i][1], 0.1 * i, "p", (uint8_t)i);
    static const uint32_t expected[9] = {1, 1, 0, 1, 1, 0, 0, 2, 1};
    assert_memory_equal(c.counts, expected, sizeof expected);
    assert_int_equal(c.pictures, 7);
    assert_int_equal(c.wrong, 4);
    assert_int_equal(c.mistake_count, 4);
    static const uint8_t surest_first[4] = {6, 4, 3, 1};
    for (int i = 0; i < 4; i++) assert_int_equal(c.mistakes[i].thumb->pixels[0], surest_first[i]);
    rb_collection_start(&c);
    assert_int_equal(c.pictures + c.wrong + c.counts[0], 0);
    rb_collection_close(&c);
}

/* More mistakes than places, in an order that puts each new one somewhere else. */
static void the_surest_mistakes_stay(void **state) {
    (void)state;
    rb_error err;
    rb_collection c;
    CHECK_OK(rb_collection_open(&c, 2, &err), &err);
    for (int i = 0; i < 97; i++) {
        int rank = i * 37 % 97;
        add(&c, 0, 1, rank / 97.0, "p", (uint8_t)rank);
    }
    assert_int_equal(c.mistake_count, RB_MISTAKES);
    for (int i = 0; i < RB_MISTAKES; i++) {
        assert_true(c.mistakes[i].probability == (96 - i) / 97.0);
        assert_int_equal(c.mistakes[i].thumb->pixels[3], 96 - i);
    }
    rb_collection_close(&c);
}

static void pictures_become_small(void **state) {
    (void)state;
    rb_error err;
    rb_thumb *thumb = rb_alloc(sizeof *thumb);
    assert_non_null(thumb);
    rb_image wide;
    CHECK_OK(rb_image_alloc(&wide, 900, 2, &err), &err);
    CHECK_OK(rb_thumb_take(thumb, &wide, &err), &err);
    assert_int_equal(thumb->width, RB_THUMB);
    assert_int_equal(thumb->height, 1);
    rb_image_free(&wide);
    rb_free(thumb);
}

static void long_names_keep_their_end(void **state) {
    (void)state;
    rb_error err;
    rb_collection c;
    char path[1000];
    memset(path, 'a', sizeof path);
    strcpy(path + 990, "/end.jpg");
    CHECK_OK(rb_collection_open(&c, 2, &err), &err);
    add(&c, 0, 1, 0.5, path, 0);
    const char *name = c.mistakes[0].name;
    assert_int_equal(strlen(name), sizeof c.mistakes[0].name - 1);
    assert_string_equal(name + strlen(name) - 8, "/end.jpg");
    rb_collection_close(&c);
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) count++;
    return count;
}

static rb_page page_head(const rb_fact *facts, const revbifpn_memory *memory, const rb_speed *speed,
                         const char *results) {
    return (rb_page){.title = "a</title>",
                     .summary = "s",
                     .results = results,
                     .epochs = 5,
                     .memory = memory,
                     .speeds = speed,
                     .speed_count = 1,
                     .arguments = facts,
                     .argument_count = 1};
}

/* A page for `classes` classes with hostile names; freed by the caller. */
static rb_text page_for(int classes) {
    rb_error err;
    rb_text page = {0};
    rb_collection c;
    CHECK_OK(rb_collection_open(&c, classes, &err), &err);
    char **names = calloc((size_t)classes, sizeof *names);
    for (int i = 0; i < classes; i++) {
        names[i] = malloc(40);
        snprintf(names[i], 40, "<img src=x onerror=y>%d", i);
    }
    for (int i = 0; i < 3 * classes; i++)
        add(&c, i % classes, (i % 7 ? i : i + 1) % classes, 0.7, "\"><b>", 9);
    rb_fact facts[] = {{"<i>", "</td>"}};
    revbifpn_memory memory = {.weights_bytes = 100, .gradient_bytes = 100, .total_bytes = 200};
    rb_speed speed = {1, 12.5, 0.25};
    rb_page head = page_head(facts, &memory, &speed,
                             "epoch,lr,train_loss,val_loss,top1,top5,grid\n1,0.1,2,3,0.25,0.5,22\n"
                             "2,0.05,1,nan,0.75,1,22\n");
    rb_report report = {.page = head, .collection = &c, .classes = names};
    CHECK_OK(rb_report_page(&report, &page, &err), &err);
    for (int i = 0; i < classes; i++) free(names[i]);
    free(names);
    rb_collection_close(&c);
    return page;
}

static void the_page_holds_it_all_and_nothing_foreign(void **state) {
    (void)state;
    static const int sizes[] = {2, 3, 17, 300, 1000, 1001};
    for (int i = 0; i < 6; i++) {
        rb_text page = page_for(sizes[i]);
        const char *html = page.bytes;
        assert_int_equal(count_of(html, "<title>a&lt;/title&gt;</title>"), 1);
        assert_int_equal(count_of(html, "onerror=y>"), 0); /* only with its bracket escaped */
        assert_int_equal(count_of(html, "<b>\"") + count_of(html, "<script") + count_of(html, "url("), 0);
        assert_int_equal(count_of(html, "http"), 0);
        assert_int_equal(count_of(html, "src=\""), count_of(html, "src=\"data:image/jpeg;base64,"));
        assert_int_equal(count_of(html, "<tr><th>&lt;i&gt;</th><td>&lt;/td&gt;</td></tr>"), 1);
        assert_non_null(strstr(html, "prefers-color-scheme:dark"));
        assert_int_equal(count_of(html, "<svg class=\"chart\""), 4);
        assert_non_null(strstr(html, "<b>0.7500</b>best top-1"));
        assert_non_null(strstr(html, "<b>2 of 5</b>epochs"));
        assert_int_equal(count_of(html, "<svg class=\"matrix\""), sizes[i] > 16 && sizes[i] <= 1000);
        assert_int_equal(count_of(html, "<table class=\"confusion\""), sizes[i] <= 16);
        assert_true(page.size < 2000000);
        rb_text_close(&page);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_is_escaped),
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(steps_of_axes_are_round),
        cmocka_unit_test(a_wide_range_makes_the_axis_logarithmic),
        cmocka_unit_test(counts_are_those_of_a_case_by_hand),
        cmocka_unit_test(the_surest_mistakes_stay),
        cmocka_unit_test(pictures_become_small),
        cmocka_unit_test(long_names_keep_their_end),
        cmocka_unit_test(the_page_holds_it_all_and_nothing_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
