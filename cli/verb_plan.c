/* revbifpn plan: the bytes of a step. */
#include "detector.h"
#include "print.h"
#include "recipe.h"
#include "verbs.h"

#include <string.h>

static void print_text(const cli_args *args, const revbifpn_solution *s) {
    bool infer = cli_given(args, "infer");
    if (cli_given(args, "solve")) printf("the largest %s that fits: ", cli_text(args, "solve"));
    const char *head = cli_detects(args) ? cli_text(args, "task") : "";
    printf("%s%s%s at %d × %d, batch %d, %s\n", head, *head ? " with " : "", s->model.name,
           s->model.image_width, s->model.image_height, s->batch,
           infer ? "inference" : cli_text(args, "activations"));
    cli_print_memory(stdout, &s->memory);
}

static void print_json(const cli_args *args, const revbifpn_solution *s) {
    printf("{\"model\": ");
    cli_json_string(stdout, s->model.name);
    printf(", \"width\": %d, \"height\": %d, \"batch\": %d, \"mode\": \"%s\", \"activations\": \"%s\", ",
           s->model.image_width, s->model.image_height, s->batch,
           cli_given(args, "infer") ? "infer" : "train", cli_text(args, "activations"));
    cli_json_memory(stdout, &s->memory);
    printf("}\n");
}

/* The question that --solve asks. */
static revbifpn_status solve(const cli_args *args, revbifpn *ctx, const revbifpn_solve *given,
                             revbifpn_solution *out) {
    revbifpn_solve question = *given;
    const char *variable = cli_text(args, "solve");
    question.variable = !strcmp(variable, "batch")   ? REVBIFPN_SOLVE_BATCH
                        : !strcmp(variable, "imgsz") ? REVBIFPN_SOLVE_IMGSZ
                                                     : REVBIFPN_SOLVE_MODEL;
    question.keep_size = cli_given(args, "imgsz");
    return revbifpn_plan_largest(ctx, &question, out);
}

static revbifpn_status plan_detector(const cli_args *args, revbifpn *ctx, const revbifpn_solve *s,
                                     revbifpn_solution *out) {
    revbifpn_detector_config config;
    revbifpn_status status = cli_detector(args, ctx, &config);
    if (status != REVBIFPN_OK) return status;
    *out = (revbifpn_solution){.model = config.backbone, .batch = s->batch};
    return revbifpn_plan_detector(ctx, &config, config.backbone.image_width, config.backbone.image_height,
                                  s->batch, s->training, s->activations, &out->memory);
}

static revbifpn_status plan(const cli_args *args, revbifpn *ctx, revbifpn_solution *out) {
    revbifpn_solve s = {.batch = (int)cli_int(args, "batch"), .training = !cli_given(args, "infer")};
    s.activations = strcmp(cli_text(args, "activations"), "stored") ? REVBIFPN_REVERSIBLE : REVBIFPN_STORED;
    s.precision = strcmp(cli_text(args, "precision"), "bf16") ? REVBIFPN_FLOAT32 : REVBIFPN_BF16;
    s.max_memory = cli_get(args, "max-memory")->bytes;
    s.optimizer = cli_optimizer(args);
    s.model_ema = cli_given(args, "model-ema");
    if (cli_detects(args)) return plan_detector(args, ctx, &s, out);
    revbifpn_status status = cli_model(args, ctx, &s.model);
    if (status != REVBIFPN_OK) return status;
    if (cli_given(args, "solve")) return solve(args, ctx, &s, out);
    *out = (revbifpn_solution){.model = s.model, .batch = s.batch};
    return revbifpn_plan_step(ctx, &s, &out->memory);
}

int verb_plan(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_solution answer;
    if (cli_given(args, "solve") && !cli_given(args, "max-memory")) {
        fprintf(stderr, "revbifpn plan: --solve needs --max-memory\n");
        return 2;
    }
    if (cli_detects(args) && cli_given(args, "solve"))
        return cli_usage(args, "--solve is for classifiers so far");
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_status status = plan(args, ctx, &answer);
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else if (cli_given(args, "json"))
        print_json(args, &answer);
    else
        print_text(args, &answer);
    bool limited = status == REVBIFPN_OK && cli_given(args, "max-memory");
    if (limited && answer.memory.total_bytes > cli_get(args, "max-memory")->bytes) code = 3;
    revbifpn_close(&ctx);
    return code;
}
