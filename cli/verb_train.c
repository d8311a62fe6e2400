/* revbifpn train: starts or resumes a run. SIGINT, SIGTERM and SIGUSR1 ask for a checkpoint at the next step
 * boundary and exit status 75; a second SIGINT stops at once. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "augment.h"
#include "detector.h"
#include "layers.h"
#include "print.h"
#include "progress.h"
#include "recipe.h"
#include "resume.h"
#include "verbs.h"

static volatile sig_atomic_t stop_signal;

static void ask_to_stop(int number) {
    stop_signal = number;
    if (number == SIGINT) signal(SIGINT, SIG_DFL);
}

static void watch_signals(void) {
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

/* ---- the options ---- */

/* runs/TASK/train, or train2, train3, …: the first that is not there. */
static void free_run_name(const char *task, char name[64]) {
    snprintf(name, 64, "runs/%s/train", task);
    for (int i = 2; !access(name, F_OK) && i < 1000000; i++) snprintf(name, 64, "runs/%s/train%d", task, i);
}

static void resume_config(const cli_args *args, revbifpn_train_config *c) {
    c->out = cli_text(args, "resume");
    c->data = cli_text(args, "data");
    c->val_data = cli_text(args, "val-data");
    c->epochs = cli_given(args, "epochs") ? (int)cli_int(args, "epochs") : 0;
    c->workers = (int)cli_int(args, "workers");
    c->max_memory = cli_get(args, "max-memory")->bytes;
}

/* The network of --weights, unless --model names one. */
static revbifpn_status choose_network(const cli_args *args, revbifpn *ctx, revbifpn_model_config *out) {
    revbifpn_model *model = NULL;
    const cli_value *size = cli_get(args, "imgsz");
    bool named = !cli_given(args, "weights") || cli_given(args, "model");
    if (named && cli_detects(args)) return revbifpn_config(ctx, cli_text(args, "model"), out);
    if (named) return cli_model(args, ctx, out);
    revbifpn_status status = revbifpn_model_load(ctx, cli_text(args, "weights"), &model);
    if (status != REVBIFPN_OK) return status;
    *out = *revbifpn_model_configuration(model);
    revbifpn_model_free(&model);
    if (size->set && !cli_detects(args)) out->image_width = size->width, out->image_height = size->height;
    if (cli_given(args, "channels")) out->input_channels = (int)cli_int(args, "channels");
    if (cli_given(args, "classes")) out->classes = (int)cli_int(args, "classes");
    return REVBIFPN_OK;
}

/* `stats`: room for what --data-stats says. */
static revbifpn_status fresh_config(const cli_args *args, revbifpn *ctx, revbifpn_train_config *c,
                                    char stats[2][REVBIFPN_STATS_TEXT]) {
    c->task = cli_task(args);
    revbifpn_status status = choose_network(args, ctx, &c->model);
    if (status != REVBIFPN_OK) return status;
    if (!cli_given(args, "classes")) c->model.classes = 0; /* as many as the data has */
    if (cli_given(args, "drop")) c->model.drop = cli_real(args, "drop");
    if (cli_given(args, "drop-path")) c->model.drop_path = cli_real(args, "drop-path");
    c->bits = cli_bits(args);
    c->data = cli_text(args, "data");
    c->val_data = cli_text(args, "val-data");
    c->mean = cli_text(args, "mean");
    c->std = cli_text(args, "std");
    if (cli_given(args, "data-stats")) {
        status = revbifpn_data_stats(ctx, cli_text(args, "data-stats"), stats[0], stats[1]);
        if (status != REVBIFPN_OK) return status;
        if (!c->mean) c->mean = stats[0];
        if (!c->std) c->std = stats[1];
    }
    c->val_fraction = cli_real(args, "val-fraction");
    cli_augmentation(args, c);
    c->crop_pct = cli_real(args, "crop-pct");
    c->workers = (int)cli_int(args, "workers");
    c->max_bad = (int)cli_int(args, "max-bad");
    c->max_pixels = (uint64_t)cli_int(args, "max-pixels");
    c->apply_exif = cli_given(args, "exif");
    c->epochs = (int)cli_int(args, "epochs");
    c->batch = (int)cli_int(args, "batch");
    cli_recipe(args, c);
    c->seed = (uint64_t)cli_int(args, "seed");
    c->activations = strcmp(cli_text(args, "activations"), "stored") ? REVBIFPN_REVERSIBLE : REVBIFPN_STORED;
    c->precision = strcmp(cli_text(args, "precision"), "bf16") ? REVBIFPN_FLOAT32 : REVBIFPN_BF16;
    c->bn_update_double = !strcmp(cli_text(args, "bn-update"), "double");
    c->checkpoint_steps = (int)cli_int(args, "checkpoint-steps");
    c->tensorboard = !strcmp(cli_text(args, "tensorboard"), "on");
    c->hash = !strcmp(cli_text(args, "hash"), "none")   ? REVBIFPN_HASH_NONE
              : !strcmp(cli_text(args, "hash"), "step") ? REVBIFPN_HASH_STEP
                                                        : REVBIFPN_HASH_TENSOR;
    c->max_memory = cli_get(args, "max-memory")->bytes;
    /* what is wrong with the network is told before the data is looked at, which may take long */
    revbifpn_cost cost;
    if (c->task) return REVBIFPN_OK; /* sizes are limits: the trainer looks at them first */
    return revbifpn_inspect(ctx, &c->model, c->model.image_width, c->model.image_height, NULL, NULL, &cost);
}

