/* A context and a folder of a test program, and what they are asked. */
#ifndef RB_TESTS_API_SESSION_H
#define RB_TESTS_API_SESSION_H

#include <revbifpn.h>

#include "check.h"

static revbifpn *ctx;
static char folder[4096];

static void ok(revbifpn_status status) {
    if (status) fail_msg("%s", revbifpn_message(ctx));
}

static void refused(revbifpn_status status, revbifpn_status wanted, const char *reason) {
    if (status != wanted || !strstr(revbifpn_message(ctx), reason))
        fail_msg("wanted %d with '%s', got %d: %s", (int)wanted, reason, (int)status, revbifpn_message(ctx));
}

static const char *inside(const char *name) {
    static char path[8][4300];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static inline void open_session(void) {
    make_folder(folder);
    ok(revbifpn_open(&ctx, NULL));
}

static int close_session(void **state) {
    (void)state;
    revbifpn_close(&ctx);
    remove_folder(folder);
    return 0;
}

#endif
