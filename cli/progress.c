#define _DEFAULT_SOURCE
#include "progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "print.h"

enum { WIDE_BAR = 24, NARROW_BAR = 8, WIDE = 110, MIN_COLUMNS = 20, COLUMNS = 80 };
static const double INTERVAL[] = {
    [CLI_PROGRESS_NONE] = 1e300, [CLI_PROGRESS_BAR] = 0.1, [CLI_PROGRESS_LOG] = 10, [CLI_PROGRESS_JSON] = 1};

double cli_clock(void) {
    static double last; /* a clock that is set back (virtual machines do it) stands still instead */
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return last = now > last ? now : last;
}

unsigned long long cli_memory_now(void) {
    unsigned long long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &all, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static cli_progress_mode mode_of(const char *name, FILE *out) {
    static const char *const names[] = {"none", "bar", "log", "json"};
    const char *term = getenv("TERM");
    for (int i = 0; name && i < 4; i++)
        if (!strcmp(name, names[i])) return (cli_progress_mode)i;
    return isatty(fileno(out)) && term && strcmp(term, "dumb") ? CLI_PROGRESS_BAR : CLI_PROGRESS_LOG;
}

void cli_progress_open(cli_progress *p, const char *mode) {
    const char *no_colour = getenv("NO_COLOR");
    *p = (cli_progress){.out = stderr, .started = cli_clock(), .colour = !no_colour || !*no_colour};
    p->mode = mode_of(mode, p->out);
    p->last = p->mode == CLI_PROGRESS_LOG ? p->started : 0;
}

bool cli_progress_due(const cli_progress *p) { return cli_clock() - p->last >= INTERVAL[p->mode]; }

static int terminal_columns(FILE *out) {
    struct winsize size;
    return ioctl(fileno(out), TIOCGWINSZ, &size) || size.ws_col < MIN_COLUMNS ? COLUMNS : size.ws_col;
}

static int bar_width(int columns) { return columns >= WIDE ? WIDE_BAR : NARROW_BAR; }

/* Columns beside the bar: brackets, a blank, and the last column, where some terminals wrap. */
static int text_columns(const cli_progress *p) {
    int columns = terminal_columns(p->out);
    return columns - bar_width(columns) - 4;
}

void cli_progress_join(const cli_progress *p, const char *const *parts, int count,
                       char text[CLI_PROGRESS_TEXT]) {
    size_t room = p->mode == CLI_PROGRESS_BAR ? (size_t)text_columns(p) : CLI_PROGRESS_TEXT - 1, used = 0;
    if (room > CLI_PROGRESS_TEXT - 1) room = CLI_PROGRESS_TEXT - 1;
    text[0] = 0;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(parts[i]), gap = used ? 2 : 0;
        if (used + gap + length > room) return;
        snprintf(text + used, CLI_PROGRESS_TEXT - used, "%s%s", gap ? "  " : "", parts[i]);
        used += gap + length;
    }
}

static void draw_bar(cli_progress *p, double fraction, const char *text) {
    int width = bar_width(terminal_columns(p->out)), full = (int)(fraction * width + 0.5);
    fputs(p->colour ? "\r[\033[36m" : "\r[", p->out);
    for (int i = 0; i < width; i++) fputc(i < full ? '=' : ' ', p->out);
    /* cut at the right edge: a wrapped line could not be drawn over */
    fprintf(p->out, "%s] %.*s\033[K", p->colour ? "\033[0m" : "", text_columns(p), text);
    fflush(p->out);
    p->drawn = true;
}

void cli_progress_show(cli_progress *p, double fraction, const char *text, bool last) {
    bool shown = cli_progress_due(p) || (last && p->mode != CLI_PROGRESS_LOG);
    if (!shown || p->mode == CLI_PROGRESS_NONE) return;
    p->last = cli_clock();
    if (p->mode == CLI_PROGRESS_BAR) {
        draw_bar(p, fraction, text);
    } else if (p->mode == CLI_PROGRESS_JSON) {
        fprintf(p->out, "{\"event\": \"progress\", \"fraction\": %.6g, %s}\n", fraction, text);
        fflush(p->out);
    } else {
        fprintf(p->out, "%3.0f %% %s\n", 100 * fraction, text);
    }
}

void cli_progress_note(cli_progress *p, const char *text) {
    cli_progress_clear(p);
    if (p->mode != CLI_PROGRESS_JSON) {
        fprintf(p->out, "%s\n", text);
        return;
    }
    fputs("{\"event\": \"note\", \"text\": ", p->out);
    cli_json_string(p->out, text);
    fputs("}\n", p->out);
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
    if (p->mode == CLI_PROGRESS_JSON)
        snprintf(text, sizeof text, "\"done\": %d, \"all\": %d, \"per_second\": %.6g", done, all, rate);
    else
        snprintf(text, sizeof text, "%d/%d  %.1f/s  %s left", done, all, rate,
                 rate > 0 ? cli_time((all - done) / rate) : "?");
    cli_progress_show(p, (double)done / all, text, done >= all);
}
