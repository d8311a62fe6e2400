/* revbifpn val: top-1 and top-5 of a trained classifier, COCO's numbers of a trained detector. */
#include "detector.h"
#include "print.h"
#include "progress.h"
#include "verbs.h"

static void print_json(const revbifpn_metrics *m) {
    printf("{\"top1\": ");
    cli_json_real(stdout, m->top1);
    printf(", \"top5\": ");
    cli_json_real(stdout, m->top5);
    printf(", \"loss\": ");
    cli_json_real(stdout, m->loss);
    printf(", \"images\": %d, \"bad_files\": %d}\n", m->images, m->bad_files);
}

static void print_text(const revbifpn_metrics *m) {
    printf("top-1 %.4f, top-5 %.4f, loss %.4f on %d pictures", m->top1, m->top5, m->loss, m->images);
    if (m->bad_files) printf("; %d could not be read", m->bad_files);
    printf("\n");
}

static void print_note(void *user, const char *line) { cli_progress_note(user, line); }

static void set_options(const cli_args *args, revbifpn_val_options *o, cli_progress *progress) {
    o->data = cli_text(args, "data");
    o->val_data = cli_text(args, "val-data");
    o->val_fraction = cli_real(args, "val-fraction");
    o->seed = (uint64_t)cli_int(args, "seed");
    o->batch = (int)cli_int(args, "batch");
    o->workers = (int)cli_int(args, "workers");
    o->apply_exif = cli_given(args, "exif");
    o->max_bad = (int)cli_int(args, "max-bad");
    o->max_pixels = (uint64_t)cli_int(args, "max-pixels");
    o->progress = cli_progress_count;
    o->note = print_note;
    o->user = progress;
}

static int judge_classifier(const cli_args *args, revbifpn *ctx) {
    revbifpn_model *model = NULL;
    revbifpn_metrics metrics;
    cli_progress progress;
    revbifpn_val_options options = revbifpn_default_val();
    int code = CLI_OK;
    set_options(args, &options, &progress);
    revbifpn_status status = revbifpn_model_load(ctx, cli_text(args, "weights"), &model);
    if (status == REVBIFPN_OK) status = cli_prepare(args, model);
    cli_progress_open(&progress, cli_text(args, "progress"));
    if (status == REVBIFPN_OK) status = revbifpn_evaluate(model, &options, &metrics);
    cli_progress_clear(&progress);
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else if (cli_given(args, "json"))
        print_json(&metrics);
    else
        print_text(&metrics);
    revbifpn_model_free(&model);
    return code;
}

int verb_val(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_task task;
    if (cli_given(args, "val-data") && cli_real(args, "val-fraction") > 0)
        return cli_usage(args, "--val-data and --val-fraction exclude each other");
    if (cli_given(args, "seed") && cli_real(args, "val-fraction") <= 0)
        return cli_usage(args, "--seed does nothing without --val-fraction");
    int code = cli_open(args, &ctx);
    if (code) return code;
    code = cli_weights_task(args, ctx, &task);
    if (!code) code = task ? cli_judge_detector(args, ctx) : judge_classifier(args, ctx);
    revbifpn_close(&ctx);
    return code;
}
