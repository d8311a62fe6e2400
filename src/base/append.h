/* Files that grow by whole records while something runs. */
#ifndef RB_BASE_APPEND_H
#define RB_BASE_APPEND_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rb_appender {
    int fd; /* −1: closed, as rb_append_closed says; a zeroed struct counts as open */
    uint64_t size;
    char path[4096];
} rb_appender;

rb_appender rb_append_closed(void);
/* Opens or makes the file, cut to its first `keep` bytes. */
revbifpn_status rb_append_open(rb_appender *a, const char *path, uint64_t keep, rb_error *err) RB_CHECKED;
/* Adds a record, at once for every reader. When it finds no room, what was written of it is cut off again. */
revbifpn_status rb_append(rb_appender *a, const void *bytes, size_t size, rb_error *err) RB_CHECKED;
/* All records so far survive a power cut. */
revbifpn_status rb_append_sync(rb_appender *a, rb_error *err) RB_CHECKED;
void rb_append_close(rb_appender *a);

#endif
