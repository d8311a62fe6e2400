#define _GNU_SOURCE
#include "findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN = 20 /* findings of a kind, without --all */ };

static int cannot_write(const cli_findings *f, int reason) {
    fprintf(stderr, "revbifpn check: %s: cannot write: %s\n", cli_text(f->args, "json"), strerror(reason));
    return CLI_FAILED;
}

int cli_findings_open(cli_findings *f, const cli_args *args) {
    f->args = args;
    const char *path = cli_text(args, "json");
    if (!path) return CLI_OK;
    const char *slash = strrchr(path, '/');
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (access(folder, F_OK)) return cannot_write(f, errno);
    f->json = open_memstream(&f->text, &f->size);
    f->classes = open_memstream(&f->class_text, &f->class_size);
    if (!f->json || !f->classes) return cannot_write(f, errno);
    fputs("{\n  \"findings\": [", f->json);
    return CLI_OK;
}

void cli_findings_progress(cli_findings *f, int done, int all) {
    cli_progress_count(&f->progress, done, all);
}

void cli_findings_add(cli_findings *f, int kind, const char *name, const char *path, const char *text) {
    if (f->told[kind]++ < SHOWN || cli_given(f->args, "all")) {
        cli_progress_clear(&f->progress);
        printf("%-16s %s: %s\n", name, path, text);
    }
    if (!f->json) return;
    fprintf(f->json, "%s\n    {\"kind\": \"%s\", \"path\": ", f->any ? "," : "", name);
    cli_json_string(f->json, path);
    fputs(", \"text\": ", f->json);
    cli_json_string(f->json, text);
    fputs("}", f->json);
    f->any = true;
}

FILE *cli_findings_class(cli_findings *f, const char *name) {
    if (!f->classes) return NULL;
    fprintf(f->classes, "%s\n    {\"name\": ", ftell(f->classes) > 0 ? "," : "");
    cli_json_string(f->classes, name);
    return f->classes;
}

void cli_findings_hidden(const cli_findings *f) {
    int hidden = 0;
    for (int i = 0; i < CLI_FINDING_KINDS; i++)
        if (f->told[i] > SHOWN && !cli_given(f->args, "all")) hidden += f->told[i] - SHOWN;
    if (hidden) printf("… and %d more of these kinds (--all shows them)\n", hidden);
}

/* Closes a stream in memory; false when that is out. */
static bool close_text(FILE **stream) {
    bool lost = *stream && ferror(*stream);
    if (*stream && fclose(*stream)) lost = true;
    *stream = NULL;
    return !lost;
}

FILE *cli_findings_end(cli_findings *f) {
    if (!f->json) return NULL;
    f->lost |= !close_text(&f->classes);
    fprintf(f->json, "\n  ],\n  \"classes\": [%s\n  ],\n", f->class_text ? f->class_text : "");
    return f->json;
}

int cli_findings_write(cli_findings *f, revbifpn *ctx) {
    if (!f->json) return CLI_OK;
    if (!close_text(&f->json) || f->lost) return cannot_write(f, ENOMEM);
    revbifpn_status status = revbifpn_file_write(ctx, cli_text(f->args, "json"), f->text, f->size);
    return status == REVBIFPN_OK ? CLI_OK : cli_report(f->args, ctx, status);
}

void cli_findings_close(cli_findings *f) {
    (void)close_text(&f->json);
    (void)close_text(&f->classes);
    free(f->text);
    free(f->class_text);
}
