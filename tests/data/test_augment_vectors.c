/* Augmentation against Pillow, torchvision and timm: the vectors of scripts/golden/make_augment_vectors.py.
 * Given the same draws the result has the same bytes, and soft targets the same bits: nothing is tolerated.
 */
#include "check.h"

#include <jansson.h>
#include <math.h>

#include "base/memory.h"
#include "data/augment.h"
#include "data/erase.h"
#include "data/mix.h"

static json_t *root;

static int load_vectors(void **state) {
    (void)state;
    const char *path = source_path("tests/golden/augment_vectors.json");
    root = path ? json_load_file(path, 0, NULL) : NULL;
    return root ? 0 : 1;
}

static int drop_vectors(void **state) {
    (void)state;
    json_decref(root);
    return 0;
}

/* ---- fields of a case ---- */

static json_t *field(const json_t *o, const char *name) {
    json_t *v = json_object_get(o, name);
    if (!v) fail_msg("a case without \"%s\"", name);
    return v;
}

static const char *text_of(const json_t *o, const char *name) { return json_string_value(field(o, name)); }
static double number_of(const json_t *o, const char *name) { return json_number_value(field(o, name)); }
static int int_of(const json_t *o, const char *name) { return (int)json_integer_value(field(o, name)); }
static int int_at(const json_t *list, size_t i) { return (int)json_integer_value(json_array_get(list, i)); }
static double number_at(const json_t *list, size_t i) { return json_number_value(json_array_get(list, i)); }

static void fill_noise(uint8_t *pixels, size_t bytes, uint32_t x, int low, int high) {
    for (size_t i = 0; i < bytes; i++) {
        x = 1664525u * x + 1013904223u;
        pixels[i] = (uint8_t)(low + ((int)(x >> 24) * (high - low + 1) >> 8));
    }
}

static rb_image source_of(const json_t *entry) {
    rb_image image;
    rb_error err;
    const json_t *size = field(entry, "size"), *range = field(entry, "range");
    CHECK_OK(rb_image_alloc(&image, int_at(size, 0), int_at(size, 1), &err), &err);
    fill_noise(image.pixels, (size_t)image.width * (size_t)image.height * 3,
               (uint32_t)number_of(entry, "seed"), int_at(range, 0), int_at(range, 1));
    return image;
}

static void check_hash(const json_t *entry, const char *part, size_t index, const uint8_t *bytes,
                       size_t size) {
    uint64_t h = 0xCBF29CE484222325u;
    char text[17];
    for (size_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001B3u;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)h);
    if (strcmp(text, text_of(entry, "fnv1a"))) {
        char *dump = json_dumps(entry, JSON_COMPACT);
        fail_msg("%s, case %zu: hash %s: %s", part, index, text, dump);
    }
}

/* ---- single operations ---- */

static void run_pillow(const json_t *entry, const rb_image *src, uint8_t *dst) {
    const char *op = text_of(entry, "op");
    const json_t *arguments = field(entry, "arguments");
    rb_sampling sampling = (rb_sampling)int_of(entry, "sampling");
    static const uint8_t fill[3] = {124, 116, 104};
    int w = src->width, h = src->height;
    size_t count = (size_t)w * (size_t)h;
    double a = number_at(arguments, 0), m[6];
    for (size_t i = 0; i < 6; i++) m[i] = number_at(arguments, i);
    if (!strcmp(op, "affine")) return rb_image_affine(src->pixels, w, h, m, sampling, fill, dst);
    if (!strcmp(op, "rotate")) return rb_image_rotate(src->pixels, w, h, a, sampling, fill, dst);
    if (!strcmp(op, "sharpness")) return rb_image_sharpness(src->pixels, w, h, a, dst);
    memcpy(dst, src->pixels, count * 3);
    if (!strcmp(op, "posterize")) return rb_image_posterize(dst, count, (int)a);
    if (!strcmp(op, "solarize")) return rb_image_solarize(dst, count, (int)a);
    if (!strcmp(op, "solarize_add")) return rb_image_solarize_add(dst, count, (int)a);
    if (!strcmp(op, "invert")) return rb_image_invert(dst, count);
    if (!strcmp(op, "autocontrast")) return rb_image_autocontrast(dst, count);
    if (!strcmp(op, "equalize")) return rb_image_equalize(dst, count);
    if (!strcmp(op, "color")) return rb_image_color(dst, count, a);
    if (!strcmp(op, "contrast")) return rb_image_contrast(dst, count, a);
    if (!strcmp(op, "brightness")) return rb_image_brightness(dst, count, a);
    if (!strcmp(op, "hue")) return rb_image_shift_hue(dst, count, a);
    if (!strcmp(op, "flip_rows")) return rb_image_flip_rows(dst, w, h);
    fail_msg("no operation %s", op);
}

