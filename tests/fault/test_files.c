/* Runs on a disk that is full from any operation on, folders that vanish or cannot be written, little address
 * space, and files cut anywhere: one line, the right status, nothing half-written, and afterwards the run
 * goes on to the same bytes. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <errno.h>
#include <revbifpn.h>
#include <sys/resource.h>

#include "base/fault.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

enum { EPOCHS = 2 };

static char work[4096], data[4200], network[4200], whole[4200], run[4200];
static revbifpn *ctx;

static revbifpn_train_config config_of(const char *out) {
    revbifpn_train_config c = revbifpn_default_train();
    if (revbifpn_config(ctx, network, &c.model)) fail_msg("%s", revbifpn_message(ctx));
    c.model.classes = 0;
    c.data = data;
    c.out = out;
    c.epochs = EPOCHS;
    c.batch = 8;
    c.seed = 7;
    c.workers = 0;
    c.checkpoint_steps = 2;
    c.hash = REVBIFPN_HASH_TENSOR;
    return c;
}

/* The status with which a run (new or resumed) ends; OK: all epochs. */
static revbifpn_status go(const char *out, bool resume) {
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    revbifpn_train_config c = config_of(out);
    revbifpn_status status = revbifpn_trainer_open(ctx, &c, resume, &trainer);
    while (status == REVBIFPN_OK) status = revbifpn_trainer_step(trainer, &report);
    if (status == REVBIFPN_STOPPED && report.finished) status = REVBIFPN_OK;
    revbifpn_trainer_close(&trainer);
    return status;
}

static void shell_works(const char *format, const char *folder) {
    char line[9000];
    snprintf(line, sizeof line, format, folder, folder);
    if (system(line)) fail_msg("failed: %s", line);
}

static void one_line(void) {
    const char *text = revbifpn_message(ctx);
    if (!*text || strchr(text, '\n')) fail_msg("not one line: '%s'", text);
}

static void assert_same_as_whole(void) {
    char a[4300], b[4300];
    assert_same_run(run, whole);
    assert_same_file(path_of(a, run, "tensors.hash"), path_of(b, whole, "tensors.hash"));
}

/* From one operation on nothing can be written: every one of a whole run, or as many as a test may take,
 * evenly. */
static void a_full_disk_at_every_write(void **state) {
    (void)state;
    long before = rb_file_operations();
    shell_works("rm -rf %s", run);
    assert_int_equal(go(run, false), REVBIFPN_OK);
    long all = rb_file_operations() - before, named = 0;
    static const int errors[] = {ENOSPC, EROFS, EIO};
    for (long n = 0; n < all; n += n < 16 ? 1 : all / 40 + 1) {
        shell_works("rm -rf %s", run);
        rb_file_fail_after(n, errors[n % 3]);
        revbifpn_status status = go(run, false);
        rb_file_fail_after(-1, 0);
        if (status != REVBIFPN_IO_FAILED || !strstr(revbifpn_message(ctx), strerror(errors[n % 3])) ||
            !strstr(revbifpn_message(ctx), run))
            fail_msg("operation %ld fails: status %d, '%s'", n, (int)status, revbifpn_message(ctx));
        one_line();
        named++;
        shell_works("! ls %s/*.tmp %s/weights/*.tmp 2> /dev/null", run);
        if (!has_file(run, "args.json")) continue;
        if (go(run, true)) fail_msg("operation %ld failed, then: %s", n, revbifpn_message(ctx));
        assert_same_as_whole();
    }
    printf("%ld operations that write, %ld of them failed\n", all, named);
}

