/* Options of another version than the library: a smaller struct_size leaves the rest at its defaults, a
 * larger one is taken when the rest is 0. Each of the structs, through the function that takes it. */
#include "check.h"

#include <revbifpn.h>

#include "api/tiny.h"
#include "data/synth.h"

enum { ROOM = 4096 };

static revbifpn *ctx;
static revbifpn_model *model;
static revbifpn_model_config config;
static char work[4096], data[4200], path[4200];

typedef union room {
    max_align_t aligned;
    size_t struct_size;
    unsigned char bytes[ROOM];
} room;

/* A struct of options: its defaults, a call that takes it, and the end of its first field that matters, which
 * an older version ended with. */
typedef struct kind {
    const char *name;
    size_t size, older;
    void (*fill)(void *room, size_t size);
    revbifpn_status (*take)(const void *options);
    bool older_works; /* what is left is enough for the call */
} kind;

static revbifpn_status take_options(const void *o) {
    revbifpn *other = NULL;
    revbifpn_status status = revbifpn_open(&other, o);
    if (status) { /* the text is where the others have it, too */
        char text[1024];
        snprintf(text, sizeof text, "%s", revbifpn_message(other));
        revbifpn_close(&other);
        other = NULL;
        assert_non_null(strstr(text, "revbifpn_options: struct_size"));
        return status;
    }
    assert_int_equal(revbifpn_threads(other), 3);
    revbifpn_close(&other);
    return status;
}

static revbifpn_status take_synth(const void *o) { return revbifpn_synth(ctx, o, NULL, NULL); }
static revbifpn_status take_onnx(const void *o) { return revbifpn_export_onnx(model, path, o); }

static revbifpn_status take_val(const void *o) {
    revbifpn_metrics metrics;
    return revbifpn_evaluate(model, o, &metrics);
}

static revbifpn_status take_bench(const void *o) {
    revbifpn_bench_result result;
    return revbifpn_bench(ctx, o, &result);
}

static revbifpn_status take_shards(const void *o) {
    revbifpn_shard_report report;
    char out[4300];
    remove_folder(path);
    snprintf(out, sizeof out, "%s", path);
    return revbifpn_shards(ctx, o, &report);
}

static revbifpn_status take_check(const void *o) {
    revbifpn_check_report report;
    return revbifpn_check(ctx, o, &report);
}

static revbifpn_status take_train(const void *o) {
    revbifpn_trainer *trainer = NULL;
    remove_folder(path);
    revbifpn_status status = revbifpn_trainer_open(ctx, o, 0, &trainer);
    if (!status) /* the last field has a default that is not 0 in both versions */
        assert_true(revbifpn_trainer_configuration(trainer)->struct_size == sizeof(revbifpn_train_config));
    revbifpn_trainer_close(&trainer);
    return status;
}

static void fill_options(void *o, size_t size) {
    revbifpn_init_options(o, size);
    ((revbifpn_options *)o)->threads = 3;
}

static void fill_synth(void *o, size_t size) {
    revbifpn_synth_options *s = o;
    revbifpn_init_synth(o, size);
    s->folder = path;
    s->train_images = 4;
    s->val_images = 2;
    s->classes = 2;
}

static void fill_onnx(void *o, size_t size) { revbifpn_init_onnx(o, size); }

static void fill_val(void *o, size_t size) {
    revbifpn_init_val(o, size);
    ((revbifpn_val_options *)o)->data = data;
}

static void fill_bench(void *o, size_t size) {
    revbifpn_bench_options *b = o;
    revbifpn_init_bench(o, size);
    b->model = config;
    b->width = b->height = 32;
    b->batch = 2;
    b->steps = 1;
}

static void fill_shards(void *o, size_t size) {
    revbifpn_shard_options *s = o;
    revbifpn_init_shards(o, size);
    s->data = data;
    s->out = path;
    s->shards = 1;
}

static void fill_check(void *o, size_t size) {
    revbifpn_init_check(o, size);
    ((revbifpn_check_options *)o)->data = data;
}

static void fill_train(void *o, size_t size) {
    revbifpn_train_config *t = o;
    revbifpn_init_train(o, size);
    t->data = data;
    t->out = path;
    t->model = config;
    t->epochs = 1;
    t->batch = 4;
}

