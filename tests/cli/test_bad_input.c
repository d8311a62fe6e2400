/* Bad input to whole runs: the right exit status, one line that names file, place and reason, nothing
 * half-written. */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <signal.h>
#include <sys/resource.h>

static char work[4096], data[4200], network[4200], whole[4200], out[4200];

static void __attribute__((format(printf, 1, 2))) shell(const char *format, ...) {
    char line[9000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (system(line)) fail_msg("failed: %s", line);
}

static const char *train_line(const char *folder, const char *extra) {
    static char line[12000];
    put(line, sizeof line, "train --data %s --model %s --epochs 1 --batch 8 --threads 1 --out %s %s", folder,
        network, out, extra);
    return line;
}

/* Refused with this text, and no run folder. */
static void train_refuses(int code, const char *text, const char *folder, const char *extra) {
    command_refuses(code, text, "%s", train_line(folder, extra));
    if (!access(out, F_OK)) fail_msg("a run folder was made for '%s'", text);
}

/* A changed copy of the data. */
static const char *changed(const char *script) {
    static char folder[4200];
    copy_tree(data, path_of(folder, work, "changed"));
    shell("cd %s && %s", folder, script);
    return folder;
}

static void folders(void **state) {
    (void)state;
    char text[4300];
    train_refuses(1, "/nonexistent/data: there is no such folder", "/nonexistent/data", "");
    train_refuses(1, "changed/train", changed("rm -rf train/* val/*"), "");
    train_refuses(1, "changed", changed("rm -rf train val"), "");
    train_refuses(1, "only one class", changed("mv train/ring one; rm -rf train/* val/*; mv one train/only"),
                  "");
    train_refuses(1, "changed/val: the class 'unknown' is not in",
                  changed("mkdir val/unknown && cp val/ring/0001.jpg val/unknown/"), "");
    train_refuses(1, "no folder 'val'", changed("rm -r val"), "");
    train_refuses(1, "ring", changed("rm train/ring/*"), "");
    put(text, sizeof text, "%s: 24 training pictures do not fill one batch of 25", data);
    train_refuses(1, text, data, "--batch 25");
    train_refuses(1, "has 3 classes, the network 4", data, "--classes 4");
}

static void options(void **state) {
    (void)state;
    train_refuses(2, "multiple of 32: 32 or 64", data, "--model s0 --imgsz 40");
    train_refuses(2, "the nearest is 's5'", data, "--model s55");
    train_refuses(2, "the nearest is --batch", data, "--bacth 8");
    train_refuses(2, "must be 0 … 1", data, "--hflip 2");
    train_refuses(2, "the nearest is 'bicubic'", data, "--interpolation cubic");
}

static void unreadable_pictures(void **state) {
    (void)state;
    const char *folder = changed("echo no picture > train/ring/0002.jpg; : > val/triangle/0001.jpg");
    command_result r = command("%s", train_line(folder, ""));
    if (r.code) fail_msg("exit %d: %s", r.code, r.err);
    assert_non_null(strstr(r.err, "changed/train/ring/0002.jpg"));
    assert_non_null(strstr(r.out, "(1 pictures unreadable)"));
    assert_non_null(strstr(r.err, "unreadable, left out: ")); /* validation lists its own */
    assert_non_null(strstr(r.err, "val/triangle/0001.jpg"));
    command_forget(&r);
    char line[9000];
    put(line, sizeof line, "val --weights %s/weights/last.safetensors --data %s --json", out, folder);
    json_t *m = command_json(line);
    assert_int_equal(json_integer_value(json_object_get(m, "images")), 11);
    assert_int_equal(json_integer_value(json_object_get(m, "bad_files")), 1);
    json_decref(m);
    command_refuses(1, "val/triangle/0001.jpg", "%s --max-bad 0", line);
    shell("rm -rf %s", out);
    command_refuses(1, "changed/train/ring/0002.jpg", "%s", train_line(folder, "--max-bad 0"));
    shell("rm -rf %s", out);
    folder = changed("for f in val/*/*; do : > $f; done");
    command_refuses(1, "changed/val/cross/0001.jpg", "%s", train_line(folder, "--max-bad 5"));
    shell("rm -rf %s", out);
}

static void places_to_write(void **state) {
    (void)state;
    char place[4200], before[4200];
    copy_tree(whole, path_of(before, work, "whole-before"));
    command_refuses(2, "holds a run already", "%s --out %s", train_line(data, ""), whole);
    shell("diff -r %s %s", whole, before);
    write_text(path_of(place, work, "file"), "text");
    command_refuses(1, "/file", "%s --out %s", train_line(data, ""), place);
    command_refuses(1, "/file", "%s --out %s/run", train_line(data, ""), place);
    command_refuses(1, "/proc/", "%s --out /proc/run", train_line(data, ""));
    shell("cd %s && [ \"$(cat file)\" = text ]", work);
}

/* ---- weights ---- */

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

static char weights[4200]; /* the file that the cases write */

static void weights_refused(const char *text) {
    command_refuses(1, text, "predict --weights %s --source %s/val", weights, data);
    command_refuses(1, text, "val --weights %s --data %s", weights, data);
    char named[4300];
    put(named, sizeof named, "%s: ", weights);
    command_refuses(1, named, "predict --weights %s --source %s/val", weights, data);
}

/* Replaces, in the header, the first `from` by `to` of the same length. */
static void with_header(const bytes *good, const char *from, const char *to) {
    bytes b = {malloc(good->size), good->size};
    assert_true(b.data && strlen(from) == strlen(to));
    memcpy(b.data, good->data, b.size);
    char *at = memmem(b.data, b.size, from, strlen(from));
    if (!at) fail_msg("no '%s' in the header", from);
    memcpy(at, to, strlen(to));
    write_bytes(weights, b.data, b.size);
    free(b.data);
}

static void weights_files(void **state) {
    (void)state;
    char path[4200];
    bytes good;
    good.data = file_bytes(path_of(path, whole, "weights/last.safetensors"), &good.size);
    path_of(weights, work, "bad.safetensors");
    write_bytes(weights, good.data, good.size - 1);
    weights_refused("tensor ");
    write_bytes(weights, good.data, 300);
    weights_refused("truncated");
    write_bytes(weights, good.data, 5);
    weights_refused("too short");
    write_text(weights, "");
    weights_refused("too short");
    write_text(weights, "These are no weights, but a plain text of some length.\n");
    weights_refused("not a safetensors file?");
    static const unsigned char hostile[16] = {0, 0, 0, 0, 0, 0, 0, 0x80, '{', '}'};
    write_bytes(weights, hostile, sizeof hostile);
    weights_refused("more than the limit of 100000000");
    with_header(&good, "\"F32\"", "\"I32\"");
    weights_refused("I32 [");
    with_header(&good, "\"F32\"", "\"F16\"");
    weights_refused("bytes of data");
    with_header(&good, "head.fc.weight", "head.fc.wright");
    weights_refused("head.fc.weight");
    with_header(&good, "\"config\"", "\"confix\"");
    weights_refused("no \"config\": not a weights file");
    with_header(&good, "\\\"extension_levels\\\": 1", "\\\"extension_levels\\\": 2");
    weights_refused("is missing");
    with_header(&good, "\"grid\":\"22\"", "\"grid\":\"99\"");
    weights_refused("metadata: grid \"99\"");
    unlink(weights);
    weights_refused("cannot open");
    free(good.data);
}

static void use_of_weights(void **state) {
    (void)state;
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", changed("mkdir val/unknown; cp val/ring/0001.jpg val/unknown/"));
    command_refuses(1, "changed/val: the class 'unknown' is not in the class list of the weights",
                    "val --weights %s/weights/last.safetensors --data %s", whole, folder);
    changed("echo no picture > val/ring/0002.jpg");
    command_result r =
        command("predict --weights %s/weights/last.safetensors --source %s/val --json", whole, folder);
    int lines = 0;
    for (const char *p = r.out; *p; p++) lines += *p == '\n';
    assert_int_equal(r.code, 1);
    assert_int_equal(lines, 11);
    assert_non_null(strstr(r.err, "val/ring/0002.jpg"));
    command_forget(&r);
    changed("rm -r val/*; mkdir val/empty");
    command_refuses(1, "no picture", "predict --weights %s/weights/last.safetensors --source %s/val", whole,
                    folder);
}

/* A wrong word in a file is exit 1, as any wrong file; the line names file and key. */
static void network_files(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "line 1"},
        {"{\"base\": \"s0\",\n \"widths\": }", "line 2"},
        {"[1, 2]", "not a JSON object"},
        {"{\"base\": \"s9\"}", "'base'"},
        {"{\"base\": \"s0\", \"wdiths\": [1]}", "unknown key 'wdiths'"},
        {"{\"base\": \"s0\", \"widths\": [48, 64]}", "'widths' must be a list of 4"},
        {"{\"base\": \"s0\", \"streams\": 9}", "must be 2 … 6"},
        {"{\"base\": \"s0\", \"kernels\": [4, 3, 3, 3]}", "kernels"},
        {"{\"streams\": 4}", "is missing"},
        {"{\"base\": \"s0\", \"neck\": 1, \"neck\": 1}", "duplicate"},
    };
    char path[4200], line[9000];
    path_of(path, work, "bad.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(path, cases[i][0]);
        put(line, sizeof line, "--model %s", path);
        train_refuses(1, cases[i][1], data, line);
        command_refuses(1, "bad.json: ", "plan --model %s", path);
    }
}

