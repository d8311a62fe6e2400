#define _GNU_SOURCE
#include "base/stop.h"

#include <time.h>

enum { PAUSE_NS = 100000000, SECOND_NS = 1000000000 };

bool rb_stop_asked(const rb_stop *stop) {
    return stop && stop->asked && !stop->held && stop->asked(stop->user);
}

/* By the monotonic clock: the other one may be set back meanwhile. */
void rb_stop_wait(const rb_stop *stop, pthread_cond_t *condition, pthread_mutex_t *mutex) {
    if (!stop || !stop->asked) {
        pthread_cond_wait(condition, mutex);
        return;
    }
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += PAUSE_NS;
    if (end.tv_nsec >= SECOND_NS) end.tv_nsec -= SECOND_NS, end.tv_sec++;
    (void)pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &end); /* the caller looks what it was */
}
