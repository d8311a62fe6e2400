#include "base/fault.h"

#include <errno.h>
#include <stdatomic.h>

static atomic_long operations, fail_from = -1;
static atomic_int fail_with;

void rb_file_fail_after(long n, int error) {
    atomic_store(&fail_with, error);
    atomic_store(&fail_from, n < 0 ? -1 : atomic_load(&operations) + n);
}

long rb_file_operations(void) { return atomic_load(&operations); }

bool rb_file_fails(void) {
    long number = atomic_fetch_add(&operations, 1), from = atomic_load(&fail_from);
    if (from < 0 || number < from) return false;
    errno = atomic_load(&fail_with);
    return true;
}
