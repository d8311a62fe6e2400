/* Runs that are killed, stopped and resumed end in the same bytes as one that nothing disturbed. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include "base/rng.h"
#include "train/schedule.h"
#include "train/trainer.h"

enum { EPOCHS = 3, STEPS = 6, KILLS = 12 };

static char work[4096], data[4200], network[4200], whole[4200], killed[4200];

/* The arguments of every run here; `extra` may add some. */
static const char *train_line(const char *out, const char *extra) {
    static char line[16000];
    put(line, sizeof line,
        "train --data %s --model %s --epochs %d --batch 8 --warmup-epochs 1 --seed 7 --out %s %s", data,
        network, EPOCHS, out, extra);
    return line;
}

static void run_whole(const char *out, const char *extra) { command_works("%s", train_line(out, extra)); }

static void resume(const char *out, const char *extra) { command_works("train --resume %s %s", out, extra); }

static void kill_now(command_child *p) {
    kill(p->id, SIGKILL);
    command_result r = command_wait(p);
    if (r.code != 0 && r.code != 128 + SIGKILL) fail_msg("exit %d before it was killed: %s", r.code, r.err);
    command_forget(&r);
}

static void start_fresh(command_child *p, const char *extra) {
    char line[4400];
    put(line, sizeof line, "rm -rf %s", killed);
    assert_int_equal(system(line), 0);
    *p = command_start(train_line(killed, extra), NULL);
}

/* How long the undisturbed run takes, and makes it. */
static double time_of_a_run(void) {
    char folder[4200];
    double start = now_ms();
    run_whole(path_of(folder, work, "timed"), "--checkpoint-steps 1");
    return now_ms() - start;
}

/* Resumes until the run is there; on the way it is killed again `again` times. */
static void resume_with_kills(int again, double time, rb_rng *rng, const char *extra) {
    char line[9000];
    put(line, sizeof line, "train --resume %s %s", killed, extra);
    for (int i = 0; i < again; i++) {
        command_child p;
        p = command_start(line, NULL);
        pause_ms(time * (double)rb_rng_below(rng, 1000) / 1000);
        kill_now(&p);
    }
    resume(killed, extra);
}

static void killed_at_random_moments(void **state) {
    (void)state;
    static const char *const checkpoints[] = {"", "--checkpoint-steps 1", "--checkpoint-steps 3"};
    static const char *const machines[] = {"--threads 1 --workers 0", "--threads 3 --workers 3",
                                           "--threads 2 --workers 1"};
    double time = time_of_a_run();
    rb_rng rng = rb_rng_open(2024, RB_PURPOSE_SHUFFLE, 0, 0);
    int missed = 0;
    for (int i = 0; i < KILLS; i++) {
        command_child p;
        start_fresh(&p, checkpoints[i % 3]);
        pause_ms(time * (double)rb_rng_below(&rng, 1000) / 1000);
        kill_now(&p);
        if (!has_file(killed, "args.json")) {
            missed++; /* before there was a run */
            continue;
        }
        resume_with_kills(i % 2, time, &rng, machines[i / 3 % 3]);
        assert_same_run(killed, whole);
    }
    printf("a whole run takes %.0f ms; %d of %d kills came before the run folder\n", time, missed, KILLS);
    assert_true(missed < KILLS * 2 / 3);
}

/* Kills as soon as a file is there: inside the opening, and among the files at the end of the first epoch. */
static void killed_when_a_file_appears(void **state) {
    (void)state;
    static const char *const files[] = {"args.json.tmp",
                                        "args.json",
                                        "results.csv",
                                        "weights/best.epoch1.safetensors.tmp",
                                        "weights/best.epoch1.safetensors",
                                        "weights/best.safetensors",
                                        "weights/last.safetensors",
                                        "checkpoint.safetensors.tmp",
                                        "checkpoint.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        command_child p;
        start_fresh(&p, "");
        for (double end = now_ms() + 5000; !has_file(killed, files[i]) && now_ms() < end;) {
            pause_ms(0.02);
            if (has_file(killed, "checkpoint.safetensors")) break; /* a temporary one may go unseen */
        }
        kill_now(&p);
        if (!has_file(killed, "args.json")) {
            command_refuses(2, "holds no run", "train --resume %s", killed);
            continue;
        }
        resume(killed, "--threads 1");
        assert_same_run(killed, whole);
    }
}

