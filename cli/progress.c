#define _DEFAULT_SOURCE
#include "progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "print.h"

enum { WIDE_BAR = 24, NARROW_BAR = 8, WIDE = 110, MIN_COLUMNS = 40 };
static const double TERMINAL_INTERVAL = 0.1, PLAIN_INTERVAL = 10;

double cli_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_open(cli_progress *p) {
    const char *term = getenv("TERM");
    *p = (cli_progress){.out = stderr, .started = cli_clock()};
    p->terminal = isatty(fileno(p->out)) && term && strcmp(term, "dumb");
    p->last = p->terminal ? 0 : p->started;
}

bool cli_progress_due(const cli_progress *p) {
    return cli_clock() - p->last >= (p->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL);
}

static int terminal_columns(FILE *out) {
    struct winsize size;
    return ioctl(fileno(out), TIOCGWINSZ, &size) || size.ws_col < MIN_COLUMNS ? 80 : size.ws_col;
}

void cli_progress_show(cli_progress *p, double fraction, const char *text, bool last) {
    if (!cli_progress_due(p) && !(last && p->terminal)) return;
    p->last = cli_clock();
    if (!p->terminal) {
        fprintf(p->out, "%3.0f %% %s\n", 100 * fraction, text);
        return;
    }
    int columns = terminal_columns(p->out), width = columns >= WIDE ? WIDE_BAR : NARROW_BAR;
    char bar[WIDE_BAR + 1] = {0};
    int full = (int)(fraction * width + 0.5);
    for (int i = 0; i < width; i++) bar[i] = i < full ? '=' : ' ';
    /* cut at the right edge: a wrapped line could not be drawn over */
    fprintf(p->out, "\r[%s] %.*s\033[K", bar, columns - width - 4, text);
    fflush(p->out);
    p->drawn = true;
}

void cli_progress_clear(cli_progress *p) {
    if (p->drawn) fprintf(p->out, "\r\033[K");
    fflush(p->out);
    p->drawn = false;
}

void cli_progress_count(void *user, int done, int all) {
    cli_progress *p = user;
    char text[120];
    if (all <= 0 || (!cli_progress_due(p) && done < all)) return;
    double elapsed = cli_clock() - p->started, rate = elapsed > 0 ? done / elapsed : 0;
    snprintf(text, sizeof text, "%d/%d  %.1f/s  %s left", done, all, rate,
             rate > 0 ? cli_time((all - done) / rate) : "?");
    cli_progress_show(p, (double)done / all, text, done >= all);
}