/* ---- the run ---- */

typedef struct run {
    const cli_args *args;
    revbifpn *ctx;
    revbifpn_trainer *trainer;
    cli_progress progress;
    double step_seconds, last; /* running mean of the time of a step; end of the last one */
} run;

static void print_start(const run *r) {
    const revbifpn_train_config *c = revbifpn_trainer_configuration(r->trainer);
    char subject[80];
    if (c->task)
        snprintf(subject, sizeof subject, "in a %s R-CNN, longer side up to %d, shorter up to %d",
                 c->task == REVBIFPN_SEGMENT ? "Mask" : "Faster", c->long_side, c->short_side);
    else
        snprintf(subject, sizeof subject, "at %d × %d, %d classes", c->model.image_width,
                 c->model.image_height, c->model.classes);
    printf("%s %s, batch %d, %d epochs, seed %llu, %s activations\n", c->model.name, subject, c->batch,
           c->epochs, (unsigned long long)c->seed,
           c->activations == REVBIFPN_STORED ? "stored" : "reversible");
    printf("%d threads, %s kernels; memory of a step:\n", revbifpn_threads(r->ctx), revbifpn_cpu(r->ctx));
    cli_print_memory(stdout, revbifpn_trainer_memory(r->trainer));
    printf("run folder: %s\n", c->out);
    (void)cli_flush();
}

/* What a step has to say: as text or as members of a JSON object. */
static void describe_step(const run *r, const revbifpn_report *report, double rate, double left,
                          char text[CLI_PROGRESS_TEXT]) {
    unsigned long long memory = cli_memory_now();
    if (r->progress.mode == CLI_PROGRESS_JSON) {
        snprintf(text, CLI_PROGRESS_TEXT,
                 "\"epoch\": %d, \"epochs\": %d, \"step\": %d, \"steps\": %d, \"loss\": %.9g, \"lr\": %.9g, "
                 "\"images_per_second\": %.6g, \"memory_bytes\": %llu, \"seconds_left\": %.6g",
                 report->epoch, report->epochs, report->step, report->steps, report->mean_loss, report->lr,
                 rate, memory, left);
        return;
    }
    char parts[6][64];
    const char *list[6];
    for (int i = 0; i < 6; i++) list[i] = parts[i];
    snprintf(parts[0], 64, "epoch %d/%d step %d/%d", report->epoch, report->epochs, report->step,
             report->steps);
    snprintf(parts[1], 64, "loss %.4f", report->mean_loss);
    snprintf(parts[2], 64, "%s left", cli_time(left));
    snprintf(parts[3], 64, "%.1f img/s", rate);
    snprintf(parts[4], 64, "lr %.4g", report->lr);
    snprintf(parts[5], 64, "%s", cli_bytes(memory));
    cli_progress_join(&r->progress, list, 6, text);
}

