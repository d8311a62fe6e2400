/* revbifpn plan: the bytes of a step. */
#include "print.h"
#include "verbs.h"

#include <string.h>

static void print_text(const cli_args *args, const revbifpn_model_config *c, const revbifpn_memory *m) {
    bool infer = cli_given(args, "infer");
    printf("%s at %d × %d, batch %lld, %s\n", c->name, c->image_width, c->image_height,
           cli_int(args, "batch"), infer ? "inference" : cli_text(args, "activations"));
    cli_print_memory(stdout, m);
}

static void print_json(const cli_args *args, const revbifpn_model_config *c, const revbifpn_memory *m) {
    printf("{\"model\": ");
    cli_json_string(stdout, c->name);
    printf(", \"width\": %d, \"height\": %d, \"batch\": %lld, \"mode\": \"%s\", \"activations\": \"%s\", ",
           c->image_width, c->image_height, cli_int(args, "batch"),
           cli_given(args, "infer") ? "infer" : "train", cli_text(args, "activations"));
    cli_json_memory(stdout, m);
    printf("}\n");
}

int verb_plan(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_model_config config;
    revbifpn_memory memory;
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_activations activations =
        strcmp(cli_text(args, "activations"), "stored") ? REVBIFPN_REVERSIBLE : REVBIFPN_STORED;
    revbifpn_status status = cli_model(args, ctx, &config);
    if (status == REVBIFPN_OK)
        status = revbifpn_plan(ctx, &config, config.image_width, config.image_height,
                               (int)cli_int(args, "batch"), !cli_given(args, "infer"), activations, &memory);
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else if (cli_given(args, "json"))
        print_json(args, &config, &memory);
    else
        print_text(args, &config, &memory);
    revbifpn_close(&ctx);
    return code;
}
