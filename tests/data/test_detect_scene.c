/* Scale jitter, colour jitter and mosaics of a detector's pictures: boxes and masks lie where the pixels of
 * their objects are, whatever was done, and what is cut away is no longer learned. */
#include "objects_case.h"

#include <math.h>

#include "data/detect_scene.h"

/* ---- pictures whose pixels tell the object ---- */

enum { FILES = 8, OBJECTS = 3, LABELS = FILES * OBJECTS };

/* Of file f: two objects that are learned, the second with run lengths, and a crowd. */
typedef struct drawn {
    int width, height;
    int box[OBJECTS][4]; /* x, y, width, height; they do not touch */
} drawn;

static const drawn files[FILES] = {{120, 80, {{5, 6, 50, 40}, {62, 10, 40, 60}, {10, 52, 30, 20}}},
                                   {80, 120, {{4, 4, 60, 30}, {10, 44, 50, 66}, {66, 60, 10, 50}}},
                                   {100, 100, {{0, 0, 48, 99}, {52, 1, 48, 60}, {60, 70, 30, 20}}},
                                   {140, 50, {{3, 3, 60, 44}, {70, 5, 40, 40}, {115, 5, 20, 40}}},
                                   {64, 64, {{1, 1, 30, 62}, {34, 3, 28, 28}, {36, 36, 20, 20}}},
                                   {90, 70, {{10, 10, 30, 50}, {44, 8, 40, 54}, {1, 1, 6, 60}}},
                                   {70, 90, {{8, 50, 56, 34}, {6, 6, 40, 38}, {50, 4, 14, 40}}},
                                   {128, 96, {{12, 12, 70, 70}, {90, 20, 30, 50}, {90, 76, 30, 16}}}};

/* Each object has a colour of its own, far from the background's, the fill's and all others. */
static void color_of(int label, uint8_t color[3]) {
    color[0] = (uint8_t)(label % 3 * 127);
    color[1] = (uint8_t)(label / 3 % 3 * 127);
    color[2] = (uint8_t)(200 + label / 9 * 25);
}

static void draw_file(int f, rb_image *image) {
    rb_error err;
    CHECK_OK(rb_image_alloc(image, files[f].width, files[f].height, &err), &err);
    memset(image->pixels, 30, (size_t)image->width * (size_t)image->height * 3);
    for (int k = 0; k < OBJECTS; k++) {
        const int *b = files[f].box[k];
        for (int y = b[1]; y < b[1] + b[3]; y++)
            for (int x = b[0]; x < b[0] + b[2]; x++)
                color_of(f * OBJECTS + k, image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3);
    }
}

static void noise_of(rb_image *image, int width, int height) {
    rb_error err;
    CHECK_OK(rb_image_alloc(image, width, height, &err), &err);
    for (int i = 0; i < width * height * 3; i++)
        image->pixels[i] = (uint8_t)((unsigned)i * (unsigned)i * 37u + (unsigned)i / 7 + 1);
}

/* The run lengths of a box. */
static void add_runs(rb_text *text, const int b[4], int height) {
    rb_text_format(text, "%d", b[0] * height + b[1]);
    for (int x = 0; x < b[2]; x++) rb_text_format(text, x + 1 < b[2] ? ",%d,%d" : ",%d", b[3], height - b[3]);
}

static void add_object(rb_text *text, int f, int k) {
    const drawn *d = &files[f];
    const int *b = d->box[k];
    rb_text_format(text,
                   "%s{\"id\": %d, \"image_id\": %d, \"category_id\": %d, \"bbox\": [%d, %d, %d, %d], "
                   "\"iscrowd\": %d, \"segmentation\": ",
                   f + k ? "," : "", f * OBJECTS + k + 1, f + 1, f * OBJECTS + k + 1, b[0], b[1], b[2], b[3],
                   k == 2);
    if (!k) {
        int r = b[0] + b[2], bottom = b[1] + b[3];
        rb_text_format(text, "[[%d,%d,%d,%d,%d,%d,%d,%d]]}", b[0], b[1], r, b[1], r, bottom, b[0], bottom);
        return;
    }
    rb_text_format(text, "{\"size\": [%d, %d], \"counts\": [", d->height, d->width);
    add_runs(text, b, d->height);
    rb_text_format(text, ",%d]}}", d->height * d->width - (b[0] + b[2] - 1) * d->height - b[1] - b[3]);
}

