/* revbifpn export, of a detector's weights. */
#include "detector.h"
#include "print.h"
#include "verify.h"

static int write_and_verify(const cli_args *args, revbifpn *ctx, revbifpn_detector *detector) {
    const char *out = cli_text(args, "out");
    revbifpn_onnx_options options = revbifpn_default_onnx();
    options.heads = cli_given(args, "heads");
    options.dynamic_size = cli_given(args, "dynamic-size");
    options.keep_norms = cli_given(args, "no-fold");
    revbifpn_status status = revbifpn_export_detector_onnx(detector, out, &options);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    printf("%s: written from %s\n", out, cli_text(args, "weights"));
    if (!cli_given(args, "verify")) return CLI_OK;
    return options.heads ? cli_verify_heads(args, ctx, detector) : cli_verify_detections(args, ctx, detector);
}

int cli_export_detector(const cli_args *args, revbifpn *ctx) {
    static const char *const of_classifiers[] = {"features", "crop-pct", "interpolation"};
    revbifpn_detector *detector = NULL;
    for (int i = 0; i < 3; i++)
        if (cli_given(args, of_classifiers[i]))
            return cli_usage(args, "--%s is for classifiers", of_classifiers[i]);
    int code = cli_load_detector(args, ctx, &detector);
    if (!code) code = write_and_verify(args, ctx, detector);
    revbifpn_detector_free(&detector); /* also where it was loaded and --imgsz refused */
    return code;
}
