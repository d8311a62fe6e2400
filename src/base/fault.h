/* For tests: files that cannot be written any more. */
#ifndef RB_BASE_FAULT_H
#define RB_BASE_FAULT_H

#include <stdbool.h>

/* Of the operations that write files (create, write, make durable, rename, cut) number `n` from now on (from
 * 0) and all after it fail with the errno `error`; below 0 none does, which is the default. */
void rb_file_fail_after(long n, int error);
/* How many such operations there have been in this process. */
long rb_file_operations(void);
/* Counts one; true, with errno set, when it is to fail. */
bool rb_file_fails(void);

#endif
