/* Looking into a model through the public header: maps of the pyramid, the gradient, text on pictures. */
#include "check.h"

#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "mask/mask.h"

static revbifpn *ctx;

static int prepare(void **state) {
    (void)state;
    return revbifpn_open(&ctx, NULL) != REVBIFPN_OK;
}

static int clean_up(void **state) {
    (void)state;
    revbifpn_close(&ctx);
    return 0;
}

#define WORKS(expression) assert_int_equal((expression), REVBIFPN_OK)

static revbifpn_image random_picture(int width, int height) {
    revbifpn_image image = {.width = width, .height = height};
    image.pixels = rb_alloc((size_t)width * (size_t)height * 3);
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, 0, 0);
    assert_non_null(image.pixels);
    for (int i = 0; i < width * height * 3; i++) image.pixels[i] = (uint8_t)rb_rng_u32(&rng);
    return image;
}

static revbifpn_model *fresh_model(int classes, int neck) {
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    WORKS(revbifpn_config(ctx, "s0", &config));
    config.classes = classes;
    config.neck = neck;
    config.image_width = 96;
    config.image_height = 64;
    if (!classes) config.fc_features = 0;
    WORKS(revbifpn_model_create(ctx, &config, 7, &model));
    return model;
}

static size_t size_of(const revbifpn_map *m) {
    return (size_t)m->channels * (size_t)m->height * (size_t)m->width;
}

/* The head, which uses the same memory, leaves no trace in the maps: a network without one, whose other
 * weights are the same, gives the same bits. */
static void maps_do_not_depend_on_the_head(void **state) {
    (void)state;
    static const int widths[2][4] = {{48, 64, 80, 160}, {48, 64, 128, 320}};
    for (int neck = 0; neck < 2; neck++) {
        revbifpn_model *with = fresh_model(10, neck), *without = fresh_model(0, neck);
        revbifpn_image image = random_picture(96, 64);
        revbifpn_map a[REVBIFPN_MAX_STREAMS], b[REVBIFPN_MAX_STREAMS];
        int count_a, count_b;
        WORKS(revbifpn_features(with, &image, a, &count_a));
        WORKS(revbifpn_features(without, &image, b, &count_b));
        assert_true(count_a == 4 && count_b == 4);
        for (int i = 0; i < 4; i++) {
            assert_true(a[i].channels == widths[neck][i] && a[i].height == 16 >> i && a[i].width == 24 >> i);
            assert_int_equal(size_of(&a[i]), size_of(&b[i]));
            assert_memory_equal(a[i].values, b[i].values, size_of(&a[i]) * sizeof(float));
            assert_true(a[i].values[0] != a[i].values[1]);
            revbifpn_map_free(&a[i]);
            revbifpn_map_free(&b[i]);
        }
        revbifpn_image_free(&image);
        revbifpn_model_free(&with);
        revbifpn_model_free(&without);
    }
}

/* Plain predictions before and after are the same: nothing of the model has moved. */
static void a_gradient_leaves_the_model_alone(void **state) {
    (void)state;
    revbifpn_model *model = fresh_model(10, 1);
    revbifpn_image image = random_picture(96, 64), picture;
    revbifpn_prediction before[10], after[10];
    revbifpn_map gradient, again;
    int found, index;
    WORKS(revbifpn_predict(model, &image, before, 10, &found));
    WORKS(revbifpn_saliency(model, &image, &index, &gradient, &picture));
    assert_int_equal(index, before[0].index);
    assert_true(gradient.channels == 3 && gradient.height == 64 && gradient.width == 96);
    assert_true(picture.height == 64 && picture.width == 96);
    WORKS(revbifpn_predict(model, &image, after, 10, &found));
    for (int i = 0; i < 10; i++)
        assert_true(before[i].index == after[i].index && before[i].probability == after[i].probability);
    WORKS(revbifpn_saliency(model, &image, &index, &again, NULL));
    assert_memory_equal(gradient.values, again.values, size_of(&again) * sizeof(float));
    revbifpn_map_free(&gradient);
    revbifpn_map_free(&again);
    revbifpn_image_free(&picture);
    revbifpn_image_free(&image);
    revbifpn_model_free(&model);
}

/* Where the gradient is largest the picture is whitest. */
static void the_picture_shows_the_gradient(void **state) {
    (void)state;
    revbifpn_model *model = fresh_model(10, 1);
    revbifpn_image image = random_picture(96, 64), picture;
    revbifpn_map g;
    int index;
    size_t pixels = 96 * 64, largest = 0;
    double most = 0;
    WORKS(revbifpn_saliency(model, &image, &index, &g, &picture));
    for (size_t i = 0; i < pixels; i++) {
        double size = fmax(fabs((double)g.values[i]), fabs((double)g.values[pixels + i]));
        size = fmax(size, fabs((double)g.values[2 * pixels + i]));
        if (size > most) most = size, largest = i;
    }
    for (int c = 0; c < 3; c++) assert_int_equal(picture.pixels[3 * largest + (size_t)c], 255);
    revbifpn_map_free(&g);
    revbifpn_image_free(&picture);
    revbifpn_image_free(&image);
    revbifpn_model_free(&model);
}

