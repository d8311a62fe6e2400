/* The ring of batches (ring.h).
 *
 * A ring of `depth` batches; batch number s, counted from the first one delivered, lives in slot s mod depth.
 * Under one mutex: `handed` (pictures given to workers, over all batches), `taken` (batches the caller has
 * got). A worker may start a picture of batch s when s < taken + depth; `taken` counts a batch only after the
 * caller has given it back. Workers write the pictures and the note of what they decoded (`got`) outside the
 * mutex, each into its own place; the count of finished pictures, moved under the mutex, publishes them. What
 * was unreadable is remembered per file, so that it is decoded once in a run; the list for the caller is made
 * at delivery, from `want` and `got`, in batch order. */
#include "data/ring.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

enum { MAX_THREADS = 256, NAMED_FILES = 3 };

/* What is known of a file, over the whole run. */
typedef enum file_state { FILE_UNKNOWN, FILE_BAD, FILE_DAMAGED } file_state;

typedef struct slot {
    uint64_t epoch;
    int index, count;
    int finished;     /* pictures done; the batch is ready at `count` */
    uint32_t *want;   /* batch: the samples the sampler asked for */
    uint32_t *again;  /* batch: for the how-manieth time in this epoch, from 0 */
    uint32_t *tries;  /* batch: how many unreadable ones, from `want` on, came before the picture */
    bool *found;      /* batch: whether a picture was found at all */
    rb_error failure; /* of status OK unless something other than a file failed */
} slot;

struct rb_ring {
    rb_ring_options options;
    slot *ring;

    pthread_mutex_t mutex;
    pthread_cond_t work, ready; /* a picture may be started; a batch is complete */
    bool stop;
    uint64_t taken;       /* batches given back by the caller */
    uint64_t opened;      /* batches whose slot has been set up */
    int handed;           /* pictures of the last opened batch given to workers */
    unsigned char *known; /* samples: file_state */
    char **reasons;       /* samples: why a bad file is bad */
    rb_loader_work work_done;

    unsigned char *scratch; /* of the caller's thread, then of each worker */
    int scratches;          /* given to workers */
    bool delivered;         /* the caller holds batch `taken` */
    bool *listed;           /* samples: is among the issues */
    rb_loader_issue *issues;
    size_t issue_count, issue_room;
    int bad;
    rb_error failure;
    rb_host *host; /* of the thread that opened it */
    pthread_t threads[MAX_THREADS];
    int started;
};

/* ---- one picture ---- */

static file_state known_state(rb_ring *l, uint32_t sample) {
    pthread_mutex_lock(&l->mutex);
    file_state state = l->known[sample];
    pthread_mutex_unlock(&l->mutex);
    return state;
}

/* Remembers what a file is; `reason` for a bad one. False when out of memory. */
static bool remember(rb_ring *l, uint32_t sample, file_state state, const char *reason) {
    char *copy = NULL;
    if (reason) {
        size_t size = strlen(reason) + 1;
        copy = rb_alloc(size);
        if (!copy) return false;
        memcpy(copy, reason, size);
    }
    pthread_mutex_lock(&l->mutex);
    if (l->known[sample] != FILE_BAD) { /* another thread may have been here: the first reason stands */
        l->known[sample] = (unsigned char)state;
        if (copy) l->reasons[sample] = copy;
        copy = NULL;
    }
    pthread_mutex_unlock(&l->mutex);
    rb_free(copy);
    return true;
}

static size_t scratch_step(const rb_ring *l) { return rb_size_align(l->options.work.scratch_size); }

/* Tries one file. OK with *readable false for one that cannot be read; other failures are the ring's own. */
static revbifpn_status try_file(rb_ring *l, const rb_ring_task *task, void *scratch, bool *readable,
                                rb_error *err) {
    *readable = false;
    if (known_state(l, task->from) == FILE_BAD) return REVBIFPN_OK;
    bool damaged = false;
    revbifpn_status status = l->options.work.make(l->options.work.user, task, scratch, &damaged, err);
    if (status == REVBIFPN_OUT_OF_MEMORY) return status;
    *readable = !status;
    if (!status && !damaged) return status;
    if (remember(l, task->from, status ? FILE_BAD : FILE_DAMAGED, status ? err->text : NULL))
        return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory while loading pictures");
}