static void operations_of_pillow(void **state) {
    (void)state;
    size_t index;
    json_t *entry;
    json_array_foreach(field(root, "pillow"), index, entry) {
        rb_image src = source_of(entry);
        size_t bytes = (size_t)src.width * (size_t)src.height * 3;
        uint8_t *dst = malloc(bytes);
        assert_non_null(dst);
        run_pillow(entry, &src, dst);
        check_hash(entry, "pillow", index, dst, bytes);
        free(dst);
        rb_image_free(&src);
    }
    assert_int_equal(index, 256);
}

static rb_level_kind level_named(const char *name) {
    for (int i = 0; i < RB_LEVEL_KINDS; i++)
        if (!strcmp(rb_level_name((rb_level_kind)i), name)) return (rb_level_kind)i;
    fail_msg("no level %s", name);
    return RB_LEVEL_KINDS;
}

static rb_change change_of(const json_t *entry) {
    const json_t *sampling = json_object_get(entry, "sampling");
    return rb_level_change(level_named(text_of(entry, "level")),
                           json_number_value(json_object_get(entry, "magnitude")),
                           json_is_true(field(entry, "negative")), (rb_sampling)json_integer_value(sampling));
}

static void magnitudes_of_timm(void **state) {
    (void)state;
    size_t index;
    json_t *entry;
    int seen[RB_LEVEL_KINDS] = {0};
    json_array_foreach(field(root, "levels"), index, entry) {
        rb_image src = source_of(entry);
        size_t bytes = (size_t)src.width * (size_t)src.height * 3;
        uint8_t *spare = malloc(bytes);
        assert_non_null(spare);
        rb_change change = change_of(entry);
        rb_change_apply(&change, src.pixels, src.width, src.height, spare);
        check_hash(entry, "levels", index, src.pixels, bytes);
        seen[level_named(text_of(entry, "level"))]++;
        free(spare);
        rb_image_free(&src);
    }
    for (int i = 0; i < RB_LEVEL_KINDS; i++) assert_int_equal(seen[i], 8);
}

/* ---- strings ---- */

static void check_step(const rb_policy_step *step, const json_t *want) {
    assert_string_equal(rb_level_name(step->kind), json_string_value(json_array_get(want, 0)));
    assert_true(step->probability == number_at(want, 1) && step->magnitude == number_at(want, 2));
}

/* timm's operations come sorted by name. */
static void check_choices(const rb_policy *p, const json_t *entry) {
    const json_t *ops = field(entry, "ops"), *weights = json_object_get(entry, "weights");
    double sum = 0;
    assert_int_equal(json_array_size(ops), RB_POLICY_CHOICES);
    assert_int_equal(weights != NULL, p->weights != NULL);
    for (int i = 0; weights && i < RB_POLICY_CHOICES; i++) sum += p->weights[i];
    for (size_t k = 0; k < RB_POLICY_CHOICES; k++) {
        int i = 0;
        const char *name = json_string_value(json_array_get(ops, k));
        while (i < RB_POLICY_CHOICES && strcmp(rb_level_name(p->choices[i]), name)) i++;
        if (i == RB_POLICY_CHOICES) fail_msg("%s: no choice %s", text_of(entry, "text"), name);
        if (weights) assert_true(fabs(p->weights[i] / sum - number_at(weights, k)) < 1e-15);
    }
}

