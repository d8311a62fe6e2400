/* Runs that are asked to stop, wherever they are, end in the bytes of one that was not; what may change in a
 * resumed run and what may not. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <revbifpn.h>

enum { EPOCHS = 2, STEPS = 3 };

static char work[4096], data[4200], network[4200], whole[4200], run[4200];

static revbifpn_train_config config_of(revbifpn *ctx, const char *out, int accumulate, int workers) {
    revbifpn_train_config c = revbifpn_default_train();
    assert_int_equal(revbifpn_config(ctx, network, &c.model), REVBIFPN_OK);
    c.model.classes = 0;
    c.data = data;
    c.out = out;
    c.epochs = EPOCHS;
    c.batch = 8 / accumulate;
    c.accumulate = accumulate;
    c.seed = 7;
    c.workers = workers;
    return c;
}

/* Says stop at question number `at`, and from then on. */
typedef struct question {
    int asked, at;
} question;

static int stop_at(void *user) {
    question *q = user;
    return q->asked++ >= q->at;
}

/* Goes on with the run (or begins it) until it is finished or asked to stop, then with a checkpoint. True
 * when finished. */
static bool go(const char *out, bool resume, int accumulate, int workers, int threads, question *q) {
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    revbifpn_options options = revbifpn_default_options();
    options.threads = threads;
    assert_int_equal(revbifpn_open(&ctx, &options), REVBIFPN_OK);
    revbifpn_train_config c = config_of(ctx, out, accumulate, workers);
    if (revbifpn_trainer_open(ctx, &c, resume, &trainer)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_trainer_watch(trainer, q ? stop_at : NULL, q);
    revbifpn_status status;
    do status = revbifpn_trainer_step(trainer, &report);
    while (status == REVBIFPN_OK);
    if (status != REVBIFPN_STOPPED) fail_msg("%s", revbifpn_message(ctx));
    bool finished = report.finished;
    if (!finished && revbifpn_trainer_checkpoint(trainer)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_trainer_close(&trainer);
    revbifpn_close(&ctx);
    return finished;
}

static void remove_run(void) {
    char line[4400];
    put(line, sizeof line, "rm -rf %s", run);
    assert_int_equal(system(line), 0);
}

/* Stopped at question 0, 1, 2, … : before steps, within batches and in validation, whose questions come
 * between batches and pictures. Without workers their number is always the same. */
static void stopped_wherever_it_asks(void **state) {
    (void)state;
    char undisturbed[4200];
    for (int accumulate = 1; accumulate <= 2; accumulate++) {
        question all = {.at = 1 << 30};
        put(undisturbed, sizeof undisturbed, "%s/by-%d", work, accumulate);
        assert_true(go(undisturbed, false, accumulate, 0, 2, &all));
        assert_true(all.asked > EPOCHS * (STEPS + 2));
        for (int at = 0; at < all.asked; at += 3) {
            question q = {.at = at};
            remove_run();
            bool finished = go(run, false, accumulate, 0, 2, &q);
            /* only a question in the last batch of a step may have been answered by finishing the step */
            if (!finished) assert_true(go(run, true, accumulate, at % 3, 1 + at % 3, NULL));
            assert_same_run(run, undisturbed);
        }
        printf("accumulate %d: %d questions\n", accumulate, all.asked);
    }
}

/* The same trainer goes on after a stop as if nothing had been asked. */
static void going_on_after_a_stop(void **state) {
    (void)state;
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    remove_run();
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    revbifpn_train_config c = config_of(ctx, run, 1, 0);
    if (revbifpn_trainer_open(ctx, &c, 0, &trainer)) fail_msg("%s", revbifpn_message(ctx));
    int stops = 0;
    for (int i = 0;; i++) {
        question q = {.at = i % 41};
        revbifpn_trainer_watch(trainer, stop_at, &q);
        revbifpn_status status = revbifpn_trainer_step(trainer, &report);
        if (status == REVBIFPN_STOPPED && report.finished) break;
        if (status && status != REVBIFPN_STOPPED) fail_msg("%s", revbifpn_message(ctx));
        stops += status == REVBIFPN_STOPPED;
        assert_true(i < 1000);
    }
    assert_true(stops > 2);
    revbifpn_trainer_close(&trainer);
    revbifpn_close(&ctx);
    assert_same_run(run, whole);
}

/* The second SIGINT ends the command there and then. */
static void a_second_interrupt_stops_at_once(void **state) {
    (void)state;
    bool at_once = false;
    char line[9000];
    for (int tries = 0; !at_once && tries < 20; tries++) {
        remove_run();
        put(line, sizeof line, "train --data %s --model %s --epochs %d --batch 8 --seed 7 --out %s", data,
            network, EPOCHS, run);
        command_child p = command_start(line, NULL);
        for (double end = now_ms() + 5000; !has_file(run, "args.json") && now_ms() < end;) pause_ms(0.05);
        kill(p.id, SIGINT);
        pause_ms(0.05 * tries); /* two at the same moment are one */
        kill(p.id, SIGINT);
        command_result r = command_wait(&p);
        at_once = r.code == 128 + SIGINT;
        if (!at_once && r.code && r.code != 75) fail_msg("exit %d: %s", r.code, r.err);
        command_forget(&r);
    }
    assert_true(at_once);
    command_works("train --resume %s", run);
    assert_same_run(run, whole);
}

/* Whether the process has a function of its own for SIGTERM. */
static bool catches_sigterm(int id) {
    char path[64], line[256];
    unsigned long long mask = 0;
    put(path, sizeof path, "/proc/%d/status", id);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) (void)sscanf(line, "SigCgt: %llx", &mask);
    if (f) fclose(f);
    return mask >> (SIGTERM - 1) & 1;
}

/* A list that takes a while to read, of a picture that is there: the signal need not wait for its end. */
static void a_signal_while_the_data_is_read(void **state) {
    (void)state;
    char list[4200], line[9000];
    remove_run();
    FILE *f = fopen(path_of(list, work, "long.txt"), "we");
    assert_non_null(f);
    for (int i = 0; i < 1000000; i++) fprintf(f, "a/picture/that/is/nowhere/%07d.jpg %c\n", i, 'a' + i % 2);
    fclose(f);
    put(line, sizeof line, "train --data %s --val-fraction 0.1 --model %s --out %s", list, network, run);
    command_child p = command_start(line, NULL);
    for (double end = now_ms() + 20000; !catches_sigterm(p.id) && now_ms() < end;) pause_ms(0.2);
    kill(p.id, SIGTERM);
    command_result r = command_wait(&p);
    if (r.code != 75 || !strstr(r.err, "asked to stop while it was being read") || !strstr(r.err, list))
        fail_msg("exit %d: %s", r.code, r.err);
    command_forget(&r);
    assert_false(has_file(run, "args.json"));
}

/* Options that repeat the run's own are welcome, others refused by name with both values. */
static void other_arguments_are_refused(void **state) {
    (void)state;
    copy_tree(whole, run);
    command_works("train --resume %s --batch 8 --seed 7 --lr 0.1 --opt sgd --model %s --scale 0.35,1", run,
                  network);
    assert_same_run(run, whole);
    static const char *const wrong[][2] = {
        {"--lr 0.2", "cannot change in a resumed run: --lr is 0.1, now 0.2 ("},
        {"--lr 0.10000000001", "--lr is 0.10000000000000001, now 0.10000000001000001 ("},
        {"--opt lamb --seed 8 --batch 8", ": --seed is 7, now 8; --opt is sgd, now lamb ("},
        {"--activations stored", ": --activations is reversible, now stored ("},
        {"--precision bf16", ": --precision is float32, now bf16 ("},
        {"--exif", ": --exif is off, now on ("},
        {"--bn-update double", ": --bn-update is single, now double ("},
        {"--scale 0.08,1", ": --scale is 0.35, now 0.08 ("},
        {"--opt-betas 0.9,0.95", ": --opt-betas is 0.999, now 0.95 ("},
        {"--imgsz 64 --batch 4", "--batch is 8, now 4 ("},
        {"--imgsz 64", "--imgsz is 32, now 64 ("},
        {"--model s0", "--model is "},
        {"--drop 0.5", ": --drop is 0.1, now 0.5 ("},
        {"--aa v0", ": --aa is nothing, now v0 ("},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        command_refuses(2, wrong[i][1], "train --resume %s %s", run, wrong[i][0]);
    command_refuses(2, "holds no run", "train --resume %s/nowhere --lr 1", work);
    assert_same_run(run, whole);
}

/* Killed after the best of epoch 1 was written and before its checkpoint, then told to train longer: that
 * best is not this run's. */
static void the_best_of_an_abandoned_epoch(void **state) {
    (void)state;
    char longer[4200], from[4200], to[4200], line[9000];
    put(line, sizeof line, "train --data %s --model %s --epochs 4 --batch 8 --seed 7 --out %s", data, network,
        path_of(longer, work, "longer"));
    command_works("%s", line);
    copy_tree(whole, run);
    put(line, sizeof line, "cd %s && rm checkpoint.safetensors results.csv weights/*", run);
    assert_int_equal(system(line), 0);
    put(line, sizeof line, "cp %s %s", path_of(from, whole, "weights/best.safetensors"),
        path_of(to, run, "weights/best.epoch1.safetensors"));
    assert_int_equal(system(line), 0);
    command_works("train --resume %s --epochs 4", run);
    assert_same_run(run, longer);
    put(line, sizeof line, "! ls %s/weights/best.epoch* 2> /dev/null", run);
    assert_int_equal(system(line), 0);
}

/* Killed between the checkpoint and the renaming of its best. */
static void a_best_that_waits_is_taken(void **state) {
    (void)state;
    char line[9000];
    copy_tree(whole, run);
    put(line, sizeof line, "cd %s/weights && mv best.safetensors best.epoch%d.safetensors", run, EPOCHS);
    assert_int_equal(system(line), 0);
    command_works("train --resume %s", run);
    assert_same_run(run, whole);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(whole, work, "whole");
    path_of(run, work, "run");
    make_set(data, 3, 8 * STEPS + 1, 12, 40);
    make_tiny_network(network);
    command_works("train --data %s --model %s --epochs %d --batch 8 --seed 7 --out %s", data, network, EPOCHS,
                  whole);
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
        cmocka_unit_test(stopped_wherever_it_asks),         cmocka_unit_test(going_on_after_a_stop),
        cmocka_unit_test(a_second_interrupt_stops_at_once), cmocka_unit_test(other_arguments_are_refused),
        cmocka_unit_test(a_signal_while_the_data_is_read),  cmocka_unit_test(the_best_of_an_abandoned_epoch),
        cmocka_unit_test(a_best_that_waits_is_taken),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
