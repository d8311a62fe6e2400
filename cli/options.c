#define _DEFAULT_SOURCE
#include "options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 64, MAX_SIDE = 65536 };

/* ---- the nearest right word ---- */

/* Insertions, deletions, changes and swaps of neighbours; words are cut at MAX_WORD bytes. */
int cli_edit_distance(const char *a, const char *b) {
    int d[MAX_WORD + 1][MAX_WORD + 1];
    int n = (int)strnlen(a, MAX_WORD), m = (int)strnlen(b, MAX_WORD);
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int best =
                d[i - 1][j - 1] + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *cli_nearest(const char *word, const char *(*get)(const void *list, int i), const void *list) {
    const char *best = NULL, *name;
    int least = 0;
    for (int i = 0; (name = get(list, i)); i++) {
        int distance = cli_edit_distance(word, name);
        /* the beginning of a name, typed as an abbreviation, is nearer than any misspelling */
        if (*word && !strncmp(word, name, strlen(word)) && distance > 1) distance = 1;
        if (!best || distance < least) best = name, least = distance;
    }
    return best;
}

static const char *option_name(const void *list, int i) { return ((const cli_option *)list)[i].name; }

/* ---- values ---- */

static bool __attribute__((format(printf, 2, 3))) wrong(char message[CLI_MESSAGE], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, CLI_MESSAGE, format, arguments);
    va_end(arguments);
    return false;
}

static bool read_int(const cli_option *o, const char *text, cli_value *v, char *message) {
    char *end;
    errno = 0;
    v->integer = strtoll(text, &end, 10);
    if (isspace((unsigned char)*text) || end == text || *end)
        return wrong(message, "--%s: '%.60s' is not a whole number; it must be %lld … %lld", o->name, text,
                     o->low, o->high);
    if (errno || v->integer < o->low || v->integer > o->high)
        return wrong(message, "--%s is %.30s, must be %lld … %lld; the nearest is %lld", o->name, text,
                     o->low, o->high, v->integer < o->low ? o->low : o->high);
    return true;
}

/* One finite number up to `stop` (a character, or 0 for the end). */
static bool read_number(const char *text, char stop, double *value, const char **rest) {
    char *end;
    if (isspace((unsigned char)*text)) return false;
    *value = strtod(text, &end);
    *rest = end + 1;
    return end != text && *end == stop && isfinite(*value);
}

static bool read_real(const cli_option *o, const char *text, cli_value *v, char *message) {
    const char *rest;
    if (!read_number(text, 0, &v->real, &rest))
        return wrong(message, "--%s: '%.60s' is not a number; it must be %g … %g", o->name, text, o->min,
                     o->max);
    if (v->real < o->min || v->real > o->max)
        return wrong(message, "--%s is %.30s, must be %g … %g; the nearest is %g", o->name, text, o->min,
                     o->max, v->real < o->min ? o->min : o->max);
    return true;
}

static bool read_pair(const cli_option *o, const char *text, cli_value *v, char *message) {
    const char *rest;
    if (!read_number(text, ',', &v->real, &rest) || !read_number(rest, 0, &v->second, &rest))
        return wrong(message, "--%s: '%.60s' is not a pair of numbers, for instance %s", o->name, text,
                     o->fallback);
    if (v->real > v->second)
        return wrong(message, "--%s: %.60s goes down; did you mean %g,%g?", o->name, text, v->second,
                     v->real);
    if (v->real < o->min || v->second > o->max)
        return wrong(message, "--%s is %.60s, both must be in %g … %g; the nearest is %g,%g", o->name, text,
                     o->min, o->max, fmin(fmax(v->real, o->min), o->max),
                     fmax(fmin(v->second, o->max), o->min));
    return true;
}

static bool read_bytes(const cli_option *o, const char *text, cli_value *v, char *message) {
    static const char suffixes[] = "KMGT";
    char *end;
    double value = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
    const char *suffix = "";
    if (value >= 0 && *end && (suffix = strchr(suffixes, toupper((unsigned char)*end)))) {
        value = ldexp(value, 10 * (int)(suffix - suffixes + 1));
        end++;
        if (!strcmp(end, "iB") || !strcmp(end, "B")) end += strlen(end);
    }
    if (value < 0 || !suffix || *end || !(value < 0x1p62))
        return wrong(message, "--%s: '%.60s' is not a size of memory, for instance 512M or 4G", o->name,
                     text);
    v->bytes = (uint64_t)value;
    return true;
}