/* ---- the windows between the files at the end of an epoch, one by one ---- */

static void library_run(const char *out, int epochs, int stop_after_epochs) {
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    revbifpn_train_config config = revbifpn_default_train();
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    assert_int_equal(revbifpn_config(ctx, network, &config.model), REVBIFPN_OK);
    config.model.classes = 0;
    config.data = data;
    config.out = out;
    config.epochs = epochs;
    config.batch = 8;
    config.seed = 7;
    if (revbifpn_trainer_open(ctx, &config, 0, &trainer)) fail_msg("%s", revbifpn_message(ctx));
    while (!(report.epoch_done && report.epoch == stop_after_epochs))
        if (revbifpn_trainer_step(trainer, &report)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_trainer_close(&trainer);
    revbifpn_close(&ctx);
}

/* File NAME of one run as file AS of another. */
static void copy_file(const char *from, const char *name, const char *to, const char *as, double part) {
    char path[4200];
    size_t size;
    char *bytes = file_bytes(path_of(path, from, name), &size);
    assert_non_null(bytes);
    path_of(path, to, as);
    if (part < 1) strcat(path, ".tmp");
    write_bytes(path, bytes, (size_t)(part * (double)size));
    free(bytes);
}

static void killed_between_the_files_of_an_epoch(void **state) {
    (void)state;
    static const char *const order[][2] = {{"weights/best.safetensors", "weights/best.epoch2.safetensors"},
                                           {"weights/last.safetensors", "weights/last.safetensors"},
                                           {"results.csv", "results.csv"},
                                           {"checkpoint.safetensors", "checkpoint.safetensors"}};
    char before[4200], after[4200];
    library_run(path_of(before, work, "before"), EPOCHS, 1);
    library_run(path_of(after, work, "after"), EPOCHS, 2);
    for (int written = 0; written <= 4; written++)
        for (int half = 0; half < 2; half++) {
            if (written == 4 && half) continue;
            copy_tree(before, killed);
            copy_file(after, "steps.jsonl", killed, "steps.jsonl", 1); /* grows step by step */
            for (int i = 0; i < written; i++) copy_file(after, order[i][0], killed, order[i][1], 1);
            if (half) /* the temporary of the next one */
                copy_file(after, order[written][0], killed, order[written][1], 0.4);
            resume(killed, "");
            assert_same_run(killed, whole);
        }
}

static void only_args_json_starts_over(void **state) {
    (void)state;
    char path[4200];
    copy_tree(whole, killed);
    unlink(path_of(path, killed, "checkpoint.safetensors"));
    resume(killed, "--threads 1"); /* results and weights of a run whose checkpoint was lost are made again */
    assert_same_run(killed, whole);
    char line[9000];
    put(line, sizeof line, "cd %s && find . -mindepth 1 ! -name args.json -delete", killed);
    assert_int_equal(system(line), 0);
    assert_true(has_file(killed, "args.json") && !has_file(killed, "weights"));
    resume(killed, "");
    assert_same_run(killed, whole);
}

/* ---- what resume is asked for ---- */

static void a_finished_run_says_so(void **state) {
    (void)state;
    copy_tree(whole, killed);
    command_result r = command("train --resume %s", killed);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "has all its 3 epochs; raise --epochs"));
    command_forget(&r);
    assert_same_run(killed, whole);
}

/* The rate of the last step of each epoch, from results.csv. */
static int read_rates(const char *run, double rates[16]) {
    char path[4200], *saved = NULL;
    size_t size;
    int rows = 0;
    char *text = file_bytes(path_of(path, run, "results.csv"), &size);
    assert_non_null(text);
    for (char *row = strtok_r(text, "\n", &saved); row && rows < 16; row = strtok_r(NULL, "\n", &saved)) {
        int epoch;
        double rate;
        if (sscanf(row, "%d,%lf", &epoch, &rate) != 2) continue;
        assert_int_equal(epoch, rows + 1);
        rates[rows++] = rate;
    }
    free(text);
    return rows;
}

