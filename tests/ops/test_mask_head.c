/* THREAD-TEST. Targets of the mask head against RoIAlign's reference on the mask as a map; pasted masks
 * against the formula at each pixel of the picture; edge cases of both. */
#include "with_exec.h"

#include "ops/mask_head/mask_head.h"
#include "ops/roi_align/roi_align.h"

enum { SIDE = RB_MASK_SIDE, NUMBERS = SIDE * SIDE, TRIALS = 60 };
/* Both sides round a few times; so near to ½ either answer will do. */
#define TIE 1e-5

/* ---- targets */

/* Boxes and ellipses, some of them noise, of height × width; the spans are closed by the caller. */
static rb_mask random_mask(trial *t, int height, int width, rb_spans *spans) {
    uint8_t *pixels = input(t, (size_t)(height * width));
    int kind = below(t, 4), cx = below(t, width), cy = below(t, height), r = between(t, 1, height + width);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int dx = x - cx, dy = y - cy;
            bool set = kind == 0   ? coin(t)
                       : kind == 1 ? dx < r / 3 && dy < r / 4
                                   : 4 * (dx * dx + dy * dy) < r * r;
            pixels[y * width + x] = kind == 3 ? !set : set;
        }
    rb_mask_from_pixels(pixels, (uint32_t)height, (uint32_t)width, (size_t)width, spans);
    assert_false(spans->failed);
    return (rb_mask){(uint32_t)height, (uint32_t)width, spans->at, spans->count};
}

static void random_box(trial *t, int width, int height, float box[4]) {
    double w = rb_rng_uniform(&t->rng) * width * (coin(t) ? 1.5 : 0.2);
    double h = rb_rng_uniform(&t->rng) * height * (coin(t) ? 1.5 : 0.2);
    double x = (1.5 * rb_rng_uniform(&t->rng) - 0.4) * width,
           y = (1.5 * rb_rng_uniform(&t->rng) - 0.4) * height;
    box[0] = (float)x, box[1] = (float)y, box[2] = (float)(x + w), box[3] = (float)(y + h);
    if (!below(t, 5))
        for (int i = 0; i < 4; i++) box[i] = roundf(box[i]); /* ties */
}

static void run_target(rb_exec *x, const void *op, void **out) { rb_mask_target(x, op, out[0]); }

/* All pools, guards whole, all bits the same. */
static void targets_of(const rb_mask_targets *t, uint8_t *target) {
    size_t bytes = (size_t)t->count * NUMBERS;
    rb_ops ops;
    rb_ops_fill(&ops, RB_CPU_REF);
    for (int i = 0; i < POOLS; i++) {
        unsigned char *block = guarded(bytes, 0xff);
        void *out = block + GUARD;
        with_exec(&ops, test_pools[i], run_target, t, &out);
        assert_true(guards_whole(block, bytes));
        if (i) assert_memory_equal(out, target, bytes);
        memcpy(target, out, bytes);
        free(block);
    }
}

/* The mask as a map of width × height, the box clipped as the specification says, and the bins it gives. */
static void aligned(trial *t, const rb_mask *m, int width, int height, const float roi[4], float *bins) {
    uint8_t *pixels = input(t, (size_t)m->height * m->width);
    float *map = random_floats(t, (size_t)(height * width), 0), box[4];
    const int32_t image = 0;
    rb_mask_to_pixels(*m, pixels, m->width);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            bool inside = y < (int)m->height && x < (int)m->width;
            map[y * width + x] = inside && pixels[(size_t)y * m->width + (size_t)x] ? 1 : 0;
        }
    for (int i = 0; i < 4; i++) box[i] = fminf(fmaxf(roi[i], 0), (float)(i % 2 ? height : width));
    rb_roi_align r = {
        .levels = 1, .shape = {{1, height, width, 1}}, .map = {map}, .scale = {1}, .size = SIDE};
    r.count = 1;
    r.rois = box;
    r.image = &image;
    rb_roi_align_forward_ref(&r, bins, NULL, test_pools[0]);
}

