/* What a check finds: lines on the screen as they come, and with --json one object, written at the end. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include "print.h"
#include "progress.h"

enum { CLI_FINDING_KINDS = 32 };

typedef struct cli_findings {
    const cli_args *args;
    cli_progress progress;
    FILE *json; /* of --json, or NULL */
    FILE *classes;
    char *text, *class_text; /* of json; what goes into "classes", collected while findings are written */
    size_t size, class_size;
    bool any, lost; /* lost: memory was out for a part of it */
    int told[CLI_FINDING_KINDS];
} cli_findings;

/* Zero the struct first. That the folder of --json is there is asked before pictures are read. */
int cli_findings_open(cli_findings *f, const cli_args *args);
void cli_findings_progress(cli_findings *f, int done, int all);
void cli_findings_add(cli_findings *f, int kind, const char *name, const char *path, const char *text);
/* Begins a class in the object, for the caller to go on with `, "key": value` and to end with `}`; NULL
 * without
 * --json. */
FILE *cli_findings_class(cli_findings *f, const char *name);
/* The line that tells how many findings were not shown. */
void cli_findings_hidden(const cli_findings *f);
/* Ends the lists; the caller goes on with `  "key": value,` lines and ends with `}`. NULL without --json. */
FILE *cli_findings_end(cli_findings *f);
/* Writes the object. */
int cli_findings_write(cli_findings *f, revbifpn *ctx);
void cli_findings_close(cli_findings *f);

#endif
