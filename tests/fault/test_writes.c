/* A disk that is full from any write on, under each verb that writes, in this process: the documented exit
 * status, one line that names what could not be written, no file under its final name that is not whole, and
 * nothing leaked (the sanitizer build sees leaks). */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>

#include "base/fault.h"
#include "base/hash.h"
#include "io/tensor_file.h"
#include "options.h"
#include "print.h"

static char work[4096], data[4200], network[4200], weights[4200], out[4200], said[4200];

/* ---- a verb in this process ---- */

/* Turns stdout and stderr into files, and back. */
static void redirect(int saved[2], bool away) {
    static const char *const names[2] = {"/dev/null", said};
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        if (away) {
            int fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC, 0666);
            saved[i] = dup(i + 1);
            assert_true(fd >= 0 && saved[i] >= 0);
            dup2(fd, i + 1);
            close(fd);
        } else {
            dup2(saved[i], i + 1);
            close(saved[i]);
        }
    }
}

/* The exit status of a line like "convert --weights A --out B"; what it says on stderr is then in `said`. */
static int verb(const char *line) {
    char copy[8192], *words[64], *rest = NULL, message[CLI_MESSAGE];
    int count = 0, saved[2];
    cli_args args;
    put(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ", &rest); w && count < 64; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    const cli_verb *v = cli_verb_find(words[0]);
    assert_non_null(v);
    if (cli_parse(v, count - 1, words + 1, &args, message) != CLI_RUN) fail_msg("%s: %s", line, message);
    redirect(saved, true);
    int code = cli_finish(&args, v->run(&args));
    redirect(saved, false);
    return code;
}

/* ---- what it leaves ---- */

/* Files below `out` with the hash of their bytes, as they are when nothing fails. */
enum { FILES = 64 };
typedef struct listing {
    struct {
        char name[300];
        uint64_t hash;
    } file[FILES];
    int count;
} listing;
static listing *listed;

static int list_file(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)at;
    if (type != FTW_F) return 0;
    size_t size;
    char *bytes = file_bytes(path, &size);
    assert_true(listed->count < FILES && bytes);
    put(listed->file[listed->count].name, 300, "%s", path + strlen(out));
    listed->file[listed->count++].hash = rb_hash(bytes, size);
    free(bytes);
    return 0;
}

static listing list_out(void) {
    listing l = {.count = 0};
    listed = &l;
    nftw(out, list_file, 16, FTW_PHYS);
    return l;
}

static bool ends(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && !strcmp(name + length - tail, end);
}

/* Weights and checkpoints of another moment than the last. */
static bool opens(const char *name) {
    char path[4600];
    rb_error err;
    rb_tensor_file *file;
    put(path, sizeof path, "%s%s", out, name);
    bool opened = rb_tensor_file_open(&file, path, &err) == REVBIFPN_OK;
    rb_tensor_file_close(&file);
    return opened;
}

/* Files that grow while a run goes on, or hold times. */
static bool grows(const char *name) {
    return strstr(name, "results.csv") || strstr(name, "steps.jsonl") || strstr(name, "tensors.hash") ||
           strstr(name, "events.out") || strstr(name, "report.html");
}

/* Whatever a failed call left under a final name is what a whole call leaves there at some time. */
static void check_left(const char *line, long n, const listing *whole, bool run) {
    listing left = list_out();
    for (int i = 0; i < left.count; i++) {
        const char *name = left.file[i].name;
        bool good = run && (grows(name) || (ends(name, ".safetensors") && opens(name)));
        for (int j = 0; j < whole->count; j++)
            good |= !strcmp(name, whole->file[j].name) && left.file[i].hash == whole->file[j].hash;
        if (!good || ends(name, ".tmp")) fail_msg("'%s', write %ld fails: %s is left", line, n, name);
    }
}

/* One line; a run may have told of a report that it could not write before it could not write the rest. */
static void check_said(const char *line, long n, int code, int error, bool run) {
    size_t size;
    char *text = file_bytes(said, &size), *last = strstr(text, "revbifpn ");
    bool good = code == 1 && last && (last == text || run) && strstr(last, strerror(error)) &&
                strstr(last, out) && strchr(last, '\n') == text + size - 1;
    if (!good) fail_msg("'%s', write %ld fails: exit %d, '%s'", line, n, code, text);
    free(text);
}