/* The run's folder is removed while it runs. */
static void a_folder_that_vanishes(void **state) {
    (void)state;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    revbifpn_train_config c = config_of(run);
    shell_works("rm -rf %s", run);
    if (revbifpn_trainer_open(ctx, &c, 0, &trainer)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_status status = revbifpn_trainer_step(trainer, &report);
    shell_works("rm -rf %s", run);
    while (status == REVBIFPN_OK) status = revbifpn_trainer_step(trainer, &report);
    assert_int_equal(status, REVBIFPN_IO_FAILED);
    assert_non_null(strstr(revbifpn_message(ctx), "checkpoint.safetensors.tmp: cannot create: No such file"));
    one_line();
    revbifpn_trainer_close(&trainer);
    assert_int_not_equal(access(run, F_OK), 0); /* nor is it made again */
}

/* Root may write everywhere: the command runs as nobody then. */
static void a_folder_that_cannot_be_written(void **state) {
    (void)state;
    char line[16000];
    const char *as = geteuid() ? "" : "setpriv --reuid=65534 --regid=65534 --clear-groups ";
    copy_tree(whole, run);
    shell_works("chmod -R a+rX %s/..; chmod -R a-w %s", run);
    put(line, sizeof line, "%s%s --version > /dev/null 2>&1 && %stest -r %s/args.json", as, command_path(),
        as, run);
    if (system(line)) {
        printf("SKIPPED: no setpriv here, or nobody may not read the command\n");
        skip();
    }
    put(line, sizeof line, "%s%s train --resume %s --epochs %d --progress none > /dev/null 2> %s/said", as,
        command_path(), run, EPOCHS + 1, work);
    int code = system(line);
    size_t size;
    put(line, sizeof line, "%s/said", work);
    char *said = file_bytes(line, &size);
    if (WEXITSTATUS(code) != 1 || !strstr(said, "Permission denied") || !strstr(said, run) ||
        strchr(said, '\n') != said + size - 1)
        fail_msg("exit %d, '%s'", WEXITSTATUS(code), said);
    free(said);
    shell_works("chmod -R u+w %s", run);
    assert_same_as_whole();
}

/* A gigabyte of address space is plenty for a small run; a large one is told what is missing, and has left
 * nothing. */
static void little_address_space(void **state) {
    (void)state;
    if (SANITIZED) {
        printf("SKIPPED: the sanitizers need more address space than that\n");
        skip();
    }
    struct rlimit old, limit = {1 << 30, 1 << 30};
    getrlimit(RLIMIT_AS, &old);
    limit.rlim_max = old.rlim_max;
    char line[9000];
    shell_works("rm -rf %s", run);
    setrlimit(RLIMIT_AS, &limit);
    put(line, sizeof line, "train --data %s --model %s --epochs 1 --batch 8 --threads 2 --out %s", data,
        network, run);
    command_child small = command_start(line, NULL);
    command_result r = command_wait(&small);
    if (r.code) fail_msg("exit %d: %s", r.code, r.err);
    command_forget(&r);
    put(line, sizeof line, "train --data %s --model s6 --batch 4 --epochs 1 --threads 2 --out %s/large", data,
        work);
    command_child large = command_start(line, NULL);
    r = command_wait(&large);
    setrlimit(RLIMIT_AS, &old);
    if (r.code != 1 || !strstr(r.err, "out of memory") || strchr(r.err, '\n') != r.err + strlen(r.err) - 1)
        fail_msg("exit %d: '%s'", r.code, r.err);
    command_forget(&r);
    assert_false(has_file(work, "large"));
}

/* ---- files cut anywhere ---- */

/* Opens the whole run with one of its files cut: an error that names the file, or a run that goes on to what
 * it was. */
static void cut_everywhere(const char *name, size_t places) {
    char path[4300], named[64];
    size_t size;
    copy_tree(whole, run);
    char *bytes = file_bytes(path_of(path, run, name), &size);
    put(named, sizeof named, "%s:", name);
    size_t count = size < places ? size : places;
    int refused = 0;
    for (size_t i = 0; i < count; i++) {
        revbifpn_trainer *trainer = NULL;
        revbifpn_train_config c = config_of(run);
        c.epochs = 0;
        write_bytes(path, bytes, size * i / count);
        revbifpn_status status = revbifpn_trainer_open(ctx, &c, 1, &trainer);
        revbifpn_trainer_close(&trainer);
        refused += status != REVBIFPN_OK;
        if (status == REVBIFPN_BAD_FILE && strstr(revbifpn_message(ctx), named)) {
            one_line();
            continue;
        }
        if (status) fail_msg("%s cut at %zu: %s", name, size * i / count, revbifpn_message(ctx));
        assert_same_as_whole();
    }
    printf("%s: cut at %zu places, refused at %d\n", name, count, refused);
    assert_true(refused > 0);
    free(bytes);
}

static void cut_files_of_a_run(void **state) {
    (void)state;
    cut_everywhere("args.json", 4000);
    cut_everywhere("results.csv", 1000);
    cut_everywhere("steps.jsonl", 4000);
    cut_everywhere("tensors.hash", 1000);
    cut_everywhere("checkpoint.safetensors", 1000);
}

/* config.json cut at every byte: refused, or the same network (the last byte is a newline). */
static void cut_network(void **state) {
    (void)state;
    char path[4300];
    size_t size;
    char *bytes = file_bytes(network, &size);
    revbifpn_model_config good, cut;
    if (revbifpn_config(ctx, network, &good)) fail_msg("%s", revbifpn_message(ctx));
    for (size_t i = 0; i < size; i++) {
        write_bytes(path_of(path, work, "cut.json"), bytes, i);
        revbifpn_status status = revbifpn_config(ctx, path, &cut);
        if (status) assert_int_equal(status, REVBIFPN_BAD_FILE);
        if (status) one_line();
        if (!status) assert_memory_equal(&good, &cut, sizeof good);
        if (!status) assert_int_equal(i, size - 1);
    }
    free(bytes);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(whole, work, "whole");
    path_of(run, work, "run");
    make_set(data, 3, 25, 6, 32);
    make_tiny_network(network);
    if (revbifpn_open(&ctx, NULL) || go(whole, false)) fail_msg("%s", revbifpn_message(ctx));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    revbifpn_close(&ctx);
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_at_every_write),
        cmocka_unit_test(a_folder_that_vanishes),
        cmocka_unit_test(a_folder_that_cannot_be_written),
        cmocka_unit_test(little_address_space),
        cmocka_unit_test(cut_files_of_a_run),
        cmocka_unit_test(cut_network),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
