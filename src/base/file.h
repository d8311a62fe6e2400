/* Files: read whole, written whole. */
#ifndef RB_BASE_FILE_H
#define RB_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* Reads all of `path` into *bytes (freed with rb_free; one zero byte follows the data) if it has at most
 * `limit` bytes. Errors name the path and the reason. Directories and special files are refused. */
revbifpn_status rb_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size,
                             rb_error *err) RB_CHECKED;

/* Reads the `size` bytes from `offset` on of `path` into `bytes`. BAD_FILE when there are fewer; IO_FAILED.
 */
revbifpn_status rb_file_read_range(const char *path, uint64_t offset, size_t size, void *bytes,
                                   rb_error *err) RB_CHECKED;

/* A file that appears whole or not at all: written as PATH.tmp, synced, renamed over PATH, folder synced.
 * What is there and no regular file (a device, a pipe) is written in place. */
typedef struct rb_file_writer {
    FILE *stream;
    char path[4096], temporary[4112];
    bool special; /* written in place */
} rb_file_writer;

revbifpn_status rb_file_begin(rb_file_writer *w, const char *path, rb_error *err) RB_CHECKED;
revbifpn_status rb_file_write(rb_file_writer *w, const void *bytes, size_t size, rb_error *err) RB_CHECKED;
/* Makes the new content durable under its name. On failure the old file stands and the temporary is gone. */
revbifpn_status rb_file_commit(rb_file_writer *w, rb_error *err) RB_CHECKED;
/* Gives up: removes the temporary. Harmless after commit. */
void rb_file_abandon(rb_file_writer *w);

/* begin, write, commit in one. */
revbifpn_status rb_file_replace(const char *path, const void *bytes, size_t size, rb_error *err) RB_CHECKED;
/* FROM takes the place of TO, durably; both in one folder. */
revbifpn_status rb_file_rename(const char *from, const char *to, rb_error *err) RB_CHECKED;
/* Makes `path` and its missing parents as folders. */
revbifpn_status rb_folder_make(const char *path, rb_error *err) RB_CHECKED;

#endif
