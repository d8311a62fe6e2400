#include "base/host.h"

static _Thread_local rb_host *in_use;

rb_host *rb_host_use(rb_host *host) {
    rb_host *before = in_use;
    in_use = host;
    return before;
}

rb_host *rb_host_in_use(void) { return in_use; }

void rb_log(revbifpn_log_level level, const char *line) {
    if (in_use && in_use->log) in_use->log(in_use->user, level, line);
}

revbifpn_status rb_host_stop_asked(const char *place, rb_error *err) {
    if (!in_use || !in_use->stop || !in_use->stop(in_use->user)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_STOPPED, "%s: asked to stop while it was being read", place);
}
