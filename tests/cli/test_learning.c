/* What a run computes: equal runs give equal files, it learns, validation and prediction agree with it, and
 * the grid of the state falls in the same way for all of them. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <inttypes.h>
#include <math.h>

#include "io/weights.h"
#include "model/model.h"

static char work[4096], data[4200], network[4200], whole[4200], other[4200];

/* The arguments of every run here; later words override earlier ones. */
static const char *train_line(const char *out, const char *extra) {
    static char line[12000];
    put(line, sizeof line,
        "train --data %s --model %s --epochs 2 --batch 8 --warmup-epochs 1 --seed 3 --out %s %s", data,
        network, out, extra);
    return line;
}

static void train(const char *out, const char *extra) {
    char line[4300];
    put(line, sizeof line, "rm -rf %s", out);
    assert_int_equal(system(line), 0);
    command_works("%s", train_line(out, extra));
}

static void equal_runs_give_equal_files(void **state) {
    (void)state;
    static const char *const machines[] = {
        "--threads 2 --workers 2",
        "--threads 1 --workers 0",
        "--threads 3 --workers 3",
        "--threads 1 --workers 3 --activations stored",
        "--threads 3 --workers 0 --activations stored --checkpoint-steps 2",
    };
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        train(other, machines[i]);
        assert_same_run(other, whole);
    }
    train(other, "--seed 4");
    size_t a, b;
    char path[4200], *x = file_bytes(path_of(path, other, "weights/last.safetensors"), &a),
                     *y = file_bytes(path_of(path, whole, "weights/last.safetensors"), &b);
    assert_true(x && y && a == b && memcmp(x, y, a));
    free(x);
    free(y);
}

/* ---- files ---- */

typedef struct row {
    int epoch, grid;
    double lr, train_loss, val_loss, top1, top5;
} row;

static int read_results(const char *run, row *rows, int capacity) {
    char path[4200], *saved = NULL;
    size_t size;
    int count = 0;
    char *text = file_bytes(path_of(path, run, "results.csv"), &size);
    assert_non_null(text);
    char *line = strtok_r(text, "\n", &saved);
    assert_string_equal(line, "epoch,lr,train_loss,val_loss,top1,top5,grid");
    while ((line = strtok_r(NULL, "\n", &saved))) {
        assert_true(count < capacity);
        row *r = &rows[count++];
        char rest;
        assert_int_equal(sscanf(line, "%d,%lf,%lf,%lf,%lf,%lf,%d%c", &r->epoch, &r->lr, &r->train_loss,
                                &r->val_loss, &r->top1, &r->top5, &r->grid, &rest),
                         7);
    }
    free(text);
    return count;
}

static void results_and_arguments_are_complete(void **state) {
    (void)state;
    row rows[4];
    char path[4200];
    size_t size;
    assert_int_equal(read_results(whole, rows, 4), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rows[i].epoch, i + 1);
        assert_true(rows[i].grid >= 10 && rows[i].grid <= 22 && rows[i].lr >= 0 && rows[i].lr <= 0.1);
        assert_true(rows[i].train_loss > 0 && rows[i].train_loss < 10 && isfinite(rows[i].val_loss));
        assert_true(rows[i].top1 >= 0 && rows[i].top1 <= rows[i].top5 && rows[i].top5 <= 1);
    }
    static const char *const keys[] = {
        "model",      "data",         "epochs",      "batch",        "lr",         "warmup_epochs",
        "momentum",   "weight_decay", "smoothing",   "scale_min",    "scale_max",  "ratio_min",
        "ratio_max",  "hflip",        "crop_pct",    "val_fraction", "seed",       "interpolation",
        "max_pixels", "workers",      "activations", "max_bad",      "apply_exif", "bn_update_double",
        "precision"};
    char *text = file_bytes(path_of(path, whole, "args.json"), &size);
    json_t *args = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(args, keys[i])) fail_msg("args.json has no %s", keys[i]);
    assert_string_equal(json_string_value(json_object_get(args, "data")), data);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(args, "model"), "classes")), 3);
    json_decref(args);
    free(text);
}