/* ---- a full disk ---- */

/* The command in a process whose files may have `limit` bytes: a write past it fails, as on a full disk. */
static command_result limited(uint64_t limit, const char *line) {
    struct rlimit before, now;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    now = (struct rlimit){limit, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN); /* the child inherits both */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    command_child child = command_start(line, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    return command_wait(&child);
}

static uint64_t size_of(const char *run, const char *name) {
    char path[4200];
    struct stat info;
    assert_int_equal(stat(path_of(path, run, name), &info), 0);
    return (uint64_t)info.st_size;
}

static void a_full_disk_leaves_the_checkpoint(void **state) {
    (void)state;
    char run[4200], longer[4200], line[9000];
    uint64_t weights_bytes = size_of(whole, "weights/last.safetensors");
    uint64_t checkpoint_bytes = size_of(whole, "checkpoint.safetensors");
    assert_true(checkpoint_bytes > weights_bytes + 8192);
    copy_tree(whole, path_of(longer, work, "longer"));
    command_works("train --resume %s --epochs 3", longer);
    const uint64_t limits[] = {8192, weights_bytes - 1, weights_bytes, checkpoint_bytes - 1};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        copy_tree(whole, path_of(run, work, "full"));
        put(line, sizeof line, "train --resume %s --epochs 3", run);
        command_result r = limited(limits[i], line);
        size_t length = strlen(r.err);
        if (r.code != 1 || !strstr(r.err, ".safetensors: cannot write: File too large") ||
            strchr(r.err, '\n') != r.err + length - 1)
            fail_msg("limit %llu: exit %d, '%s'", (unsigned long long)limits[i], r.code, r.err);
        command_forget(&r);
        shell("! ls %s/*.tmp %s/weights/*.tmp 2> /dev/null", run, run);
        char a[4200], b[4200];
        assert_same_file(path_of(a, run, "checkpoint.safetensors"),
                         path_of(b, whole, "checkpoint.safetensors"));
        command_works("train --resume %s", run); /* once there is room again; 3 epochs are remembered */
        assert_same_run(run, longer);
    }
    command_result r = limited(100, train_line(data, ""));
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "args.json"));
    command_forget(&r);
    assert_true(!has_file(out, "args.json"));
    shell("rm -rf %s", out);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(whole, work, "whole");
    path_of(out, work, "out");
    make_set(data, 3, 24, 12, 32);
    if (access(data, F_OK)) return 1;
    make_tiny_network(network);
    command_works("%s --out %s", train_line(data, ""), whole);
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
        cmocka_unit_test(folders),
        cmocka_unit_test(options),
        cmocka_unit_test(unreadable_pictures),
        cmocka_unit_test(places_to_write),
        cmocka_unit_test(weights_files),
        cmocka_unit_test(use_of_weights),
        cmocka_unit_test(network_files),
        cmocka_unit_test(a_full_disk_leaves_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
