#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/memory.h"

static revbifpn_status io_failed(rb_error *err, const char *what, const char *path) {
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: %s: %s", path, what, strerror(errno));
}

static revbifpn_status read_stream(FILE *stream, const char *path, unsigned char *bytes, size_t size,
                                   rb_error *err) {
    if (fread(bytes, 1, size, stream) == size) return REVBIFPN_OK;
    if (ferror(stream)) return io_failed(err, "cannot read", path);
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s: shrank while it was read", path);
}

revbifpn_status rb_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size,
                             rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    unsigned char *data = NULL;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the reader */
    if (fd < 0) return io_failed(err, "cannot open", path);
    FILE *stream = fdopen(fd, "rb");
    if (!stream || fstat(fd, &info)) {
        status = io_failed(err, "cannot open", path);
        goto fail;
    }
    if (!S_ISREG(info.st_mode)) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: not a regular file", path);
        goto fail;
    }
    if ((uint64_t)info.st_size > limit) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: %lld bytes, more than the limit of %zu", path,
                         (long long)info.st_size, limit);
        goto fail;
    }
    data = rb_alloc((size_t)info.st_size + 1);
    if (!data) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %lld bytes", path,
                         (long long)info.st_size);
        goto fail;
    }
    TRY(read_stream(stream, path, data, (size_t)info.st_size, err));
    *bytes = data;
    *size = (size_t)info.st_size;
    fclose(stream);
    return REVBIFPN_OK;
fail:
    rb_free(data);
    if (stream)
        fclose(stream);
    else
        close(fd);
    return status;
}

revbifpn_status rb_file_read_range(const char *path, uint64_t offset, size_t size, void *bytes,
                                   rb_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return io_failed(err, "cannot open", path);
    revbifpn_status status = REVBIFPN_OK;
    for (size_t done = 0; !status && done < size;) {
        ssize_t got = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR)
            status = io_failed(err, "cannot read", path);
        else if (!got)
            status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: shorter than %llu bytes", path,
                             (unsigned long long)(offset + size));
        else if (got > 0)
            done += (size_t)got;
    }
    close(fd);
    return status;
}

/* A device or a pipe: no file could take its place. */
static bool is_special(const char *path) {
    struct stat info;
    return !stat(path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

revbifpn_status rb_file_begin(rb_file_writer *w, const char *path, rb_error *err) {
    *w = (rb_file_writer){0};
    if (strlen(path) >= sizeof w->path)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", path);
    w->special = is_special(path);
    snprintf(w->path, sizeof w->path, "%s", path);
    snprintf(w->temporary, sizeof w->temporary, "%s%s", path, w->special ? "" : ".tmp");
    w->stream = rb_file_fails() ? NULL : fopen(w->temporary, "wbe");
    return w->stream ? REVBIFPN_OK : io_failed(err, "cannot create", w->temporary);
}

revbifpn_status rb_file_write(rb_file_writer *w, const void *bytes, size_t size, rb_error *err) {
    if (!rb_file_fails() && fwrite(bytes, 1, size, w->stream) == size) return REVBIFPN_OK;
    return io_failed(err, "cannot write", w->path);
}

static void sync_folder_of(const char *path) {
    char copy[4112];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!fsync(fd); /* best effort: some file systems refuse it on a folder */
    close(fd);
}

static void remove_temporary(const rb_file_writer *w) {
    if (!w->special) unlink(w->temporary);
}

revbifpn_status rb_file_commit(rb_file_writer *w, rb_error *err) {
    bool written = !rb_file_fails() && !fflush(w->stream) && (w->special || !fsync(fileno(w->stream)));
    int reason = errno;
    if (fclose(w->stream) && written) {
        written = false;
        reason = errno;
    }
    w->stream = NULL;
    if (!written) {
        errno = reason;
        revbifpn_status status = io_failed(err, "cannot write", w->path);
        remove_temporary(w);
        return status;
    }
    if (w->special) return REVBIFPN_OK;
    if (rb_file_fails() || rename(w->temporary, w->path)) {
        revbifpn_status status = io_failed(err, "cannot replace", w->path);
        remove_temporary(w);
        return status;
    }
    sync_folder_of(w->path);
    return REVBIFPN_OK;
}

void rb_file_abandon(rb_file_writer *w) {
    if (!w->stream) return;
    fclose(w->stream);
    w->stream = NULL;
    remove_temporary(w);
}

revbifpn_status rb_file_replace(const char *path, const void *bytes, size_t size, rb_error *err) {
    revbifpn_status status;
    rb_file_writer w = {0};
    TRY(rb_file_begin(&w, path, err));
    TRY(rb_file_write(&w, bytes, size, err));
    return rb_file_commit(&w, err);
fail:
    rb_file_abandon(&w);
    return status;
}

revbifpn_status rb_file_rename(const char *from, const char *to, rb_error *err) {
    if (rb_file_fails() || rename(from, to)) return io_failed(err, "cannot replace", to);
    sync_folder_of(to);
    return REVBIFPN_OK;
}

revbifpn_status rb_folder_make(const char *path, rb_error *err) {
    char part[4096];
    if (!*path || strlen(path) >= sizeof part)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "'%.64s': not a folder name", path);
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char keep = *p;
        *p = 0;
        if (access(part, F_OK) && (rb_file_fails() || mkdir(part, 0777)) && errno != EEXIST)
            return io_failed(err, "cannot make the folder", part);
        *p = keep;
        if (!keep) break;
    }
    struct stat info;
    if (!stat(path, &info) && S_ISDIR(info.st_mode)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: exists and is not a folder", path);
}
