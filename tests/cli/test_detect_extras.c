/* Options of a detector's training as whole runs: scale jitter, colour jitter and mosaics, which neither
 * threads nor a kill change; norms whose scale and shift stay; what a run says of itself when it starts.
 * SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <jansson.h>

#include "base/rng.h"
#include "io/safetensors.h"

enum { KILLS = 4 };

#define EXTRAS "--mosaic 0.6 --close-mosaic 1 --scale-jitter 0.5..1.5 --color-jitter 0.4,0.4,0.4,0.1"

static char work[4096], data[4200], network[4200], plain[4200], whole[4200];

static const char *train_line(const char *task, const char *out, const char *extra) {
    static char line[16000];
    put(line, sizeof line,
        "train --task %s --data %s --model %s --fpn 16 --fc 24 --imgsz 96 --epochs 3 --seed 7 --out %s %s",
        task, data, network, out, extra);
    return line;
}

static json_t *args_of(const char *run) {
    char path[4200];
    json_error_t error;
    json_t *root = json_load_file(path_of(path, run, "args.json"), 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    return root;
}

static double number_of(const json_t *root, const char *key) {
    assert_true(json_is_number(json_object_get(root, key)));
    return json_number_value(json_object_get(root, key));
}

static void args_tell_them(void **state) {
    (void)state;
    json_t *with = args_of(whole), *without = args_of(plain);
    assert_true(number_of(with, "mosaic") == 0.6 && number_of(without, "mosaic") == 0);
    assert_true(number_of(with, "close_mosaic") == 1 && number_of(without, "close_mosaic") == 10);
    assert_true(number_of(with, "scale_jitter_low") == 0.5 && number_of(without, "scale_jitter_low") == 0);
    assert_true(number_of(with, "scale_jitter_high") == 1.5 && number_of(without, "scale_jitter_high") == 0);
    assert_string_equal(json_string_value(json_object_get(with, "color_jitter")), "0.4,0.4,0.4,0.1");
    assert_string_equal(json_string_value(json_object_get(without, "color_jitter")), "");
    assert_string_equal(json_string_value(json_object_get(without, "norm_affine")), "trained");
    json_decref(with);
    json_decref(without);
}

static char *losses_of(const char *run) {
    char path[4200];
    size_t size;
    char *text = file_bytes(path_of(path, run, "steps.jsonl"), &size);
    assert_non_null(text);
    return text;
}

/* Each of them changes the pictures: none has the losses of another. */
static void each_of_them_counts(void **state) {
    (void)state;
    static const char *const each[] = {"--mosaic 0.6 --close-mosaic 1", "--scale-jitter 0.5..1.5",
                                       "--color-jitter 0.4"};
    char *losses[5] = {losses_of(plain), losses_of(whole)};
    for (int i = 0; i < 3; i++) {
        char run[4200], name[16];
        put(name, sizeof name, "each%d", i);
        command_works("%s", train_line("segment", path_of(run, work, name), each[i]));
        losses[2 + i] = losses_of(run);
    }
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < i; k++) assert_true(strcmp(losses[i], losses[k]) != 0);
    for (int i = 0; i < 5; i++) free(losses[i]);
}

static void threads_and_stored_activations_give_the_same_bits(void **state) {
    (void)state;
    char other[4200];
    command_works("%s",
                  train_line("segment", path_of(other, work, "one"), EXTRAS " --threads 1 --workers 0"));
    assert_same_run(other, whole);
    command_works("%s", train_line("segment", path_of(other, work, "kept"), EXTRAS " --activations stored"));
    assert_same_run(other, whole);
}

