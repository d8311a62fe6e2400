/* Status and error text.
 *
 * Every function that can fail on something from outside (a file, a size, a device) returns a revbifpn_status
 * and writes one line of text, naming file, place and reason, into the rb_error it was given; control codes
 * in what it quotes are shown as '?'. The error belongs to the caller; two threads never share one. */
#ifndef RB_BASE_STATUS_H
#define RB_BASE_STATUS_H

#include "revbifpn.h"

#define RB_CHECKED __attribute__((warn_unused_result))
#define RB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef struct rb_error {
    revbifpn_status status;
    char text[1024];
} rb_error;

/* Records `status` and the formatted text in `err` (which may be NULL) and returns `status`. */
revbifpn_status rb_fail(rb_error *err, revbifpn_status status, const char *format, ...) RB_PRINTF(3, 4);

/* Prefixes the text already in `err`, for instance with the file it is about; returns err->status. */
revbifpn_status rb_fail_prefix(rb_error *err, const char *format, ...) RB_PRINTF(2, 3);

/* Leaves the function through its `fail:` label when `expression` fails; needs a local `status`. */
#define TRY(expression)                                                                                      \
    do {                                                                                                     \
        status = (expression);                                                                               \
        if (status != REVBIFPN_OK) goto fail;                                                                \
    } while (0)

#endif
