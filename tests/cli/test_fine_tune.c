/* Training that begins with weights: what is frozen stays to the bit and the rest moves, reversible equals
 * stored, a resumed run ends in the bytes of a whole one; recipes, the options file, the environment, and
 * where args.json says that a value is from. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <jansson.h>
#include <math.h>

#include <revbifpn.h>

#include "io/safetensors.h"

static char work[4096], data[4200], other[4200], network[4200], weights[4200];
static rb_error err;

/* ---- which tensors two files have equal ---- */

static bool equal(const rb_tensor_file *a, const rb_tensor_file *b, const char *name) {
    const rb_tensor_info *x = rb_tensor_file_find(a, name), *y = rb_tensor_file_find(b, name);
    assert_true(x && y && x->bytes == y->bytes);
    unsigned char *p = malloc(x->bytes + 1), *q = malloc(x->bytes + 1);
    CHECK_OK(rb_tensor_file_read(a, name, x->dtype, x->ndim, x->shape, p, &err), &err);
    CHECK_OK(rb_tensor_file_read(b, name, x->dtype, x->ndim, x->shape, q, &err), &err);
    bool same = !memcmp(p, q, x->bytes);
    free(p);
    free(q);
    return same;
}

static bool is_statistic(const char *name) {
    return strstr(name, ".running_") || strstr(name, "batches_tracked");
}

typedef bool rule(const char *name);
static bool below_level_2(const char *name) { /* a level: one layer of blocks and a silo */
    return !strncmp(name, "rev_stack.1.", 12) || !strncmp(name, "rev_stack.2.", 12);
}
static bool in_backbone(const char *name) { return !strncmp(name, "rev_stack.", 10); }
static bool in_features(const char *name) { return strncmp(name, "head.fc.", 8) != 0; }
static bool trained_backbone(const char *name) { return in_backbone(name) && !is_statistic(name); }
static bool all_statistics(const char *name) { return is_statistic(name); }
static bool all_affine(const char *name) { return strstr(name, ".norm.") && !is_statistic(name); }
static bool all_norms(const char *name) { return strstr(name, ".norm."); }
static bool nothing(const char *name) { return !*name; }

/* Exactly the tensors of the rule are as they were. One of the others may stay by chance: a bias of a class
 * that every picture pushes alike does not exist here, so none does. */
static void check_kept(const char *run, rule *kept) {
    char path[4200];
    rb_tensor_file *before, *after;
    CHECK_OK(rb_tensor_file_open(&before, weights, &err), &err);
    CHECK_OK(rb_tensor_file_open(&after, path_of(path, run, "weights/last.safetensors"), &err), &err);
    for (int i = 0; i < rb_tensor_file_count(before); i++) {
        const char *name = rb_tensor_file_at(before, i)->name;
        if (equal(before, after, name) != kept(name))
            fail_msg("%s: %s %s", run, name, kept(name) ? "moved" : "did not move");
    }
    rb_tensor_file_close(&before);
    rb_tensor_file_close(&after);
}

static void frozen_parts_stay_and_the_rest_moves(void **state) {
    (void)state;
    static const struct {
        const char *options;
        rule *kept;
    } cases[] = {{"--freeze 0", nothing},
                 {"--freeze 1", below_level_2},
                 {"--freeze backbone", in_backbone},
                 {"--freeze features", in_features},
                 {"--backbone-lr-scale 0", trained_backbone},
                 {"--bn-eval", all_statistics},
                 {"--norm-affine trained", nothing},
                 {"--norm-affine fixed", all_affine},
                 {"--norm-affine fixed --bn-eval --weight-decay 0.1 --decay-all", all_norms},
                 {"--norm-affine fixed --opt lamb --lr 0.001 --clip-grad 1 --decay-all", all_affine},
                 {"--freeze 1 --opt adamw --lr 0.001 --clip-grad 1 --weight-decay 0.1", below_level_2},
                 {"--freeze features --opt lamb --lr 0.001", in_features},
                 {"--freeze backbone --opt rmsproptf --lr 0.001", in_backbone}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int stored = 0; stored < 2; stored++) {
            char run[4200], name[32];
            put(name, sizeof name, "kept%zu%s", i, stored ? "s" : "");
            command_works(
                "train --data %s --weights %s --epochs 2 --batch 4 --workers 0 --out %s --activations %s %s",
                data, weights, path_of(run, work, name), stored ? "stored" : "reversible", cases[i].options);
            check_kept(run, cases[i].kept);
            if (!stored) continue;
            char reversible[4200], a[4200], b[4200];
            put(name, sizeof name, "kept%zu", i);
            path_of(reversible, work, name);
            assert_same_file(path_of(a, run, "weights/last.safetensors"),
                             path_of(b, reversible, "weights/last.safetensors"));
        }
}

