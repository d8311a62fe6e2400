/* steps.jsonl and tensors.hash, and revbifpn diff on them: one flipped bit is found in the right step and
 * tensor; files cut anywhere give an error or the right answer. */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <jansson.h>

enum { EPOCHS = 2, STEPS = 3 };

static char work[4096], data[4200], network[4200], first[4200], second[4200];

static void train(const char *out, const char *extra) {
    command_works("train --data %s --model %s --batch 8 --seed 7 --hash tensor --out %s %s", data, network,
                  out, extra);
}

/* Wants this exit status and text on stdout. */
static void diff_says(int code, const char *text) {
    command_result r = command("diff %s %s", first, second);
    if (r.code != code || !strstr(r.out, text))
        fail_msg("exit %d, '%s' '%s'; wanted '%s'", r.code, r.out, r.err, text);
    command_forget(&r);
}

static json_int_t number(const json_t *root, const char *key) {
    return json_integer_value(json_object_get(root, key));
}

static void equal_runs(void **state) {
    (void)state;
    char a[4300], b[4300];
    train(path_of(second, work, "threads"), "--epochs 2 --threads 3 --workers 0");
    diff_says(0, "6 equal steps\n");
    assert_same_file(path_of(a, first, "steps.jsonl"), path_of(b, second, "steps.jsonl"));
    assert_same_file(path_of(a, first, "tensors.hash"), path_of(b, second, "tensors.hash"));
    command_works("train --resume %s --epochs 3", second);
    diff_says(1, "argument epochs: 2, 3\n");
    diff_says(1, "6 equal steps\n3 more in the second run alone\n");
}

static void another_seed_differs_at_once(void **state) {
    (void)state;
    train(path_of(second, work, "seed"), "--epochs 2 --seed 8");
    diff_says(1, "argument seed: 7, 8\n0 equal steps, then epoch 1 step 1: the loss differs\n");
}

/* Flips the highest bit of the first value's mantissa: a lower one might be rounded away. */
static void flip_bit(const char *path, const char *tensor) {
    size_t size;
    uint64_t header = 0;
    char *bytes = file_bytes(path, &size);
    assert_non_null(bytes);
    memcpy(&header, bytes, 8);
    json_t *root = json_loadb(bytes + 8, header, 0, NULL);
    json_t *offsets = json_object_get(json_object_get(root, tensor), "data_offsets");
    assert_int_equal(json_array_size(offsets), 2);
    bytes[8 + header + (size_t)json_integer_value(json_array_get(offsets, 0)) + 2] ^= 0x40;
    write_bytes(path, bytes, size);
    json_decref(root);
    free(bytes);
}

/* A bit of what the optimizer keeps shows in that weight alone, and in the first step that uses it. */
static void one_flipped_bit_is_found(void **state) {
    (void)state;
    static const char *const tensors[] = {"head.fc.bias",
                                          "rev_stack.1.rev_transform_0.f.xform_0_1.dw_conv.conv.weight"};
    char path[4300], longer[4200], expected[300], keep[4200];
    put(keep, sizeof keep, "%s", first);
    copy_tree(first, path_of(longer, work, "whole"));
    command_works("train --resume %s --epochs 3", longer);
    for (int i = 0; i < 2; i++) {
        char name[200];
        copy_tree(first, path_of(second, work, "flipped"));
        put(name, sizeof name, "momentum.%s", tensors[i]);
        flip_bit(path_of(path, second, "checkpoint.safetensors"), name);
        command_works("train --resume %s --epochs 3", second);
        put(first, sizeof first, "%s", longer);
        put(expected, sizeof expected, "6 equal steps, then epoch 3 step 1: the weights differ\n");
        diff_says(1, expected);
        json_t *root;
        char line[9000];
        put(line, sizeof line, "diff %s %s --json", longer, second);
        command_result r = command("%s", line);
        assert_int_equal(r.code, 1);
        root = json_loads(r.out, 0, NULL);
        assert_non_null(root);
        put(name, sizeof name, "weight %s", tensors[i]);
        assert_string_equal(json_string_value(json_object_get(root, "tensor")), name);
        assert_int_equal(number(root, "tensors"), 1);
        assert_int_equal(number(root, "epoch"), 3);
        assert_int_equal(number(root, "hashed_steps"), 6);
        json_decref(root);
        command_forget(&r);
        put(first, sizeof first, "%s", keep);
    }
}

