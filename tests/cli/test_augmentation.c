/* Augmentation of whole runs: the same bytes with any number of threads and after a resume; options recorded
 * in args.json, checked, and refused where they would do nothing. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <jansson.h>
#include <math.h>

static char work[4096], data[4200], network[4200];

#define RANDOM_ERASED "--aa rand-m9-n3-mstd0.5-inc1 --train-interpolation random --reprob 0.6 --recount 3"
#define MIXED "--mixup 0.4 --cutmix 1 --mixup-mode elem --mixup-prob 0.8 --mixup-off-epoch 2"

static const char *const recipes[] = {
    RANDOM_ERASED " " MIXED,
    "--color-jitter 0.4,0.4,0.4,0.1 --vflip 0.5 --aug-repeats 3 --reprob 0.5 --remode rand --accumulate 2",
    "--aa original-mstd0.5 --cutmix-minmax 0.2,0.8 --mixup-mode pair --remode const --reprob 1 --bce-loss"};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static const char *train_line(char line[9000], const char *out, const char *more) {
    char folder[4200];
    put(line, 9000, "train --data %s --model %s --epochs 3 --batch 6 --seed 3 --out %s %s", data, network,
        path_of(folder, work, out), more);
    return line;
}

static void run_recipe(int i, const char *out, const char *more) {
    char line[9000], options[600];
    put(options, sizeof options, "%s %s", recipes[i], more);
    command_works("%s", train_line(line, out, options));
}

static void threads_and_workers_do_not_show(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        char one[4200], other[4200], name[32];
        put(name, sizeof name, "one%d", i);
        run_recipe(i, name, "--workers 0 --threads 1");
        path_of(one, work, name);
        put(name, sizeof name, "other%d", i);
        run_recipe(i, name, "--workers 3 --threads 2");
        assert_same_run(path_of(other, work, name), one);
        for (int k = 0; k < i; k++) { /* and another recipe is another run */
            char path[4200], before[4200];
            size_t size, size_before;
            put(name, sizeof name, "one%d", k);
            char *a = file_bytes(path_of(path, one, "results.csv"), &size);
            char *b = file_bytes(path_of(path, path_of(before, work, name), "results.csv"), &size_before);
            assert_true(a && b && strcmp(a, b));
            free(a);
            free(b);
        }
    }
}

/* Begun with one epoch, the run is raised to two and to three, the last without threads that load. A schedule
 * that does not depend on the number of epochs. */
static void resumed_runs_end_in_the_same_bytes(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        char whole[4200], parts[4200], line[9000], options[600];
        path_of(whole, work, "whole");
        path_of(parts, work, "parts");
        put(options, sizeof options, "rm -rf '%.250s' '%.250s'", whole, parts);
        assert_int_equal(system(options), 0);
        run_recipe(i, "whole", "--sched constant --workers 2");
        put(options, sizeof options, "%s --sched constant --epochs 1", recipes[i]);
        command_works("%s", train_line(line, "parts", options));
        command_works("train --resume %s --epochs 2", parts);
        command_works("train --resume %s --epochs 3 --workers 0", parts);
        assert_same_run(parts, whole);
    }
}

static void options_are_recorded(void **state) {
    (void)state;
    static const struct {
        const char *key;
        double number;
        const char *text;
    } wanted[] = {{"aa", 0, "rand-m9-n3-mstd0.5-inc1"},
                  {"train_interpolation", 0, "random"},
                  {"interpolation", 0, "bicubic"},
                  {"color_jitter", 0, ""},
                  {"remode", 0, "pixel"},
                  {"mixup_mode", 0, "elem"},
                  {"reprob", 0.6, NULL},
                  {"recount", 3, NULL},
                  {"vflip", 0, NULL},
                  {"mixup", 0.4, NULL},
                  {"cutmix", 1, NULL},
                  {"cutmix_min", 0, NULL},
                  {"cutmix_max", 0, NULL},
                  {"mixup_prob", 0.8, NULL},
                  {"mixup_switch_prob", 0.5, NULL},
                  {"mixup_off_epoch", 2, NULL},
                  {"aug_repeats", 0, NULL},
                  {"scale_min", 0.35, NULL},
                  {"hflip", 0.5, NULL},
                  {"smoothing", 0.1, NULL}};
    char folder[4200], path[4200];
    size_t size;
    char *text = file_bytes(path_of(path, path_of(folder, work, "one0"), "args.json"), &size);
    assert_non_null(text);
    json_t *args = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        json_t *v = json_object_get(args, wanted[i].key);
        if (!v) fail_msg("args.json has no %s", wanted[i].key);
        if (wanted[i].text)
            assert_string_equal(json_string_value(v), wanted[i].text);
        else
            assert_true(json_number_value(v) == wanted[i].number);
    }
    json_decref(args);
    free(text);
}

static void wrong_options(void **state) {
    (void)state;
    static const struct {
        int code;
        const char *options, *said;
    } wrong[] = {
        {2, "--aa rand-m9-q1", "aa 'rand-m9-q1': section 'q1': m, n, p, mstd"},
        {2, "--aa rnd", "begins with none of rand, v0"},
        {2, "--color-jitter 0.4,x", "color-jitter '0.4,x': number 2 is not"},
        {2, "--mixup 0.2 --batch 5", "batch 5: mixup and cutmix mix pairs"},
        {2, "--cutmix-minmax 0.5,0.5", "cutmix-minmax 0.5,0.5: not a range"},
        {1, "--aug-repeats 3 --batch 31", "30 training pictures do not fill one batch of 31"},
        {2, "--mixup-mode halfs --mixup 1", "the nearest is"},
        {2, "--remode noise --reprob 1", "is not one of pixel|const|rand"},
        {2, "--recount 17 --reprob 1", "must be 1 … 16"},
        {2, "--recount 2", "--recount does nothing without --reprob"},
        {2, "--remode rand", "--remode does nothing without --reprob"},
        {2, "--mixup-prob 0.5", "--mixup-prob does nothing without --mixup, --cutmix or --cutmix-minmax"},
        {2, "--mixup-off-epoch 5", "--mixup-off-epoch does nothing"},
        {2, "--aa v0 --color-jitter 0.4", "--color-jitter does nothing with --aa"},
        {2, "--vflip 1.5", "must be 0 … 1"},
        {2, "--cutmix-minmax 0.8,0.2", "did you mean 0.2,0.8?"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[9000];
        command_refuses(wrong[i].code, wrong[i].said, "%s", train_line(line, "wrong", wrong[i].options));
        assert_false(has_file(work, "wrong"));
    }
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    make_set(path_of(data, work, "data"), 3, 30, 12, 40);
    make_tiny_network(path_of(network, work, "tiny.json"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_workers_do_not_show),
        cmocka_unit_test(resumed_runs_end_in_the_same_bytes),
        cmocka_unit_test(options_are_recorded),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