/* The result's best row is what val says of best.safetensors. */
static void val_agrees_with_results(void **state) {
    (void)state;
    row rows[4];
    char line[9000];
    int count = read_results(whole, rows, 4), best = 0;
    for (int i = 1; i < count; i++)
        if (rows[i].top1 > rows[best].top1) best = i;
    static const char *const more[] = {"", " --batch 5 --threads 1 --workers 0"};
    for (int i = 0; i < 2; i++) {
        put(line, sizeof line, "val --weights %s/weights/best.safetensors --data %s --json%s", whole, data,
            more[i]);
        json_t *m = command_json(line);
        assert_true(fabs(json_number_value(json_object_get(m, "top1")) - rows[best].top1) < 1e-8);
        assert_true(fabs(json_number_value(json_object_get(m, "top5")) - rows[best].top5) < 1e-8);
        assert_true(fabs(json_number_value(json_object_get(m, "loss")) - rows[best].val_loss) < 1e-6);
        assert_int_equal(json_integer_value(json_object_get(m, "images")), 12);
        json_decref(m);
    }
}

static void predictions_are_probabilities(void **state) {
    (void)state;
    command_result r =
        command("predict --weights %s/weights/last.safetensors --source %s/val --topk 9 --json", whole, data);
    if (r.code) fail_msg("exit %d: %s", r.code, r.err);
    int lines = 0;
    char *saved = NULL;
    for (char *text = strtok_r(r.out, "\n", &saved); text; text = strtok_r(NULL, "\n", &saved), lines++) {
        json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        json_t *list = json_object_get(object, "predictions"), *entry;
        assert_true(strstr(json_string_value(json_object_get(object, "file")), data));
        assert_int_equal(json_array_size(list), 3);
        double sum = 0, before = 1;
        bool seen[3] = {false};
        size_t i;
        json_array_foreach(list, i, entry) {
            const char *name = json_string_value(json_object_get(entry, "class"));
            for (int c = 0; c < 3; c++) seen[c] = seen[c] || !strcmp(name, rb_synth_class_name(c));
            double p = json_number_value(json_object_get(entry, "probability"));
            assert_true(p >= 0 && p <= before);
            before = p;
            sum += p;
        }
        assert_true(seen[0] && seen[1] && seen[2] && fabs(sum - 1) < 1e-6);
        json_decref(object);
    }
    assert_int_equal(lines, 12);
    command_forget(&r);
}

/* ---- learning ---- */

static void a_few_pictures_are_learnt_by_heart(void **state) {
    (void)state;
    char few[4200], line[12000];
    row rows[64];
    make_set(path_of(few, work, "few"), 3, 12, 3, 32);
    put(line, sizeof line, "rm -rf %s/val && cp -r %s/train %s/val && rm -f %s/synth.json", few, few, few,
        few);
    assert_int_equal(system(line), 0);
    put(line, sizeof line,
        "--data %s --epochs 60 --batch 12 --warmup-epochs 3 --lr 0.2 --scale 1,1 --ratio 1,1 --hflip 0 "
        "--crop-pct 1 --drop 0 --drop-path 0 --weight-decay 0",
        few);
    train(other, line);
    int count = read_results(other, rows, 64);
    assert_int_equal(count, 60);
    if (rows[59].top1 < 1)
        fail_msg("top-1 %g, loss %g, validation loss %g", rows[59].top1, rows[59].train_loss,
                 rows[59].val_loss);
}

/* ---- running statistics ---- */

typedef struct loaded {
    rb_tensor_file *file;
    rb_weights_info info;
    rb_model model;
} loaded;

static loaded load(const char *path) {
    loaded l = {0};
    rb_error err = {0};
    CHECK_OK(rb_tensor_file_open(&l.file, path, &err), &err);
    CHECK_OK(rb_weights_read_info(l.file, &l.info, &err), &err);
    CHECK_OK(rb_model_create(&l.model, &l.info.config, &err), &err);
    CHECK_OK(rb_params_allocate(&l.model.params, false, &err), &err);
    return l;
}

