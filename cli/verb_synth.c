/* revbifpn synth: draws a picture set. */
#include "print.h"
#include "progress.h"
#include "verbs.h"

int verb_synth(const cli_args *args) {
    revbifpn *ctx = NULL;
    cli_progress progress;
    revbifpn_synth_options options = revbifpn_default_synth();
    options.folder = cli_text(args, "out");
    options.train_images = (int)cli_int(args, "images");
    options.val_images = (int)cli_int(args, "val-images");
    options.classes = (int)cli_int(args, "classes");
    options.side = (int)cli_int(args, "imgsz");
    options.seed = (uint64_t)cli_int(args, "seed");
    options.objects = (int)cli_int(args, "objects");
    int code = cli_open(args, &ctx);
    if (code) return code;
    cli_progress_open(&progress, cli_text(args, "progress"));
    revbifpn_status status = revbifpn_synth(ctx, &options, cli_progress_count, &progress);
    cli_progress_clear(&progress);
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else
        printf("%d training and %d validation pictures of %d classes in %s\n", options.train_images,
               options.val_images, options.classes, options.folder);
    revbifpn_close(&ctx);
    return code;
}
