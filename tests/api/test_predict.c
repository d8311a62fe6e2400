/* Models through the public header: a picture in memory and the same in a file give the same predictions,
 * also after saving and loading; pictures of a folder come in natural order. */
#include "check.h"

#include <math.h>

#include "data/synth.h"
#include "image/image.h"

enum { CLASSES = 4, SIDE = 64 };

static revbifpn *ctx;
static char folder[4096];

static void ok(revbifpn_status status) {
    if (status) fail_msg("%s", revbifpn_message(ctx));
}

static const char *inside(const char *name) {
    static char path[4][4300];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static revbifpn_model *make_model(void) {
    revbifpn_model_config config;
    revbifpn_model *model;
    ok(revbifpn_config(ctx, "s0", &config));
    config.classes = CLASSES;
    config.image_width = config.image_height = SIDE;
    ok(revbifpn_model_create(ctx, &config, 3, &model));
    return model;
}

static void same(const revbifpn_prediction *a, const revbifpn_prediction *b) {
    double sum = 0;
    for (int i = 0; i < CLASSES; i++) {
        assert_int_equal(a[i].index, b[i].index);
        assert_true(a[i].probability == b[i].probability);
        if (i) assert_true(a[i].probability <= a[i - 1].probability);
        sum += a[i].probability;
    }
    assert_true(fabs(sum - 1) < 1e-12);
}

static void memory_and_file_agree_also_after_loading(void **state) {
    (void)state;
    rb_error err;
    rb_image drawn;
    CHECK_OK(rb_image_alloc(&drawn, 90, 70, &err), &err);
    rb_synth_draw(&drawn, 2, 5, 5);
    revbifpn_image image = {.width = drawn.width, .height = drawn.height, .pixels = drawn.pixels};
    revbifpn_model *model = make_model(), *loaded;
    revbifpn_prediction memory[10], file[10], again[10];
    int found;
    ok(revbifpn_image_write_png(ctx, inside("a.png"), &image));
    ok(revbifpn_predict(model, &image, memory, 10, &found));
    assert_int_equal(found, CLASSES);
    ok(revbifpn_predict_file(model, inside("a.png"), file, 10, &found));
    same(memory, file);
    ok(revbifpn_model_save(model, inside("w.safetensors")));
    ok(revbifpn_model_load(ctx, inside("w.safetensors"), &loaded));
    ok(revbifpn_predict(loaded, &image, again, CLASSES, &found));
    same(memory, again);
    assert_int_equal(revbifpn_model_configuration(loaded)->classes, CLASSES);
    assert_null(revbifpn_model_class(loaded, 0)); /* fresh weights have no names: numbers stand for them */
    for (int i = 0; i < CLASSES; i++) {
        assert_int_equal(strlen(again[i].name), 1);
        assert_int_equal(again[i].name[0] - '0', again[i].index);
    }
    assert_null(revbifpn_model_class(loaded, -1));
    assert_int_equal(revbifpn_predict(loaded, &image, again, 0, &found), REVBIFPN_BAD_ARGUMENT);
    revbifpn_model_free(&model);
    revbifpn_model_free(&loaded);
    rb_image_free(&drawn);
}

static int collect(void *user, const char *path) {
    char *all = user;
    strcat(strcat(all, strrchr(path, '/') + 1), " ");
    return strlen(all) > 30; /* enough */
}

static void pictures_come_in_natural_order(void **state) {
    (void)state;
    static const char *const names[] = {"p10.png", "p9.png", ".hidden.png", "notes.txt", "p1.JPG"};
    char all[200] = "", line[4400];
    snprintf(line, sizeof line, "mkdir -p %s", inside("set"));
    assert_int_equal(system(line), 0);
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "set/%s", names[i]);
        FILE *f = fopen(inside(name), "w");
        assert_non_null(f);
        fclose(f);
    }
    ok(revbifpn_find_pictures(ctx, inside("set/"), collect, all));
    assert_string_equal(all, "p1.JPG p9.png p10.png ");
    assert_int_not_equal(revbifpn_find_pictures(ctx, inside("nowhere"), collect, all), REVBIFPN_OK);
}

static int set_up(void **state) {
    (void)state;
    make_folder(folder);
    return revbifpn_open(&ctx, NULL) != REVBIFPN_OK;
}

static int tear_down(void **state) {
    (void)state;
    revbifpn_close(&ctx);
    remove_folder(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_and_file_agree_also_after_loading),
        cmocka_unit_test(pictures_come_in_natural_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
