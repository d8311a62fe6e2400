/* revbifpn export: a trained network as an ONNX file. */
#include "detector.h"
#include "print.h"
#include "verbs.h"
#include "verify.h"

static int write_and_verify(const cli_args *args, revbifpn *ctx, revbifpn_model *model) {
    const char *out = cli_text(args, "out");
    revbifpn_onnx_options options = revbifpn_default_onnx();
    options.features = cli_given(args, "features");
    options.dynamic_size = cli_given(args, "dynamic-size");
    options.keep_norms = cli_given(args, "no-fold");
    revbifpn_status status = revbifpn_export_onnx(model, out, &options);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    printf("%s: written from %s\n", out, cli_text(args, "weights"));
    return cli_given(args, "verify") ? cli_verify_onnx(args, ctx, model) : CLI_OK;
}

static int export_classifier(const cli_args *args, revbifpn *ctx) {
    revbifpn_model *model = NULL;
    if (cli_given(args, "heads")) return cli_usage(args, "--heads is for detectors");
    revbifpn_status status = revbifpn_model_load(ctx, cli_text(args, "weights"), &model);
    if (status == REVBIFPN_OK) status = cli_prepare(args, model);
    int code = status == REVBIFPN_OK ? write_and_verify(args, ctx, model) : cli_report(args, ctx, status);
    revbifpn_model_free(&model);
    return code;
}

static int check_options(const cli_args *args) {
    static const char *const for_verify[] = {"python", "source"};
    if (cli_given(args, "fold") && cli_given(args, "no-fold"))
        return cli_usage(args, "--fold and --no-fold exclude each other");
    for (int i = 0; i < 2; i++)
        if (cli_given(args, for_verify[i]) && !cli_given(args, "verify"))
            return cli_usage(args, "--%s does nothing without --verify", for_verify[i]);
    return CLI_OK;
}

int verb_export(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_task task;
    int code = check_options(args);
    if (!code) code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_status status = revbifpn_weights_task(ctx, cli_text(args, "weights"), &task);
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else
        code = task ? cli_export_detector(args, ctx) : export_classifier(args, ctx);
    revbifpn_close(&ctx);
    return cli_finish(args, code);
}
