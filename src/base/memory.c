#define _GNU_SOURCE
#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/host.h"

/* The address sanitizer is told that nobody but this file may touch what lies before a block. */
#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(WATCHED)
#include <sanitizer/asan_interface.h>
#define HIDE(pointer, bytes) ASAN_POISON_MEMORY_REGION(pointer, bytes)
#define SHOW(pointer, bytes) ASAN_UNPOISON_MEMORY_REGION(pointer, bytes)
#else
#define HIDE(pointer, bytes) ((void)0)
#define SHOW(pointer, bytes) ((void)0)
#endif

enum { HUGE_BYTES = 4 << 20 }; /* of an allocation that asks for huge pages */

static atomic_size_t hostless_calls; /* of threads without a host: tests that go below the public functions */
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

/* Before each block: who takes it back. */
typedef struct header {
    void (*release)(void *user, void *block, size_t bytes); /* NULL: free */
    void *user;
    size_t bytes; /* of the whole, header included */
} header;
_Static_assert(sizeof(header) <= RB_ALIGNMENT, "a header keeps the alignment of what follows");

static bool aligned(const void *pointer) { return (uintptr_t)pointer % RB_ALIGNMENT == 0; }

/* The program's memory, or malloc's. */
static void *obtain(const rb_host *host, size_t bytes) {
    if (!host || !host->allocate) {
        void *block = aligned_alloc(RB_ALIGNMENT, bytes);
        if (block && bytes >= HUGE_BYTES) ask_for_huge_pages(block, bytes);
        return block;
    }
    void *block = host->allocate(host->user, bytes, RB_ALIGNMENT);
    if (!block || aligned(block)) return block;
    rb_log(REVBIFPN_LOG_WARNING, "allocate() gave a block that is not aligned as asked: not used");
    host->release(host->user, block, bytes);
    return NULL;
}

static header *header_of(void *pointer) {
    header *head = (header *)(void *)((unsigned char *)pointer - RB_ALIGNMENT);
    SHOW(head, RB_ALIGNMENT);
    return head;
}

/* What is handed out of a block. */
static void *contents_of(header *head) {
    HIDE(head, RB_ALIGNMENT);
    return (unsigned char *)head + RB_ALIGNMENT;
}

/* Counts a call; true when it is the one that is to fail. */
static bool call_fails(rb_host *host) {
    atomic_fetch_add_explicit(host ? &host->allocations : &hostless_calls, 1, memory_order_relaxed);
    return rb_alloc_fail_pending() && atomic_fetch_sub(&alloc_fail_after, 1) == 0;
}

void *rb_alloc(size_t bytes) {
    rb_host *host = rb_host_in_use();
    if (call_fails(host)) return NULL;
    size_t whole = rb_size_add(rb_size_align(bytes ? bytes : 1), RB_ALIGNMENT);
    header *head = whole == SIZE_MAX ? NULL : obtain(host, whole);
    if (!head) return NULL;
    memset(head, 0, whole);
    *head = (header){.bytes = whole};
    if (host && host->allocate) head->release = host->release, head->user = host->user;
    return contents_of(head);
}

/* A block of malloc's, or none, made larger: the system moves large ones without copying or touching them. */
static header *extend(header *head, size_t whole) {
    header *grown = realloc(head, whole);
    if (grown) *grown = (header){.bytes = whole};
    return grown;
}

/* Another block with the same contents. */
static header *move(const rb_host *host, header *head, size_t whole) {
    header *grown = obtain(host, whole);
    if (!grown) return NULL;
    if (head) memcpy(grown, head, head->bytes < whole ? head->bytes : whole);
    *grown = (header){.bytes = whole};
    if (host && host->allocate) grown->release = host->release, grown->user = host->user;
    if (head && head->release)
        head->release(head->user, head, head->bytes);
    else
        free(head);
    return grown;
}

void *rb_grow(void *pointer, size_t *room, size_t count, size_t size) {
    if (pointer && count <= *room) return pointer;
    rb_host *host = rb_host_in_use();
    size_t larger = pointer ? rb_size_mul(*room, 2) : 0;
    if (larger < count) larger = count;
    if (larger < 16) larger = 16;
    size_t whole = rb_size_add(rb_size_align(rb_size_mul(larger, size)), RB_ALIGNMENT);
    if (whole > PTRDIFF_MAX || call_fails(host)) return NULL;
    header *head = pointer ? header_of(pointer) : NULL;
    bool foreign = (host && host->allocate) || (head && head->release);
    header *grown = foreign ? move(host, head, whole) : extend(head, whole);
    if (!grown) {
        if (head) (void)contents_of(head);
        return NULL;
    }
    *room = larger;
    return contents_of(grown);
}

void rb_free(void *pointer) {
    if (!pointer) return;
    header *head = header_of(pointer);
    if (head->release)
        head->release(head->user, head, head->bytes);
    else
        free(head);
}

void rb_alloc_fail_after(long n) { atomic_store(&alloc_fail_after, n); }

bool rb_alloc_fail_pending(void) {
    return atomic_load_explicit(&alloc_fail_after, memory_order_relaxed) >= 0;
}

size_t rb_alloc_count(void) {
    const rb_host *host = rb_host_in_use();
    return atomic_load_explicit(host ? &host->allocations : &hostless_calls, memory_order_relaxed);
}

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