/* Fills place `place` of the batch. Gives up after max_bad + 1 unreadable files: the delivery will fail
 * anyway. */
static void fill_place(rb_ring *l, slot *s, int place, void *scratch) {
    uint32_t count = (uint32_t)l->options.samples;
    uint32_t limit = (uint32_t)l->options.max_bad < count ? (uint32_t)l->options.max_bad + 1 : count;
    rb_ring_task task = {.slot = (int)(s - l->ring),
                         .place = place,
                         .epoch = s->epoch,
                         .want = s->want[place],
                         .again = s->again[place]};
    rb_error err = {0};
    bool readable = false;
    uint32_t tries = 0;
    for (; tries < limit; tries++) {
        task.from = (task.want + tries) % count;
        if (try_file(l, &task, scratch, &readable, &err)) break;
        if (!readable) continue;
        err.status = REVBIFPN_OK; /* what an earlier try said is in the file's reason */
        break;
    }
    if (!readable && err.status != REVBIFPN_OUT_OF_MEMORY) err.status = REVBIFPN_OK;
    s->tries[place] = tries;
    s->found[place] = readable;
    if (err.status) {
        pthread_mutex_lock(&l->mutex);
        s->failure = err;
        pthread_mutex_unlock(&l->mutex);
    }
}

/* ---- handing out pictures, under the mutex ---- */

/* Epoch and index of batch number `n` after the first one. */
static void batch_place(const rb_ring *l, uint64_t n, uint64_t *epoch, int *index) {
    uint64_t at = (uint64_t)l->options.first_batch + n;
    *epoch = l->options.epoch + at / (uint64_t)l->options.batches;
    *index = (int)(at % (uint64_t)l->options.batches);
}

static bool at_end(const rb_ring *l, uint64_t n) {
    uint64_t epoch;
    int index;
    batch_place(l, n, &epoch, &index);
    return l->options.end_epoch && epoch >= l->options.end_epoch;
}

/* Sets up the slot of the next batch. */
static void open_batch(rb_ring *l) {
    const rb_ring_work *work = &l->options.work;
    int at = (int)(l->opened % (uint64_t)l->options.depth);
    slot *s = &l->ring[at];
    batch_place(l, l->opened, &s->epoch, &s->index);
    s->count = work->open(work->user, at, s->epoch, s->index, s->want, s->again);
    s->finished = 0;
    s->failure.status = REVBIFPN_OK;
    l->opened++;
    l->handed = 0;
}

/* The next picture to make, if one may be started now. */
static bool hand_out(rb_ring *l, slot **s, int *place) {
    int ring = l->options.depth;
    bool open = l->opened > l->taken && l->handed < l->ring[(l->opened - 1) % (uint64_t)ring].count;
    if (!open) {
        if (l->opened >= l->taken + (uint64_t)ring || at_end(l, l->opened)) return false;
        open_batch(l);
    }
    *s = &l->ring[(l->opened - 1) % (uint64_t)ring];
    *place = l->handed++;
    return true;
}

/* Fills a place that was handed out, with the mutex open meanwhile. */
static void make_picture(rb_ring *l, slot *s, int place, void *scratch) {
    pthread_mutex_unlock(&l->mutex);
    double start = rb_thread_seconds();
    fill_place(l, s, place, scratch);
    double seconds = rb_thread_seconds() - start;
    pthread_mutex_lock(&l->mutex);
    l->work_done.pictures++;
    l->work_done.cpu_seconds += seconds;
    if (++s->finished == s->count) pthread_cond_signal(&l->ready);
}