/* Raised before the first checkpoint: equals a run that was started with so many. Raised later: what is done
 * stands, the steps still to come follow the schedule of the new total. */
static void epochs_may_be_raised(void **state) {
    (void)state;
    char longer[4200], other[4200], line[16000];
    double rates[16];
    put(line, sizeof line, "%s --epochs 5", train_line(path_of(longer, work, "longer"), ""));
    command_works("%s", line);
    copy_tree(whole, killed);
    put(line, sizeof line, "cd %s && rm -r checkpoint.safetensors weights results.csv", killed);
    assert_int_equal(system(line), 0);
    resume(killed, "--epochs 5");
    assert_same_run(killed, longer);

    copy_tree(whole, killed);
    resume(killed, "--epochs 5 --threads 1 --workers 0");
    assert_int_equal(read_rates(killed, rates), 5);
    for (int e = 0; e < 5; e++) {
        revbifpn_train_config args = revbifpn_default_train();
        args.epochs = e < 3 ? 3 : 5;
        rb_schedule schedule = rb_schedule_of(&args, STEPS);
        double wanted = rb_schedule_rate(&schedule, (e + 1) * STEPS - 1);
        assert_true(rates[e] > wanted - 1e-8 && rates[e] < wanted + 1e-8);
    }
    copy_tree(whole, path_of(other, work, "other"));
    command_child p;
    put(line, sizeof line, "train --resume %s --epochs 5 --threads 3", other);
    p = command_start(line, NULL);
    for (double end = now_ms() + 5000; read_rates(other, rates) < 4 && now_ms() < end;) pause_ms(0.2);
    kill_now(&p);
    resume(other, ""); /* the new total is remembered */
    assert_same_run(other, killed);
    command_refuses(2, "can only be raised", "train --resume %s --epochs 2", killed);
}

static void another_data_folder(void **state) {
    (void)state;
    char moved[4200], names[4200], more[4200], line[9000];
    copy_tree(data, path_of(moved, work, "moved"));
    copy_tree(data, path_of(names, work, "names"));
    make_set(path_of(more, work, "more"), 4, 48, 12, 40);
    copy_tree(whole, killed);
    const char *name = rb_synth_class_name(1);
    put(line, sizeof line, "cd %s && mv train/%s train/a-ring && mv val/%s val/a-ring", names, name, name);
    assert_int_equal(system(line), 0);
    command_refuses(1, "'a-ring'", "train --resume %s --epochs 4 --data %s", killed, names);
    command_refuses(1, "4 classes, the network 3", "train --resume %s --epochs 4 --data %s", killed, more);
    put(line, sizeof line, "cd %s && cp -r moved fewer && rm fewer/train/*/0001.jpg", work);
    assert_int_equal(system(line), 0);
    command_refuses(1, "but this run was started on", "train --resume %s --epochs 4 --data %s/fewer", killed,
                    work);
    assert_same_run(killed, whole);
    char a[4200];
    copy_tree(whole, path_of(a, work, "not-moved"));
    resume(a, "--epochs 4");
    put(line, sizeof line, "--epochs 4 --data %s", moved);
    resume(killed, line); /* the same pictures elsewhere */
    assert_same_run(killed, a);
}

static void resume_of_nothing(void **state) {
    (void)state;
    char path[4200];
    command_refuses(2, "holds no run", "train --resume %s/nowhere", work);
    copy_tree(whole, killed);
    write_text(path_of(path, killed, "args.json"), "{\"epochs\": ");
    command_refuses(1, "args.json:1: ", "train --resume %s", killed);
    write_text(path, "{\"epochs\": 3}");
    command_refuses(1, "args.json: \"data\" is missing", "train --resume %s", killed);
    copy_tree(whole, killed);
    size_t size;
    char *bytes = file_bytes(path_of(path, killed, "checkpoint.safetensors"), &size);
    write_bytes(path, bytes, size / 2);
    command_refuses(1, "checkpoint.safetensors: ", "train --resume %s --epochs 4", killed);
    write_bytes(path, bytes, size);
    free(bytes);
    char last[4200];
    copy_tree(whole, path_of(last, work, "swapped")); /* plain weights are no checkpoint */
    put(path, sizeof path, "%s/checkpoint.safetensors", last);
    copy_file(whole, "weights/last.safetensors", last, "weights/last.safetensors", 1);
    char from[4200];
    bytes = file_bytes(path_of(from, whole, "weights/last.safetensors"), &size);
    write_bytes(path, bytes, size);
    free(bytes);
    command_refuses(1, "momentum.", "train --resume %s --epochs 4", last);
}