static bool read_side(const char *text, char stop, int *side, const char **rest) {
    char *end;
    if (!isdigit((unsigned char)*text)) return false;
    long value = strtol(text, &end, 10);
    *side = value < 0 || value > MAX_SIDE ? 0 : (int)value; /* strtol saturates */
    *rest = end + 1;
    return *end == stop;
}

static bool read_size(const cli_option *o, const char *text, cli_value *v, char *message) {
    const char *rest;
    if (read_side(text, 0, &v->width, &rest))
        v->height = v->width;
    else if (!read_side(text, 'x', &v->width, &rest) || !read_side(rest, 0, &v->height, &rest))
        return wrong(message,
                     "--%s: '%.60s' is not a size; write N or WIDTHxHEIGHT, for instance 224 or 320x256",
                     o->name, text);
    if (!v->width || !v->height)
        return wrong(message, "--%s is %.60s, each side must be 1 … %d", o->name, text, MAX_SIDE);
    return true;
}

typedef struct choice_list {
    char copy[128], *words[16];
} choice_list;

static const char *choice_word(const void *list, int i) { return ((const choice_list *)list)->words[i]; }

static bool read_choice(const cli_option *o, const char *text, char *message) {
    choice_list list = {.words = {0}};
    int count = 0;
    assert(strlen(o->choices) < sizeof list.copy);
    char *saved = NULL;
    strcpy(list.copy, o->choices);
    for (char *w = strtok_r(list.copy, "|", &saved); w && count < 15; w = strtok_r(NULL, "|", &saved)) {
        if (!strcmp(w, text)) return true;
        list.words[count++] = w;
    }
    return wrong(message, "--%s: '%.60s' is not one of %s; the nearest is '%s'", o->name, text, o->choices,
                 cli_nearest(text, choice_word, &list));
}

static bool read_value(const cli_option *o, const char *text, cli_value *v, char *message) {
    v->text = text;
    v->set = true;
    if (o->kind != CLI_FLAG && !*text) return wrong(message, "--%s: its value is empty", o->name);
    switch (o->kind) {
    case CLI_FLAG: return true;
    case CLI_TEXT: return true;
    case CLI_INT: return read_int(o, text, v, message);
    case CLI_REAL: return read_real(o, text, v, message);
    case CLI_BYTES: return read_bytes(o, text, v, message);
    case CLI_CHOICE: return read_choice(o, text, message);
    case CLI_SIZE: return read_size(o, text, v, message);
    case CLI_PAIR: return read_pair(o, text, v, message);
    }
    return false;
}

/* ---- the command line ---- */

static int find_option(const cli_verb *verb, const char *name, size_t length) {
    for (int i = 0; verb->options[i].name; i++)
        if (strlen(verb->options[i].name) == length && !strncmp(verb->options[i].name, name, length))
            return i;
    return -1;
}

/* The first option that a bare word may fill and none has filled, or -1. */
static int find_positional(const cli_verb *verb, const cli_args *args) {
    for (int i = 0; verb->options[i].name; i++)
        if (verb->options[i].positional && !args->values[i].given) return i;
    return -1;
}

static void set_default(const cli_option *o, cli_value *value) {
    char message[CLI_MESSAGE];
    *value = (cli_value){.given = false};
    bool good = !o->fallback || read_value(o, o->fallback, value, message);
    assert(good); /* the table's own default keeps the table's own range */
    (void)good;
}

static void set_defaults(const cli_verb *verb, cli_args *args) {
    *args = (cli_args){.verb = verb};
    for (int i = 0; verb->options[i].name; i++) {
        assert(i < CLI_MAX_OPTIONS);
        set_default(&verb->options[i], &args->values[i]);
    }
}

void cli_unset(cli_args *args, const char *name) {
    int i = find_option(args->verb, name, strlen(name));
    assert(i >= 0);
    set_default(&args->verb->options[i], &args->values[i]);
}

static bool is_one_of(const char *text, const char *a, const char *b) {
    return !strcmp(text, a) || !strcmp(text, b);
}

