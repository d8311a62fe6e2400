/* What verbs that write files for pictures share: where they go, and CSV's quotes. */
#ifndef REVBIFPN_CLI_OUTPUTS_H
#define REVBIFPN_CLI_OUTPUTS_H

#include "options.h"

enum { CLI_OUTPUT_PATH = 4096 };

/* The folder that an option names, made when it is not there; NULL when it was not given. CLI_OK, or
 * CLI_FAILED after a line. */
int cli_output_folder(const cli_args *args, const char *option, const char **folder);
/* FOLDER/NAME.ending, a picture's folders joined to its name: "a/b.jpg" becomes "a__b.jpg.png". False after a
 * line when that is too long. */
bool cli_output_path(const cli_args *args, const char *folder, const char *name, const char *ending,
                     char path[CLI_OUTPUT_PATH]);
/* A field of RFC 4180 on stdout: in quotes, quotes doubled, when it needs them. */
void cli_csv_field(const char *text);

#endif