static void target_trial(int number) {
    enum { MOST = 5 };
    trial t = trial_open(60, number);
    rb_spans spans[MOST] = {0};
    rb_mask masks[MOST];
    float rois[MOST][4], bins[NUMBERS];
    uint8_t target[MOST * NUMBERS];
    rb_mask_targets targets = {between(&t, 0, MOST), between(&t, 1, 90), between(&t, 1, 90), masks, rois[0]};
    for (int i = 0; i < targets.count; i++) {
        int height = between(&t, 1, targets.height), width = between(&t, 1, targets.width);
        masks[i] = random_mask(&t, height, width, &spans[i]);
        random_box(&t, targets.width, targets.height, rois[i]);
    }
    targets_of(&targets, target);
    for (int i = 0; i < targets.count; i++) {
        aligned(&t, &masks[i], targets.width, targets.height, rois[i], bins);
        for (int p = 0; p < NUMBERS; p++)
            if (fabs((double)bins[p] - 0.5) > TIE && target[i * NUMBERS + p] != (bins[p] >= 0.5f))
                fail_msg("trial %d, box %d, bin %d: %d for %g", number, i, p, target[i * NUMBERS + p],
                         (double)bins[p]);
        rb_spans_close(&spans[i]);
    }
    trial_close(&t);
}
static void targets_are_aligned_masks(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) target_trial(i);
}

/* Bins of three columns, read half a pixel to the right: two whole samples and a half of three is above ½,
 * one and a half exactly ½. Padding counts as 0. */
static void half_is_set(void **state) {
    (void)state;
    enum { WIDTH = 100, HEIGHT = 84, COLUMN = 3 * 9 };
    const float box[4] = {0.5f, 0, 84.5f, 84};
    uint8_t target[NUMBERS];
    for (int columns = COLUMN; columns < COLUMN + 3; columns++) {
        rb_span span = {0, (uint32_t)(columns * HEIGHT)};
        rb_mask mask = {HEIGHT, 90, &span, 1};
        rb_mask_targets t = {1, WIDTH, HEIGHT, &mask, box};
        targets_of(&t, target);
        for (int p = 0; p < NUMBERS; p++) {
            int j = p % SIDE;
            assert_int_equal(target[p], j < 9 || (j == 9 && columns == COLUMN + 2));
        }
    }
}

static void boxes_without_area_have_empty_targets(void **state) {
    (void)state;
    const float rois[][4] = {{5, 5, 5, 9},   {5, 5, 9, 5},   {9, 9, 5, 5},
                             {-9, 1, -2, 8}, {30, 1, 60, 8}, {NAN, 1, NAN, 8}};
    enum { COUNT = sizeof rois / sizeof *rois };
    uint8_t target[COUNT * NUMBERS];
    rb_span span = {0, 400};
    rb_mask masks[COUNT];
    for (int i = 0; i < COUNT; i++) masks[i] = (rb_mask){20, 20, &span, 1};
    rb_mask_targets t = {COUNT, 20, 20, masks, rois[0]};
    targets_of(&t, target);
    for (int p = 0; p < COUNT * NUMBERS; p++) assert_int_equal(target[p], 0);
}

/* ---- pasting */

/* The weight of number i at coordinate `at`: bilinear, nothing beside the numbers. */
static double hat(double at, int i) { return fmax(0, 1 - fabs(at - i)); }

static double pasted(const float *p, const float box[4], int x, int y) {
    double u = SIDE * (x + 0.5 - (double)box[0]) / ((double)box[2] - (double)box[0]) - 0.5, sum = 0;
    double v = SIDE * (y + 0.5 - (double)box[1]) / ((double)box[3] - (double)box[1]) - 0.5;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) sum += hat(v, i) * hat(u, j) * (double)p[i * SIDE + j];
    return sum;
}