static rb_objects colored_set(void) {
    rb_text text = {0};
    rb_text_add(&text, "{\"categories\": [");
    for (int i = 0; i < LABELS; i++)
        rb_text_format(&text, "%s{\"id\": %d, \"name\": \"%d\"}", i ? "," : "", i + 1, i);
    rb_text_add(&text, "], \"images\": [");
    for (int f = 0; f < FILES; f++) {
        char name[64];
        rb_image image;
        rb_error err;
        rb_text_format(&text, "%s{\"id\": %d, \"width\": %d, \"height\": %d, \"file_name\": \"%d.png\"}",
                       f ? "," : "", f + 1, files[f].width, files[f].height, f);
        snprintf(name, sizeof name, "colored/images/%d.png", f);
        make_parent(inside(name));
        draw_file(f, &image);
        CHECK_OK(rb_image_write_png(inside(name), &image, &err), &err);
        rb_image_free(&image);
    }
    rb_text_add(&text, "], \"annotations\": [");
    for (int f = 0; f < FILES; f++)
        for (int k = 0; k < OBJECTS; k++) add_object(&text, f, k);
    rb_text_add(&text, "]}");
    assert_false(text.failed);
    put("colored/annotations/instances_train.json", text.bytes);
    rb_text_close(&text);
    return open_set("colored", RB_OBJECTS_ALL, true);
}

/* ---- a picture against its truth ---- */

typedef struct seen {
    const uint8_t *pixels;
    size_t stride;
    int width, height;
} seen;

/* A mean of equal values may be one off: OpenCV's weights are rounded one by one. */
static bool has_color(const seen *s, int x, int y, int label) {
    uint8_t color[3];
    const uint8_t *p = s->pixels + (size_t)y * s->stride + (size_t)x * 3;
    color_of(label, color);
    for (int c = 0; c < 3; c++)
        if (abs(p[c] - color[c]) > 1) return false;
    return true;
}

/* Whether a test holds at (x, y) and all around it: nearest neighbours and means differ by a pixel at most.
 */
#define AROUND(s, x, y, test)                                                                                \
    bool all = x > 0 && y > 0 && x + 1 < (s)->width && y + 1 < (s)->height;                                  \
    for (int v = y - 1; all && v <= y + 1; v++)                                                              \
        for (int u = x - 1; u <= x + 1; u++) all = all && (test)

static bool pure_around(const seen *s, int x, int y, int label) {
    AROUND(s, x, y, has_color(s, u, v, label));
    return all;
}

static bool masked_around(const seen *s, int x, int y, const uint8_t *mask) {
    AROUND(s, x, y, mask[v * s->width + u] != 0);
    return all;
}

/* The pixels of one object that is in the truth. Edges are blended over `soft` pixels; boxes are exact, so
 * where the box is cut it ends with the pixels, to less than one. */
static void check_object(const seen *s, const rb_truth *t, int i, double soft) {
    const float *b = t->boxes + 4 * i;
    int label = t->labels[i];
    uint8_t *mask = malloc((size_t)s->width * (size_t)s->height);
    assert_non_null(mask);
    assert_true(t->masks[i].width == (uint32_t)s->width && t->masks[i].height == (uint32_t)s->height);
    rb_mask_to_pixels(t->masks[i], mask, (size_t)s->width);
    assert_true(b[0] >= 0 && b[1] >= 0 && b[2] <= (float)s->width && b[3] <= (float)s->height);
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            double across = fmin(x + 0.5 - (double)b[0], (double)b[2] - x - 0.5);
            double down = fmin(y + 0.5 - (double)b[1], (double)b[3] - y - 0.5),
                   inside_by = fmin(across, down);
            bool pure = has_color(s, x, y, label);
            if (inside_by > soft && !pure) fail_msg("label %d: %d, %d lies in its box", label, x, y);
            if (inside_by < -1 && pure) fail_msg("label %d: %d, %d is outside its box", label, x, y);
            if (pure && !mask[y * s->width + x] && pure_around(s, x, y, label))
                fail_msg("label %d: %d, %d is not masked", label, x, y);
            if (mask[y * s->width + x] && !pure && soft <= 1 && masked_around(s, x, y, mask))
                fail_msg("label %d: %d, %d is masked", label, x, y);
            if (mask[y * s->width + x]) assert_true(inside_by > -1);
        }
    free(mask);
}