bool cli_set(cli_args *args, const char *name, size_t length, const char *text, cli_origin origin,
             char message[CLI_MESSAGE]) {
    int i = find_option(args->verb, name, length);
    if (i < 0)
        return wrong(message, "'%.*s' is not an option", (int)(length < MAX_WORD ? length : MAX_WORD), name);
    const cli_option *o = &args->verb->options[i];
    cli_value value = {.given = true, .origin = origin};
    if (o->kind == CLI_FLAG && text && is_one_of(text, "0", "false"))
        value.given = false;
    else if (o->kind == CLI_FLAG && text && !is_one_of(text, "1", "true"))
        return wrong(message, "--%s is a flag: 1 or 0, not '%.60s'", o->name, text);
    else if (!read_value(o, text ? text : "", &value, message))
        return false;
    if (args->values[i].origin < origin) args->values[i] = value;
    return true;
}

/* --no-NAME, where NAME is a flag: its place, else −1. */
static int find_negated(const cli_verb *verb, const char *name, size_t length) {
    int i = length > 3 && !strncmp(name, "no-", 3) ? find_option(verb, name + 3, length - 3) : -1;
    return i >= 0 && verb->options[i].kind == CLI_FLAG ? i : -1;
}

/* Reads the option in argv[*at] and its value, and moves *at past them. */
static bool read_option(const cli_verb *verb, int argc, char **argv, int *at, cli_args *args, char *message) {
    const char *word = argv[*at], *name = word + 2, *equals = strchr(word, '=');
    int place = *word != '-' ? find_positional(verb, args) : -1;
    if (place >= 0) {
        ++*at;
        args->values[place] = (cli_value){.given = true};
        return read_value(&verb->options[place], word, &args->values[place], message);
    }
    if (strncmp(word, "--", 2) || !word[2])
        return wrong(message, "'%.60s' is not an option; options begin with --, for instance --%s", word,
                     cli_nearest(word[0] == '-' ? word + 1 : word, option_name, verb->options));
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    int i = find_option(verb, name, length), negated = i < 0 ? find_negated(verb, name, length) : -1;
    if (negated >= 0 && !equals) {
        args->values[negated] = (cli_value){.origin = CLI_LINE};
        ++*at;
        return true;
    }
    if (i < 0) {
        char typed[MAX_WORD + 1];
        snprintf(typed, sizeof typed, "%.*s", (int)(length < MAX_WORD ? length : MAX_WORD), name);
        return wrong(message, "--%s is not an option; the nearest is --%s", typed,
                     cli_nearest(typed, option_name, verb->options));
    }
    const cli_option *o = &verb->options[i];
    const char *value = equals ? equals + 1 : "";
    ++*at;
    if (o->kind == CLI_FLAG) {
        if (equals) return wrong(message, "--%s takes no value", o->name);
    } else if (!equals) {
        if (*at >= argc || !strncmp(argv[*at], "--", 2))
            return wrong(message, "--%s needs a value: --%s %s", o->name, o->name,
                         o->value ? o->value : o->choices);
        value = argv[(*at)++];
    }
    args->values[i] = (cli_value){.given = true, .origin = CLI_LINE};
    return read_value(o, value, &args->values[i], message);
}

cli_parse_result cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *args,
                           char message[CLI_MESSAGE]) {
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return CLI_HELP;
    set_defaults(verb, args);
    for (int at = 0; at < argc;)
        if (!read_option(verb, argc, argv, &at, args, message)) return CLI_WRONG;
    for (int i = 0; verb->options[i].name; i++)
        if (verb->options[i].required && !args->values[i].set) {
            wrong(message, verb->options[i].positional ? "%.0s%s is missing" : "--%s %s is missing",
                  verb->options[i].name, verb->options[i].value);
            return CLI_WRONG;
        }
    return CLI_RUN;
}

const cli_value *cli_get(const cli_args *args, const char *name) {
    int i = find_option(args->verb, name, strlen(name));
    assert(i >= 0);
    return &args->values[i];
}

bool cli_given(const cli_args *args, const char *name) { return cli_get(args, name)->given; }
long long cli_int(const cli_args *args, const char *name) { return cli_get(args, name)->integer; }
double cli_real(const cli_args *args, const char *name) { return cli_get(args, name)->real; }
const char *cli_text(const cli_args *args, const char *name) {
    const cli_value *v = cli_get(args, name);
    return v->set ? v->text : NULL;
}

const cli_verb *cli_verb_find(const char *name) {
    for (const cli_verb *v = cli_verbs; v->name; v++)
        if (!strcmp(v->name, name)) return v;
    return NULL;
}
