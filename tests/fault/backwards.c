/* To be preloaded: clocks that go back by a second whenever they are asked. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *t) {
    static atomic_long asked;
    long result = syscall(SYS_clock_gettime, id, t);
    if (result || (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME)) return (int)result;
    t->tv_sec -= atomic_fetch_add(&asked, 1);
    return 0;
}
