#define _GNU_SOURCE
#include "base/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

#if defined(__x86_64__)
#define SPIN_PAUSE() __builtin_ia32_pause()
#else
#define SPIN_PAUSE() ((void)0)
#endif

enum { SPINS = 4000 }; /* a few microseconds awake between kernels, then sleep */

/* Tasks that a thread has before it: the first in the upper half, the one after the last in the lower. */
typedef struct share {
    _Alignas(64) atomic_uint_least64_t tasks;
} share;

typedef struct worker {
    share share;
    rb_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct rb_pool {
    int threads, started;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint round; /* moves on with every call of rb_pool_run */
    atomic_int busy;   /* workers that have not finished this round */
    atomic_bool stop;
    rb_task *fn;
    void *arg;
    rb_host *host;   /* of the thread that opened the pool */
    worker *workers; /* [0] is the caller's share */
};

static uint64_t range_of(uint64_t first, uint64_t last) { return first << 32 | last; }

/* The next task of a share, from its front or its back; −1 when none is left. */
static int take(share *s, bool front) {
    uint64_t now = atomic_load_explicit(&s->tasks, memory_order_relaxed);
    for (;;) {
        uint64_t first = now >> 32, last = now & UINT32_MAX;
        if (first >= last) return -1;
        uint64_t rest = front ? range_of(first + 1, last) : range_of(first, last - 1);
        if (atomic_compare_exchange_weak_explicit(&s->tasks, &now, rest, memory_order_relaxed,
                                                  memory_order_relaxed))
            return (int)(front ? first : last - 1);
    }
}

/* Neighbouring tasks from the front of the thread's own share, whose memory lies together; then what others
 * have left, from the back. Which thread runs a task never shows in its result. */
static void run_share(const rb_pool *pool, int thread) {
    int task;
    while ((task = take(&pool->workers[thread].share, true)) >= 0) pool->fn(pool->arg, task, thread);
    for (int i = 1; i < pool->threads; i++) {
        share *other = &pool->workers[(thread + i) % pool->threads].share;
        while ((task = take(other, false)) >= 0) pool->fn(pool->arg, task, thread);
    }
}

static unsigned wait_for_round(rb_pool *pool, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        unsigned now = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (now != seen) return now;
        SPIN_PAUSE();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->round) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
    unsigned now = atomic_load(&pool->round);
    pthread_mutex_unlock(&pool->lock);
    return now;
}

static void *worker_main(void *arg) {
    worker *self = arg;
    rb_pool *pool = self->pool;
    rb_host_use(pool->host);
    for (unsigned seen = 0;;) {
        seen = wait_for_round(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        run_share(pool, self->index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void next_round(rb_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->round, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void rb_pool_run(rb_pool *pool, int tasks, rb_task *fn, void *arg) {
    pool->fn = fn;
    pool->arg = arg;
    if (pool->threads == 1 || tasks <= 1) {
        for (int task = 0; task < tasks; task++) fn(arg, task, 0);
        return;
    }
    for (int64_t i = 0, n = pool->threads; i < n; i++)
        atomic_store_explicit(&pool->workers[i].share.tasks,
                              range_of((uint64_t)(tasks * i / n), (uint64_t)(tasks * (i + 1) / n)),
                              memory_order_relaxed);
    atomic_store(&pool->busy, pool->threads - 1);
    next_round(pool);
    run_share(pool, 0);
    for (int i = 0; i < SPINS && atomic_load(&pool->busy); i++) SPIN_PAUSE();
    if (!atomic_load(&pool->busy)) return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->busy)) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

int rb_pool_threads(const rb_pool *pool) { return pool->threads; }

revbifpn_status rb_pool_open(rb_pool **out, int threads, rb_error *err) {
    rb_pool *pool = rb_alloc(sizeof *pool);
    worker *workers = rb_alloc(sizeof *workers * (size_t)threads);
    if (!pool || !workers) {
        rb_free(pool);
        rb_free(workers);
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %d threads", threads);
    }
    pool->threads = threads;
    pool->workers = workers;
    pool->host = rb_host_in_use();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int i = 1; i < threads; i++) {
        workers[i].pool = pool;
        workers[i].index = i;
        int code = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (code) {
            rb_pool_close(&pool);
            return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "cannot start thread %d of %d: %s", i + 1, threads,
                           strerror(code));
        }
        pool->started = i;
    }
    *out = pool;
    return REVBIFPN_OK;
}

void rb_pool_close(rb_pool **handle) {
    rb_pool *pool = *handle;
    if (!pool) return;
    atomic_store(&pool->stop, true);
    next_round(pool);
    for (int i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    rb_free(pool->workers);
    rb_free(pool);
    *handle = NULL;
}
