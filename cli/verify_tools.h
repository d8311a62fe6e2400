/* What verifications share: a folder of their own for inputs and outputs, Python, the pictures of --source.
 */
#ifndef REVBIFPN_CLI_VERIFY_TOOLS_H
#define REVBIFPN_CLI_VERIFY_TOOLS_H

#include <revbifpn.h>

#include "options.h"

enum { CLI_VERIFY_PICTURES = 16, CLI_VERIFY_PATH = 4096 };

/* One line on stderr; CLI_FAILED. */
int cli_verify_failed(const cli_args *args, const char *what, const char *why);

typedef struct cli_verify_folder {
    char folder[CLI_VERIFY_PATH], input[CLI_VERIFY_PATH + 16], output[CLI_VERIFY_PATH + 16];
} cli_verify_folder;
/* Below TMPDIR or /tmp. CLI_OK, or the status after a line. */
int cli_verify_folder_open(const cli_args *args, cli_verify_folder *f);
void cli_verify_folder_close(const cli_verify_folder *f);

/* Runs `script` on --out, the folder's files and four more numbers; what the script says goes to stderr.
 * --python, REVBIFPN_PYTHON, or python3. CLI_OK, or the status after a line. */
int cli_verify_python(const cli_args *args, const cli_verify_folder *f, const char *script,
                      const int numbers[4]);

/* About what normalised pictures hold: values from −2 to 2, the same in every run. `state` begins as
 * CLI_VERIFY_SEED. */
#define CLI_VERIFY_SEED 0x9e3779b97f4a7c15u
float cli_verify_random(uint64_t *state);

typedef struct cli_verify_list {
    char *paths[CLI_VERIFY_PICTURES]; /* owned */
    int count;
} cli_verify_list;
/* The picture --source, or the first ones of that folder. CLI_OK, or the status after a line. */
int cli_verify_find(const cli_args *args, revbifpn *ctx, cli_verify_list *list);
void cli_verify_forget(cli_verify_list *list);

#endif
