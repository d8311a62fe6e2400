/* The batch loader (loader.h).
 *
 * A ring of `ring` batches; batch number s, counted from the first one delivered, lives in slot s mod ring.
 * Under one mutex: `handed` (pictures given to workers, over all batches), `taken` (batches the caller has
 * got). A worker may start a picture of batch s when s < taken + ring; `taken` counts a batch only after the
 * caller has given it back. Workers write the pictures and the note of what they decoded (`got`) outside the
 * mutex, each into its own place; the count of finished pictures, moved under the mutex, publishes them. What
 * was unreadable is remembered per file, so that it is decoded once in a run; the list for the caller is made
 * at delivery, from `want` and `got`, in batch order. */
#include "data/loader.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "data/load_picture.h"
#include "data/sampler.h"

enum { MAX_THREADS = 256, MAX_REPEATS = 1000, NAMED_FILES = 3 };

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
    uint8_t *images;  /* batch pictures of picture_bytes each */
    int32_t *labels;  /* batch */
    rb_error failure; /* of status OK unless something other than a file failed */
} slot;

struct rb_loader {
    rb_loader_options options;
    int width, height, batches; /* of the result; in an epoch */
    int repeats;                /* of each sample, ≥ 1 */
    int channels;
    size_t picture_bytes;
    slot *ring;
    uint32_t *order; /* count: the sampler's order of `order_epoch` */
    uint64_t order_epoch;
    bool have_order;

    pthread_mutex_t mutex;
    pthread_cond_t work, ready; /* a picture may be started; a batch is complete */
    bool stop;
    uint64_t taken;       /* batches given back by the caller */
    uint64_t opened;      /* batches whose slot has been set up */
    int handed;           /* pictures of the last opened batch given to workers */
    unsigned char *known; /* count: file_state */
    char **reasons;       /* count: why a bad file is bad */
    rb_loader_work work_done;

    rb_scratch scratch; /* of the caller's thread */
    bool delivered;     /* the caller holds batch `taken` */
    bool *listed;       /* count: is among the issues */
    rb_loader_issue *issues;
    size_t issue_count, issue_room;
    int bad;
    rb_error failure;
    rb_host *host; /* of the thread that opened it */
    pthread_t threads[MAX_THREADS];
    int started;
};

/* ---- one picture ---- */

static file_state known_state(rb_loader *l, uint32_t sample) {
    pthread_mutex_lock(&l->mutex);
    file_state state = l->known[sample];
    pthread_mutex_unlock(&l->mutex);
    return state;
}

