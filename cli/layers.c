#define _DEFAULT_SOURCE
#include "layers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

enum { FILE_BYTES = 1 << 16 };

/* Options that say where others are from, or that are no part of a run's description. */
static bool stands_alone(const char *name) {
    return !strcmp(name, "options") || !strcmp(name, "resume") || !strcmp(name, "cpu");
}

static int take_environment(cli_args *args) {
    for (int i = 0; args->verb->options[i].name; i++) {
        const char *name = args->verb->options[i].name;
        char variable[80], message[CLI_MESSAGE];
        int length = snprintf(variable, sizeof variable, "REVBIFPN_%s", name);
        for (int c = 9; c < length; c++)
            variable[c] = (char)(variable[c] == '-' ? '_' : toupper((unsigned char)variable[c]));
        const char *text = stands_alone(name) ? NULL : getenv(variable);
        if (text && *text && !cli_set(args, name, strlen(name), text, CLI_ENVIRONMENT, message))
            return cli_usage(args, "%s: %s", variable, message);
    }
    return CLI_OK;
}

static int read_file(const cli_args *args, const char *path, cli_layers *layers) {
    FILE *f = fopen(path, "rbe");
    layers->file = f ? calloc(1, FILE_BYTES + 1) : NULL;
    size_t size = layers->file ? fread(layers->file, 1, FILE_BYTES, f) : 0;
    bool good = layers->file && !ferror(f);
    int reason = errno;
    if (f) fclose(f);
    if (good && size < FILE_BYTES) return CLI_OK;
    return cli_usage(args, "--options %s: %s", path, good ? "longer than 64 KiB" : strerror(reason));
}

/* One option a line, as on the command line without the dashes; # begins a comment. */
static int take_line(cli_args *args, const char *path, int number, char *line) {
    char message[CLI_MESSAGE];
    line[strcspn(line, "#")] = 0;
    char *name = line + strspn(line, " \t"), *end = name + strlen(name);
    while (end > name && isspace((unsigned char)end[-1])) *--end = 0;
    size_t length = strcspn(name, " =\t");
    char *value = name + length + strspn(name + length, " =\t");
    if (!*name) return CLI_OK;
    char option[64];
    snprintf(option, sizeof option, "%.*s", (int)(length < 63 ? length : 63), name);
    if (stands_alone(option))
        return cli_usage(args, "%s:%d: %s is for the command line", path, number, option);
    if (cli_set(args, option, strlen(option), *value ? value : NULL, CLI_FILE, message)) return CLI_OK;
    return cli_usage(args, "%s:%d: %s", path, number, message);
}

static int take_file(cli_args *args, cli_layers *layers) {
    const char *path = cli_text(args, "options");
    int code = path ? read_file(args, path, layers) : CLI_OK, number = 1;
    for (char *line = layers->file, *next; !code && line; line = next, number++) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        code = take_line(args, path, number, line);
    }
    return code;
}

int cli_complete(cli_args *args, cli_layers *layers) {
    int code = take_environment(args);
    if (!code) code = take_file(args, layers);
    return code ? code : cli_apply_recipe(args, layers);
}

void cli_layers_free(cli_layers *layers) {
    free(layers->file);
    layers->file = NULL;
}

const char *cli_origins(const cli_args *args, bool line_only, cli_layers *layers) {
    static const char *const names[] = {"default", "recipe", "file", "environment", "command line"};
    size_t used = 0;
    layers->origins[0] = 0;
    for (int i = 0; args->verb->options[i].name; i++) {
        cli_origin origin = args->values[i].origin;
        if (line_only && origin != CLI_LINE) continue;
        used += (size_t)snprintf(layers->origins + used, sizeof layers->origins - used, "%s=%s\n",
                                 args->verb->options[i].name, names[origin]);
    }
    return layers->origins;
}
