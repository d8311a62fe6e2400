/* revbifpn convert: weights from one format into another. */
#include "print.h"
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

int verb_convert(const cli_args *args) {
    revbifpn *ctx = NULL;
    if (cli_given(args, "ema") && cli_given(args, "key"))
        return cli_usage(args, "--ema and --key exclude each other");
    int code = cli_open(args, &ctx);
    if (code) return code;
    code = convert(args, ctx);
    revbifpn_close(&ctx);
    return code;
}