static void paste_trial(int number) {
    trial t = trial_open(61, number);
    int width = between(&t, 1, 60), height = between(&t, 1, 60);
    float *p = random_floats(&t, NUMBERS, 0.5), box[4];
    for (int i = 0; i < NUMBERS; i++) p[i] += 0.5f;
    if (coin(&t)) /* an edge that is clear */
        for (int i = 0; i < NUMBERS; i++) p[i] = i / SIDE + i % SIDE < 30 ? 1 : 0.1f;
    random_box(&t, width, height, box);
    if (!(box[2] > box[0] && box[3] > box[1])) box[2] = box[0] + 2, box[3] = box[1] + 3;
    rb_spans spans = {0};
    uint8_t *pixels = input(&t, (size_t)(width * height));
    rb_mask_paste(p, box, width, height, &spans);
    assert_false(spans.failed);
    rb_mask mask = {(uint32_t)height, (uint32_t)width, spans.at, spans.count};
    rb_mask_to_pixels(mask, pixels, (size_t)width);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double want = pasted(p, box, x, y);
            if (fabs(want - 0.5) > 1e-9 && pixels[y * width + x] != (want >= 0.5))
                fail_msg("trial %d: pixel %d, %d of %d × %d: %d for %g", number, x, y, width, height,
                         pixels[y * width + x], want);
        }
    for (size_t i = 0; i < spans.count; i++) { /* a mask has one form */
        assert_true(spans.at[i].begin < spans.at[i].end && spans.at[i].end <= (uint32_t)(width * height));
        assert_true(!i || spans.at[i - 1].end < spans.at[i].begin);
    }
    rb_spans_close(&spans);
    trial_close(&t);
}
static void pasting_is_the_formula(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) paste_trial(i);
}

static void pasted_ones_fill_the_box(void **state) {
    (void)state;
    float ones[NUMBERS];
    double got[4];
    for (int i = 0; i < NUMBERS; i++) ones[i] = 1;
    const float box[4] = {2, 3, 6, 11};
    rb_spans spans = {0};
    rb_spans_add(&spans, 0, 5); /* cleared first */
    rb_mask_paste(ones, box, 20, 30, &spans);
    rb_mask mask = {30, 20, spans.at, spans.count};
    rb_mask_box(mask, got);
    assert_true(got[0] == 2 && got[1] == 3 && got[2] == 4 && got[3] == 8);
    assert_int_equal(rb_mask_area(mask), 32);
    rb_spans_close(&spans);
}

/* Nothing, and no undefined conversion, whatever the box is. */
static void strange_boxes_are_pasted(void **state) {
    (void)state;
    float ones[NUMBERS];
    for (int i = 0; i < NUMBERS; i++) ones[i] = 1;
    const float empty[][4] = {{5, 5, 5, 9},         {5, 5, 9, 5},         {9, 9, 5, 5},
                              {NAN, 0, 9, 9},       {0, 0, INFINITY, 9},  {-INFINITY, 0, 9, 9},
                              {0, 0, 9, NAN},       {1e30f, 0, 2e30f, 9}, {-2e30f, 0, -1e30f, 9},
                              {0, 0, 1e-30f, 9.0f}, {5, 5, 5.2f, 9},      {0, -3e38f, 1, -1e38f}};
    rb_spans spans = {0};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        rb_mask_paste(ones, empty[i], 20, 20, &spans);
        if (spans.count) fail_msg("box %zu is not empty", i);
    }
    const float all[4] = {-1e30f, -1e30f, 1e30f, 1e30f};
    rb_mask_paste(ones, all, 20, 20, &spans);
    assert_true(spans.count == 1 && spans.at[0].begin == 0 && spans.at[0].end == 400);
    rb_spans_close(&spans);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(targets_are_aligned_masks),
                                       cmocka_unit_test(half_is_set),
                                       cmocka_unit_test(boxes_without_area_have_empty_targets),
                                       cmocka_unit_test(pasting_is_the_formula),
                                       cmocka_unit_test(pasted_ones_fill_the_box),
                                       cmocka_unit_test(strange_boxes_are_pasted)};
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
