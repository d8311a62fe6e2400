/* Training recipes: every optimizer, schedule and loss as a run. A run that is stopped anywhere and resumed
 * writes the bytes of one that was not; the plan counts what the optimizer takes; files and results are what
 * they say. SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <jansson.h>
#include <math.h>

#include <revbifpn.h>

static char work[4096], data[4200], network[4200];
static revbifpn *ctx;

enum { EPOCHS = 3 };

static void use_momentum(revbifpn_train_config *c) {
    c->opt = REVBIFPN_MOMENTUM, c->sched = REVBIFPN_CONSTANT;
}
static void use_rmsprop(revbifpn_train_config *c) {
    c->opt = REVBIFPN_RMSPROPTF, c->opt_eps = 1e-3, c->lr = 0.01;
    c->sched = REVBIFPN_STEP, c->decay_epochs = 1, c->decay_rate = 0.5;
    c->model_ema = 1, c->model_ema_decay = 0.8;
}
static void use_adamw(revbifpn_train_config *c) {
    c->opt = REVBIFPN_ADAMW, c->lr = 3e-3, c->weight_decay = 0.05;
    c->sched = REVBIFPN_COSINE, c->sched_on_updates = 1, c->lr_noise_to = 1;
    c->clip_grad = 1, c->accumulate = 2, c->bce_loss = 1, c->bce_target_thresh = 0.2;
}
static void use_lamb(revbifpn_train_config *c) {
    c->opt = REVBIFPN_LAMB, c->lr = 0.01;
    c->sched = REVBIFPN_POLY, c->decay_rate = 1, c->cooldown_epochs = 1;
    c->model_ema = c->model_ema_warmup = 1, c->accumulate = 3;
}
static void use_lambc(revbifpn_train_config *c) {
    c->opt = REVBIFPN_LAMBC, c->lr = 0.03, c->clip_grad = 0.1, c->clip_mode = REVBIFPN_CLIP_AGC;
    c->sched = REVBIFPN_COSINE, c->lr_cycle_limit = 2, c->warmup_prefix = 1, c->epochs = 1;
}
static void use_sgd(revbifpn_train_config *c) { c->clip_grad = 0.2, c->clip_mode = REVBIFPN_CLIP_VALUE; }

typedef struct recipe {
    void (*use)(revbifpn_train_config *c);
    int epochs, steps; /* in all, and in each: 30 pictures make 7 batches of 4 */
} recipe;
static const recipe recipes[] = {{use_sgd, 3, 7},   {use_momentum, 3, 7}, {use_rmsprop, 3, 7},
                                 {use_adamw, 3, 4}, {use_lamb, 4, 3},     {use_lambc, 3, 7}};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static revbifpn_train_config config_of(const recipe *r, const char *out) {
    revbifpn_train_config c = revbifpn_default_train();
    assert_int_equal(revbifpn_config(ctx, network, &c.model), REVBIFPN_OK);
    c.model.classes = 0;
    c.data = data;
    c.out = out;
    c.epochs = EPOCHS;
    c.batch = 4;
    c.seed = 3;
    c.workers = 0;
    r->use(&c);
    return c;
}

/* Steps until `stop` of them are done in this call (0: to the end), then writes a checkpoint. The last
 * report. */