static int pixels_of(const seen *s, int label) {
    int count = 0;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) count += has_color(s, x, y, label);
    return count;
}

typedef struct tally {
    int kept, cut, dropped, mosaics;
} tally;

/* Every object of the file that can be seen is in the truth, or little of it is left. */
static void check_file(const seen *s, const rb_truth *t, int f, const rb_detect_draw *d, tally *sum) {
    double sx = (double)d->full_width / files[f].width, sy = (double)d->full_height / files[f].height;
    for (int k = 0; k < OBJECTS; k++) {
        int label = f * OBJECTS + k, found = 0, visible = pixels_of(s, label);
        double whole = files[f].box[k][2] * sx * files[f].box[k][3] * sy;
        for (int i = 0; i < t->count; i++) {
            if (t->labels[i] != label) continue;
            found++;
            check_object(s, t, i, fmax(sx, sy) + 0.5);
            const float *b = t->boxes + 4 * i;
            double area = (double)((b[2] - b[0]) * (b[3] - b[1]));
            assert_true(area >= 0.0999 * whole && area <= 1.0001 * whole);
            sum->cut += area < 0.999 * whole;
        }
        if (k == 2) /* a crowd is seen, and never learned */
            assert_int_equal(found, 0);
        else if (!found) /* the tenth, or two pixels along a side */
            assert_true(visible <= fmax(0.1 * whole, 2 * fmax(s->width, s->height)));
        assert_true(found <= 1);
        sum->kept += found;
        sum->dropped += k < 2 && !found;
    }
}

static bool has_twins(const rb_detect_scene *scene) {
    for (int i = 0; i < scene->tiles; i++)
        for (int k = 0; k < i; k++)
            if (scene->tile[i].sample == scene->tile[k].sample) return true;
    return false;
}

/* One scene, put together as the loader does it; `fill` beforehand, which must be covered. */
static void check_scene(const rb_objects *set, const rb_detect_limits *l, const rb_detect_scene *scene,
                        tally *sum) {
    rb_detect_room room = {0};
    rb_detect_truth tiles[RB_MOSAIC_TILES], joined;
    rb_detect_draw draws[RB_MOSAIC_TILES];
    rb_error err;
    size_t stride = (size_t)scene->width * 3 + 5;
    uint8_t *pixels = malloc(stride * (size_t)scene->height);
    assert_non_null(pixels);
    memset(pixels, 255, stride * (size_t)scene->height);
    CHECK_OK(rb_detect_truth_open(&joined, RB_MOSAIC_TILES * OBJECTS, true, &err), &err);
    for (int i = 0; i < scene->tiles; i++) {
        int f = (int)scene->tile[i].sample;
        rb_image image;
        draw_file(f, &image);
        draws[i] = rb_detect_scene_tile(scene, i, l, files[f].width, files[f].height);
        assert_true(draws[i].width == scene->width && draws[i].height == scene->height);
        CHECK_OK(rb_detect_truth_open(&tiles[i], OBJECTS, true, &err), &err);
        if (scene->tiles > 1) rb_detect_scene_paint(scene, i, pixels, stride);
        rb_detect_truth_clear(&tiles[i], scene->width, scene->height);
        if (draws[i].part_width && draws[i].part_height) {
            CHECK_OK(rb_detect_change_objects(&draws[i], &set->train, f, &room, &tiles[i], &err), &err);
            CHECK_OK(rb_detect_change_image(&draws[i], &image, pixels, stride, &room, &err), &err);
        }
        rb_image_free(&image);
    }
    rb_detect_scene_join(tiles, scene->tiles, &joined);
    seen s = {pixels, stride, scene->width, scene->height};
    for (int y = 0; y < s.height; y++)
        for (int x = 0; x < s.width; x++)
            assert_true(memcmp(pixels + (size_t)y * stride + (size_t)x * 3, "\xff\xff\xff", 3) != 0);
    int objects = 0;
    for (int i = 0; i < scene->tiles; i++) {
        check_file(&s, &joined.view, (int)scene->tile[i].sample, &draws[i], sum);
        objects += tiles[i].view.count;
        rb_detect_truth_close(&tiles[i]);
    }
    assert_int_equal(joined.view.count, objects);
    sum->mosaics += scene->tiles > 1;
    rb_detect_truth_close(&joined);
    rb_detect_room_close(&room);
    free(pixels);
}