/* Remembers what a file is; `reason` for a bad one. False when out of memory. */
static bool remember(rb_loader *l, uint32_t sample, file_state state, const char *reason) {
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

/* Tries one file. OK with *readable false for one that cannot be read; other failures are the loader's own.
 */
static revbifpn_status try_file(rb_loader *l, uint32_t sample, const slot *s, int place, rb_scratch *scratch,
                                bool *readable, rb_error *err) {
    *readable = false;
    if (known_state(l, sample) == FILE_BAD) return REVBIFPN_OK;
    bool damaged = false;
    uint8_t *dst = s->images + (size_t)place * l->picture_bytes;
    uint64_t want = s->want[place] | (uint64_t)s->again[place] << 32;
    revbifpn_status status =
        rb_load_picture(&l->options, sample, s->epoch, want, dst, scratch, &damaged, err);
    if (status == REVBIFPN_OUT_OF_MEMORY) return status;
    *readable = !status;
    if (!status && !damaged) return status;
    if (remember(l, sample, status ? FILE_BAD : FILE_DAMAGED, status ? err->text : NULL)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory while loading pictures");
}

/* Fills place `place` of the batch. Gives up after max_bad + 1 unreadable files: the delivery will fail
 * anyway. */
static void fill_place(rb_loader *l, slot *s, int place, rb_scratch *scratch) {
    uint32_t count = (uint32_t)l->options.split->count;
    uint32_t limit = (uint32_t)l->options.max_bad < count ? (uint32_t)l->options.max_bad + 1 : count;
    rb_error err = {0};
    bool readable = false;
    uint32_t tries = 0;
    for (; tries < limit; tries++) {
        uint32_t sample = (s->want[place] + tries) % count;
        if (try_file(l, sample, s, place, scratch, &readable, &err)) break;
        if (!readable) continue;
        s->labels[place] = l->options.split->samples[sample].label;
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
static void batch_place(const rb_loader *l, uint64_t n, uint64_t *epoch, int *index) {
    uint64_t at = (uint64_t)l->options.first_batch + n;
    *epoch = l->options.epoch + at / (uint64_t)l->batches;
    *index = (int)(at % (uint64_t)l->batches);
}

static bool at_end(const rb_loader *l, uint64_t n) {
    uint64_t epoch;
    int index;
    batch_place(l, n, &epoch, &index);
    return l->options.end_epoch && epoch >= l->options.end_epoch;
}

/* Sets up the slot of the next batch: its samples, in the order of its epoch. */
static void open_batch(rb_loader *l) {
    const rb_loader_options *o = &l->options;
    slot *s = &l->ring[l->opened % (uint64_t)o->ring];
    batch_place(l, l->opened, &s->epoch, &s->index);
    if (!l->have_order || l->order_epoch != s->epoch) {
        rb_sampler_order(o->seed, s->epoch, o->training, o->split->count, l->order);
        l->order_epoch = s->epoch;
        l->have_order = true;
    }
    int start = s->index * o->batch, left = rb_sampler_entries(o->split->count, l->repeats) - start;
    s->count = left < o->batch ? left : o->batch;
    s->finished = 0;
    s->failure.status = REVBIFPN_OK;
    for (int i = 0; i < s->count; i++) {
        s->want[i] = l->order[(start + i) / l->repeats];
        s->again[i] = (uint32_t)((start + i) % l->repeats);
    }
    l->opened++;
    l->handed = 0;
}

/* The next picture to decode, if one may be started now. */
static bool hand_out(rb_loader *l, slot **s, int *place) {
    int ring = l->options.ring;
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
static void make_picture(rb_loader *l, slot *s, int place, rb_scratch *scratch) {
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
    rb_loader *l = arg;
    rb_scratch scratch = {0};
    rb_thread_step_back();
    rb_host_use(l->host);
    pthread_mutex_lock(&l->mutex);
    while (!l->stop) {
        slot *s;
        int place;
        if (hand_out(l, &s, &place))
            make_picture(l, s, place, &scratch);
        else
            pthread_cond_wait(&l->work, &l->mutex);
    }
    pthread_mutex_unlock(&l->mutex);
    rb_scratch_free(&scratch);
    return NULL;
}

/* ---- delivery ---- */

static revbifpn_status list_issue(rb_loader *l, uint32_t sample, rb_error *err) {
    if (l->listed[sample]) return REVBIFPN_OK;
    if (l->issue_count == l->issue_room) {
        size_t room = l->issue_room ? 2 * l->issue_room : 16;
        rb_loader_issue *issues = rb_alloc(rb_size_mul(room, sizeof *issues));
        if (!issues) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of bad files");
        if (l->issue_count) memcpy(issues, l->issues, l->issue_count * sizeof *issues);
        rb_free(l->issues);
        l->issues = issues;
        l->issue_room = room;
    }
    pthread_mutex_lock(&l->mutex);
    const char *reason = l->reasons[sample];
    pthread_mutex_unlock(&l->mutex);
    l->listed[sample] = true;
    l->issues[l->issue_count++] =
        (rb_loader_issue){.path = l->options.split->samples[sample].path, .reason = reason};
    l->bad += reason != NULL;
    return REVBIFPN_OK;
}

/* Adds what the batch met to the list. */
static revbifpn_status list_batch(rb_loader *l, const slot *s, rb_error *err) {
    uint32_t count = (uint32_t)l->options.split->count;
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
static revbifpn_status too_many_bad(const rb_loader *l, bool none_readable, rb_error *err) {
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

static revbifpn_status check_batch(rb_loader *l, slot *s, rb_error *err) {
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
static void give_back(rb_loader *l) {
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
static slot *wait_for_batch(rb_loader *l) {
    slot *s = &l->ring[l->taken % (uint64_t)l->options.ring];
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
            make_picture(l, mine, place, &l->scratch);
        else
            rb_stop_wait(l->options.stop, &l->ready, &l->mutex);
    }
    pthread_mutex_unlock(&l->mutex);
    return s;
}

revbifpn_status rb_loader_next(rb_loader *l, rb_batch *batch, rb_error *err) {
    *batch = (rb_batch){.width = l->width, .height = l->height, .channels = l->channels};
    if (rb_stop_asked(l->options.stop)) return rb_fail(err, REVBIFPN_STOPPED, "asked to stop");
    give_back(l);
    if (!l->failure.status && !at_end(l, l->taken)) {
        slot *s = wait_for_batch(l);
        if (!s) return rb_fail(err, REVBIFPN_STOPPED, "asked to stop while waiting for pictures");
        if (!check_batch(l, s, &l->failure)) {
            l->delivered = true;
            batch->epoch = s->epoch;
            batch->index = s->index;
            batch->last = s->index == l->batches - 1;
            batch->count = s->count;
            batch->images = l->options.decode.channels ? NULL : s->images;
            batch->words = l->options.decode.channels ? (uint16_t *)(void *)s->images : NULL;
            batch->labels = s->labels;
            batch->samples = s->want;
            batch->repetitions = s->again;
        }
    }
    if (l->failure.status && err) *err = l->failure;
    return l->failure.status;
}

rb_loader_work rb_loader_worked(rb_loader *l) {
    pthread_mutex_lock(&l->mutex);
    rb_loader_work work = l->work_done;
    pthread_mutex_unlock(&l->mutex);
    return work;
}

int rb_loader_batches(const rb_loader *l) { return l->batches; }

size_t rb_loader_issues(const rb_loader *l, const rb_loader_issue **issues) {
    *issues = l->issues;
    return l->issue_count;
}

/* ---- opening and closing ---- */

static revbifpn_status check_options(const rb_loader_options *o, rb_error *err) {
    if (!o->split || o->batch < 1 || o->max_bad < 0 || o->first_batch < 0)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "the loader needs a split, a batch of 1 or more, --max-bad of 0 or more");
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%d loader threads: 0 … %d can be", o->threads,
                       MAX_THREADS);
    if (o->repeats < 0 || o->repeats > MAX_REPEATS)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--aug-repeats %d: 0 … %d can be", o->repeats,
                       MAX_REPEATS);
    if (o->ring < (o->threads ? 2 : 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "a ring of %d batches is too small", o->ring);
    if (!o->decode.max_pixels) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "the limit of --max-pixels is 0");
    return o->training ? rb_train_transform_check(&o->train, err) : rb_eval_transform_check(&o->eval, err);
}

static bool open_slot(slot *s, const rb_loader *l) {
    size_t batch = (size_t)l->options.batch;
    s->want = rb_alloc(batch * sizeof *s->want);
    s->again = rb_alloc(batch * sizeof *s->again);
    s->tries = rb_alloc(batch * sizeof *s->tries);
    s->found = rb_alloc(batch * sizeof *s->found);
    s->labels = rb_alloc(batch * sizeof *s->labels);
    s->images = rb_alloc(rb_size_mul(batch, l->picture_bytes));
    return s->want && s->again && s->tries && s->found && s->labels && s->images;
}

static void close_slot(slot *s) {
    rb_free(s->want);
    rb_free(s->again);
    rb_free(s->tries);
    rb_free(s->found);
    rb_free(s->labels);
    rb_free(s->images);
}

static revbifpn_status open_memory(rb_loader *l, rb_error *err) {
    size_t count = (size_t)l->options.split->count;
    l->order = rb_alloc(count * sizeof *l->order);
    l->known = rb_alloc(count * sizeof *l->known);
    l->reasons = rb_alloc(count * sizeof *l->reasons);
    l->listed = rb_alloc(count * sizeof *l->listed);
    l->ring = rb_alloc((size_t)l->options.ring * sizeof *l->ring);
    bool ok = l->order && l->known && l->reasons && l->listed && l->ring;
    for (int i = 0; ok && i < l->options.ring; i++) ok = open_slot(&l->ring[i], l);
    if (ok) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %d batches of %d pictures of %d x %d",
                   l->options.ring, l->options.batch, l->width, l->height);
}

static revbifpn_status start_threads(rb_loader *l, rb_error *err) {
    for (; l->started < l->options.threads; l->started++)
        if (pthread_create(&l->threads[l->started], NULL, worker, l))
            return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "cannot start loader thread %d", l->started + 1);
    return REVBIFPN_OK;
}

revbifpn_status rb_loader_open(rb_loader **loader, const rb_loader_options *options, rb_error *err) {
    *loader = NULL;
    revbifpn_status status = check_options(options, err);
    if (status) return status;
    int repeats = options->training && options->repeats > 1 ? options->repeats : 1;
    int entries = rb_sampler_entries(options->split->count, repeats);
    int batches = rb_sampler_batches(entries, options->batch, options->training);
    if (!batches)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%d pictures do not fill one batch of %d", entries,
                       options->batch);
    rb_loader *l = rb_alloc(sizeof *l);
    if (!l) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the loader");
    l->options = *options;
    l->host = rb_host_in_use();
    l->batches = batches;
    l->repeats = repeats;
    l->width = options->training ? options->train.width : options->eval.width;
    l->height = options->training ? options->train.height : options->eval.height;
    int words = options->decode.channels;
    l->channels = words ? words : 3;
    l->picture_bytes = rb_size_mul((size_t)l->width * (size_t)l->height, words ? 2 * (size_t)words : 3);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    TRY(open_memory(l, err));
    TRY(start_threads(l, err));
    *loader = l;
    return REVBIFPN_OK;
fail:
    rb_loader_close(&l);
    return status;
}

static void stop_threads(rb_loader *l) {
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->started; i++) pthread_join(l->threads[i], NULL);
}

void rb_loader_close(rb_loader **loader) {
    rb_loader *l = *loader;
    if (!l) return;
    *loader = NULL;
    stop_threads(l);
    for (int i = 0; l->ring && i < l->options.ring; i++) close_slot(&l->ring[i]);
    for (int i = 0; l->reasons && i < l->options.split->count; i++) rb_free(l->reasons[i]);
    rb_free(l->ring);
    rb_free(l->order);
    rb_free(l->known);
    rb_free(l->reasons);
    rb_free(l->listed);
    rb_free(l->issues);
    rb_scratch_free(&l->scratch);
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    rb_free(l);
}