static void show_step(run *r, const revbifpn_report *report) {
    const revbifpn_train_config *c = revbifpn_trainer_configuration(r->trainer);
    int batch = c->batch * c->accumulate;
    double now = cli_clock(), seconds = now - r->last;
    r->last = now;
    r->step_seconds = r->step_seconds > 0 ? 0.9 * r->step_seconds + 0.1 * seconds : seconds;
    if (report->note) cli_progress_note(&r->progress, report->note);
    if (report->epoch_done || !cli_progress_due(&r->progress)) return;
    double all = (double)report->epochs * report->steps,
           done = (double)(report->epoch - 1) * report->steps + report->step;
    char text[CLI_PROGRESS_TEXT];
    describe_step(r, report, r->step_seconds > 0 ? batch / r->step_seconds : 0,
                  (all - done) * r->step_seconds, text);
    cli_progress_show(&r->progress, all > 0 ? done / all : 0, text, false);
}

typedef struct member {
    const char *name;
    double value;
} member;

static revbifpn_task task_of(const run *r) { return revbifpn_trainer_configuration(r->trainer)->task; }

/* The numbers of a validated epoch; gives how many. */
static int list_metrics(const run *r, const revbifpn_report *report, member *out) {
    static const char *const stats[] = {
        "ap",       "ap50",      "ap75",       "ap_small",      "ap_medium",      "ap_large",
        "ar1",      "ar10",      "ar100",      "ar_small",      "ar_medium",      "ar_large",
        "mask_ap",  "mask_ap50", "mask_ap75",  "mask_ap_small", "mask_ap_medium", "mask_ap_large",
        "mask_ar1", "mask_ar10", "mask_ar100", "mask_ar_small", "mask_ar_medium", "mask_ar_large"};
    const revbifpn_metrics *v = &report->val;
    revbifpn_task task = task_of(r);
    int count = 0, kinds = task == REVBIFPN_SEGMENT ? 2 : 1;
    out[count++] = (member){"train_loss", report->mean_loss};
    if (!task) {
        out[count++] = (member){"val_loss", v->loss};
        out[count++] = (member){"top1", v->top1};
        out[count++] = (member){"top5", v->top5};
    }
    for (int i = 0; task && i < kinds * REVBIFPN_STATS; i++)
        out[count++] = (member){stats[i], i < REVBIFPN_STATS ? v->boxes[i] : v->masks[i - REVBIFPN_STATS]};
    out[count++] = (member){"lr", report->lr};
    out[count++] = (member){"grid", report->grid};
    return count;
}

/* A validated epoch as a JSON line. */
static void tell_epoch(run *r, const revbifpn_report *report) {
    FILE *out = r->progress.out;
    member members[2 * REVBIFPN_STATS + 4];
    int count = list_metrics(r, report, members);
    fprintf(out, "{\"event\": \"epoch\", \"epoch\": %d, \"epochs\": %d", report->epoch, report->epochs);
    for (int i = 0; i < count; i++) {
        fprintf(out, ", \"%s\": ", members[i].name);
        cli_json_real(out, members[i].value);
    }
    fprintf(out, ", \"best\": %s}\n", report->improved ? "true" : "false");
}

static void show_epoch(run *r, const revbifpn_report *report) {
    cli_progress_clear(&r->progress);
    if (r->progress.mode == CLI_PROGRESS_JSON) tell_epoch(r, report);
    const revbifpn_metrics *v = &report->val;
    printf("epoch %d/%d  loss %.4f", report->epoch, report->epochs, report->mean_loss);
    if (!task_of(r)) printf("  val loss %.4f  top-1 %.4f  top-5 %.4f", v->loss, v->top1, v->top5);
    if (task_of(r)) printf("  AP %.4f  AP50 %.4f", v->boxes[REVBIFPN_COCO_AP], v->boxes[REVBIFPN_COCO_AP50]);
    if (task_of(r) == REVBIFPN_SEGMENT)
        printf("  mask AP %.4f  AP50 %.4f", v->masks[REVBIFPN_COCO_AP], v->masks[REVBIFPN_COCO_AP50]);
    if (report->improved) printf("  best");
    if (report->val.bad_files) printf("  (%d pictures unreadable)", report->val.bad_files);
    printf("\n");
    (void)cli_flush();
    r->last = cli_clock(); /* validation is no part of a step's time */
}

static int asked_to_stop(void *user) {
    (void)user;
    return stop_signal;
}

static int stop_now(run *r) {
    cli_progress_clear(&r->progress);
    revbifpn_status status = revbifpn_trainer_checkpoint(r->trainer);
    if (status != REVBIFPN_OK) return cli_report(r->args, r->ctx, status);
    fprintf(stderr, "revbifpn train: %s: checkpoint written; go on with --resume %s\n",
            strsignal(stop_signal), revbifpn_trainer_configuration(r->trainer)->out);
    return CLI_STOPPED;
}

