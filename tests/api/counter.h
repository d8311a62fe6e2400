/* An allocator, a log and a wish to stop for a context, which count what is asked of them. */
#ifndef RB_TESTS_API_COUNTER_H
#define RB_TESTS_API_COUNTER_H

#include "check.h"

#include <revbifpn.h>
#include <stdatomic.h>

enum { MARGIN = 64 }; /* before each block, for the counter's own notes */

/* An allocator that knows what it has given, and what is brought back. */
typedef struct counter {
    atomic_size_t live, calls;
    atomic_int wrong; /* releases of a block that is another's, or of another size */
    atomic_long fail_at;
    bool crooked;                  /* gives addresses that are not aligned */
    int warnings, notices, logged; /* lines; those that hold `wanted` */
    const char *wanted;
    int stop_after; /* questions that are answered with no; below 0: always no */
} counter;

typedef struct note {
    counter *owner;
    size_t bytes;
} note;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    counter *c = user;
    atomic_fetch_add(&c->calls, 1);
    if (atomic_fetch_sub(&c->fail_at, 1) == 0) return NULL;
    unsigned char *block = aligned_alloc(alignment, MARGIN + bytes + alignment);
    if (!block) return NULL;
    *(note *)(void *)block = (note){c, bytes};
    memset(block + MARGIN, 0xa5, bytes); /* what is not cleared shows */
    atomic_fetch_add(&c->live, bytes);
    return block + MARGIN + (c->crooked ? 16 : 0);
}

static void release(void *user, void *block, size_t bytes) {
    counter *c = user;
    note *n = (note *)(void *)((unsigned char *)block - MARGIN - (c->crooked ? 16 : 0));
    if (n->owner != c || n->bytes != bytes) atomic_fetch_add(&c->wrong, 1);
    atomic_fetch_sub(&c->live, bytes);
    free(n);
}

static void take_line(void *user, revbifpn_log_level level, const char *line) {
    counter *c = user;
    c->warnings += level == REVBIFPN_LOG_WARNING;
    c->notices += level == REVBIFPN_LOG_NOTICE;
    c->logged += c->wanted && strstr(line, c->wanted) && !strchr(line, '\n');
}

static int stop(void *user) {
    counter *c = user;
    return c->stop_after >= 0 && c->stop_after-- == 0;
}

static counter fresh(void) { return (counter){.fail_at = -1, .stop_after = -1}; }

static revbifpn_status open_with(counter *c, int threads, revbifpn **ctx) {
    revbifpn_options options = revbifpn_default_options();
    options.threads = threads;
    options.user = c;
    options.allocate = allocate;
    options.release = release;
    options.log = take_line;
    options.stop = stop;
    return revbifpn_open(ctx, &options);
}

#endif