/* Before a step with rate 0 has moved anything, the weights judge as they did. */
static void a_run_begins_where_the_weights_are(void **state) {
    (void)state;
    char run[4200];
    command_works("train --data %s --weights %s --epochs 1 --batch 4 --workers 0 --out %s --lr 0 --bn-eval",
                  data, weights, path_of(run, work, "still"));
    char line[9000];
    put(line, sizeof line, "val --json --data %s --weights %s/weights/best.safetensors", data, run);
    json_t *after = command_json(line);
    put(line, sizeof line, "val --json --data %s --weights %s", data, weights);
    json_t *before = command_json(line);
    assert_true(json_equal(json_object_get(before, "loss"), json_object_get(after, "loss")));
    assert_true(json_is_number(json_object_get(before, "loss")));
    json_decref(before);
    json_decref(after);
}

static void other_classes_get_a_new_last_layer(void **state) {
    (void)state;
    char run[4200], path[4200];
    command_result r =
        command("train --data %s --weights %s --epochs 1 --batch 4 --workers 0 --out %s --freeze features "
                "--lr 0",
                other, weights, path_of(run, work, "other"));
    if (r.code || !strstr(r.err, "is for 3 classes, here are 2: the last layer begins anew"))
        fail_msg("exit %d: %s", r.code, r.err);
    command_forget(&r);
    rb_tensor_file *before, *after;
    CHECK_OK(rb_tensor_file_open(&before, weights, &err), &err);
    CHECK_OK(rb_tensor_file_open(&after, path_of(path, run, "weights/last.safetensors"), &err), &err);
    const rb_tensor_info *fc = rb_tensor_file_find(after, "head.fc.weight");
    assert_int_equal(fc->shape[0], 2);
    assert_true(equal(before, after, "head.final_conv.conv.weight"));
    rb_tensor_file_close(&before);
    rb_tensor_file_close(&after);
}

/* ---- resume ---- */