/* ---- signals ---- */

/* Starts a run and sends the signal when `file` is there. False when the run was faster. */
static bool stop_by_signal(int number, const char *file) {
    command_child p;
    start_fresh(&p, "");
    for (double end = now_ms() + 5000; !has_file(killed, file) && now_ms() < end;) pause_ms(0.05);
    kill(p.id, number);
    command_result r = command_wait(&p);
    bool stopped = r.code == 75;
    if (!stopped && r.code) fail_msg("signal %d: exit %d: %s", number, r.code, r.err);
    if (stopped) {
        assert_non_null(strstr(r.err, "checkpoint written; go on with --resume"));
        assert_true(has_file(killed, "checkpoint.safetensors"));
    }
    command_forget(&r);
    return stopped;
}

static void signals_stop_with_a_checkpoint(void **state) {
    (void)state;
    static const int numbers[] = {SIGTERM, SIGUSR1, SIGINT};
    static const char *const files[] = {"args.json", "weights/best.safetensors"};
    for (int i = 0; i < 6; i++) {
        bool stopped = false;
        for (int tries = 0; !stopped && tries < 5; tries++)
            stopped = stop_by_signal(numbers[i % 3], files[i / 3]);
        assert_true(stopped);
        resume(killed, i % 2 ? "--threads 3 --workers 0" : "");
        assert_same_run(killed, whole);
    }
}

/* An unreadable picture is replaced in the same way after resume. */
static void unreadable_pictures_and_resume(void **state) {
    (void)state;
    char broken[4200], path[4400], undisturbed[4200], line[16000], folder[4200];
    copy_tree(data, path_of(broken, work, "broken"));
    for (int i = 1; i < 12; i += 5) {
        put(path, sizeof path, "%s/train/%s/%04d.jpg", broken, rb_synth_class_name(0), i);
        if (access(path, F_OK)) fail_msg("%s is not there", path);
        write_text(path, "no picture");
    }
    path_of(undisturbed, work, "undisturbed");
    path_of(folder, work, "interrupted");
    put(line, sizeof line, "%s --data %s", train_line(undisturbed, "--workers 3"), broken);
    command_result r = command("%s", line);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.err, "unreadable, replaced by the next picture: "));
    assert_non_null(strstr(r.err, "/0001.jpg"));
    command_forget(&r);
    put(line, sizeof line, "%s --data %s --checkpoint-steps 1", train_line(folder, ""), broken);
    command_child p;
    p = command_start(line, NULL);
    for (double end = now_ms() + 5000; !has_file(folder, "checkpoint.safetensors") && now_ms() < end;)
        pause_ms(0.1);
    kill_now(&p);
    resume(folder, "--workers 0");
    assert_same_run(folder, undisturbed);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(whole, work, "whole");
    path_of(killed, work, "killed");
    make_set(data, 3, 8 * STEPS + 1, 12, 40);
    make_tiny_network(network);
    run_whole(whole, "--threads 2");
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
        cmocka_unit_test(killed_at_random_moments),
        cmocka_unit_test(killed_when_a_file_appears),
        cmocka_unit_test(killed_between_the_files_of_an_epoch),
        cmocka_unit_test(only_args_json_starts_over),
        cmocka_unit_test(a_finished_run_says_so),
        cmocka_unit_test(epochs_may_be_raised),
        cmocka_unit_test(another_data_folder),
        cmocka_unit_test(resume_of_nothing),
        cmocka_unit_test(signals_stop_with_a_checkpoint),
        cmocka_unit_test(unreadable_pictures_and_resume),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
