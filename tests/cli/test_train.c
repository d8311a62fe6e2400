/* The way of a user: draw pictures, train, stop, resume, validate, predict; exit statuses and files.
 * SLOW-TEST */
#include "check.h"
#include "command.h"

#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char root[4096]; /* data/, full/ (an undisturbed run) and what tests add */

#define RECIPE                                                                                               \
    "--model s0 --imgsz 32 --batch 8 --threads 1 --workers 1 --seed 3 --hflip 0 --warmup-epochs 0 --lr 0.05"

static void __attribute__((format(printf, 2, 3))) write_line(char line[8192], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, 8192, format, arguments);
    va_end(arguments);
}

static void succeed(const char *line) {
    command_result r = command_run(line);
    if (r.code) fail_msg("'%s': exit %d: %s", line, r.code, r.err);
    command_forget(&r);
}

static bool there(const char *name) {
    char path[8192];
    write_line(path, "%s/%s", root, name);
    return !access(path, F_OK);
}

static char *contents(const char *name, size_t *size) {
    char path[8192];
    write_line(path, "%s/%s", root, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is not there", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_true(bytes && fread(bytes, 1, *size, f) == *size);
    fclose(f);
    return bytes;
}

static int prepare(void **state) {
    (void)state;
    char line[8192];
    make_folder(root);
    write_line(line, "synth --out %s/data --images 36 --val-images 16 --classes 3 --imgsz 32", root);
    succeed(line);
    write_line(line, "train --data %s/data --out %s/full --epochs 3 " RECIPE, root, root);
    succeed(line);
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static void a_run_leaves_its_files(void **state) {
    (void)state;
    assert_true(there("full/args.json") && there("full/results.csv"));
    assert_true(there("full/weights/last.safetensors") && there("full/weights/best.safetensors"));
    size_t size;
    char *csv = contents("full/results.csv", &size);
    int lines = 0;
    for (size_t i = 0; i < size; i++) lines += csv[i] == '\n';
    assert_int_equal(lines, 1 + 3);
    free(csv);
}

static void the_plan_comes_first(void **state) {
    (void)state;
    char line[8192];
    write_line(line, "train --data %s/data --out %s/plan --epochs 1 " RECIPE, root, root);
    command_result r = command_run(line);
    assert_int_equal(r.code, 0);
    char *plan = strstr(r.out, "memory of a step"), *epoch = strstr(r.out, "epoch 1/1");
    assert_true(plan && epoch && plan < epoch);
    command_forget(&r);
}

static void too_little_memory_is_exit_3(void **state) {
    (void)state;
    char line[8192];
    write_line(line, "train --data %s/data --out %s/small --epochs 1 --max-memory 1M " RECIPE, root, root);
    command_result r = command_run(line);
    assert_int_equal(r.code, 3);
    assert_false(there("small/weights"));
    command_forget(&r);
}

static void a_run_is_not_overwritten(void **state) {
    (void)state;
    char line[8192];
    write_line(line, "train --data %s/data --out %s/full --epochs 1 " RECIPE, root, root);
    command_result r = command_run(line);
    assert_int_equal(r.code, 2);
    command_forget(&r);
}

/* Signals come at some moment of the run; whenever that is, the bits at the end are those of the undisturbed
 * run. */
static void a_signal_stops_and_resume_goes_on(void **state) {
    (void)state;
    static const int signals[] = {SIGTERM, SIGUSR1, SIGINT};
    for (int i = 0; i < 3; i++) {
        char line[8192], name[64];
        write_line(line, "train --data %s/data --out %s/stopped%d --epochs 3 " RECIPE, root, root, i);
        command_child child = command_start(line, NULL);
        snprintf(name, sizeof name, "stopped%d/results.csv", i);
        for (int wait = 0; wait < 3000 && !there(name); wait++) /* signals are watched by then */
            nanosleep(&(struct timespec){0, 10000000}, NULL);
        nanosleep(&(struct timespec){0, (i + 1) * 100000000}, NULL);
        kill(child.id, signals[i]);
        command_result r = command_wait(&child);
        if (r.code != 0 && r.code != 75) fail_msg("signal %d: exit %d: %s", signals[i], r.code, r.err);
        if (r.code == 75) assert_non_null(strstr(r.err, "--resume"));
        command_forget(&r);
        write_line(line, "train --resume %s/stopped%d", root, i);
        succeed(line);
        char stopped[8192], full[8192];
        write_line(stopped, "%s/stopped%d/weights/last.safetensors", root, i);
        write_line(full, "%s/full/weights/last.safetensors", root);
        check_same_files(stopped, full);
    }
}

static void a_finished_run_says_so(void **state) {
    (void)state;
    char line[8192];
    write_line(line, "train --resume %s/full", root);
    command_result r = command_run(line);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "complete"));
    command_forget(&r);
}