static void killed_runs_end_the_same(void **state) {
    (void)state;
    char killed[4200], other[4200];
    path_of(killed, work, "killed");
    double start = now_ms();
    command_works("%s", train_line("segment", path_of(other, work, "timed"), EXTRAS " --checkpoint-steps 1"));
    double time = now_ms() - start;
    rb_rng rng = rb_rng_open(6, RB_PURPOSE_TEST, 0, 0);
    int resumed = 0;
    for (int i = 0; i < KILLS; i++) {
        char line[4400];
        put(line, sizeof line, "rm -rf %s", killed);
        assert_int_equal(system(line), 0);
        command_child p = command_start(train_line("segment", killed, EXTRAS " --checkpoint-steps 1"), NULL);
        pause_ms(time * (0.2 + 0.7 * (double)rb_rng_below(&rng, 1000) / 1000));
        kill(p.id, SIGKILL);
        command_result r = command_wait(&p);
        command_forget(&r);
        if (!has_file(killed, "args.json")) continue;
        command_works("train --resume %s --threads %d", killed, 1 + i % 3);
        assert_same_run(killed, whole);
        resumed++;
    }
    assert_true(resumed >= KILLS / 2);
}

/* ---- the norms ---- */

static bool equal(const rb_tensor_file *a, const rb_tensor_file *b, const rb_tensor_info *t) {
    rb_error err;
    unsigned char *p = malloc(t->bytes + 1), *q = malloc(t->bytes + 1);
    assert_true(p && q);
    CHECK_OK(rb_tensor_file_read(a, t->name, t->dtype, t->ndim, t->shape, p, &err), &err);
    CHECK_OK(rb_tensor_file_read(b, t->name, t->dtype, t->ndim, t->shape, q, &err), &err);
    bool same = !memcmp(p, q, t->bytes);
    free(p);
    free(q);
    return same;
}

/* How many scales and shifts of norms, and other trained tensors of the backbone, are those of `plain`. */
static void compare(const char *run, int affine[2], int others[2]) {
    char path[4200];
    rb_error err;
    rb_tensor_file *before = NULL, *after = NULL;
    CHECK_OK(rb_tensor_file_open(&before, path_of(path, plain, "weights/last.safetensors"), &err), &err);
    CHECK_OK(rb_tensor_file_open(&after, path_of(path, run, "weights/last.safetensors"), &err), &err);
    for (int i = 0; i < rb_tensor_file_count(before); i++) {
        const rb_tensor_info *t = rb_tensor_file_at(before, i);
        if (strncmp(t->name, "backbone.", 9) != 0 || strstr(t->name, ".running_") ||
            strstr(t->name, "num_batches"))
            continue;
        int *count = strstr(t->name, ".norm.") ? affine : others;
        count[!equal(before, after, t)]++;
    }
    rb_tensor_file_close(&before);
    rb_tensor_file_close(&after);
}

/* The recipe decays norms, too: that must not move them either. */
static void scale_and_shift_stay_or_learn(void **state) {
    (void)state;
    static const char *const cases[] = {"--bn-eval --norm-affine fixed", "--no-bn-eval --norm-affine fixed",
                                        "--bn-eval --norm-affine trained", "--bn-eval"};
    for (int i = 0; i < 4; i++) {
        char run[4200], name[16], extra[4400];
        int affine[2] = {0, 0}, others[2] = {0, 0}; /* as before, moved */
        put(name, sizeof name, "norms%d", i);
        put(extra, sizeof extra,
            "--weights %s/weights/last.safetensors --epochs 1 --lr 0.01 --warmup-steps 0 %s", plain,
            cases[i]);
        command_works("%s", train_line("segment", path_of(run, work, name), extra));
        compare(run, affine, others);
        assert_true(affine[0] + affine[1] > 50 && others[1] > 50);
        assert_int_equal(affine[i < 2 ? 1 : 0], 0);
        assert_int_equal(others[0], 0);
        json_t *args = args_of(run);
        assert_string_equal(json_string_value(json_object_get(args, "norm_affine")),
                            i < 2 ? "fixed" : "trained");
        json_decref(args);
    }
}

/* ---- what is said ---- */

