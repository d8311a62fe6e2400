/* revbifpn convert: weights from one format into another, a data set into shards, or one of objects into
 * another form. */
#include <string.h>

#include "print.h"
#include "progress.h"
#include "verbs.h"

static int convert(const cli_args *args, revbifpn *ctx) {
    revbifpn_model_config config;
    const char *weights = cli_text(args, "weights"), *out = cli_text(args, "out");
    const char *key = cli_given(args, "ema") ? "state_dict_ema" : cli_text(args, "key");
    bool named = cli_given(args, "config");
    revbifpn_status status = REVBIFPN_OK;
    if (named) status = revbifpn_config(ctx, cli_text(args, "config"), &config);
    if (status == REVBIFPN_OK) status = revbifpn_convert(ctx, weights, out, key, named ? &config : NULL);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    printf("%s: written from %s\n", out, weights);
    return CLI_OK;
}

static int pack(const cli_args *args, revbifpn *ctx) {
    cli_progress progress;
    revbifpn_shard_report report;
    revbifpn_shard_options options = revbifpn_default_shards();
    options.data = cli_text(args, "data");
    options.out = cli_text(args, "out");
    options.shards = (int)cli_int(args, "shards");
    options.shard_bytes = cli_get(args, "shard-size")->bytes;
    options.seed = (uint64_t)cli_int(args, "seed");
    options.progress = cli_progress_count;
    options.user = &progress;
    cli_progress_open(&progress, cli_text(args, "progress"));
    revbifpn_status status = revbifpn_shards(ctx, &options, &report);
    cli_progress_clear(&progress);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    printf("%s: %d pictures of %d classes in %d shards, %s\n", options.out, report.pictures, report.classes,
           report.shards, cli_bytes(report.bytes));
    return CLI_OK;
}

static int change_form(const cli_args *args, revbifpn *ctx) {
    cli_progress progress;
    const char *form = cli_text(args, "to");
    revbifpn_object_convert_report report;
    revbifpn_object_convert_options options = revbifpn_default_object_convert();
    options.data = cli_text(args, "data");
    options.out = cli_text(args, "out");
    options.form = !strcmp(form, "coco")  ? REVBIFPN_COCO
                   : !strcmp(form, "voc") ? REVBIFPN_VOC
                                          : REVBIFPN_YOLO;
    options.outlines = cli_given(args, "masks");
    options.progress = cli_progress_count;
    options.user = &progress;
    cli_progress_open(&progress, cli_text(args, "progress"));
    revbifpn_status status = revbifpn_convert_objects(ctx, &options, &report);
    cli_progress_clear(&progress);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    printf("%s: %d pictures with %llu objects of %d classes\n", options.out, report.pictures,
           (unsigned long long)report.objects, report.classes);
    if (report.missing) fprintf(stderr, "revbifpn convert: %d pictures have no file\n", report.missing);
    if (report.left_out)
        fprintf(stderr, "revbifpn convert: %llu objects are left out: crowds, or to be ignored\n",
                (unsigned long long)report.left_out);
    if (report.outlines_dropped)
        fprintf(stderr, "revbifpn convert: %llu objects are boxes alone: their outline is no polygon\n",
                (unsigned long long)report.outlines_dropped);
    return CLI_OK;
}

/* An option of the other thing that is converted. */
static int check_options(const cli_args *args) {
    static const char *const of_weights[] = {"key", "ema", "config"};
    static const char *const of_data[] = {"shards", "shard-size", "seed", "to", "masks"};
    static const char *const of_shards[] = {"shards", "shard-size", "seed"};
    bool data = cli_given(args, "data");
    if (data == cli_given(args, "weights"))
        return cli_usage(args,
                         data ? "--data and --weights exclude each other" : "--weights FILE is missing");
    for (int i = 0; i < (data ? 3 : 5); i++) {
        const char *name = data ? of_weights[i] : of_data[i];
        if (cli_given(args, name))
            return cli_usage(args, "--%s does nothing without --%s", name, data ? "weights" : "data");
    }
    for (int i = 0; cli_given(args, "to") && i < 3; i++)
        if (cli_given(args, of_shards[i]))
            return cli_usage(args, "--%s does nothing with --to", of_shards[i]);
    if (cli_given(args, "masks") && !cli_given(args, "to"))
        return cli_usage(args, "--masks does nothing without --to");
    if (data && !cli_given(args, "to") && cli_given(args, "shards") == cli_given(args, "shard-size"))
        return cli_usage(args, "--data needs either --shards or --shard-size, or --to");
    if (cli_given(args, "ema") && cli_given(args, "key"))
        return cli_usage(args, "--ema and --key exclude each other");
    return CLI_OK;
}

int verb_convert(const cli_args *args) {
    revbifpn *ctx = NULL;
    int code = check_options(args);
    if (!code) code = cli_open(args, &ctx);
    if (code) return code;
    code = (cli_given(args, "to") ? change_form : cli_given(args, "data") ? pack : convert)(args, ctx);
    revbifpn_close(&ctx);
    return code;
}
