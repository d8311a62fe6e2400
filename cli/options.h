/* The option table and what it drives: parsing, defaults, help and error messages. A verb is a list of
 * options; an option has a kind, a range and a default written as a user would type it. Nothing is
 * abbreviated, the last of a repeated option counts; --no-NAME turns a flag off that another place has set.
 */
#ifndef REVBIFPN_CLI_OPTIONS_H
#define REVBIFPN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum cli_kind {
    CLI_FLAG,   /* takes no value */
    CLI_INT,    /* whole number in low … high */
    CLI_REAL,   /* finite number in min … max */
    CLI_BYTES,  /* 4G, 512M, 1.5K or plain bytes; powers of 1024 */
    CLI_TEXT,   /* any non-empty text */
    CLI_CHOICE, /* one of `choices`, separated by | */
    CLI_SIZE,   /* N or WIDTHxHEIGHT */
    CLI_PAIR    /* a,b with min ≤ a ≤ b ≤ max */
} cli_kind;

typedef struct cli_option {
    const char *name; /* without the dashes */
    cli_kind kind;
    const char *value;    /* what help calls the value: N, DIR */
    const char *fallback; /* the default as typed, or NULL */
    const char *help;
    long long low, high; /* CLI_INT */
    double min, max;     /* CLI_REAL, CLI_PAIR */
    const char *choices; /* CLI_CHOICE */
    bool required;
    const char *heading; /* a line above this option in the help, or NULL */
    bool positional;     /* may be typed without its name: bare words fill these in their order */
} cli_option;

enum { CLI_MAX_OPTIONS = 128, CLI_MESSAGE = 512 };

typedef struct cli_args cli_args;
typedef struct cli_verb {
    const char *name, *summary, *about;
    const cli_option *options; /* ends with name NULL */
    int (*run)(const cli_args *args);
} cli_verb;

/* Where a value is from: the later one wins. */
typedef enum cli_origin { CLI_DEFAULT, CLI_RECIPE, CLI_FILE, CLI_ENVIRONMENT, CLI_LINE } cli_origin;

typedef struct cli_value {
    bool given; /* from somewhere else than the table; of a flag: and on */
    bool set;   /* given or by default */
    cli_origin origin;
    const char *text; /* as typed */
    long long integer;
    uint64_t bytes;
    double real, second;
    int width, height;
} cli_value;

struct cli_args {
    const cli_verb *verb;
    cli_value values[CLI_MAX_OPTIONS];
};

typedef enum cli_parse_result { CLI_RUN, CLI_HELP, CLI_WRONG } cli_parse_result;

/* All verbs; ends with name NULL. */
extern const cli_verb cli_verbs[];
/* The verb of that name, or NULL. */
const cli_verb *cli_verb_find(const char *name);

/* Reads the words after the verb. CLI_WRONG: `message` is one line that says what is wrong and what would be
 * right. */
cli_parse_result cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *args,
                           char message[CLI_MESSAGE]);

/* Sets option `name` (of that length) from another place than the command line, unless a later one has set
 * it. Flags: NULL, "1" and "true" are on, "0" and "false" off. False with a message: no such option, or a
 * wrong value.
 */
bool cli_set(cli_args *args, const char *name, size_t length, const char *text, cli_origin origin,
             char message[CLI_MESSAGE]);
/* Back to the table's default. */
void cli_unset(cli_args *args, const char *name);

/* The value of an option; asking for one that the verb does not have is a bug (assert). */
const cli_value *cli_get(const cli_args *args, const char *name);
bool cli_given(const cli_args *args, const char *name);
long long cli_int(const cli_args *args, const char *name);
double cli_real(const cli_args *args, const char *name);
const char *cli_text(const cli_args *args, const char *name); /* NULL when not set */

/* The index of the candidate nearest to `word`; `get(i)` names them until it returns NULL. */
const char *cli_nearest(const char *word, const char *(*get)(const void *list, int i), const void *list);
int cli_edit_distance(const char *a, const char *b);

void cli_help_program(FILE *out);
void cli_help_verb(FILE *out, const cli_verb *verb);

#endif