static void a_run_names_its_sides(void **state) {
    (void)state;
    static const struct {
        const char *task, *size, *says;
    } cases[] = {{"detect", "128x96",
                  "small in a Faster R-CNN, longer side up to 128, shorter up to 96, batch 2, 1 epochs"},
                 {"segment", "64x96",
                  "small in a Mask R-CNN, longer side up to 96, shorter up to 64, batch 2, 1 epochs"},
                 {"segment", "96",
                  "small in a Mask R-CNN, longer side up to 96, shorter up to 96, batch 2, 1 epochs"}};
    for (int i = 0; i < 3; i++) {
        char run[4200], name[16], extra[64];
        put(name, sizeof name, "says%d", i);
        put(extra, sizeof extra, "--epochs 1 --imgsz %s", cases[i].size);
        command_result r = command("%s", train_line(cases[i].task, path_of(run, work, name), extra));
        if (r.code) fail_msg("%s", r.err);
        if (strncmp(r.out, cases[i].says, strlen(cases[i].says)) != 0) fail_msg("%.200s", r.out);
        command_forget(&r);
    }
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *options, *part;
    } cases[] = {{"--mosaic 1.5", "mosaic"},
                 {"--mosaic 0.5", "mosaic 0.5: nothing is left of 3 epochs when the last 10 are without"},
                 {"--mosaic 0.5 --close-mosaic 3", "when the last 3 are without (close-mosaic)"},
                 {"--close-mosaic 1", "--close-mosaic does nothing without --mosaic"},
                 {"--scale-jitter 0.5", "--scale-jitter '0.5': two rising factors, for instance 0.5..1.5"},
                 {"--scale-jitter 0.5..1.5x", "--scale-jitter '0.5..1.5x'"},
                 {"--scale-jitter 1.5..0.5", "scale-jitter 1.5..0.5: two rising factors in 0.05 … 10"},
                 {"--scale-jitter 0.5..20", "scale-jitter 0.5..20"},
                 {"--color-jitter 0.4,0.4", "color-jitter '0.4,0.4'"},
                 {"--aa v0", "aa: not for detectors"},
                 {"--norm-affine off", "norm-affine"}};
    char nowhere[4200];
    path_of(nowhere, work, "nowhere");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        command_refuses(2, cases[i].part, "%s", train_line("detect", nowhere, cases[i].options));
    command_refuses(2, "--mosaic is for --task detect and segment", "train --data %s --mosaic 1", data);
    command_refuses(2, "--scale-jitter is for --task", "train --data %s --scale-jitter 0.5..1.5", data);
    assert_false(has_file(nowhere, "args.json"));
    char again[4400];
    static const char *const tasks[] = {"", "--task segment"}; /* the run says it itself */
    for (int i = 0; i < 2; i++) {
        put(again, sizeof again, "--resume %s %s --data %s --mosaic 0.3 --scale-jitter 0.5..1.4", whole,
            tasks[i], data);
        command_refuses(2, "--mosaic is 0.6, now 0.3", "train %s", again);
        command_refuses(2, "--scale-jitter is 1.5, now 1.4", "train %s", again);
    }
    command_refuses(2, "--task is segment, now detect", "train --resume %s --task detect", whole);
    command_refuses(2, "--imgsz is", "train --resume %s --imgsz 512", whole);
}

static int prepare(void **state) {
    (void)state;
    rb_error err = {0};
    rb_synth_options options = {
        .images_train = 12, .images_val = 4, .classes = 2, .side = 96, .seed = 3, .objects = 3};
    make_folder(work);
    path_of(data, work, "data");
    path_of(plain, work, "plain");
    path_of(whole, work, "whole");
    CHECK_OK(rb_synth_objects(data, &options, NULL, NULL, &err), &err);
    write_text(
        path_of(network, work, "small.json"),
        "{\"base\": \"s0\", \"name\": \"small\", \"widths\": [48, 48, 48, 48], \"blocks_per_level\": 1,"
        " \"extension_levels\": 0, \"head_widths\": [16, 16, 16, 16], \"fc_features\": 32}\n");
    command_works("%s", train_line("segment", plain, ""));
    command_works("%s", train_line("segment", whole, EXTRAS " --threads 2"));
    return 0;
}

static int clean(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    if (command_is_missing()) skip_all("the command is not built");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(args_tell_them),
        cmocka_unit_test(each_of_them_counts),
        cmocka_unit_test(threads_and_stored_activations_give_the_same_bits),
        cmocka_unit_test(killed_runs_end_the_same),
        cmocka_unit_test(scale_and_shift_stay_or_learn),
        cmocka_unit_test(a_run_names_its_sides),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, prepare, clean) ? 1 : 0;
}
