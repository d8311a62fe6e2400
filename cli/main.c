/* revbifpn VERB [options]: finds the verb, reads its options by the table, runs it. */
#include <string.h>

#include "completion.h"
#include "options.h"
#include "print.h"

static int version(void) {
    revbifpn *ctx = NULL;
    revbifpn_status status = revbifpn_open(&ctx, NULL);
    if (status == REVBIFPN_OK)
        printf("revbifpn %s, commit %s, kernels %s\n", revbifpn_version(), revbifpn_commit(),
               revbifpn_cpu(ctx));
    else
        fprintf(stderr, "revbifpn: %s\n", revbifpn_message(ctx));
    revbifpn_close(&ctx);
    return status == REVBIFPN_OK ? CLI_OK : status == REVBIFPN_BAD_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

static const char *word_at(const void *list, int i) {
    static const char *const others[] = {"--help", "--version", NULL};
    int verbs = 0;
    while (cli_verbs[verbs].name) verbs++;
    (void)list;
    return i < verbs ? cli_verbs[i].name : others[i - verbs];
}

static int run_verb(const cli_verb *verb, int argc, char **argv) {
    cli_args args;
    char message[CLI_MESSAGE];
    switch (cli_parse(verb, argc, argv, &args, message)) {
    case CLI_RUN: return cli_finish(&args, verb->run(&args));
    case CLI_HELP: cli_help_verb(stdout, verb); return CLI_OK;
    case CLI_WRONG: break;
    }
    fprintf(stderr, "revbifpn %s: %s (revbifpn %s --help)\n", verb->name, message, verb->name);
    return CLI_USAGE;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        cli_help_program(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    const cli_verb *verb = cli_verb_find(word);
    if (verb) return run_verb(verb, argc - 2, argv + 2);
    if (!strcmp(word, "--version")) return version();
    if (!strcmp(word, "--generate") && argc == 3 && cli_write_completion(stdout, argv[2])) return CLI_OK;
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        cli_help_program(stdout);
        return CLI_OK;
    }
    fprintf(stderr, "revbifpn: '%.60s' is not a verb; the nearest is %s (revbifpn --help)\n", word,
            cli_nearest(word, word_at, NULL));
    return CLI_USAGE;
}
