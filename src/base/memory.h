/* Checked sizes, allocation, and the arena.
 *
 * An arena is one block handed out from the bottom as a stack: push moves the top up, release moves it back
 * to a mark. In dry mode there is no block: addresses are fake and must not be touched, only the high-water
 * mark counts. A plan is the high-water mark of a dry run of the same code (DESIGN 5). */
#ifndef RB_BASE_MEMORY_H
#define RB_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define RB_ALIGNMENT ((size_t)64) /* one cache line, one AVX-512 vector */

/* a * b, or SIZE_MAX when it does not fit (which no allocation grants). */
size_t rb_size_mul(size_t a, size_t b);
/* a + b, or SIZE_MAX when it does not fit. */
size_t rb_size_add(size_t a, size_t b);
/* `bytes` rounded up to RB_ALIGNMENT. */
size_t rb_size_align(size_t bytes);

/* Zeroed, RB_ALIGNMENT-aligned memory from the host in use (base/host.h); NULL when there is none. */
void *rb_alloc(size_t bytes);
/* Gives it back to the host it came from, whichever is in use; nothing for NULL. */
void rb_free(void *pointer);
/* Room for `count` items of `size` bytes at `pointer`, which has room for *room of them (NULL: for none): at
 * least doubled when it grows. What is there stays, what is new is not cleared. NULL: memory is out, and the
 * old block stands. Freed with rb_free; not RB_ALIGNMENT-aligned. */
void *rb_grow(void *pointer, size_t *room, size_t count, size_t size) RB_CHECKED;
/* Calls of rb_alloc, and growths, so far for the host in use (without one, of all threads without): the
 * training step must not move it. */
size_t rb_alloc_count(void);
/* For tests: of the calls from now on, in any thread, number `n` (from 0) gives NULL, once; below 0 none
 * does. Off by default. */
void rb_alloc_fail_after(long n);
/* Whether that call is still to come. */
bool rb_alloc_fail_pending(void);

typedef struct rb_arena {
    unsigned char *base;
    size_t capacity; /* bytes of the block; SIZE_MAX in dry mode */
    size_t top;      /* bytes in use */
    size_t high;     /* largest top so far */
    bool dry;
} rb_arena;

/* An arena without memory that only counts. */
rb_arena rb_arena_dry(void);
/* Allocates an arena of `bytes`; `what` names it in the error. */
revbifpn_status rb_arena_open(rb_arena *arena, size_t bytes, const char *what, rb_error *err) RB_CHECKED;
void rb_arena_close(rb_arena *arena);

/* `bytes` (rounded up to RB_ALIGNMENT) from the top, not cleared. Running over a planned arena is a bug: it
 * asserts. */
void *rb_arena_push(rb_arena *arena, size_t bytes);
size_t rb_arena_mark(const rb_arena *arena);
void rb_arena_release(rb_arena *arena, size_t mark);

#endif
