/* What --source names: a picture, a folder (with its subfolders), a pattern, or - for names on standard
 * input. */
#ifndef REVBIFPN_CLI_SOURCES_H
#define REVBIFPN_CLI_SOURCES_H

#include <revbifpn.h>

#include "options.h"

typedef struct cli_sources {
    const cli_args *args;
    revbifpn *ctx;
    /* Takes a picture's path, and the part of it that tells it from the others of its source ("b/c.jpg" of
     * folder "a"). Other than 0 ends it. */
    int (*visit)(void *user, const char *path, const char *name);
    void *user;
} cli_sources;

/* Visits all pictures of `source`. CLI_FAILED after a line on stderr when one of what it names is not there
 * or a folder has no picture; the others are visited all the same. */
int cli_visit_sources(const cli_sources *sources, const char *source);

#endif