static revbifpn_report go(const revbifpn_train_config *c, bool resume, int stop) {
    revbifpn_trainer *trainer;
    revbifpn_report report = {0};
    if (revbifpn_trainer_open(ctx, c, resume, &trainer)) fail_msg("%s", revbifpn_message(ctx));
    for (int done = 0; !report.finished && (!stop || done < stop); done++)
        if (revbifpn_trainer_step(trainer, &report)) fail_msg("%s", revbifpn_message(ctx));
    if (!report.finished && revbifpn_trainer_checkpoint(trainer)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_trainer_close(&trainer);
    return report;
}

static void assert_same_checkpoint(const char *a, const char *b) {
    char path_a[4200], path_b[4200];
    assert_same_file(path_of(path_a, a, "checkpoint.safetensors"),
                     path_of(path_b, b, "checkpoint.safetensors"));
    if (has_file(a, "weights/last_ema.safetensors"))
        assert_same_file(path_of(path_a, a, "weights/last_ema.safetensors"),
                         path_of(path_b, b, "weights/last_ema.safetensors"));
}

/* Stopped after one step, in the middle of an epoch and at its end, each time resumed: the bytes of the whole
 * run. */
static void resumed_runs_end_in_the_same_bytes(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        const recipe *r = &recipes[i];
        char whole[4200], parts[4200], name[32];
        snprintf(name, sizeof name, "whole%d", i);
        revbifpn_train_config c = config_of(r, path_of(whole, work, name));
        revbifpn_report last = go(&c, false, 0);
        assert_int_equal(last.epochs, r->epochs);
        assert_int_equal(last.steps, r->steps);
        assert_true(isfinite(last.loss) && last.finished);
        snprintf(name, sizeof name, "parts%d", i);
        c = config_of(r, path_of(parts, work, name));
        go(&c, false, 1);
        c.epochs = 0; /* as the run has them */
        go(&c, true, r->steps - 1);
        go(&c, true, 2);
        assert_true(go(&c, true, 0).finished);
        assert_same_run(parts, whole);
        assert_same_checkpoint(parts, whole);
        assert_int_equal(has_file(whole, "weights/last_ema.safetensors"), config_of(r, whole).model_ema);
    }
}

/* With other numbers of threads the bytes are the same, too. */
static void threads_do_not_show(void **state) {
    (void)state;
    for (int i = 2; i < RECIPES; i++) {
        char whole[4200], other[4200], name[32];
        snprintf(name, sizeof name, "whole%d", i);
        path_of(whole, work, name);
        snprintf(name, sizeof name, "threads%d", i);
        revbifpn *usual = ctx;
        revbifpn_options options = revbifpn_default_options();
        options.threads = 3;
        assert_int_equal(revbifpn_open(&ctx, &options), REVBIFPN_OK);
        revbifpn_train_config c = config_of(&recipes[i], path_of(other, work, name));
        go(&c, false, 0);
        revbifpn_close(&ctx);
        ctx = usual;
        assert_same_run(other, whole);
        assert_same_checkpoint(other, whole);
    }
}

static void the_plan_knows_the_optimizer(void **state) {
    (void)state;
    uint64_t least = 0;
    for (int i = 0; i < RECIPES; i++) {
        char out[4200], name[32];
        snprintf(name, sizeof name, "planned%d", i);
        revbifpn_train_config c = config_of(&recipes[i], path_of(out, work, name));
        revbifpn_trainer *trainer;
        if (revbifpn_trainer_open(ctx, &c, 0, &trainer)) fail_msg("%s", revbifpn_message(ctx));
        const revbifpn_memory *run = revbifpn_trainer_memory(trainer);
        revbifpn_solve question = {
            .batch = c.batch, .training = 1, .optimizer = c.opt, .model_ema = c.model_ema};
        revbifpn_memory plan;
        question.model = revbifpn_trainer_configuration(trainer)->model;
        assert_int_equal(revbifpn_plan_step(ctx, &question, &plan), REVBIFPN_OK);
        assert_memory_equal(&plan, run, sizeof plan);
        if (!i) least = plan.optimizer_bytes;
        uint64_t slots = c.opt <= REVBIFPN_MOMENTUM ? 1 : 2;
        assert_true(plan.optimizer_bytes >= (slots + (uint64_t)c.model_ema) * least);
        assert_true(plan.optimizer_bytes < (slots + (uint64_t)c.model_ema) * least + least / 4);
        revbifpn_trainer_close(&trainer);
        c.max_memory = plan.total_bytes - 1;
        c.out = path_of(out, work, "never");
        assert_int_equal(revbifpn_trainer_open(ctx, &c, 0, &trainer), REVBIFPN_DOES_NOT_FIT);
    }
}

static revbifpn_metrics judged(const char *run, const char *name) {
    char path[4200];
    revbifpn_model *model;
    revbifpn_metrics m = {0};
    revbifpn_val_options v = revbifpn_default_val();
    v.data = data;
    if (revbifpn_model_load(ctx, path_of(path, run, name), &model) || revbifpn_evaluate(model, &v, &m))
        fail_msg("%s: %s", path, revbifpn_message(ctx));
    revbifpn_model_free(&model);
    return m;
}

