/* A bounded ring of batches whose pictures threads make ahead, whatever a picture is: what the loaders of
 * pictures with a class (loader.h) and of pictures with objects (detect_loader.h) share.
 *
 * The sequence of batches depends on the options alone: not on the number of threads, on their timing, or on
 * where a run was resumed. The ring goes on from one epoch to the next by itself. The unit of work is one
 * picture, so a slow one delays the others no more than the ring is deep. The threads run only while no other
 * thread wants a processor, so they do not slow what the batches are for; a caller that must wait helps with
 * its batch.
 *
 * A picture that cannot be read is replaced by the next readable one in sample order (index + 1, from the
 * last to the first). Which files those were is told once for each, in the order of the batches. */
#ifndef RB_DATA_RING_H
#define RB_DATA_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/stop.h"

/* One picture to be made. */
typedef struct rb_ring_task {
    int slot;       /* of the ring, 0 … ring − 1: whose buffers */
    int place;      /* within the batch */
    uint64_t epoch; /* of the batch */
    uint32_t want;  /* the sample that was asked for … */
    uint32_t again; /* … for the how-manieth time in this epoch, from 0 */
    uint32_t from;  /* the sample to make it of: `want`, or what stands in for it */
} rb_ring_task;

/* What a batch is made of. */
typedef struct rb_ring_work {
    void *user;
    /* The samples of batch `index` of an epoch, into want and again, which have room for a batch; returns how
     * many. One thread at a time, batch by batch. */
    int (*open)(void *user, int slot, uint64_t epoch, int index, uint32_t *want, uint32_t *again);
    /* Makes a picture. OUT_OF_MEMORY is the ring's failure; any other status says that task->from cannot be
     * read, and `err` why. *damaged (false before): it was used as far as it goes. Several threads at once.
     */
    revbifpn_status (*make)(void *user, const rb_ring_task *task, void *scratch, bool *damaged,
                            rb_error *err);
    const char *(*path)(void *user, uint32_t sample);
    size_t scratch_size; /* of each thread, zeroed at first */
    void (*scratch_close)(void *scratch);
} rb_ring_work;

typedef struct rb_ring_options {
    rb_ring_work work;
    int samples;        /* there are: numbers 0 … samples − 1 */
    int batch, batches; /* pictures in a batch, batches in an epoch */
    uint64_t epoch;     /* the first batch to deliver */
    int first_batch;
    uint64_t end_epoch;  /* no batches of this epoch and later ones; 0: no end */
    int threads;         /* that make pictures; 0: the caller's thread does, inside rb_ring_next */
    int depth;           /* batches in memory, the delivered one included; ≥ 2, or ≥ 1 without threads */
    int max_bad;         /* distinct unreadable files that are put up with */
    const rb_stop *stop; /* the caller's; NULL: none */
} rb_ring_options;

/* A batch; all of it holds until the next call of rb_ring_next or rb_ring_close. */
typedef struct rb_ring_batch {
    int slot;
    uint64_t epoch;
    int index;              /* within its epoch */
    bool last;              /* of its epoch */
    int count;              /* pictures; 0 after the end */
    uint32_t *want, *again; /* count: as rb_ring_task has them */
    uint32_t *tries;        /* count: how many unreadable samples were passed over from `want` on */
} rb_ring_batch;

/* What went wrong with a file. */
typedef struct rb_loader_issue {
    const char *path; /* the split's */
    const char
        *reason; /* one line that names the file too; NULL for a damaged file, whose picture was used */
} rb_loader_issue;

/* That as one line for a log; `fate` says what became of an unreadable one. */
void rb_loader_issue_line(const rb_loader_issue *issue, const char *fate, char *line, size_t size);

/* Hands those lines of `count` issues to `note`, in order. */
void rb_loader_issues_tell(const rb_loader_issue *issues, size_t count, const char *fate,
                           void (*note)(void *user, const char *line), void *user);

/* What the loader has done so far, all threads together. */
typedef struct rb_loader_work {
    uint64_t pictures;  /* prepared, those of batches not yet delivered included */
    double cpu_seconds; /* processor time in reading, decoding and transforming them */
} rb_loader_work;
typedef struct rb_ring rb_ring;

/* BAD_ARGUMENT for a number of threads or a depth that cannot be. */
revbifpn_status rb_ring_check(const rb_ring_options *options, rb_error *err) RB_CHECKED;
/* Takes its memory, starts the threads: from now on work.open and work.make are called. */
revbifpn_status rb_ring_open(rb_ring **ring, const rb_ring_options *options, rb_error *err) RB_CHECKED;
/* As rb_loader_next says. */
revbifpn_status rb_ring_next(rb_ring *ring, rb_ring_batch *batch, rb_error *err) RB_CHECKED;
/* Stops at any moment: pictures being made are finished, the rest is dropped. */
void rb_ring_close(rb_ring **ring);

rb_loader_work rb_ring_worked(rb_ring *ring);
size_t rb_ring_issues(const rb_ring *ring, const rb_loader_issue **issues);

#endif