static void objects_lie_where_their_pixels_are(void **state) {
    (void)state;
    rb_objects set = colored_set();
    static const double scales[3][2] = {{0, 0}, {0.4, 1}, {0.5, 2}};
    for (int kind = 0; kind < 6; kind++) {
        rb_detect_limits l = {.long_side = 150, .short_side = 100, .short_least = 70, .mirror = 0.5};
        tally sum = {0};
        l.scale_low = scales[kind % 3][0];
        l.scale_high = scales[kind % 3][1];
        for (int i = 0; i < 60; i++) {
            rb_rng rng = rb_rng_open(4, RB_PURPOSE_TEST, (uint64_t)kind, (uint64_t)i);
            uint32_t sample = (uint32_t)(i % FILES);
            rb_detect_scene scene = rb_detect_scene_draw(&l, kind / 3, true, sample, FILES,
                                                         files[sample].width, files[sample].height, &rng);
            rb_detect_draw alone =
                rb_detect_draw_for(&l, files[sample].width, files[sample].height, false, NULL);
            assert_true(scene.width <= alone.width && scene.height <= alone.height);
            if (!has_twins(&scene)) check_scene(&set, &l, &scene, &sum);
        }
        assert_true(sum.kept > 50);
        assert_int_equal(sum.mosaics > 10, kind / 3);
        if (kind < 2) assert_true(!sum.cut && !sum.dropped);
        if (kind >= 2) assert_true(sum.cut > 15);
        if (kind > 2) assert_true(sum.dropped > 15);
    }
    rb_objects_close(&set);
}

/* Each picture of a mosaic, resized and mirrored as a whole, touches the point with a corner. */
static void corners_meet_at_the_point(void **state) {
    (void)state;
    rb_detect_limits l = {
        .long_side = 150, .short_side = 100, .mirror = 0.5, .scale_low = 0.4, .scale_high = 2};
    rb_detect_room room = {0};
    rb_error err;
    for (uint64_t i = 0; i < 40; i++) {
        rb_rng rng = rb_rng_open(6, RB_PURPOSE_TEST, 0, i);
        rb_detect_scene scene = rb_detect_scene_draw(&l, 1, true, 3, FILES, 140, 50, &rng);
        size_t stride = (size_t)scene.width * 3;
        uint8_t *got = calloc(stride, (size_t)scene.height);
        assert_non_null(got);
        for (int k = 0; k < scene.tiles; k++) {
            int f = (int)scene.tile[k].sample;
            rb_detect_draw d = rb_detect_scene_tile(&scene, k, &l, files[f].width, files[f].height);
            if (!d.part_width || !d.part_height) continue;
            rb_image image;
            noise_of(&image, files[f].width, files[f].height);
            uint8_t *whole = malloc((size_t)d.full_width * (size_t)d.full_height * 3);
            assert_non_null(whole);
            rb_detect_draw all = rb_detect_draw_whole(d.full_width, d.full_height, d.mirror);
            CHECK_OK(rb_detect_change_image(&all, &image, whole, (size_t)d.full_width * 3, &room, &err),
                     &err);
            CHECK_OK(rb_detect_change_image(&d, &image, got, stride, &room, &err), &err);
            int x0 = k % 2 ? scene.x : scene.x - d.full_width, y0 = k / 2 ? scene.y : scene.y - d.full_height;
            for (int y = k / 2 ? scene.y : 0; y < (k / 2 ? scene.height : scene.y); y++)
                for (int x = k % 2 ? scene.x : 0; x < (k % 2 ? scene.width : scene.x); x++) {
                    bool there = x >= x0 && y >= y0 && x < x0 + d.full_width && y < y0 + d.full_height;
                    static const uint8_t black[3];
                    const uint8_t *want = black;
                    if (there)
                        want = whole + ((size_t)(y - y0) * (size_t)d.full_width + (size_t)(x - x0)) * 3;
                    assert_memory_equal(got + (size_t)y * stride + (size_t)x * 3, want, 3);
                }
            free(whole);
            rb_image_free(&image);
        }
        free(got);
    }
    rb_detect_room_close(&room);
}