/* The last row of results.csv is what val says of last_ema and of last. */
static void averages_are_judged(void **state) {
    (void)state;
    char run[4200], path[4200];
    size_t size;
    double lr, train, loss, top1, top5, weights_loss, weights_top1, weights_top5;
    int epoch, grid;
    char *text = file_bytes(path_of(path, path_of(run, work, "whole2"), "results.csv"), &size);
    assert_non_null(text);
    text[size - 1] = 0;
    const char *row = strrchr(text, '\n') + 1;
    assert_int_equal(sscanf(row, "%d,%lf,%lf,%lf,%lf,%lf,%d,%lf,%lf,%lf", &epoch, &lr, &train, &loss, &top1,
                            &top5, &grid, &weights_loss, &weights_top1, &weights_top5),
                     10);
    assert_int_equal(epoch, EPOCHS);
    revbifpn_metrics average = judged(run, "weights/last_ema.safetensors"),
                     weights = judged(run, "weights/last.safetensors");
    /* the file has 9 digits; other batches, the same sums in another order */
    assert_true(fabs(average.loss - loss) < 1e-6 && fabs(average.top1 - top1) < 1e-8);
    assert_true(fabs(weights.loss - weights_loss) < 1e-6 && fabs(weights.top1 - weights_top1) < 1e-8);
    assert_true(fabs(average.loss - weights.loss) > 1e-6);
    free(text);
}

/* An args.json from before there were recipes: the run goes on as it would have. */
static void older_runs_go_on(void **state) {
    (void)state;
    static const char *const kept[] = {"model",
                                       "data",
                                       "epochs",
                                       "batch",
                                       "lr",
                                       "momentum",
                                       "weight_decay",
                                       "smoothing",
                                       "warmup_epochs",
                                       "seed",
                                       "scale_min",
                                       "scale_max",
                                       "ratio_min",
                                       "ratio_max",
                                       "hflip",
                                       "crop_pct",
                                       "val_fraction",
                                       "max_pixels",
                                       "interpolation",
                                       "max_memory",
                                       "workers",
                                       "max_bad",
                                       "apply_exif",
                                       "precision",
                                       "activations",
                                       "checkpoint_steps",
                                       "bn_update_double"};
    char now[4200], old[4200], path[4200];
    recipe plain = {use_sgd, 3, 7};
    revbifpn_train_config c = config_of(&plain, path_of(now, work, "now"));
    c.clip_grad = 0, c.clip_mode = REVBIFPN_CLIP_NORM;
    go(&c, false, 10);
    copy_tree(now, path_of(old, work, "old"));
    json_t *args = json_load_file(path_of(path, old, "args.json"), 0, NULL), *older = json_object();
    assert_non_null(args);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_int_equal(json_object_set(older, kept[i], json_object_get(args, kept[i])), 0);
    /* enums were numbers then */
    assert_int_equal(json_object_set_new(older, "precision", json_integer(REVBIFPN_FLOAT32)), 0);
    assert_int_equal(json_object_set_new(older, "activations", json_integer(REVBIFPN_REVERSIBLE)), 0);
    assert_int_equal(json_dump_file(older, path, 0), 0);
    json_decref(args);
    json_decref(older);
    c.epochs = 0;
    go(&c, true, 0);
    c.out = old;
    go(&c, true, 0);
    assert_same_run(old, now);
    assert_same_checkpoint(old, now);
}

