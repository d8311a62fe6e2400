/* Fails each allocation of a call once. */
#ifndef RB_TESTS_FAULT_FAIL_EACH_H
#define RB_TESTS_FAULT_FAIL_EACH_H

#include "check.h"

#include "base/memory.h"

typedef revbifpn_status scenario(rb_error *err);

static bool json_too; /* the JSON library's allocations fail, too: what it then says may be something else */

/* Fails allocation 0, 1, 2, … of the scenario until it needs no more. `strict`: a failure must be told; else
 * it may have hit a picture that nobody asked for. */
static void fail_each(const char *name, scenario *try_it, bool strict) {
    long n = 0;
    for (;; n++) {
        rb_error err = {0};
        rb_alloc_fail_after(n);
        revbifpn_status status = try_it(&err);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        if (pending) {
            if (status) fail_msg("%s: %d without a failed allocation: %s", name, (int)status, err.text);
            break;
        }
        if (status == REVBIFPN_OK && !strict) continue;
        if (status != REVBIFPN_OUT_OF_MEMORY && !(json_too && status))
            fail_msg("%s: allocation %ld fails: status %d, '%s'", name, n, (int)status, err.text);
        if (!err.text[0] || strchr(err.text, '\n'))
            fail_msg("%s: allocation %ld fails: not one line: '%s'", name, n, err.text);
    }
    printf("%s: %ld allocations\n", name, n);
    assert_true(n > 0);
}

#endif