/* ---- draws ---- */

static void scenes_have_the_range(void **state) {
    (void)state;
    rb_detect_limits l = {
        .long_side = 150, .short_side = 100, .mirror = 0.5, .scale_low = 0.5, .scale_high = 1.5};
    int mosaics = 0, samples[FILES] = {0}, quarters[4] = {0}, mirrored = 0;
    double least = 9, most = 0;
    for (int i = 0; i < 2000; i++) {
        rb_rng rng = rb_rng_open(7, RB_PURPOSE_AUGMENT, 3, (uint64_t)i), same = rng;
        rb_detect_scene s = rb_detect_scene_draw(&l, 0.25, true, 1, FILES, 120, 80, &rng);
        rb_detect_scene plain = rb_detect_scene_draw(&l, 0, true, 1, FILES, 120, 80, &same);
        assert_int_equal(s.tile[0].sample, 1);
        assert_int_equal(plain.tiles, 1);
        assert_memory_equal(&s.tile[0].chance, &plain.tile[0].chance, sizeof s.tile[0].chance);
        least = fmin(least, s.tile[0].chance.factor);
        most = fmax(most, s.tile[0].chance.factor);
        if (s.tiles == 1) continue;
        mosaics++;
        assert_true(s.width == 150 && s.height == 100);
        assert_true(s.x >= 0 && s.x <= 150 && s.y >= 0 && s.y <= 100);
        quarters[(s.x > 75) + 2 * (s.y > 50)]++;
        for (int k = 1; k < 4; k++) {
            assert_true(s.tile[k].sample < FILES);
            samples[s.tile[k].sample]++;
            mirrored += s.tile[k].chance.mirror;
        }
    }
    assert_in_range(mosaics, 420, 580);
    for (int i = 0; i < 4; i++) assert_in_range(quarters[i], mosaics / 8, mosaics / 2);
    for (int i = 0; i < FILES; i++) assert_in_range(samples[i], mosaics * 3 / 12, mosaics * 3 / 5);
    assert_in_range(mirrored, mosaics * 3 * 2 / 5, mosaics * 3 * 3 / 5);
    assert_true(least > 0.499 && least < 0.51 && most > 1.49 && most < 1.5);
    rb_detect_scene still = rb_detect_scene_draw(&l, 1, false, 1, FILES, 120, 80, NULL);
    assert_true(still.tiles == 1 && still.width == 150 && still.tile[0].chance.factor == 1);
}

/* ---- what a cut leaves ---- */

static const char narrow[] =
    "{\"categories\": [{\"id\": 1, \"name\": \"a\"}, {\"id\": 2, \"name\": \"b\"}], \"images\": [{\"id\": "
    "1,\n"
    "\"width\": 100, \"height\": 100, \"file_name\": \"a.png\"}], \"annotations\": [\n"
    "{\"id\": 1, \"image_id\": 1, \"category_id\": 1, \"bbox\": [40, 10, 100, 20]},\n"
    "{\"id\": 2, \"image_id\": 1, \"category_id\": 2, \"bbox\": [10, 10, 5, 5], \"segmentation\":\n"
    " [[10, 10, 15, 10, 15, 15, 10, 15]]},\n"
    "{\"id\": 3, \"image_id\": 1, \"category_id\": 1, \"bbox\": [60, 60, 1, 1]},\n"
    "{\"id\": 4, \"image_id\": 1, \"category_id\": 2, \"bbox\": [20, 40, 60, 60], \"segmentation\":\n"
    " [[20, 95, 80, 95, 80, 100, 20, 100], [75, 40, 80, 40, 80, 100, 75, 100]]}]}";

