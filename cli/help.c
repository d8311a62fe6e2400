/* Help, generated from the option table: aligned, wrapped at 100 columns. */
#include <string.h>

#include "options.h"
#include "print.h"

enum { COLUMNS = 100, INDENT = 28 };

/* Characters of UTF-8 text, as a terminal counts them. */
static int columns(const char *text, size_t length) {
    int count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* Writes words from column `at` on, later lines from column `indent`. */
static void wrap(FILE *out, const char *text, int at, int indent) {
    bool first = true;
    while (*text) {
        size_t length = strcspn(text, " ");
        int width = columns(text, length);
        if (!first && at + 1 + width > COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)length, text);
        at += width;
        first = false;
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

static const char *value_name(const cli_option *o) {
    return o->kind == CLI_FLAG ? "" : o->value ? o->value : o->choices;
}

static void range_text(const cli_option *o, char *text, size_t size) {
    *text = 0;
    if (o->kind == CLI_INT) snprintf(text, size, "%lld…%lld", o->low, o->high);
    if (o->kind == CLI_REAL || o->kind == CLI_PAIR) snprintf(text, size, "%g…%g", o->min, o->max);
}

static void help_option(FILE *out, const cli_option *o) {
    char text[1024], range[80], extra[256] = "";
    range_text(o, range, sizeof range);
    const char *mark = o->required ? "required" : o->fallback;
    if (*range || mark)
        snprintf(extra, sizeof extra, " (%s%s%s%s)", range, *range && mark ? "; " : "",
                 mark && !o->required ? "default " : "", mark ? mark : "");
    snprintf(text, sizeof text, "%s%s", o->help, extra);
    int used = fprintf(out, "  --%s %s", o->name, value_name(o));
    if (used + 2 > INDENT) {
        fprintf(out, "\n%*s", INDENT, "");
    } else {
        fprintf(out, "%*s", INDENT - used, "");
    }
    wrap(out, text, INDENT, INDENT);
}

void cli_help_verb(FILE *out, const cli_verb *verb) {
    fprintf(out, "usage: revbifpn %s", verb->name);
    for (const cli_option *o = verb->options; o->name; o++)
        if (o->positional)
            fprintf(out, " %s", value_name(o));
        else if (o->required)
            fprintf(out, " --%s %s", o->name, value_name(o));
    fprintf(out, " [options]\n\n");
    wrap(out, verb->about, 0, 0);
    for (const cli_option *o = verb->options; o->name; o++) {
        if (o->heading) fprintf(out, "\n%s\n", o->heading);
        help_option(out, o);
    }
    fprintf(out, "\n");
    wrap(out, "An option without a value is turned off by --no-NAME, where a recipe or a file turned it on.",
         0, 0);
    fprintf(out, "\n");
    wrap(out, "Exit status: " CLI_EXIT_TEXT, 0, 0);
}

void cli_help_program(FILE *out) {
    fprintf(out, "usage: revbifpn VERB [options]\n\n");
    wrap(out,
         "Trains and runs RevBiFPN, the fully reversible bidirectional feature pyramid network, for image "
         "classification, object detection and instance segmentation.",
         0, 0);
    fprintf(out, "\n");
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        fprintf(out, "  %-10s", v->name);
        wrap(out, v->summary, 12, 12);
    }
    fprintf(out, "\n  revbifpn VERB --help    the options of a verb\n"
                 "  revbifpn --version      version, commit and kernels in use\n"
                 "  revbifpn --generate bash|zsh|fish|man   completion for a shell, or the manual page\n\n");
    wrap(out, "Exit status: " CLI_EXIT_TEXT, 0, 0);
}
