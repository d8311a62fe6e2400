/* What the tests of PyTorch's files share. */
#ifndef TESTS_IO_PTH_CHECK_H
#define TESTS_IO_PTH_CHECK_H

#include "check.h"

#include "base/file.h"

static inline unsigned char *slurp(const char *file, size_t *size) {
    rb_error err;
    unsigned char *data;
    CHECK_OK(rb_file_read(file, 1 << 20, &data, size, &err), &err);
    return data;
}

static inline void expect(revbifpn_status status, revbifpn_status wanted, const rb_error *err,
                          const char *reason) {
    if (status != wanted || !strstr(err->text, reason) || strchr(err->text, '\n'))
        fail_msg("wanted status %d with '%s', got %d: %s", (int)wanted, reason, (int)status, err->text);
}

#endif