static int finish(run *r, bool any_step) {
    const revbifpn_train_config *c = revbifpn_trainer_configuration(r->trainer);
    const char *out = c->out;
    if (any_step)
        printf("done; weights: %s/weights/best.safetensors and last.safetensors, curve: %s/results.csv\n",
               out, out);
    else
        printf("%s: complete: the run has all its %d epochs; raise --epochs to go on\n", out, c->epochs);
    return CLI_OK;
}

static int run_steps(run *r) {
    revbifpn_report report = {0};
    cli_progress_open(&r->progress, cli_text(r->args, "progress"));
    r->last = cli_clock();
    for (bool any_step = false;; any_step = true) {
        revbifpn_status status = revbifpn_trainer_step(r->trainer, &report);
        if (status == REVBIFPN_STOPPED) return report.finished ? finish(r, any_step) : stop_now(r);
        if (status != REVBIFPN_OK) {
            cli_progress_clear(&r->progress);
            return cli_report(r->args, r->ctx, status);
        }
        show_step(r, &report);
        if (report.epoch_done) show_epoch(r, &report);
        if (report.finished) return finish(r, true);
    }
}

static int open_and_run(run *r, const revbifpn_train_config *config) {
    watch_signals();
    revbifpn_status status = revbifpn_trainer_open(r->ctx, config, cli_given(r->args, "resume"), &r->trainer);
    if (status != REVBIFPN_OK) return cli_report(r->args, r->ctx, status);
    revbifpn_trainer_watch(r->trainer, asked_to_stop, NULL);
    print_start(r);
    return run_steps(r);
}

/* The configuration of a new run, or of one that goes on; prints what is wrong. */
static int configure(run *r, revbifpn_train_config *config, char name[64],
                     char stats[2][REVBIFPN_STATS_TEXT]) {
    const char *origins = config->origins;
    const cli_args *args = r->args;
    bool resume = cli_given(args, "resume");
    if (resume && !cli_resume_repeats(args)) return resume_config(args, config), CLI_OK;
    free_run_name(cli_text(args, "task"), name);
    config->out = resume ? cli_text(args, "resume") : cli_given(args, "out") ? cli_text(args, "out") : name;
    revbifpn_status status = fresh_config(args, r->ctx, config, stats);
    if (status == REVBIFPN_OK) {
        int code = cli_detector_run(args, config);
        if (code) return code;
    }
    if (status != REVBIFPN_OK) return cli_report(args, r->ctx, status);
    if (!resume) return CLI_OK;
    int code = cli_check_resume(args, r->ctx, config);
    *config = revbifpn_default_train();
    config->origins = origins;
    resume_config(args, config);
    return code;
}

/* Options of a new run, completed and checked. */
static int complete(cli_args *args, cli_layers *layers) {
    int code = cli_complete(args, layers);
    if (!code && !cli_text(args, "data")) code = cli_usage(args, "--data DIR is missing");
    if (!code) code = cli_check_recipe(args);
    return code ? code : cli_check_augmentation(args);
}

static int train(cli_args *args, cli_layers *layers) {
    run r = {.args = args};
    char name[64], stats[2][REVBIFPN_STATS_TEXT];
    bool resume = cli_given(args, "resume");
    int code = resume ? CLI_OK : complete(args, layers);
    if (!code && resume && cli_given(args, "out"))
        code = cli_usage(args, "--out and --resume exclude each other");
    if (!code) code = cli_open_watched(args, asked_to_stop, &r.ctx);
    if (code) return code;
    if (resume && cli_resume_repeats(args)) cli_resume_task(args, r.ctx);
    revbifpn_train_config config = revbifpn_default_train();
    config.origins = cli_origins(args, resume, layers);
    code = configure(&r, &config, name, stats);
    if (!code) code = open_and_run(&r, &config);
    revbifpn_trainer_close(&r.trainer);
    revbifpn_close(&r.ctx);
    return code;
}

int verb_train(const cli_args *args) {
    cli_args own = *args;
    cli_layers layers = {.file = NULL};
    int code = train(&own, &layers);
    cli_layers_free(&layers);
    return code;
}
