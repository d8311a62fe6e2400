/* One pool of threads for the kernels, no work of its own outside a call.
 *
 * rb_pool_run(pool, tasks, fn, arg) calls fn(arg, task, thread) once for each task = 0 … tasks − 1. Thread t
 * begins with the contiguous range [tasks·t/n, tasks·(t+1)/n), in order; one that is done takes over what
 * others have left, from the end. What a task is must depend on shapes alone, never on the number of threads
 * or on `thread` (which only names scratch that nobody else uses): then results do not either. Calls are not
 * re-entrant; one thread at a time may call into one pool. */
#ifndef RB_BASE_THREADS_H
#define RB_BASE_THREADS_H

#include "base/host.h" /* which every thread that is started here or elsewhere takes over */
#include "base/status.h"

typedef struct rb_pool rb_pool;
typedef void rb_task(void *arg, int task, int thread);

/* A pool of `threads` ≥ 1, the caller included. */
revbifpn_status rb_pool_open(rb_pool **pool, int threads, rb_error *err) RB_CHECKED;
void rb_pool_close(rb_pool **pool);
int rb_pool_threads(const rb_pool *pool);
void rb_pool_run(rb_pool *pool, int tasks, rb_task *fn, void *arg);

/* Processors this process may use: the affinity mask, and the CPU quota of its cgroup (v1 or v2), rounded up.
 * ≥ 1 */
int rb_usable_processors(void);

/* From now on the calling thread runs only while no other wants a processor: for work that is done ahead. */
void rb_thread_step_back(void);
/* Processor time that the calling thread has used, in seconds. */
double rb_thread_seconds(void);

#endif