static void options_are_recorded_and_checked(void **state) {
    (void)state;
    char out[4200], path[4200];
    path_of(out, work, "recorded");
    command_works(
        "train --data %s --model %s --epochs 1 --batch 4 --workers 0 --out %s --opt adamw --opt-betas "
        "0.8,0.99 --lr 0.001 --sched cosine --warmup-epochs 0 --min-lr 1e-6 --clip-grad 2 --clip-mode value "
        "--model-ema --model-ema-decay 0.9 --bce-loss --bce-sum --accumulate 2 --lr-noise 0.5,1",
        data, network, out);
    json_error_t problem;
    json_t *args = json_load_file(path_of(path, out, "args.json"), 0, &problem);
    assert_non_null(args);
    const char *opt = "", *mode = "", *sched = "";
    json_int_t accumulate = 0, ema = 0, bce = 0, sum = 0;
    double beta1 = 0, beta2 = 0, eps = 0, clip = 0, from = 0, to = 0, least = 0;
    if (json_unpack_ex(args, &problem, 0,
                       "{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:F, s:F, s:F, s:F, s:F, s:F, s:F}", "opt", &opt,
                       "accumulate", &accumulate, "model_ema", &ema, "bce_loss", &bce, "bce_sum", &sum,
                       "clip_mode", &mode, "sched", &sched, "beta1", &beta1, "beta2", &beta2, "opt_eps", &eps,
                       "clip_grad", &clip, "lr_noise_from", &from, "lr_noise_to", &to, "min_lr", &least))
        fail_msg("args.json: %s", problem.text);
    assert_true(accumulate == 2 && ema == 1 && bce == 1 && sum == 1);
    assert_string_equal(opt, "adamw");
    assert_string_equal(mode, "value");
    assert_string_equal(sched, "cosine");
    assert_true(beta1 == 0.8 && beta2 == 0.99 && eps == 1e-8 && clip == 2); /* ε as resolved */
    assert_true(from == 0.5 && to == 1 && least == 1e-6);
    json_decref(args);
    static const char *const wrong[][2] = {
        {"--opt adam", "the nearest is 'adamw'"},
        {"--sched linear", "not one of rise-fall|cosine|step|poly|constant"},
        {"--clip-mode agc", "does nothing without --clip-grad"},
        {"--min-lr 0.1", "does nothing with --sched rise-fall"},
        {"--sched step --cooldown-epochs 3", "it is for cosine poly"},
        {"--opt sgd --opt-eps 1e-3", "does nothing with --opt sgd"},
        {"--opt lamb --momentum 0.5", "does nothing with --opt lamb"},
        {"--model-ema-decay 0.9", "does nothing without --model-ema"},
        {"--bce-sum", "does nothing without --bce-loss"},
        {"--accumulate 0", "must be 1 … 65536"},
        {"--opt-betas 0.9,1.5", "both must be in 0 … 1"},
        {"--lr-noise 0.9,0.1", "goes down"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        command_refuses(2, wrong[i][1], "train --data %s %s", data, wrong[i][0]);
    command_refuses(2, "cannot change in a resumed run", "train --resume %s --opt lamb", out);
}

/* The library says which argument is wrong, too. */
static void the_library_checks(void **state) {
    (void)state;
    char out[4200];
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = {"opt 9",      "opt-betas",    "lr-noise-pct",
                                            "accumulate", "decay-epochs", "sched"};
        revbifpn_train_config c = config_of(&recipes[0], path_of(out, work, "wrong"));
        revbifpn_trainer *trainer;
        if (i == 0) c.opt = (revbifpn_optimizer)9;
        if (i == 1) c.beta2 = NAN;
        if (i == 2) c.lr_noise_pct = 0;
        if (i == 3) c.accumulate = 0;
        if (i == 4) c.decay_epochs = 0;
        if (i == 5) c.sched = (revbifpn_schedule)77;
        assert_int_equal(revbifpn_trainer_open(ctx, &c, 0, &trainer), REVBIFPN_BAD_ARGUMENT);
        if (!strstr(revbifpn_message(ctx), names[i])) fail_msg("%s", revbifpn_message(ctx));
        assert_false(has_file(work, "wrong"));
    }
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    make_set(path_of(data, work, "data"), 3, 30, 12, 40);
    make_tiny_network(path_of(network, work, "tiny.json"));
    return revbifpn_open(&ctx, NULL) ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    revbifpn_close(&ctx);
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_runs_end_in_the_same_bytes),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(the_plan_knows_the_optimizer),
        cmocka_unit_test(averages_are_judged),
        cmocka_unit_test(older_runs_go_on),
        cmocka_unit_test(options_are_recorded_and_checked),
        cmocka_unit_test(the_library_checks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
