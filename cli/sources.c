#define _GNU_SOURCE
#include "sources.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "print.h"

typedef struct folder {
    const cli_sources *sources;
    size_t prefix; /* length of its name with the slash */
    int seen, stop;
} folder;

static int visit_inside(void *user, const char *path) {
    folder *f = user;
    const char *name = path + f->prefix;
    while (*name == '/') name++;
    f->seen++;
    f->stop = f->sources->visit(f->sources->user, path, name);
    return f->stop;
}

static int complain(const cli_sources *s, const char *path, const char *why) {
    fprintf(stderr, "revbifpn %s: %s: %s\n", s->args->verb->name, path, why);
    return CLI_FAILED;
}

static int visit_folder(const cli_sources *s, const char *path, int *stop) {
    folder f = {.sources = s, .prefix = strlen(path)};
    revbifpn_status status = revbifpn_find_pictures(s->ctx, path, visit_inside, &f);
    *stop = f.stop;
    if (status != REVBIFPN_OK) return cli_report(s->args, s->ctx, status);
    if (f.seen) return CLI_OK;
    return complain(s, path, "no picture in this folder (jpg, png, webp, gif, bmp, tif)");
}

/* A file or folder that is there. */
static int visit_one(const cli_sources *s, const char *path, int *stop) {
    struct stat info;
    if (stat(path, &info)) return complain(s, path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return visit_folder(s, path, stop);
    const char *slash = strrchr(path, '/');
    *stop = s->visit(s->user, path, slash ? slash + 1 : path);
    return CLI_OK;
}

static int visit_pattern(const cli_sources *s, const char *pattern) {
    glob_t found;
    int stop = 0, code = glob(pattern, GLOB_TILDE, NULL, &found);
    if (code == GLOB_NOMATCH) return complain(s, pattern, "nothing fits this pattern");
    if (code) return complain(s, pattern, code == GLOB_NOSPACE ? "out of memory" : "cannot read the folder");
    int worst = CLI_OK;
    for (size_t i = 0; i < found.gl_pathc && !stop; i++)
        if (visit_one(s, found.gl_pathv[i], &stop) != CLI_OK) worst = CLI_FAILED;
    globfree(&found);
    return worst;
}

static int visit_standard_input(const cli_sources *s) {
    char *line = NULL;
    size_t room = 0;
    int stop = 0, worst = CLI_OK, seen = 0;
    for (ssize_t length; !stop && (length = getline(&line, &room, stdin)) >= 0;) {
        if (length && line[length - 1] == '\n') line[--length] = 0;
        if (!length) continue;
        seen++;
        if (visit_one(s, line, &stop) != CLI_OK) worst = CLI_FAILED;
    }
    free(line);
    if (ferror(stdin)) return complain(s, "standard input", strerror(errno));
    return seen ? worst : complain(s, "standard input", "names no picture");
}

int cli_visit_sources(const cli_sources *s, const char *source) {
    struct stat info;
    int stop = 0;
    if (!strcmp(source, "-")) return visit_standard_input(s);
    if (stat(source, &info) && strpbrk(source, "*?[")) return visit_pattern(s, source);
    return visit_one(s, source, &stop);
}
