/* Reading tar archives where they lie: the headers alone are read, and say where the content of each file is.
 *
 * POSIX ustar and pax, GNU long names and base-256 sizes, and the old form without a magic. Links, folders
 * and special files are passed over; sparse files are refused, because their content is not in one piece. An
 * archive must have its end mark (a block of zeros): without it, something has been cut off. */
#ifndef RB_DATA_TAR_H
#define RB_DATA_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RB_TAR_BLOCK = 512, RB_TAR_NAME = 4096 };

typedef struct rb_tar {
    const char *path; /* the caller's */
    int fd;
    uint64_t size, at; /* of the archive; of the next header */
} rb_tar;

/* A regular file in it; name and content stay in the archive. */
typedef struct rb_tar_member {
    char name[RB_TAR_NAME];
    uint64_t offset, size; /* of the content */
} rb_tar_member;

/* IO_FAILED; BAD_FILE when it is no regular file. Close it also after a failure. */
revbifpn_status rb_tar_open(rb_tar *tar, const char *path, rb_error *err) RB_CHECKED;
void rb_tar_close(rb_tar *tar);
/* The next regular file; *found false at the end. BAD_FILE naming archive, byte and reason. */
revbifpn_status rb_tar_next(rb_tar *tar, rb_tar_member *member, bool *found, rb_error *err) RB_CHECKED;
/* Reads `size` bytes from byte `offset` of the archive. */
revbifpn_status rb_tar_read(const rb_tar *tar, uint64_t offset, void *bytes, size_t size,
                            rb_error *err) RB_CHECKED;

/* The header of a regular file as POSIX has it, the same bytes always: no owner, no time, mode 644. `name`
 * has at most 100 bytes, `size` less than 8 GiB. The content follows, filled up to whole blocks with zeros.
 */
void rb_tar_header(const char *name, uint64_t size, uint8_t block[RB_TAR_BLOCK]);

#endif
