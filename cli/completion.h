/* What shells and man read, generated from the option table: so it cannot lag behind. */
#ifndef REVBIFPN_CLI_COMPLETION_H
#define REVBIFPN_CLI_COMPLETION_H

#include <stdio.h>

/* Writes "bash", "zsh" or "fish" completion, or the manual page "man" (man-page source). False for other
 * words. */
int cli_write_completion(FILE *out, const char *what);

#endif