static void *worker(void *arg) {
    rb_ring *l = arg;
    rb_thread_step_back();
    rb_host_use(l->host);
    pthread_mutex_lock(&l->mutex);
    void *scratch = l->scratch + scratch_step(l) * (size_t)++l->scratches;
    while (!l->stop) {
        slot *s;
        int place;
        if (hand_out(l, &s, &place))
            make_picture(l, s, place, scratch);
        else
            pthread_cond_wait(&l->work, &l->mutex);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- delivery ---- */

static revbifpn_status list_issue(rb_ring *l, uint32_t sample, rb_error *err) {
    if (l->listed[sample]) return REVBIFPN_OK;
    rb_loader_issue *issues = rb_grow(l->issues, &l->issue_room, l->issue_count + 1, sizeof *issues);
    if (!issues) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of bad files");
    l->issues = issues;
    pthread_mutex_lock(&l->mutex);
    const char *reason = l->reasons[sample];
    pthread_mutex_unlock(&l->mutex);
    l->listed[sample] = true;
    l->issues[l->issue_count++] =
        (rb_loader_issue){.path = l->options.work.path(l->options.work.user, sample), .reason = reason};
    l->bad += reason != NULL;
    return REVBIFPN_OK;
}

/* Adds what the batch met to the list. */
static revbifpn_status list_batch(rb_ring *l, const slot *s, rb_error *err) {
    uint32_t count = (uint32_t)l->options.samples;
    for (int i = 0; i < s->count; i++) {
        revbifpn_status status = REVBIFPN_OK;
        for (uint32_t k = 0; !status && k < s->tries[i]; k++)
            status = list_issue(l, (s->want[i] + k) % count, err);
        uint32_t used = (s->want[i] + s->tries[i]) % count;
        if (!status && s->found[i] && known_state(l, used) == FILE_DAMAGED) status = list_issue(l, used, err);
        if (status) return status;
    }
    return REVBIFPN_OK;
}

/* "N unreadable files, more than the limit of M (--max-bad): reason; reason; reason" */
static revbifpn_status too_many_bad(const rb_ring *l, bool none_readable, rb_error *err) {
    char text[sizeof err->text];
    int used =
        snprintf(text, sizeof text, "%d unreadable file%s, %s %d (--max-bad)", l->bad, l->bad == 1 ? "" : "s",
                 none_readable && l->bad <= l->options.max_bad ? "and no readable one; the limit is"
                                                               : "more than the limit of",
                 l->options.max_bad);
    int named = 0;
    for (size_t i = 0; i < l->issue_count && named < NAMED_FILES; i++) {
        if (!l->issues[i].reason) continue;
        used += snprintf(text + used, sizeof text - (size_t)used, "%s %.250s", named++ ? ";" : ":",
                         l->issues[i].reason);
    }
    return rb_fail(err, REVBIFPN_BAD_DATA, "%s", text);
}

static revbifpn_status check_batch(rb_ring *l, slot *s, rb_error *err) {
    if (s->failure.status) {
        if (err) *err = s->failure;
        return s->failure.status;
    }
    revbifpn_status status = list_batch(l, s, err);
    if (status) return status;
    bool all_found = true;
    for (int i = 0; i < s->count; i++) all_found = all_found && s->found[i];
    return l->bad > l->options.max_bad || !all_found ? too_many_bad(l, !all_found, err) : REVBIFPN_OK;
}

/* Takes the delivered batch back, so that its slot can be filled again. */
static void give_back(rb_ring *l) {
    if (!l->delivered) return;
    l->delivered = false;
    pthread_mutex_lock(&l->mutex);
    l->taken++;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
}

/* Waits until batch `taken` is complete, and makes pictures of it meanwhile: without threads all of them.
 * Other processes may leave the threads, which stand back, next to nothing; the caller has its own priority.
 * NULL when it is to stop: then everything is as before. */
static slot *wait_for_batch(rb_ring *l) {
    slot *s = &l->ring[l->taken % (uint64_t)l->options.depth];
    pthread_mutex_lock(&l->mutex);
    while (l->opened <= l->taken || s->finished < s->count) {
        slot *mine;
        int place;
        if (rb_stop_asked(l->options.stop)) {
            s = NULL;
            break;
        }
        bool begun = l->opened > l->taken + 1 || (l->opened == l->taken + 1 && l->handed == s->count);
        if (!begun && hand_out(l, &mine, &place))
            make_picture(l, mine, place, l->scratch);
        else
            rb_stop_wait(l->options.stop, &l->ready, &l->mutex);
    }
    pthread_mutex_unlock(&l->mutex);
    return s;
}

revbifpn_status rb_ring_next(rb_ring *l, rb_ring_batch *batch, rb_error *err) {
    *batch = (rb_ring_batch){0};
    if (rb_stop_asked(l->options.stop)) return rb_fail(err, REVBIFPN_STOPPED, "asked to stop");
    give_back(l);
    if (!l->failure.status && !at_end(l, l->taken)) {
        slot *s = wait_for_batch(l);
        if (!s) return rb_fail(err, REVBIFPN_STOPPED, "asked to stop while waiting for pictures");
        if (!check_batch(l, s, &l->failure)) {
            l->delivered = true;
            *batch = (rb_ring_batch){.slot = (int)(s - l->ring),
                                     .epoch = s->epoch,
                                     .index = s->index,
                                     .last = s->index == l->options.batches - 1,
                                     .count = s->count,
                                     .want = s->want,
                                     .again = s->again,
                                     .tries = s->tries};
        }
    }
    if (l->failure.status && err) *err = l->failure;
    return l->failure.status;
}

rb_loader_work rb_ring_worked(rb_ring *l) {
    pthread_mutex_lock(&l->mutex);
    rb_loader_work work = l->work_done;
    pthread_mutex_unlock(&l->mutex);
    return work;
}

size_t rb_ring_issues(const rb_ring *l, const rb_loader_issue **issues) {
    *issues = l->issues;
    return l->issue_count;
}

/* ---- opening and closing ---- */

revbifpn_status rb_ring_check(const rb_ring_options *o, rb_error *err) {
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%d loader threads: 0 … %d can be", o->threads,
                       MAX_THREADS);
    if (o->depth < (o->threads ? 2 : 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "a ring of %d batches is too small", o->depth);
    return REVBIFPN_OK;
}

static bool open_slot(slot *s, const rb_ring *l) {
    size_t batch = (size_t)l->options.batch;
    s->want = rb_alloc(batch * sizeof *s->want);
    s->again = rb_alloc(batch * sizeof *s->again);
    s->tries = rb_alloc(batch * sizeof *s->tries);
    s->found = rb_alloc(batch * sizeof *s->found);
    return s->want && s->again && s->tries && s->found;
}

static void close_slot(slot *s) {
    rb_free(s->want);
    rb_free(s->again);
    rb_free(s->tries);
    rb_free(s->found);
}

static revbifpn_status open_memory(rb_ring *l, rb_error *err) {
    size_t count = (size_t)l->options.samples;
    l->known = rb_alloc(count * sizeof *l->known);
    l->reasons = rb_alloc(count * sizeof *l->reasons);
    l->listed = rb_alloc(count * sizeof *l->listed);
    l->scratch = rb_alloc(scratch_step(l) * (size_t)(l->options.threads + 1));
    l->ring = rb_alloc((size_t)l->options.depth * sizeof *l->ring);
    bool ok = l->known && l->reasons && l->listed && l->scratch && l->ring;
    for (int i = 0; ok && i < l->options.depth; i++) ok = open_slot(&l->ring[i], l);
    return ok ? REVBIFPN_OK : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the loader");
}

static revbifpn_status start_threads(rb_ring *l, rb_error *err) {
    for (; l->started < l->options.threads; l->started++)
        if (pthread_create(&l->threads[l->started], NULL, worker, l))
            return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "cannot start loader thread %d", l->started + 1);
    return REVBIFPN_OK;
}

revbifpn_status rb_ring_open(rb_ring **ring, const rb_ring_options *options, rb_error *err) {
    *ring = NULL;
    revbifpn_status status = rb_ring_check(options, err);
    if (status) return status;
    rb_ring *l = rb_alloc(sizeof *l);
    if (!l) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the loader");
    l->options = *options;
    l->host = rb_host_in_use();
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    TRY(open_memory(l, err));
    TRY(start_threads(l, err));
    *ring = l;
    return REVBIFPN_OK;
fail:
    rb_ring_close(&l);
    return status;
}

static void stop_threads(rb_ring *l) {
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->started; i++) pthread_join(l->threads[i], NULL);
}

void rb_ring_close(rb_ring **ring) {
    rb_ring *l = *ring;
    if (!l) return;
    *ring = NULL;
    stop_threads(l);
    for (int i = 0; l->ring && i < l->options.depth; i++) close_slot(&l->ring[i]);
    for (int i = 0; l->reasons && i < l->options.samples; i++) rb_free(l->reasons[i]);
    for (int i = 0; l->scratch && i <= l->options.threads; i++)
        l->options.work.scratch_close(l->scratch + scratch_step(l) * (size_t)i);
    rb_free(l->scratch);
    rb_free(l->ring);
    rb_free(l->known);
    rb_free(l->reasons);
    rb_free(l->listed);
    rb_free(l->issues);
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    rb_free(l);
}
