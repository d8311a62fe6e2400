/* Progress on stderr: a bar on a terminal, one plain line every ten seconds elsewhere. */
#ifndef REVBIFPN_CLI_PROGRESS_H
#define REVBIFPN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

typedef struct cli_progress {
    FILE *out;
    bool terminal, drawn; /* drawn: the cursor stands behind a bar */
    double started, last; /* seconds of the monotonic clock */
} cli_progress;

double cli_clock(void);
void cli_progress_open(cli_progress *p);
/* True when the next update would be shown: for callers whose text is worth computing only then. */
bool cli_progress_due(const cli_progress *p);
/* Shows `fraction` (0 … 1) and `text`. `last` shows it in any case on a terminal. */
void cli_progress_show(cli_progress *p, double fraction, const char *text, bool last);
/* Removes the bar, so that something else can be printed. */
void cli_progress_clear(cli_progress *p);
/* For the library's progress functions; `user` is the cli_progress. */
void cli_progress_count(void *user, int done, int all);

#endif
