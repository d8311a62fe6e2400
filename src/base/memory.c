#define _GNU_SOURCE
#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_BYTES = 4 << 20 }; /* of an allocation that asks for huge pages */

static atomic_size_t alloc_calls;
static atomic_long alloc_fail_after = -1; /* calls until the one that fails; below 0: none */

size_t rb_size_mul(size_t a, size_t b) {
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

size_t rb_size_add(size_t a, size_t b) {
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

size_t rb_size_align(size_t bytes) {
    return bytes > SIZE_MAX - RB_ALIGNMENT ? SIZE_MAX : (bytes + RB_ALIGNMENT - 1) & ~(RB_ALIGNMENT - 1);
}

/* Maps are walked in strides: with pages of 2 MiB fewer translations miss. Every byte is touched below
 * anyway, so the process grows by nothing; where the system refuses, nothing is lost. */
static void ask_for_huge_pages(void *pointer, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = (page - (uintptr_t)pointer % page) % page;
    (void)madvise((unsigned char *)pointer + skip, bytes - skip, MADV_HUGEPAGE);
#else
    (void)pointer, (void)bytes;
#endif
}

/* Counts a call; true when it is the one that is to fail. */
static bool call_fails(void) {
    atomic_fetch_add_explicit(&alloc_calls, 1, memory_order_relaxed);
    return rb_alloc_fail_pending() && atomic_fetch_sub(&alloc_fail_after, 1) == 0;
}

void *rb_alloc(size_t bytes) {
    if (call_fails()) return NULL;
    size_t rounded = rb_size_align(bytes ? bytes : 1);
    if (rounded == SIZE_MAX) return NULL;
    void *pointer = aligned_alloc(RB_ALIGNMENT, rounded);
    if (pointer && rounded >= HUGE_BYTES) ask_for_huge_pages(pointer, rounded);
    if (pointer) memset(pointer, 0, rounded);
    return pointer;
}

void *rb_grow(void *pointer, size_t *room, size_t count, size_t size) {
    if (pointer && count <= *room) return pointer;
    size_t larger = pointer ? rb_size_mul(*room, 2) : 0;
    if (larger < count) larger = count;
    if (larger < 16) larger = 16;
    size_t bytes = rb_size_mul(larger, size);
    if (bytes > PTRDIFF_MAX || call_fails()) return NULL;
    void *grown =
        realloc(pointer, bytes); /* the system moves large blocks without copying or touching them */
    if (grown) *room = larger;
    return grown;
}

void rb_free(void *pointer) { free(pointer); }

void rb_alloc_fail_after(long n) { atomic_store(&alloc_fail_after, n); }

bool rb_alloc_fail_pending(void) {
    return atomic_load_explicit(&alloc_fail_after, memory_order_relaxed) >= 0;
}

size_t rb_alloc_count(void) { return atomic_load_explicit(&alloc_calls, memory_order_relaxed); }

rb_arena rb_arena_dry(void) {
    /* A fake, aligned, non-null base: offsets from it are legal to compute, never to load. */
    return (rb_arena){.base = (unsigned char *)(uintptr_t)4096, .capacity = SIZE_MAX, .dry = true};
}

revbifpn_status rb_arena_open(rb_arena *arena, size_t bytes, const char *what, rb_error *err) {
    *arena = (rb_arena){.capacity = bytes};
    if (!bytes) return REVBIFPN_OK;
    arena->base = rb_alloc(bytes);
    if (arena->base) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

void rb_arena_close(rb_arena *arena) {
    if (!arena->dry) rb_free(arena->base);
    *arena = (rb_arena){0};
}

void *rb_arena_push(rb_arena *arena, size_t bytes) {
    size_t at = arena->top;
    size_t rounded = rb_size_align(bytes);
    assert(rounded <= arena->capacity - at && "the run needs more than its plan");
    arena->top = at + rounded;
    if (arena->top > arena->high) arena->high = arena->top;
    return arena->base + at;
}

size_t rb_arena_mark(const rb_arena *arena) { return arena->top; }

void rb_arena_release(rb_arena *arena, size_t mark) { arena->top = mark; }
