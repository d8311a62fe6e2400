/* Weights files and args.json: what was written is read back to the bit; what does not fit is refused by
 * name. */
#include "check.h"

#include "io/args.h"
#include "io/weights.h"
#include "model/config.h"
#include "model/model.h"

typedef struct setup {
    rb_model model;
    rb_pool *pool;
    rb_weights_info info;
    char folder[4096], path[4200];
    rb_error err;
} setup;

static void open_setup(setup *s, const char *name, int classes) {
    static char *const names[] = {"0", "1 \"two\"", "drei", "четыре"};
    *s = (setup){.info = {.preprocess = rb_preprocess_default(), .grid = 21}};
    CHECK_OK(rb_config_named(name, &s->info.config, &s->err), &s->err);
    s->info.config.classes = classes;
    CHECK_OK(rb_pool_open(&s->pool, 2, &s->err), &s->err);
    CHECK_OK(rb_model_create(&s->model, &s->info.config, &s->err), &s->err);
    CHECK_OK(rb_params_allocate(&s->model.params, true, &s->err), &s->err);
    rb_params_init(&s->model.params, 3, s->pool);
    s->model.params.counter[7] = 12345678901;
    CHECK_OK(rb_weights_info_set_classes(&s->info, names, classes, &s->err), &s->err);
    make_folder(s->folder);
    snprintf(s->path, sizeof s->path, "%s/w.safetensors", s->folder);
}

static void close_setup(setup *s) {
    rb_weights_info_close(&s->info);
    rb_model_close(&s->model);
    rb_pool_close(&s->pool);
    remove_folder(s->folder);
}

static void files_round_trip(void **state) {
    (void)state;
    setup s;
    open_setup(&s, "s0", 4);
    rb_params *p = &s.model.params;
    rb_checkpoint checkpoint = {
        .block = {{"momentum", p->gradient, NULL}}, .blocks = 1, .training = (char *)(uintptr_t) "epoch 3"};
    for (size_t i = 0; i < p->trained; i++) p->gradient[i] = 0; /* the gaps between tensors stay zero */
    for (int i = 0; i < p->count; i++)
        for (size_t k = 0; p->list[i].kind == RB_PARAM_TRAINED && k < p->list[i].count; k++)
            p->gradient[p->list[i].offset + k] = (float)(k % 13) * 0.37f;
    CHECK_OK(rb_weights_save(s.path, p, &s.info, &checkpoint, &s.err), &s.err);

    rb_tensor_file *file;
    rb_weights_info info;
    rb_model model;
    CHECK_OK(rb_tensor_file_open(&file, s.path, &s.err), &s.err);
    CHECK_OK(rb_weights_read_info(file, &info, &s.err), &s.err);
    assert_true(rb_config_equal_architecture(&info.config, &s.info.config, NULL, 0));
    assert_string_equal(info.classes[3], "четыре");
    assert_string_equal(info.classes[1], "1 \"two\"");
    assert_int_equal(info.grid, 21);
    assert_memory_equal(&info.preprocess, &s.info.preprocess, 3 * sizeof(float));
    CHECK_OK(rb_model_create(&model, &info.config, &s.err), &s.err);
    CHECK_OK(rb_params_allocate(&model.params, true, &s.err), &s.err);
    rb_checkpoint read = {.block = {{"momentum", model.params.gradient, NULL}}, .blocks = 1};
    CHECK_OK(rb_weights_read(file, &model.params, &read, &s.err), &s.err);
    assert_string_equal(read.training, "epoch 3");
    assert_memory_equal(model.params.weight, p->weight, p->trained * sizeof(float));
    assert_memory_equal(model.params.gradient, p->gradient, p->trained * sizeof(float));
    assert_memory_equal(model.params.statistics, p->statistics, p->running * sizeof(float));
    assert_memory_equal(model.params.counter, p->counter, p->counters * sizeof(int64_t));
    rb_free(read.training);
    rb_model_close(&model);
    rb_weights_info_close(&info);
    rb_tensor_file_close(&file);
    close_setup(&s);
}

static void equal_weights_give_equal_files(void **state) {
    (void)state;
    setup s;
    char other[4200];
    open_setup(&s, "s0", 2);
    snprintf(other, sizeof other, "%s/other", s.folder);
    CHECK_OK(rb_weights_save(s.path, &s.model.params, &s.info, NULL, &s.err), &s.err);
    CHECK_OK(rb_weights_save(other, &s.model.params, &s.info, NULL, &s.err), &s.err);
    check_same_files(s.path, other);
    close_setup(&s);
}