static revbifpn_report go(revbifpn *ctx, const revbifpn_train_config *c, bool resume, int stop) {
    revbifpn_trainer *trainer;
    revbifpn_report report = {0};
    if (revbifpn_trainer_open(ctx, c, resume, &trainer)) fail_msg("%s", revbifpn_message(ctx));
    for (int done = 0; !report.finished && (!stop || done < stop); done++)
        if (revbifpn_trainer_step(trainer, &report)) fail_msg("%s", revbifpn_message(ctx));
    if (!report.finished && revbifpn_trainer_checkpoint(trainer)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_trainer_close(&trainer);
    return report;
}

static void a_resumed_run_ends_in_the_same_bytes(void **state) {
    (void)state;
    char whole[4200], parts[4200], a[4200], b[4200];
    revbifpn *ctx;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    revbifpn_train_config c = revbifpn_default_train();
    assert_int_equal(revbifpn_config(ctx, network, &c.model), REVBIFPN_OK);
    c.model.classes = 0;
    c.data = other;
    c.weights = weights;
    c.freeze = "1";
    c.backbone_lr_scale = 0.3;
    c.bn_eval = c.model_ema = 1;
    c.model_ema_decay = 0.8;
    c.epochs = 3;
    c.batch = 4;
    c.workers = 0;
    c.origins = "epochs=default\n";
    c.out = path_of(whole, work, "whole");
    go(ctx, &c, false, 0);
    c.out = path_of(parts, work, "parts");
    go(ctx, &c, false, 2);
    c.epochs = 0;
    c.origins = "epochs=command line\n";
    go(ctx, &c, true, 3);
    go(ctx, &c, true, 0);
    assert_same_run(parts, whole);
    assert_same_file(path_of(a, whole, "checkpoint.safetensors"),
                     path_of(b, parts, "checkpoint.safetensors"));
    json_t *args = json_load_file(path_of(a, parts, "args.json"), 0, NULL);
    json_t *origins = json_object_get(args, "origins");
    assert_int_equal(json_object_size(origins), 1);
    assert_string_equal(json_string_value(json_object_get(origins, "epochs")), "command line");
    json_decref(args);
    revbifpn_close(&ctx);
}

/* ---- recipes and where values are from ---- */

static void check_origin(const json_t *args, const char *option, const char *origin) {
    const char *text = json_string_value(json_object_get(json_object_get(args, "origins"), option));
    if (!text || strcmp(text, origin))
        fail_msg("%s: from %s, not %s", option, text ? text : "nowhere", origin);
}

static double number(const json_t *args, const char *key) {
    const json_t *value = json_object_get(args, key);
    if (!json_is_number(value)) fail_msg("args.json: no number %s", key);
    return json_number_value(value);
}

static json_t *args_of(const char *name) {
    char run[4200], path[4200];
    json_t *args = json_load_file(path_of(path, path_of(run, work, name), "args.json"), 0, NULL);
    assert_non_null(args);
    return args;
}

static void the_last_word_wins(void **state) {
    (void)state;
    char file[4200];
    write_text(path_of(file, work, "options"),
               "# a comment\nbatch 4\n\n  epochs = 7 # not this\nmodel-ema\nseed 5\n");
    setenv("REVBIFPN_SEED", "6", 1);
    setenv("REVBIFPN_BN_EVAL", "1", 1);
    command_works(
        "train --data %s --weights %s --recipe finetune --options %s --epochs 1 --workers 0 --out %s/origins "
        "--no-model-ema --clip-grad 0.5",
        data, weights, file, work);
    unsetenv("REVBIFPN_SEED");
    unsetenv("REVBIFPN_BN_EVAL");
    json_t *args = args_of("origins");
    static const char *const origins[][2] = {{"batch", "file"},
                                             {"epochs", "command line"},
                                             {"seed", "environment"},
                                             {"bn-eval", "environment"},
                                             {"model-ema", "command line"},
                                             {"lr", "recipe"},
                                             {"clip-grad", "command line"},
                                             {"backbone-lr-scale", "recipe"},
                                             {"momentum", "default"},
                                             {"weights", "command line"},
                                             {"sched-on-updates", "recipe"}};
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
        check_origin(args, origins[i][0], origins[i][1]);
    assert_true(number(args, "batch") == 4 && number(args, "epochs") == 1 && number(args, "bn_eval") == 1);
    assert_true(number(args, "model_ema") == 0 && number(args, "clip_grad") == 0.5);
    assert_true(number(args, "lr") == 0.02 * 4 / 32 && number(args, "backbone_lr_scale") == 0.1);
    assert_string_equal(json_string_value(json_object_get(args, "seed")), "6");
    assert_string_equal(json_string_value(json_object_get(args, "recipe")), "finetune");
    json_decref(args);
}

static void recipes_have_their_values(void **state) {
    (void)state;
    command_works(
        "train --data %s --model %s --recipe imagenet --batch 4 --accumulate 2 --epochs 1 --workers 0 "
        "--out %s/imagenet",
        data, network, work);
    json_t *args = args_of("imagenet");
    assert_string_equal(json_string_value(json_object_get(args, "opt")), "rmsproptf");
    assert_string_equal(json_string_value(json_object_get(args, "sched")), "step");
    assert_true(number(args, "lr") == 0.016 * 8 / 256 && number(args, "opt_eps") == 1e-3);
    assert_true(number(args, "decay_epochs") == 2.4 && number(args, "bn_update_double") == 1);
    assert_true(fabs(number(args, "model_ema_decay") - (1 - 1e-4 * 8 / 768)) < 1e-9 &&
                number(args, "reprob") == 0.2);
    json_decref(args);
    /* what another optimizer or schedule has no use for is left out, not complained about */
    command_works(
        "train --data %s --model %s --recipe short --batch 4 --epochs 1 --workers 0 --sched constant "
        "--out %s/short",
        data, network, work);
    args = args_of("short");
    check_origin(args, "min-lr", "default");
    check_origin(args, "warmup-lr", "recipe");
    assert_true(number(args, "lr") == 0.1 * 4 / 256 && number(args, "min_lr") == 0);
    json_decref(args);
    /* from nothing there is nothing to be careful with */
    command_works(
        "train --data %s --model %s --recipe finetune --batch 4 --epochs 1 --workers 0 --out %s/anew", data,
        network, work);
    args = args_of("anew");
    check_origin(args, "backbone-lr-scale", "default");
    check_origin(args, "lr", "recipe");
    assert_true(number(args, "lr") == 0.1 * 4 / 32 && number(args, "backbone_lr_scale") == 1);
    json_decref(args);
}

static void wrong_ones_are_refused(void **state) {
    (void)state;
    char file[4200];
    path_of(file, work, "wrong");
    write_text(file, "batch 4\nbatches 5\n");
    command_refuses(2, "wrong:2: 'batches' is not an option", "train --data %s --options %s", data, file);
    write_text(file, "epochs many\n");
    command_refuses(2, "wrong:1: --epochs: 'many'", "train --data %s --options %s", data, file);
    write_text(file, "resume x\n");
    command_refuses(2, "is for the command line", "train --data %s --options %s", data, file);
    command_refuses(2, "No such file", "train --data %s --options /nowhere/a", data);
    setenv("REVBIFPN_LR", "fast", 1);
    command_refuses(2, "REVBIFPN_LR: --lr: 'fast'", "train --data %s", data);
    unsetenv("REVBIFPN_LR");
    command_refuses(2, "not one of imagenet|short|finetune", "train --data %s --recipe long", data);
    static const char *const alone[] = {"--freeze 1", "--backbone-lr-scale 0.1", "--bn-eval"};
    for (int i = 0; i < 3; i++)
        command_refuses(2, "does nothing without --weights", "train --data %s %s", data, alone[i]);
    static const char *const stages[] = {"9", "-1", "1x", "stem"};
    for (int i = 0; i < 4; i++)
        command_refuses(2, "a number of levels (0 … 2), backbone or features",
                        "train --data %s --weights %s --batch 4 --out %s/never --freeze %s", data, weights,
                        work, stages[i]);
    command_refuses(2, "weights of another network than s0",
                    "train --data %s --weights %s --model s0 --batch 2 --imgsz 64 "
                    "--out %s/never",
                    data, weights, work);
    command_refuses(1, "gone", "train --data %s --weights %s/gone.pth --model %s --batch 4 --out %s/never",
                    data, work, network, work);
    assert_false(has_file(work, "never"));
    command_refuses(2, "the nearest is", "train --data %s --no-lr", data);
}

static int set_up(void **state) {
    (void)state;
    char run[4200];
    make_folder(work);
    make_set(path_of(data, work, "data"), 3, 30, 12, 40);
    make_set(path_of(other, work, "other"), 2, 20, 6, 40);
    make_tiny_network(path_of(network, work, "tiny.json"));
    command_works("train --data %s --model %s --epochs 1 --batch 4 --workers 0 --out %s", data, network,
                  path_of(run, work, "first"));
    path_of(weights, run, "weights/last.safetensors");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_parts_stay_and_the_rest_moves),
        cmocka_unit_test(a_run_begins_where_the_weights_are),
        cmocka_unit_test(other_classes_get_a_new_last_layer),
        cmocka_unit_test(a_resumed_run_ends_in_the_same_bytes),
        cmocka_unit_test(the_last_word_wins),
        cmocka_unit_test(recipes_have_their_values),
        cmocka_unit_test(wrong_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