static void fresh_out(void) {
    remove_folder(out);
    assert_int_equal(mkdir(out, 0777), 0);
}

/* Writes are failed one by one while there are no more than MANY, else evenly, but the first and last EDGE in
 * any case: most of many are the tensors of one file. */
enum { MANY = 200, EDGE = 20 };

/* Lets write 0, 1, 2, … and all after it fail, until none does. `run`: of a training run, whose weights
 * change from step to step; test_files.c resumes it. */
static void fail_each_write(const char *line, bool run) {
    static const int errors[] = {ENOSPC, EIO, EROFS};
    fresh_out();
    long before = rb_file_operations(), tried = 0;
    if (verb(line)) fail_msg("'%s' fails: %s", line, file_bytes(said, &(size_t){0}));
    long all = rb_file_operations() - before, step = all > MANY ? all / MANY + 1 : 1;
    listing whole = list_out();
    assert_true(all > 0);
    for (long n = 0; n < all; n += n < EDGE || n >= all - EDGE ? 1 : step, tried++) {
        fresh_out();
        rb_file_fail_after(n, errors[n % 3]);
        int code = verb(line);
        rb_file_fail_after(-1, 0);
        check_said(line, n, code, errors[n % 3], run);
        check_left(line, n, &whole, run);
    }
    printf("%.32s…: %ld writes, %ld of them failed\n", line, all, tried);
}

#define EACH(run, ...)                                                                                       \
    do {                                                                                                     \
        char line_[8192];                                                                                    \
        put(line_, sizeof line_, __VA_ARGS__);                                                               \
        fail_each_write(line_, run);                                                                         \
    } while (0)

/* ---- the verbs ---- */

static void synth(void **state) {
    (void)state;
    EACH(false, "synth --out %s/set --images 3 --val-images 2 --classes 2 --imgsz 32", out);
}

static void convert(void **state) {
    (void)state;
    EACH(false, "convert --weights %s --out %s/w.pth", weights, out);
    EACH(false, "convert --weights %s --out %s/w.safetensors", weights, out);
}

static void convert_to_shards(void **state) {
    (void)state;
    EACH(false, "convert --data %s --out %s/set --shards 2 --progress none", data, out);
}

static void export(void **state) {
    (void)state;
    EACH(false, "export --weights %s --out %s/w.onnx", weights, out);
}

static void predict(void **state) {
    (void)state;
    EACH(false,
         "predict --weights %s --source %s/val/ring/0001.jpg --features %s/maps --saliency %s/gradients"
         " --save-pictures %s/pictures",
         weights, data, out, out, out);
}

static void check(void **state) {
    (void)state;
    EACH(false, "check --data %s --json %s/report.json --progress none", data, out);
}

static void train(void **state) {
    (void)state;
    EACH(true,
         "train --data %s --model %s --epochs 1 --batch 4 --workers 0 --threads 1 --out %s/run"
         " --checkpoint-steps 1 --hash tensor --progress none",
         data, network, out);
    EACH(true,
         "train --data %s --weights %s --epochs 1 --batch 4 --workers 0 --threads 1 --out %s/run"
         " --model-ema --progress none",
         data, weights, out);
}

/* With many pictures to write for, the first that finds no room ends it. */
static void predict_stops(void **state) {
    (void)state;
    char line[9000];
    fresh_out();
    put(line, sizeof line, "predict --weights %s --source %s --save-pictures %s", weights, data, out);
    rb_file_fail_after(0, ENOSPC);
    int code = verb(line);
    rb_file_fail_after(-1, 0);
    check_said(line, 0, code, ENOSPC, false);
}

/* What is no regular file is written in place, and stays what it is. */
static void a_pipe_stays_a_pipe(void **state) {
    (void)state;
    char line[20000], pipe[4300];
    struct stat info;
    size_t size;
    fresh_out();
    put(pipe, sizeof pipe, "%s/pipe", out);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    put(line, sizeof line, "cat %s > %s & %s check --data %s --progress none --json %s > %s.text && wait",
        pipe, said, command_path(), data, pipe, out);
    assert_int_equal(system(line), 0);
    char *text = file_bytes(said, &size);
    assert_true(size > 100 && !strncmp(text, "{\n  \"findings\"", 14) && !strcmp(text + size - 4, "]\n}\n"));
    free(text);
    assert_true(!stat(pipe, &info) && S_ISFIFO(info.st_mode));
    assert_false(has_file(out, "pipe.tmp"));
}

