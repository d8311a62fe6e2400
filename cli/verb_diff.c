/* revbifpn diff: where two runs part. */
#include <string.h>

#include "print.h"
#include "verbs.h"

static void print_argument(void *user, const char *name, const char *old, const char *new) {
    (void)user;
    printf("argument %s: %s, %s\n", name, old, new);
}

static void print_result(const revbifpn_run_difference *d) {
    if (d->epoch) {
        bool many = !strcmp(d->what, "gradients") || !strcmp(d->what, "weights");
        printf("%d equal steps, then epoch %d step %d: the %s differ%s\n", d->steps, d->epoch, d->step,
               d->what, many ? "" : "s");
        if (d->tensors)
            printf("%d of %d tensors differ in it, the first: %s\n", d->tensors, d->compared, d->tensor);
        else
            printf("no tensors are told apart: both runs must have been made with --hash tensor\n");
        return;
    }
    printf("%d equal steps%s\n", d->steps, d->hashed < d->steps ? ", not all with hashes" : "");
    if (d->only_a) printf("%d more in the first run alone\n", d->only_a);
    if (d->only_b) printf("%d more in the second run alone\n", d->only_b);
}

static void print_json(const revbifpn_run_difference *d) {
    printf("{\"equal_steps\": %d, \"hashed_steps\": %d, \"only_first\": %d, \"only_second\": %d", d->steps,
           d->hashed, d->only_a, d->only_b);
    if (d->epoch) {
        printf(", \"epoch\": %d, \"step\": %d, \"what\": ", d->epoch, d->step);
        cli_json_string(stdout, d->what);
    }
    if (d->tensors) {
        printf(", \"tensors\": %d, \"compared\": %d, \"tensor\": ", d->tensors, d->compared);
        cli_json_string(stdout, d->tensor);
    }
    printf("}\n");
}

int verb_diff(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_run_difference d;
    bool json = cli_given(args, "json");
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_status status = revbifpn_compare_runs(ctx, cli_text(args, "a"), cli_text(args, "b"),
                                                   json ? NULL : print_argument, NULL, &d);
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else
        (json ? print_json : print_result)(&d);
    if (status == REVBIFPN_OK && (d.epoch || d.only_a || d.only_b)) code = CLI_FAILED;
    revbifpn_close(&ctx);
    return code;
}