static void weights_of_another_network_are_refused(void **state) {
    (void)state;
    setup s, t;
    rb_tensor_file *file;
    open_setup(&s, "s0", 3);
    open_setup(&t, "s1", 3);
    CHECK_OK(rb_weights_save(s.path, &s.model.params, &s.info, NULL, &s.err), &s.err);
    CHECK_OK(rb_tensor_file_open(&file, s.path, &s.err), &s.err);
    assert_int_equal(rb_weights_read(file, &t.model.params, NULL, &s.err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(s.err.text, "rev_stack.1.rev_transform_0.f.xform_0_1.dw_conv.conv.weight"));
    assert_non_null(strstr(s.err.text, s.path));
    rb_checkpoint checkpoint = {.block = {{"momentum", s.model.params.gradient, NULL}}, .blocks = 1};
    assert_int_equal(rb_weights_read(file, &s.model.params, &checkpoint, &s.err),
                     REVBIFPN_BAD_FILE); /* no momenta */
    rb_tensor_file_close(&file);
    close_setup(&s);
    close_setup(&t);
}

static void metadata_is_checked(void **state) {
    (void)state;
    setup s;
    open_setup(&s, "s0", 2);
    s.info.grid = 30;
    CHECK_OK(rb_weights_save(s.path, &s.model.params, &s.info, NULL, &s.err), &s.err);
    rb_tensor_file *file;
    rb_weights_info info;
    CHECK_OK(rb_tensor_file_open(&file, s.path, &s.err), &s.err);
    assert_int_equal(rb_weights_read_info(file, &info, &s.err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(s.err.text, "grid"));
    rb_tensor_file_close(&file);
    float one = 1;
    rb_tensor_source tensor = {"x", RB_DTYPE_F32, 0, {0}, &one};
    CHECK_OK(rb_tensor_file_write(s.path, &tensor, 1, NULL, 0, &s.err), &s.err);
    CHECK_OK(rb_tensor_file_open(&file, s.path, &s.err), &s.err);
    assert_int_equal(rb_weights_read_info(file, &info, &s.err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(s.err.text, "not a weights file of this program"));
    rb_tensor_file_close(&file);
    close_setup(&s);
}

static void arguments_round_trip(void **state) {
    (void)state;
    rb_error err;
    revbifpn_train_config args = {.struct_size = sizeof args,
                                  .data = "a \"b\"/ü",
                                  .interpolation = "bicubic"},
                          back;
    CHECK_OK(rb_config_named("s3", &args.model, &err), &err);
    args.lr = 0.1;
    args.weight_decay = 5e-5;
    args.seed = UINT64_MAX;
    args.epochs = 7;
    args.activations = REVBIFPN_STORED;
    char *json, *strings;
    CHECK_OK(rb_args_to_json(&args, &json, &err), &err);
    CHECK_OK(rb_args_from_json("args.json", json, strlen(json), &back, &strings, &err), &err);
    assert_string_equal(back.data, args.data);
    assert_true(back.lr == args.lr && back.weight_decay == args.weight_decay && back.seed == args.seed);
    assert_true(back.epochs == 7 && back.activations == REVBIFPN_STORED && back.model.streams == 4);
    rb_free(strings);
    for (size_t cut = 0; cut + 2 < strlen(json); cut += 7)
        assert_int_not_equal(rb_args_from_json("args.json", json, cut, &back, &strings, &err), REVBIFPN_OK);
    char *epochs = strstr(json, "\"epochs\": 7");
    memcpy(epochs, "\"epochs\":\"7", 11); /* now the text is broken */
    assert_int_not_equal(rb_args_from_json("args.json", json, strlen(json), &back, &strings, &err),
                         REVBIFPN_OK);
    rb_free(json);
}

static revbifpn_status read_back(const char *json, revbifpn_train_config *back, rb_error *err) {
    char *strings = NULL;
    revbifpn_status status = rb_args_from_json("args.json", json, strlen(json), back, &strings, err);
    rb_free(strings);
    return status;
}

/* `json` with the first `old` replaced. */
static const char *replaced(const char *json, const char *old, const char *new, char out[16384]) {
    const char *at = strstr(json, old);
    assert_non_null(at);
    snprintf(out, 16384, "%.*s%s%s", (int)(at - json), json, new, at + strlen(old));
    return out;
}

/* Enums are written by name, and read by name or, as older runs have them, by number. */
static void choices_have_names(void **state) {
    (void)state;
    rb_error err;
    revbifpn_train_config args = revbifpn_default_train(), back;
    char *json, text[16384];
    args.data = "d";
    CHECK_OK(rb_config_named("s0", &args.model, &err), &err);
    args.activations = REVBIFPN_STORED;
    args.precision = REVBIFPN_BF16;
    args.opt = REVBIFPN_LAMBC;
    args.clip_mode = REVBIFPN_CLIP_AGC;
    args.sched = REVBIFPN_CONSTANT;
    args.hash = REVBIFPN_HASH_TENSOR;
    CHECK_OK(rb_args_to_json(&args, &json, &err), &err);
    static const char *const lines[] = {"\"activations\": \"stored\"", "\"precision\": \"bf16\"",
                                        "\"opt\": \"lambc\"",          "\"clip_mode\": \"agc\"",
                                        "\"sched\": \"constant\"",     "\"hash\": \"tensor\""};
    for (int i = 0; i < 6; i++)
        if (!strstr(json, lines[i])) fail_msg("no %s in %s", lines[i], json);
    CHECK_OK(read_back(json, &back, &err), &err);
    assert_true(back.activations == REVBIFPN_STORED && back.precision == REVBIFPN_BF16);
    assert_true(back.opt == REVBIFPN_LAMBC && back.clip_mode == REVBIFPN_CLIP_AGC);
    assert_true(back.sched == REVBIFPN_CONSTANT && back.hash == REVBIFPN_HASH_TENSOR);
    CHECK_OK(read_back(replaced(json, "\"lambc\"", "3", text), &back, &err), &err);
    assert_int_equal(back.opt, REVBIFPN_ADAMW);
    static const char *const wrong[] = {"6",   "-1",  "\"lam\"", "\"lambc2\"", "\"\"", "\"lamb|lambc\"",
                                        "1.0", "null"};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(read_back(replaced(json, "\"lambc\"", wrong[i], text), &back, &err),
                         REVBIFPN_BAD_FILE);
        assert_non_null(strstr(err.text, "\"opt\""));
    }
    rb_free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_round_trip),
        cmocka_unit_test(equal_weights_give_equal_files),
        cmocka_unit_test(weights_of_another_network_are_refused),
        cmocka_unit_test(metadata_is_checked),
        cmocka_unit_test(arguments_round_trip),
        cmocka_unit_test(choices_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
