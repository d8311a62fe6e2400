/* A wish to stop that comes from outside, a signal for instance: asked for between pieces of work and while
 * waiting. */
#ifndef RB_BASE_STOP_H
#define RB_BASE_STOP_H

#include <pthread.h>
#include <stdbool.h>

typedef struct rb_stop {
    int (*asked)(void *user); /* other than 0: stop. NULL: never. Called by the thread that works */
    void *user;
    bool held; /* not now: what has begun must be finished first */
} rb_stop;

/* Whether to stop now; `stop` may be NULL. */
bool rb_stop_asked(const rb_stop *stop);
/* pthread_cond_wait, but where there is a wish to ask for it comes back after a tenth of a second. */
void rb_stop_wait(const rb_stop *stop, pthread_cond_t *condition, pthread_mutex_t *mutex);

#endif
