/* Progress on stderr (--progress): a bar on a terminal, one plain line every ten seconds elsewhere, JSON
 * lines every second for programs, or nothing. A bar is as wide as the terminal, redrawn at most ten times a
 * second, and without colour when NO_COLOR is set. */
#ifndef REVBIFPN_CLI_PROGRESS_H
#define REVBIFPN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

typedef enum cli_progress_mode {
    CLI_PROGRESS_NONE,
    CLI_PROGRESS_BAR,
    CLI_PROGRESS_LOG,
    CLI_PROGRESS_JSON
} cli_progress_mode;

typedef struct cli_progress {
    FILE *out;
    cli_progress_mode mode;
    bool drawn, colour;   /* drawn: the cursor stands behind a bar */
    double started, last; /* seconds of the monotonic clock */
} cli_progress;

enum { CLI_PROGRESS_TEXT = 512 };

double cli_clock(void);
/* Bytes of this process in memory now; 0 when the system does not say. */
unsigned long long cli_memory_now(void);

/* `mode`: as typed, or NULL: a bar on a terminal, else lines. */
void cli_progress_open(cli_progress *p, const char *mode);
/* True when the next update would be shown: for callers whose text is worth computing only then. */
bool cli_progress_due(const cli_progress *p);
/* Joins parts, the most important first: for a bar as many as find room beside it, else all. */
void cli_progress_join(const cli_progress *p, const char *const *parts, int count,
                       char text[CLI_PROGRESS_TEXT]);
/* Shows `fraction` (0 … 1) and `text`; of JSON, `text` are members: "\"loss\": 1". `last` shows it in any
 * case (but for plain lines). */
void cli_progress_show(cli_progress *p, double fraction, const char *text, bool last);
/* A line (or lines) that is no progress, on stderr: as it is, or as JSON. */
void cli_progress_note(cli_progress *p, const char *text);
/* Removes the bar, so that something else can be printed. */
void cli_progress_clear(cli_progress *p);
/* For the library's progress functions; `user` is the cli_progress. */
void cli_progress_count(void *user, int done, int all);

#endif