static void without_out_a_free_name_is_taken(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        char line[8192];
        write_line(line, "train --data %s/data --epochs 1 " RECIPE, root);
        command_child child = command_start(line, root);
        command_result r = command_wait(&child);
        if (r.code) fail_msg("exit %d: %s", r.code, r.err);
        command_forget(&r);
    }
    assert_true(there("runs/classify/train/args.json") && there("runs/classify/train2/args.json"));
    assert_false(there("runs/classify/train3"));
}

static void val_reports_fractions(void **state) {
    (void)state;
    char line[8192];
    write_line(line, "val --weights %s/full/weights/best.safetensors --data %s/data --json", root, root);
    json_t *m = command_json(line);
    double top1 = json_number_value(json_object_get(m, "top1")),
           top5 = json_number_value(json_object_get(m, "top5"));
    assert_true(top1 >= 0 && top1 <= top5 && top5 <= 1);
    assert_int_equal(json_integer_value(json_object_get(m, "images")), 16);
    json_decref(m);
}

/* One JSON object a line; a file that is no picture costs a line on stderr and exit 1, the others go on. */
static void predict_goes_on_after_a_bad_picture(void **state) {
    (void)state;
    char line[8192], path[8192];
    write_line(path, "%s/data/val/aa \"bad\xff.jpg", root); /* first of the folder; its name is no UTF-8 */
    FILE *f = fopen(path, "w");
    assert_true(f && fputs("no picture", f) >= 0 && !fclose(f));
    write_line(line,
               "predict --weights %s/full/weights/last.safetensors --source %s/data/val --topk 2 --json",
               root, root);
    command_result r = command_run(line);
    unlink(path);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "aa \"bad"));
    assert_true(strchr(r.err, '\n') == r.err + strlen(r.err) - 1);
    int lines = 0;
    char *saved = NULL;
    for (char *text = strtok_r(r.out, "\n", &saved); text; text = strtok_r(NULL, "\n", &saved)) {
        json_t *object = json_loads(text, 0, NULL), *best;
        assert_non_null(object);
        assert_true(json_is_string(json_object_get(object, "file")));
        json_t *predictions = json_object_get(object, "predictions");
        assert_int_equal(json_array_size(predictions), 2);
        best = json_array_get(predictions, 0);
        assert_true(json_is_string(json_object_get(best, "class")));
        double p = json_number_value(json_object_get(best, "probability"));
        assert_true(p > 0 && p <= 1);
        json_decref(object);
        lines++;
    }
    assert_int_equal(lines, 16);
    command_forget(&r);
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_its_files),
        cmocka_unit_test(the_plan_comes_first),
        cmocka_unit_test(too_little_memory_is_exit_3),
        cmocka_unit_test(a_run_is_not_overwritten),
        cmocka_unit_test(a_signal_stops_and_resume_goes_on),
        cmocka_unit_test(a_finished_run_says_so),
        cmocka_unit_test(without_out_a_free_name_is_taken),
        cmocka_unit_test(val_reports_fractions),
        cmocka_unit_test(predict_goes_on_after_a_bad_picture),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
