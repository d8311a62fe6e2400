/* To be preloaded: clocks that go back by 20 milliseconds whenever they are asked. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *t) {
    static atomic_long asked;
    long result = syscall(SYS_clock_gettime, id, t);
    if (result || (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME)) return (int)result;
    long back = atomic_fetch_add(&asked, 1);
    t->tv_sec -= back / 50;
    t->tv_nsec -= back % 50 * 20000000;
    if (t->tv_nsec < 0) t->tv_nsec += 1000000000, t->tv_sec--;
    return 0;
}
