/* libjpeg's error manager that comes back to its caller instead of printing and exiting. Used by the JPEG
 * reader and writer only. */
#ifndef RB_IMAGE_JPEG_GUARD_H
#define RB_IMAGE_JPEG_GUARD_H

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>

typedef struct rb_jpeg_guard {
    struct jpeg_error_mgr manager; /* first: libjpeg hands back a pointer to it */
    jmp_buf escape;                /* set by the caller before the first call of libjpeg */
    char message[JMSG_LENGTH_MAX];
} rb_jpeg_guard;

/* Fills in the manager; a fatal error leaves its text in `message` and jumps to `escape`, warnings are only
 * counted (manager.num_warnings). */
void rb_jpeg_guard_open(rb_jpeg_guard *guard);

#endif
