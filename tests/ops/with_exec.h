/* Operators that are made of others get an executor: a table, a pool, and an arena exactly as large as a dry
 * run says, full of NaN. */
#ifndef RB_TESTS_OPS_WITH_EXEC_H
#define RB_TESTS_OPS_WITH_EXEC_H

#include "kernels.h"

/* Calls run(x, op, out) dry, then in earnest. The dry run gets the same operands: one that touched them would
 * add twice. */
static inline void with_exec(const rb_ops *ops, rb_pool *pool,
                             void (*run)(rb_exec *x, const void *op, void **out), const void *op,
                             void **out) {
    rb_error err;
    rb_exec dry = {.ops = ops, .pool = pool, .scratch = rb_arena_dry(), .dry = true};
    run(&dry, op, out);
    assert_int_equal(dry.scratch.top, 0);
    rb_exec x = {.ops = ops, .pool = pool};
    CHECK_OK(rb_arena_open(&x.scratch, dry.scratch.high ? dry.scratch.high : 1, "test", &err), &err);
    memset(x.scratch.base, 0xff, dry.scratch.high);
    run(&x, op, out); /* a byte more than planned makes the arena assert */
    assert_int_equal(x.scratch.high, dry.scratch.high);
    assert_int_equal(x.scratch.top, 0);
    rb_arena_close(&x.scratch);
}

#endif