/* Results that go nowhere. */
static void stdout_is_full(void **state) {
    (void)state;
    if (access("/dev/full", W_OK)) {
        printf("SKIPPED: there is no /dev/full\n");
        skip();
    }
    const char *const verbs[] = {"val --json --progress none --data", "check --progress none --data",
                                 "predict --source"};
    for (int i = 0; i < 3; i++) {
        char line[9000];
        size_t size;
        put(line, sizeof line, "%s %s %s %s%s > /dev/full 2> %s", command_path(), verbs[i], data,
            i == 1 ? "" : "--weights ", i == 1 ? "" : weights, said);
        int code = system(line);
        char *text = file_bytes(said, &size);
        if (!WIFEXITED(code) || WEXITSTATUS(code) != 1 || !strstr(text, "No space left") ||
            strchr(text, '\n') != text + size - 1)
            fail_msg("%s: exit %d, '%s'", line, WEXITSTATUS(code), text);
        free(text);
    }
}

/* A disk that is really full: a file system of a few blocks in memory. */
static void a_full_file_system(void **state) {
    (void)state;
    char line[9000], small[4300];
    put(small, sizeof small, "%s/small", work);
    put(line, sizeof line, "mkdir -p %s && mount -t tmpfs -o size=256k none %s 2> /dev/null", small, small);
    if (system(line)) {
        printf("SKIPPED: cannot mount a tmpfs here\n");
        skip();
    }
    command_result synth = command("synth --out %s/set --images 400 --val-images 6 --imgsz 96", small);
    command_result train =
        command("train --data %s --model s0 --imgsz 32 --batch 4 --epochs 1 --out %s/run", data, small);
    put(line, sizeof line, "! find %s -name '*.tmp' | grep -q .; clean=$?; umount %s && exit $clean", small,
        small);
    bool clean = !system(line);
    command_result r[2] = {synth, train};
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(r[i].err);
        char *last = strstr(r[i].err, "revbifpn ");
        if (r[i].code != 1 || !last || !strstr(last, "No space left") ||
            strchr(last, '\n') != r[i].err + length - 1)
            fail_msg("exit %d, '%s'", r[i].code, r[i].err);
        command_forget(&r[i]);
    }
    assert_true(clean);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(weights, work, "weights.safetensors");
    path_of(out, work, "out");
    path_of(said, work, "stderr");
    make_set(data, 2, 6, 2, 32);
    /* few tensors, so that there are few writes */
    write_text(network, "{\"base\": \"s0\", \"name\": \"tiny\", \"streams\": 2, \"widths\": [48, 16],"
                        " \"blocks_per_level\": 0, \"extension_levels\": 0, \"neck\": 0,"
                        " \"kernels\": [3, 3], \"kernel_pads\": [0, 0], \"expansions\": [1, 1],"
                        " \"squeeze_ratios\": [0, 0], \"head_widths\": [16, 16],"
                        " \"head_kernels\": [3, 3], \"head_kernel_pads\": [0, 0],"
                        " \"head_expansions\": [1, 1], \"head_squeeze_ratios\": [0, 0],"
                        " \"fc_features\": 16, \"image_width\": 32, \"image_height\": 32}\n");
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    if (revbifpn_config(ctx, network, &config)) fail_msg("%s", revbifpn_message(ctx));
    config.classes = 3; /* training on two classes begins with a new head */
    if (revbifpn_model_create(ctx, &config, 1, &model) || revbifpn_model_save(model, weights))
        fail_msg("%s", revbifpn_message(ctx));
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synth),
        cmocka_unit_test(convert),
        cmocka_unit_test(convert_to_shards),
        cmocka_unit_test(export),
        cmocka_unit_test(check),
        cmocka_unit_test(predict),
        cmocka_unit_test(predict_stops),
        cmocka_unit_test(train),
        cmocka_unit_test(stdout_is_full),
        cmocka_unit_test(a_full_file_system),
        cmocka_unit_test(a_pipe_stays_a_pipe),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
