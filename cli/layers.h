/* Options from other places than the command line: a recipe, a file, the environment. */
#ifndef REVBIFPN_CLI_LAYERS_H
#define REVBIFPN_CLI_LAYERS_H

#include "options.h"

/* What values taken from there point into. */
typedef struct cli_layers {
    char *file; /* text of --options */
    char rate[32], average[32];
    char origins[CLI_MAX_OPTIONS * 48];
} cli_layers;

/* Completes the options: REVBIFPN_NAME of the environment (not REVBIFPN_CPU, which the library reads), then
 * --options FILE, then --recipe; each where nothing before it said anything. Zero the layers first, free them
 * when the options are done with. CLI_OK, or the exit status after a line on stderr. */
int cli_complete(cli_args *args, cli_layers *layers);
void cli_layers_free(cli_layers *layers);
/* "NAME=ORIGIN" lines of all options, or of those on the command line alone. */
const char *cli_origins(const cli_args *args, bool line_only, cli_layers *layers);

/* recipes.c: the values of --recipe. */
int cli_apply_recipe(cli_args *args, cli_layers *layers);

#endif