static void strings_of_timm(void **state) {
    (void)state;
    size_t index;
    json_t *entry;
    json_array_foreach(field(root, "policies"), index, entry) {
        rb_policy p;
        rb_error err;
        CHECK_OK(rb_policy_parse(&p, text_of(entry, "text"), &err), &err);
        assert_true(p.largest == number_of(entry, "largest"));
        json_t *deviation = field(entry, "deviation"), *pairs = json_object_get(entry, "pairs");
        assert_true(json_is_string(deviation) ? isinf(p.deviation)
                                              : p.deviation == json_number_value(deviation));
        assert_int_equal(pairs != NULL, p.pairs != NULL);
        if (!pairs) {
            assert_int_equal(p.layers, int_of(entry, "layers"));
            assert_true(p.probability == number_of(entry, "probability"));
            assert_true(p.magnitude == number_of(entry, "magnitude"));
            check_choices(&p, entry);
            continue;
        }
        assert_int_equal(json_array_size(pairs), RB_POLICY_PAIRS);
        for (size_t i = 0; i < RB_POLICY_PAIRS; i++)
            for (size_t k = 0; k < 2; k++)
                check_step(&p.pairs[i][k], json_array_get(json_array_get(pairs, i), k));
    }
    assert_int_equal(index, 11);
}

/* ---- whole pictures ---- */

static rb_change jitter_of(const json_t *pair) {
    static const struct {
        const char *name;
        rb_change_kind kind;
    } kinds[] = {{"brightness", RB_CHANGE_BRIGHTNESS},
                 {"contrast", RB_CHANGE_CONTRAST},
                 {"color", RB_CHANGE_COLOR},
                 {"hue", RB_CHANGE_HUE}};
    const char *name = json_string_value(json_array_get(pair, 0));
    for (size_t i = 0; i < 4; i++)
        if (!strcmp(kinds[i].name, name))
            return (rb_change){.kind = kinds[i].kind, .argument = number_at(pair, 1)};
    fail_msg("no jitter %s", name);
    return (rb_change){0};
}

static rb_train_draw draw_of(const json_t *entry) {
    const json_t *crop = field(entry, "crop"), *changes = field(entry, "changes"),
                 *jitter = json_object_get(entry, "jitter");
    rb_train_draw d = {
        .x = int_at(crop, 0), .y = int_at(crop, 1), .w = int_at(crop, 2), .h = int_at(crop, 3)};
    d.filter = int_of(entry, "sampling") == 2 ? RB_FILTER_BICUBIC : RB_FILTER_BILINEAR;
    d.flip = json_is_true(field(entry, "flip"));
    d.flip_rows = json_is_true(field(entry, "flip_rows"));
    for (size_t i = 0; i < json_array_size(changes); i++)
        d.changes[d.change_count++] = change_of(json_array_get(changes, i));
    for (size_t i = 0; i < json_array_size(jitter); i++)
        d.changes[d.change_count++] = jitter_of(json_array_get(jitter, i));
    return d;
}

static void whole_pictures_of_timm(void **state) {
    (void)state;
    size_t index;
    json_t *entry;
    rb_scratch scratch = {0};
    int changed = 0, flips = 0;
    json_array_foreach(field(root, "pictures"), index, entry) {
        rb_error err;
        rb_image src = source_of(entry);
        const json_t *size = field(entry, "result");
        rb_train_transform t = rb_train_transform_default(int_at(size, 0), int_at(size, 1));
        rb_train_draw d = draw_of(entry);
        size_t bytes = (size_t)t.width * (size_t)t.height * 3;
        uint8_t *dst = malloc(bytes);
        assert_non_null(dst);
        CHECK_OK(rb_train_transform_apply(&t, &d, &src, dst, &scratch, &err), &err);
        check_hash(entry, "pictures", index, dst, bytes);
        changed += d.change_count;
        flips += d.flip_rows;
        free(dst);
        rb_image_free(&src);
    }
    assert_int_equal(index, 60);
    assert_true(changed > 60 && flips > 5);
    rb_scratch_free(&scratch);
}

/* ---- erasing ---- */