/* Of columns left … left + width − 1 and rows 0 … height − 1; which annotations remain, as bits. */
static unsigned remains(const rb_objects *set, int left, int width, int height, bool masks) {
    rb_detect_room room = {0};
    rb_detect_truth truth;
    rb_error err;
    unsigned found = 0;
    rb_detect_draw d = rb_detect_draw_whole(100, 100, false);
    d.left = left;
    d.width = d.part_width = width;
    d.height = d.part_height = height;
    CHECK_OK(rb_detect_truth_open(&truth, 4, masks, &err), &err);
    CHECK_OK(rb_detect_change_objects(&d, &set->train, 0, &room, &truth, &err), &err);
    for (int i = 0; i < truth.view.count; i++) {
        const float *b = truth.view.boxes + 4 * i;
        bool second = truth.view.labels[i] == 1;
        if (b[3] - b[1] == 20) found |= 1; /* rows tell them apart */
        if (second && b[1] == 10) found |= 2;
        if (b[1] == 60) found |= 4;
        if (second && b[1] == 40) found |= 8;
    }
    rb_detect_truth_close(&truth);
    rb_detect_room_close(&room);
    return found;
}

static void too_small_rests_are_dropped(void **state) {
    (void)state;
    put("narrow/annotations/instances_train.json", narrow);
    rb_objects set = open_set("narrow", RB_OBJECTS_ALL, true);
    for (int masks = 0; masks < 2; masks++) {
        assert_int_equal(remains(&set, 0, 100, 100, masks), 15); /* one of a pixel stays when it is whole */
        assert_int_equal(remains(&set, 94, 6, 100, masks), 1);   /* 6 of the 60 columns within the picture */
        assert_int_equal(remains(&set, 95, 5, 100, masks), 0);
        assert_int_equal(remains(&set, 0, 13, 100, masks), 2);
        assert_int_equal(remains(&set, 0, 12, 100, masks), 2); /* two columns */
        assert_int_equal(remains(&set, 0, 11, 100, masks), 0); /* one of five */
        /* the box of the last one is half there, its mask is not */
        assert_int_equal(remains(&set, 0, 70, 90, masks), masks ? 7 : 15);
    }
    rb_objects_close(&set);
}

static void colors_change_alone(void **state) {
    (void)state;
    enum { SIDE = 120 };
    rb_detect_limits l = {.long_side = SIDE, .short_side = SIDE, .mirror = 0.5};
    rb_detect_limits colored = l;
    const double amount[RB_JITTERS] = {0.4, 0.3, 0.6, 0.1};
    memcpy(colored.colors.amount, amount, sizeof amount);
    rb_detect_room room = {0};
    rb_error err;
    rb_image image;
    draw_file(2, &image);
    static uint8_t plain[SIDE * SIDE * 3], got[SIDE * (SIDE * 3 + 7)], spare[SIDE * SIDE * 3];
    for (uint64_t i = 0; i < 20; i++) {
        rb_rng rng[2] = {rb_rng_open(1, RB_PURPOSE_TEST, 0, i), rb_rng_open(1, RB_PURPOSE_TEST, 0, i)};
        rb_detect_draw a = rb_detect_draw_for(&l, 100, 100, true, &rng[0]);
        rb_detect_draw b = rb_detect_draw_for(&colored, 100, 100, true, &rng[1]);
        assert_true(a.mirror == b.mirror && !a.change_count && b.change_count == 4);
        CHECK_OK(rb_detect_change_image(&a, &image, plain, SIDE * 3, &room, &err), &err);
        memset(got, 0xA5, sizeof got);
        CHECK_OK(rb_detect_change_image(&b, &image, got, SIDE * 3 + 7, &room, &err), &err);
        for (int k = 0; k < 4; k++) rb_change_apply(&b.changes[k], plain, SIDE, SIDE, spare);
        for (int y = 0; y < SIDE; y++) {
            assert_memory_equal(got + y * (SIDE * 3 + 7), plain + y * SIDE * 3, SIDE * 3);
            for (int k = 0; k < 7; k++) assert_int_equal(got[y * (SIDE * 3 + 7) + SIDE * 3 + k], 0xA5);
        }
    }
    rb_image_free(&image);
    rb_detect_room_close(&room);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_lie_where_their_pixels_are),
        cmocka_unit_test(corners_meet_at_the_point),
        cmocka_unit_test(scenes_have_the_range),
        cmocka_unit_test(too_small_rests_are_dropped),
        cmocka_unit_test(colors_change_alone),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
