/* Batches of pictures, decoded ahead by threads into a bounded ring.
 *
 * The sequence of batches depends on the options alone: not on the number of threads, on their timing, or on
 * where a run was resumed. Batch b of epoch e holds the samples b·batch … of the sampler's order of that
 * epoch; the loader goes on from one epoch to the next by itself. The unit of work is one picture, so a slow
 * one delays the others no more than the ring is deep. The threads run only while no other thread wants a
 * processor, so they do not slow what the batches are for; a caller that must wait helps with its batch.
 *
 * A picture that cannot be read is replaced by the next readable one in sample order (index + 1, from the
 * last to the first), whose label comes with it; the transform is drawn for the index that was asked for. */
#ifndef RB_DATA_LOADER_H
#define RB_DATA_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/ring.h"

typedef struct rb_loader_options {
    const rb_split *split; /* stays the caller's, and unchanged until the loader is closed */
    int batch;
    bool
        training; /* shuffled, last incomplete batch dropped, `train` transform; else in order, all, `eval` */
    rb_train_transform train;
    rb_eval_transform eval;
    int repeats; /* in training: how often a picture comes (repeated augmentation, data/sampler.h); 0 or 1:
                  * once
                  */
    uint64_t seed;
    uint64_t epoch; /* the first batch to deliver: a resumed run gives the one after its last step */
    int first_batch;
    uint64_t end_epoch; /* no batches of this epoch and later ones; 0: no end */
    int threads;        /* that decode; 0: the caller's thread does, inside rb_loader_next */
    int ring;           /* batches in memory, the delivered one included; ≥ 2, or ≥ 1 without threads */
    int max_bad;        /* distinct unreadable files that are put up with */
    rb_decode_options decode; /* with channels: batches of words, no changes of policy or jitter */
    const rb_stop *stop;      /* the caller's; NULL: none */
} rb_loader_options;

/* One batch; the buffers are the loader's and hold until the next call of rb_loader_next or rb_loader_close.
 */
typedef struct rb_batch {
    uint64_t epoch;
    int index; /* within its epoch */
    bool last; /* of its epoch */
    int count; /* pictures; 0 after the end */
    int height, width, channels;
    uint8_t *images;         /* count,height,width,3; the caller may change them; NULL when there are … */
    uint16_t *words;         /* … count,height,width,channels of rasters; likewise */
    const int32_t *labels;   /* count */
    const uint32_t *samples; /* count: what the sampler asked for; names the random numbers of a picture … */
    const uint32_t *repetitions; /* … together with this, 0 … repeats − 1 */
} rb_batch;

typedef struct rb_loader rb_loader;

/* Takes all buffers, starts the threads. BAD_ARGUMENT; BAD_DATA when an epoch has no batch; OUT_OF_MEMORY. */
revbifpn_status rb_loader_open(rb_loader **loader, const rb_loader_options *options,
                               rb_error *err) RB_CHECKED;
/* The next batch, waiting for it. BAD_DATA once the batches asked for so far met more than max_bad unreadable
 * files, or none could be read; the text names count, limit and the first files. OUT_OF_MEMORY. A failure
 * repeats. STOPPED before or while waiting, when options.stop asks for it: the next call goes on. One thread.
 */
revbifpn_status rb_loader_next(rb_loader *loader, rb_batch *batch, rb_error *err) RB_CHECKED;
/* Stops at any moment: pictures being decoded are finished, the rest is dropped. */
void rb_loader_close(rb_loader **loader);

/* What the loader has done so far, all threads together. */
rb_loader_work rb_loader_worked(rb_loader *loader);

/* Batches in an epoch. */
int rb_loader_batches(const rb_loader *loader);
/* Files met in the batches delivered so far, each once, in the order of the batches (so always the same
 * order). The list is the loader's and holds until the next call of rb_loader_next. */
size_t rb_loader_issues(const rb_loader *loader, const rb_loader_issue **issues);

#endif