static void boxes_of_timm(void **state) {
    (void)state;
    size_t index;
    json_t *entry;
    json_array_foreach(field(root, "erase"), index, entry) {
        const json_t *size = field(entry, "size"), *box = field(entry, "box");
        int w, h;
        assert_true(rb_erase_size(int_at(size, 0), int_at(size, 1), int_of(entry, "boxes"),
                                  number_of(entry, "share"), number_of(entry, "log_aspect"), &w, &h));
        assert_int_equal(w, int_at(box, 0));
        assert_int_equal(h, int_at(box, 1));
    }
    assert_int_equal(index, 24);
}

/* ---- mixing ---- */

static rb_mixture mixture_of(const json_t *draw, int height, int width, bool single) {
    double lambda = strtod(text_of(draw, "lambda"), NULL);
    const json_t *box = json_object_get(draw, "box"), *centre = json_object_get(draw, "centre");
    if (!box) return rb_mixup_mixture(lambda, single); /* also where cutmix was drawn with λ = 1 */
    rb_box want = {int_at(box, 0), int_at(box, 1), int_at(box, 2), int_at(box, 3)};
    if (centre) {
        rb_box got = rb_cut_box(height, width, lambda, single, int_at(centre, 0), int_at(centre, 1));
        assert_memory_equal(&got, &want, sizeof got);
    }
    return rb_cut_mixture(height, width, want, single);
}

static void check_targets(const json_t *entry, size_t index, const float *targets, size_t count) {
    const char *hex = text_of(entry, "targets");
    assert_int_equal(strlen(hex), 8 * count);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        unsigned want = 0;
        memcpy(&bits, &targets[i], 4);
        sscanf(hex + 8 * i, "%8x", &want);
        if (bits != want) fail_msg("mix, case %zu: target %zu is %08x and not %08x", index, i, bits, want);
    }
}

static void check_mixing(const json_t *entry, size_t index, int *cuts) {
    rb_mix_mode mode;
    rb_error err;
    CHECK_OK(rb_mix_mode_parse(&mode, text_of(entry, "mode"), &err), &err);
    int batch = int_of(entry, "batch"), classes = int_of(entry, "classes");
    int width = int_at(field(entry, "size"), 0), height = int_at(field(entry, "size"), 1);
    const json_t *draws = field(entry, "draws");
    size_t bytes = (size_t)batch * (size_t)width * (size_t)height * 3,
           count = (size_t)batch * (size_t)classes;
    rb_mixture mixtures[8];
    int32_t labels[8];
    for (int i = 0; i < batch; i++) {
        int from = mode == RB_MIX_BATCH ? 0 : mode == RB_MIX_PAIR && i >= batch / 2 ? batch - 1 - i : i;
        mixtures[i] = mixture_of(json_array_get(draws, (size_t)from), height, width, mode != RB_MIX_BATCH);
        labels[i] = int_at(field(entry, "labels"), (size_t)i);
        *cuts += mixtures[i].cut;
    }
    uint8_t *images = malloc(bytes);
    float *targets = malloc(count * sizeof *targets);
    assert_true(images && targets);
    fill_noise(images, bytes, (uint32_t)number_of(entry, "seed"), 0, 255);
    rb_mix_images(mixtures, batch, height, width, images);
    rb_mix_targets(mixtures, batch, classes, number_of(entry, "smoothing"), labels, targets);
    check_hash(entry, "mix", index, images, bytes);
    check_targets(entry, index, targets, count);
    free(images);
    free(targets);
}

static void mixing_of_timm(void **state) {
    (void)state;
    size_t index;
    json_t *entry;
    int cuts = 0;
    json_array_foreach(field(root, "mix"), index, entry) check_mixing(entry, index, &cuts);
    assert_int_equal(index, 45);
    assert_true(cuts > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_of_pillow), cmocka_unit_test(magnitudes_of_timm),
        cmocka_unit_test(strings_of_timm),      cmocka_unit_test(whole_pictures_of_timm),
        cmocka_unit_test(boxes_of_timm),        cmocka_unit_test(mixing_of_timm),
    };
    return cmocka_run_group_tests(tests, load_vectors, drop_vectors) ? 1 : 0;
}