static void unload(loaded *l) {
    rb_model_close(&l->model);
    rb_weights_info_close(&l->info);
    rb_tensor_file_close(&l->file);
}

/* head. is the classifier; what it does not name is stack and neck. */
static void double_updates_count_twice(void **state) {
    (void)state;
    char path[4200];
    rb_error err = {0};
    enum { STEPS = 2 * 6 };
    train(other, "--bn-update double");
    loaded l = load(path_of(path, other, "weights/last.safetensors"));
    CHECK_OK(rb_weights_read(l.file, &l.model.params, NULL, &err), &err);
    int twice = 0, once = 0;
    for (int i = 0; i < l.model.params.count; i++) {
        const rb_param *p = &l.model.params.list[i];
        if (p->kind != RB_PARAM_COUNTER) continue;
        int64_t wanted = strncmp(p->name, "head.", 5) ? 2 * STEPS : STEPS;
        if (l.model.params.counter[p->offset] != wanted)
            fail_msg("%s is %lld, not %lld", p->name, (long long)l.model.params.counter[p->offset],
                     (long long)wanted);
        if (wanted == STEPS)
            once++;
        else
            twice++;
    }
    assert_true(once > 0 && twice > once);
    unload(&l);
    loaded single = load(path_of(path, whole, "weights/last.safetensors"));
    CHECK_OK(rb_weights_read(single.file, &single.model.params, NULL, &err), &err);
    for (int i = 0; i < single.model.params.count; i++)
        if (single.model.params.list[i].kind == RB_PARAM_COUNTER)
            assert_int_equal(single.model.params.counter[single.model.params.list[i].offset], STEPS);
    unload(&single);
    size_t a, b;
    char *x = file_bytes(path_of(path, other, "weights/last.safetensors"), &a),
         *y = file_bytes(path_of(path, whole, "weights/last.safetensors"), &b);
    assert_true(x && y && a == b && memcmp(x, y, a));
    free(x);
    free(y);
}

/* ---- memory ---- */

static void a_plan_that_does_not_fit(void **state) {
    (void)state;
    char line[12000];
    uint64_t need = 0;
    put(line, sizeof line, "rm -rf %s", other);
    assert_int_equal(system(line), 0);
    command_refuses(3, "the plan needs ", "%s", train_line(other, "--max-memory 100K"));
    assert_true(access(other, F_OK));
    command_result r = command("%s", train_line(other, "--max-memory 100K"));
    assert_int_equal(sscanf(strstr(r.err, "the plan needs "), "the plan needs %" SCNu64 " bytes", &need), 1);
    command_forget(&r);
    put(line, sizeof line, "--max-memory %llu", (unsigned long long)need - 1);
    command_refuses(3, "the plan needs ", "%s", train_line(other, line));
    put(line, sizeof line, "--max-memory %llu", (unsigned long long)need);
    train(other, line);
    assert_same_run(other, whole);
    command_refuses(3, "the plan needs ", "train --resume %s --epochs 3 --max-memory 1M", other);
    assert_same_run(other, whole);
}

/* ---- the grid ---- */

/* Multiplies the gamma of every last norm of the stack's blocks in a checkpoint: the states of the next step
 * are that much larger. */
static void grow_states(const char *run, float factor) {
    char path[4200];
    rb_error err = {0};
    loaded l = load(path_of(path, run, "checkpoint.safetensors"));
    float *momentum = calloc(l.model.params.trained, sizeof(float));
    rb_checkpoint checkpoint = {.block = {{"momentum", momentum, NULL}}, .blocks = 1};
    CHECK_OK(rb_weights_read(l.file, &l.model.params, &checkpoint, &err), &err);
    int changed = 0;
    for (int i = 0; i < l.model.params.count; i++) {
        const rb_param *p = &l.model.params.list[i];
        if (p->kind != RB_PARAM_TRAINED || !strncmp(p->name, "head.", 5) || !strncmp(p->name, "neck", 4))
            continue;
        if (!strstr(p->name, "project_conv") || p->ndim != 1 || !strstr(p->name, "weight")) continue;
        for (size_t c = 0; c < p->count; c++) l.model.params.weight[p->offset + c] *= factor;
        changed++;
    }
    assert_true(changed > 0);
    CHECK_OK(rb_weights_save(path, &l.model.params, &l.info, &checkpoint, &err), &err);
    free(momentum);
    rb_free(checkpoint.training);
    unload(&l);
}

