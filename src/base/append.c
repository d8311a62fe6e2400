#define _GNU_SOURCE
#include "base/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

static revbifpn_status failed(const rb_appender *a, const char *what, rb_error *err) {
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot %s: %s", a->path, what, strerror(errno));
}

rb_appender rb_append_closed(void) { return (rb_appender){.fd = -1}; }

revbifpn_status rb_append_open(rb_appender *a, const char *path, uint64_t keep, rb_error *err) {
    *a = rb_append_closed();
    if (strlen(path) >= sizeof a->path)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", path);
    strcpy(a->path, path);
    a->fd = rb_file_fails() ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (a->fd < 0) return failed(a, "open", err);
    a->size = keep;
    return rb_file_fails() || ftruncate(a->fd, (off_t)keep) ? failed(a, "cut", err) : REVBIFPN_OK;
}

revbifpn_status rb_append(rb_appender *a, const void *bytes, size_t size, rb_error *err) {
    const char *next = bytes;
    for (size_t left = size; left;) {
        ssize_t n = rb_file_fails() ? -1 : write(a->fd, next, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (!n) errno = ENOSPC;
            revbifpn_status status = failed(a, "write", err);
            (void)!ftruncate(a->fd, (off_t)a->size);
            return status;
        }
        next += n;
        left -= (size_t)n;
    }
    a->size += size;
    return REVBIFPN_OK;
}

revbifpn_status rb_append_sync(rb_appender *a, rb_error *err) {
    return rb_file_fails() || fsync(a->fd) ? failed(a, "write", err) : REVBIFPN_OK;
}

void rb_append_close(rb_appender *a) {
    if (a->fd >= 0) close(a->fd);
    *a = rb_append_closed();
}