static void a_network_without_classes_has_no_answer(void **state) {
    (void)state;
    revbifpn_model *model = fresh_model(0, 1);
    revbifpn_image image = random_picture(96, 64);
    int index;
    assert_int_equal(revbifpn_saliency(model, &image, &index, NULL, NULL), REVBIFPN_UNSUPPORTED);
    revbifpn_image_free(&image);
    revbifpn_model_free(&model);
}

static int white_pixels(const revbifpn_image *image, int first_row, int last_row) {
    int count = 0;
    for (int i = first_row * image->width; i < last_row * image->width; i++)
        count += image->pixels[3 * i] == 255 && image->pixels[3 * i + 1] == 255;
    return count;
}

static revbifpn_image gray_picture(int width, int height) {
    revbifpn_image image = {.width = width, .height = height};
    image.pixels = rb_alloc((size_t)width * (size_t)height * 3);
    assert_non_null(image.pixels);
    memset(image.pixels, 100, (size_t)width * (size_t)height * 3);
    return image;
}

/* 'I' is three cells above and below, five between: eleven. Lines stand one below the other; all that is not
 * ASCII is a box of 20 cells. */
static void text_is_drawn(void **state) {
    (void)state;
    static const char *const one[] = {"I"}, *const two[] = {"I", "\xc3\xa4I"};
    revbifpn_image image = gray_picture(240, 60);
    WORKS(revbifpn_image_annotate(ctx, &image, one, 1));
    assert_true(image.width == 240 && image.height == 60);
    assert_int_equal(white_pixels(&image, 0, 60), 11);
    revbifpn_image_free(&image);
    image = gray_picture(240, 60);
    WORKS(revbifpn_image_annotate(ctx, &image, two, 2));
    assert_int_equal(white_pixels(&image, 0, 10), 11);
    assert_int_equal(white_pixels(&image, 10, 60), 11 + 20);
    assert_int_equal(image.pixels[3 * 50 * 240], 100); /* below the text nothing changed */
    assert_true(image.pixels[3 * 239] < 50);           /* behind it is dark */
    revbifpn_image_free(&image);
}

/* Small pictures are enlarged; what finds no room, to the right or below, is cut. */
static void odd_pictures_are_written_on(void **state) {
    (void)state;
    static const char *const lines[] = {
        "a name that is much longer than the picture is wide, as class names may be", "b", "c", "d", "e"};
    static const int sizes[][3] = {{1, 1, 240}, {7, 3, 35}, {239, 5, 2}, {1000, 20, 1}};
    for (int i = 0; i < 4; i++) {
        revbifpn_image image = gray_picture(sizes[i][0], sizes[i][1]);
        WORKS(revbifpn_image_annotate(ctx, &image, lines, 5));
        assert_true(image.width == sizes[i][0] * sizes[i][2] && image.height == sizes[i][1] * sizes[i][2]);
        revbifpn_image_free(&image);
    }
}

/* A small picture is enlarged before boxes are drawn, boxes and masks with it. The mask: columns 2 and 3 of a
 * picture of 60 × 20, whose runs are 40, 40, 1120. */
static void boxes_grow_with_the_picture(void **state) {
    (void)state;
    rb_text runs = {0};
    rb_span span = {40, 80};
    rb_runs_encode((rb_mask){20, 60, &span, 1}, &runs);
    rb_text_add_bytes(&runs, "", 1);
    revbifpn_detection one = {
        .x1 = 10, .y1 = 12, .x2 = 30, .y2 = 18, .score = 0.5, .name = "I", .mask = runs.bytes};
    revbifpn_image image = gray_picture(60, 20), large = gray_picture(300, 100);
    WORKS(revbifpn_image_draw(ctx, &image, &one, 1));
    assert_true(image.width == 240 && image.height == 80);
#define RED(x, y) (image.pixels[3 * ((y)*240 + (x))] > image.pixels[3 * ((y)*240 + (x)) + 1] + 20)
    assert_true(RED(8, 70) && RED(15, 70) && !RED(7, 70) && !RED(16, 70));                  /* the mask */
    assert_true(RED(40, 60) && RED(120, 60) && !RED(80, 60) && RED(80, 48) && RED(80, 72)); /* the box */
#undef RED
    one.mask = NULL;
    WORKS(revbifpn_image_draw(ctx, &large, &one, 1));
    assert_true(large.width == 300 && large.height == 100);
    revbifpn_image_free(&image);
    revbifpn_image_free(&large);
    image = gray_picture(2, 15000); /* would be too high */
    WORKS(revbifpn_image_draw(ctx, &image, &one, 1));
    assert_true(image.width == 2 && image.height == 15000);
    revbifpn_image_free(&image);
    rb_text_close(&runs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_do_not_depend_on_the_head),
        cmocka_unit_test(a_gradient_leaves_the_model_alone),
        cmocka_unit_test(the_picture_shows_the_gradient),
        cmocka_unit_test(a_network_without_classes_has_no_answer),
        cmocka_unit_test(text_is_drawn),
        cmocka_unit_test(odd_pictures_are_written_on),
        cmocka_unit_test(boxes_grow_with_the_picture),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