static int grid_of(const char *path) {
    loaded l = load(path);
    int grid = l.info.grid;
    unload(&l);
    return grid;
}

static void the_grid_falls_alike_everywhere(void **state) {
    (void)state;
    static const char *const machines[] = {"--threads 1 --workers 0", "--threads 3"};
    char grown[2][4200], run[4200], path[4200], line[9000];
    int before = 0, after = 0;
    for (int stored = 0; stored < 2; stored++) {
        put(grown[stored], sizeof grown[stored], "%s/grown%d", work, stored);
        train(grown[stored], stored ? "--activations stored" : "");
        grow_states(grown[stored], 300);
        before = grid_of(path_of(path, grown[stored], "checkpoint.safetensors"));
    }
    for (int i = 0; i < 4; i++) {
        put(run, sizeof run, "%s/falling%d", work, i);
        copy_tree(grown[i % 2], run);
        command_result r = command("train --resume %s --epochs 4 %s", run, machines[i / 2]);
        if (r.code) fail_msg("exit %d: %s", r.code, r.err);
        int falls = 0, lines = 0; /* a line for each fall, and nothing else */
        for (const char *at = r.err; (at = strstr(at, "the state reached ")); at++) falls++;
        for (const char *at = r.err; (at = strchr(at, '\n')); at++) lines++;
        if (!falls || falls != lines || !strstr(r.err, "grid 2^-"))
            fail_msg("falls of the grid: '%s'", r.err);
        command_forget(&r);
        after = grid_of(path_of(path, run, "weights/last.safetensors"));
        assert_true(after < before);
        put(line, sizeof line, "%s/falling0", work);
        assert_same_run(run, line);
    }
    printf("grid 2^-%d, then 2^-%d\n", before, after);
}

/* A state that no grid holds: the step fails, names the place, and nothing has moved. */
static void states_beyond_every_grid(void **state) {
    (void)state;
    char run[4200], path[4200], kept[4200];
    copy_tree(whole, path_of(run, work, "beyond"));
    grow_states(run, 1e9f);
    copy_tree(run, path_of(kept, work, "beyond-before"));
    command_result r = command("train --resume %s --epochs 3", run);
    assert_int_equal(r.code, 1);
    size_t length = strlen(r.err);
    assert_true(length && strchr(r.err, '\n') == r.err + length - 1);
    printf("%s", r.err);
    command_forget(&r);
    char after[4200];
    assert_same_file(path_of(after, run, "checkpoint.safetensors"),
                     path_of(path, kept, "checkpoint.safetensors"));
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(data, work, "data");
    path_of(network, work, "tiny.json");
    path_of(whole, work, "whole");
    path_of(other, work, "other");
    make_set(data, 3, 48, 12, 40);
    make_tiny_network(network);
    train(whole, "--threads 2");
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
        cmocka_unit_test(equal_runs_give_equal_files),
        cmocka_unit_test(results_and_arguments_are_complete),
        cmocka_unit_test(val_agrees_with_results),
        cmocka_unit_test(predictions_are_probabilities),
        cmocka_unit_test(a_few_pictures_are_learnt_by_heart),
        cmocka_unit_test(double_updates_count_twice),
        cmocka_unit_test(a_plan_that_does_not_fit),
        cmocka_unit_test(the_grid_falls_alike_everywhere),
        cmocka_unit_test(states_beyond_every_grid),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