/* steps.jsonl cut at every byte: as many steps as there are whole lines. */
static void cut_steps(void **state) {
    (void)state;
    char path[4300];
    size_t size;
    copy_tree(first, path_of(second, work, "cut"));
    char *bytes = file_bytes(path_of(path, second, "steps.jsonl"), &size);
    revbifpn *ctx = NULL;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    for (size_t cut = 0; cut <= size; cut++) {
        revbifpn_run_difference d;
        int lines = 0;
        for (size_t i = 0; i < cut; i++) lines += bytes[i] == '\n';
        write_bytes(path, bytes, cut);
        if (revbifpn_compare_runs(ctx, first, second, NULL, NULL, &d)) fail_msg("%s", revbifpn_message(ctx));
        assert_int_equal(d.epoch, 0);
        assert_int_equal(d.steps, lines);
        assert_int_equal(d.only_a, EPOCHS * STEPS - lines);
    }
    for (size_t i = 0; i < size; i += 7) { /* a changed byte: told, or a difference, or that line */
        revbifpn_run_difference d;
        bytes[i] ^= 4;
        write_bytes(path, bytes, size);
        revbifpn_status status = revbifpn_compare_runs(ctx, first, second, NULL, NULL, &d);
        if (status ? status != REVBIFPN_BAD_FILE || !strstr(revbifpn_message(ctx), "steps.jsonl:")
                   : !d.epoch && !d.only_a)
            fail_msg("byte %zu changed: status %d, %s", i, (int)status, revbifpn_message(ctx));
        bytes[i] ^= 4;
    }
    revbifpn_close(&ctx);
    free(bytes);
}

/* tensors.hash cut at many places, of a run that differs in its last step. */
static void cut_hashes(void **state) {
    (void)state;
    char path[4300], steps[4300];
    size_t size, length;
    copy_tree(first, path_of(second, work, "cut"));
    char *text = file_bytes(path_of(steps, second, "steps.jsonl"), &length);
    text[length - 5] =
        text[length - 5] == '0' ? '1' : '0'; /* the last digit of the last hash of the weights */
    write_bytes(steps, text, length);
    char *bytes = file_bytes(path_of(path, second, "tensors.hash"), &size);
    bytes[size - 1] ^= 1;
    revbifpn *ctx = NULL;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    int told = 0, unnamed = 0;
    for (size_t i = 0; i <= 1000; i++) {
        revbifpn_run_difference d;
        size_t cut = size * i / 1000;
        write_bytes(path, bytes, cut);
        revbifpn_status status = revbifpn_compare_runs(ctx, first, second, NULL, NULL, &d);
        if (status) {
            assert_int_equal(status, REVBIFPN_BAD_FILE);
            if (!strstr(revbifpn_message(ctx), "tensors.hash: ")) fail_msg("%s", revbifpn_message(ctx));
            told++;
            continue;
        }
        assert_string_equal(d.what, "weights");
        assert_int_equal(d.epoch, EPOCHS);
        assert_int_equal(d.step, STEPS);
        assert_int_equal(d.tensors, cut == size);
        unnamed += !d.tensors;
    }
    assert_true(told > 10 && unnamed > 10);
    revbifpn_close(&ctx);
    free(bytes);
    free(text);
}

static void what_is_no_run(void **state) {
    (void)state;
    char path[4300];
    command_refuses(2, "RUN_B is missing", "diff %s", first);
    command_refuses(2, "'third' is not an option", "diff %s %s third", first, first);
    command_refuses(2, "nowhere holds no run", "diff %s %s/nowhere", first, work);
    copy_tree(first, path_of(second, work, "cut"));
    unlink(path_of(path, second, "steps.jsonl"));
    command_refuses(2, "holds no steps of a run (no steps.jsonl)", "diff %s %s", first, second);
    copy_tree(first, second);
    write_text(path, "{}\n");
    command_refuses(1, "steps.jsonl:1: not the line of a step", "diff %s %s", first, second);
    command_refuses(1, "steps.jsonl:1: not the line of a step", "train --resume %s --epochs 3", second);
    copy_tree(first, second);
    write_text(path_of(path, second, "tensors.hash"), "hello\n");
    command_refuses(1, "tensors.hash: does not begin", "train --resume %s --epochs 3", second);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(first, work, "first");
    make_set(data, 3, 8 * STEPS + 1, 12, 40);
    make_tiny_network(network);
    train(first, "--epochs 2");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_runs),
        cmocka_unit_test(another_seed_differs_at_once),
        cmocka_unit_test(one_flipped_bit_is_found),
        cmocka_unit_test(cut_steps),
        cmocka_unit_test(cut_hashes),
        cmocka_unit_test(what_is_no_run),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
