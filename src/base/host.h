/* What a program gives a context: memory, a place for lines of a log, and the wish to stop.
 *
 * Every thread has one in use or none. Public functions put the context's in use for as long as they run, and
 * threads that work for a context begin with that of the thread that started them; so rb_alloc, rb_log and
 * rb_host_stop_asked need not be told. Without one there is malloc, no log, and no wish. */
#ifndef RB_BASE_HOST_H
#define RB_BASE_HOST_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/status.h"

typedef struct rb_host {
    void *user;
    void *(*allocate)(void *user, size_t bytes, size_t alignment); /* NULL: aligned_alloc and free */
    void (*release)(void *user, void *block, size_t bytes);
    void (*log)(void *user, revbifpn_log_level level, const char *line); /* may be NULL */
    int (*stop)(void *user);                                             /* may be NULL */
    atomic_size_t allocations;                                           /* so far */
} rb_host;

/* Puts `host` (or none: NULL) in use in the calling thread; returns what was. */
rb_host *rb_host_use(rb_host *host);
rb_host *rb_host_in_use(void);

/* One line for the log; without a log nothing. Never from a thread that only works for a call. */
void rb_log(revbifpn_log_level level, const char *line);
/* STOPPED, with text, when the program wants the reading of `place` to end. */
revbifpn_status rb_host_stop_asked(const char *place, rb_error *err) RB_CHECKED;

#endif