#define UP_TO(type, field) (offsetof(type, field) + sizeof((type *)0)->field)
static const kind kinds[] = {
    {"revbifpn_options", sizeof(revbifpn_options), UP_TO(revbifpn_options, threads), fill_options,
     take_options, true},
    {"revbifpn_synth_options", sizeof(revbifpn_synth_options), UP_TO(revbifpn_synth_options, classes),
     fill_synth, take_synth, true},
    {"revbifpn_onnx_options", sizeof(revbifpn_onnx_options), UP_TO(revbifpn_onnx_options, features),
     fill_onnx, take_onnx, true},
    {"revbifpn_val_options", sizeof(revbifpn_val_options), UP_TO(revbifpn_val_options, data), fill_val,
     take_val, true},
    {"revbifpn_bench_options", sizeof(revbifpn_bench_options), UP_TO(revbifpn_bench_options, steps),
     fill_bench, take_bench, true},
    {"revbifpn_shard_options", sizeof(revbifpn_shard_options), UP_TO(revbifpn_shard_options, shards),
     fill_shards, take_shards, true},
    {"revbifpn_check_options", sizeof(revbifpn_check_options), UP_TO(revbifpn_check_options, data),
     fill_check, take_check, true},
    {"revbifpn_train_config", sizeof(revbifpn_train_config), UP_TO(revbifpn_train_config, batch), fill_train,
     take_train, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void ok(const kind *k, const char *what, revbifpn_status status) {
    if (status) fail_msg("%s, %s: %s", k->name, what, revbifpn_message(ctx));
}

/* Beyond the older struct lies rubbish, as on the stack of the older program. */
static void older_programs(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        const kind *k = &kinds[i];
        room r;
        snprintf(path, sizeof path, "%s/older-%d", work, i);
        memset(&r, 0xff, sizeof r);
        k->fill(&r, k->older);
        assert_int_equal(r.struct_size, k->older);
        for (size_t b = k->older; b < ROOM; b++)
            if (r.bytes[b] != 0xff) fail_msg("%s: byte %zu of %zu was written", k->name, b, k->older);
        ok(k, "older", k->take(&r));
    }
}

static void newer_programs(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        const kind *k = &kinds[i];
        room r;
        snprintf(path, sizeof path, "%s/newer-%d", work, i);
        memset(&r, 0xff, sizeof r);
        k->fill(&r, k->size + 24);
        assert_int_equal(r.struct_size, k->size + 24);
        ok(k, "newer", k->take(&r));
        r.bytes[k->size + 23] = 1;
        snprintf(path, sizeof path, "%s/newest-%d", work, i);
        assert_int_equal(k->take(&r), REVBIFPN_BAD_ARGUMENT);
        if (i && (!strstr(revbifpn_message(ctx), k->name) || !strstr(revbifpn_message(ctx), "newer")))
            fail_msg("%s: %s", k->name, revbifpn_message(ctx));
        k->fill(&r, k->size);
        ok(k, "the same", k->take(&r));
    }
}

static void no_size_at_all(void **state) {
    (void)state;
    static const size_t sizes[] = {0, sizeof(size_t) - 1, 1 << 20, SIZE_MAX};
    for (int i = 0; i < KINDS; i++)
        for (int s = 0; s < 4; s++) {
            const kind *k = &kinds[i];
            room r;
            snprintf(path, sizeof path, "%s/none-%d-%d", work, i, s);
            memset(&r, 0, sizeof r);
            k->fill(&r, k->size);
            r.struct_size = sizes[s];
            assert_int_equal(k->take(&r), REVBIFPN_BAD_ARGUMENT);
            if (i && !strstr(revbifpn_message(ctx), "is no size")) fail_msg("%s", revbifpn_message(ctx));
        }
}

/* A network has one size: it lies inside other structs. */
static void networks_have_one_size(void **state) {
    (void)state;
    static const int wrong[] = {-(int)sizeof config.struct_size, 8};
    for (int i = 0; i < 2; i++) {
        revbifpn_model_config c = config;
        revbifpn_cost cost;
        revbifpn_memory memory;
        revbifpn_model *none = NULL;
        revbifpn_bench_options bench;
        revbifpn_train_config train;
        revbifpn_trainer *trainer = NULL;
        revbifpn_bench_result result;
        c.struct_size += (size_t)wrong[i];
        fill_bench(&bench, sizeof bench);
        fill_train(&train, sizeof train);
        bench.model = train.model = c;
        assert_int_equal(revbifpn_inspect(ctx, &c, 32, 32, NULL, NULL, &cost), REVBIFPN_BAD_ARGUMENT);
        assert_non_null(strstr(revbifpn_message(ctx), "revbifpn_model_config: struct_size"));
        assert_int_equal(revbifpn_plan(ctx, &c, 32, 32, 2, 0, REVBIFPN_REVERSIBLE, REVBIFPN_FLOAT32, &memory),
                         REVBIFPN_BAD_ARGUMENT);
        assert_int_equal(revbifpn_model_create(ctx, &c, 1, &none), REVBIFPN_BAD_ARGUMENT);
        assert_null(none);
        assert_int_equal(revbifpn_bench(ctx, &bench, &result), REVBIFPN_BAD_ARGUMENT);
        assert_int_equal(revbifpn_trainer_open(ctx, &train, 0, &trainer), REVBIFPN_BAD_ARGUMENT);
        assert_non_null(strstr(revbifpn_message(ctx), "revbifpn_model_config: struct_size"));
    }
}

static int set_up(void **state) {
    (void)state;
    rb_error err = {0};
    rb_synth_options synth = {.images_train = 8, .images_val = 2, .classes = 2, .side = 32, .seed = 1};
    revbifpn_options options = revbifpn_default_options();
    options.threads = 1;
    make_folder(work);
    snprintf(data, sizeof data, "%s/data", work);
    CHECK_OK(rb_synth_classify(data, &synth, NULL, NULL, &err), &err);
    if (revbifpn_open(&ctx, &options) || tiny_config(ctx, &config)) return 1;
    return revbifpn_model_create(ctx, &config, 1, &model) != REVBIFPN_OK;
}

static int tear_down(void **state) {
    (void)state;
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_programs),
        cmocka_unit_test(newer_programs),
        cmocka_unit_test(no_size_at_all),
        cmocka_unit_test(networks_have_one_size),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
