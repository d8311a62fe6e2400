/* The batch loader (loader.h): what a batch of pictures with a class is; the ring does the rest. */
#include "data/loader.h"

#include "base/memory.h"
#include "data/load_picture.h"
#include "data/ring.h"
#include "data/sampler.h"

enum { MAX_REPEATS = 1000 };

/* The buffers of a batch. */
typedef struct slot {
    uint8_t *images; /* batch pictures of picture_bytes each */
    int32_t *labels; /* batch */
} slot;

struct rb_loader {
    rb_loader_options options;
    int width, height, batches; /* of the result; in an epoch */
    int repeats;                /* of each sample, ≥ 1 */
    int channels;
    size_t picture_bytes;
    slot *slots;
    uint32_t *order; /* count: the sampler's order of `order_epoch` */
    uint64_t order_epoch;
    bool have_order;
    rb_ring *ring;
};

/* The samples of a batch, in the order of its epoch. */
static int open_batch(void *user, int at, uint64_t epoch, int index, uint32_t *want, uint32_t *again) {
    rb_loader *l = user;
    const rb_loader_options *o = &l->options;
    (void)at;
    if (!l->have_order || l->order_epoch != epoch) {
        rb_sampler_order(o->seed, epoch, o->training, o->split->count, l->order);
        l->order_epoch = epoch;
        l->have_order = true;
    }
    int start = index * o->batch, left = rb_sampler_entries(o->split->count, l->repeats) - start;
    int count = left < o->batch ? left : o->batch;
    for (int i = 0; i < count; i++) {
        want[i] = l->order[(start + i) / l->repeats];
        again[i] = (uint32_t)((start + i) % l->repeats);
    }
    return count;
}

static revbifpn_status make_picture(void *user, const rb_ring_task *t, void *scratch, bool *damaged,
                                    rb_error *err) {
    rb_loader *l = user;
    slot *s = &l->slots[t->slot];
    s->labels[t->place] = l->options.split->samples[t->from].label;
    return rb_load_picture(&l->options, t->from, t->epoch, t->want | (uint64_t)t->again << 32,
                           s->images + (size_t)t->place * l->picture_bytes, scratch, damaged, err);
}

static const char *path_of(void *user, uint32_t sample) {
    return ((const rb_loader *)user)->options.split->samples[sample].path;
}

static void close_scratch(void *scratch) { rb_scratch_free(scratch); }

revbifpn_status rb_loader_next(rb_loader *l, rb_batch *batch, rb_error *err) {
    rb_ring_batch b;
    bool words = l->options.decode.channels;
    *batch = (rb_batch){.width = l->width, .height = l->height, .channels = l->channels};
    revbifpn_status status = rb_ring_next(l->ring, &b, err);
    if (status || !b.count) return status;
    uint8_t *images = l->slots[b.slot].images;
    batch->epoch = b.epoch;
    batch->index = b.index;
    batch->last = b.last;
    batch->count = b.count;
    batch->images = words ? NULL : images;
    batch->words = words ? (uint16_t *)(void *)images : NULL;
    batch->labels = l->slots[b.slot].labels;
    batch->samples = b.want;
    batch->repetitions = b.again;
    return REVBIFPN_OK;
}

rb_loader_work rb_loader_worked(rb_loader *l) { return rb_ring_worked(l->ring); }

int rb_loader_batches(const rb_loader *l) { return l->batches; }

size_t rb_loader_issues(const rb_loader *l, const rb_loader_issue **issues) {
    return rb_ring_issues(l->ring, issues);
}

/* ---- opening and closing ---- */

static rb_ring_options ring_options(const rb_loader_options *o) {
    return (rb_ring_options){.work = {.open = open_batch,
                                      .make = make_picture,
                                      .path = path_of,
                                      .scratch_size = sizeof(rb_scratch),
                                      .scratch_close = close_scratch},
                             .samples = o->split->count,
                             .batch = o->batch,
                             .epoch = o->epoch,
                             .first_batch = o->first_batch,
                             .end_epoch = o->end_epoch,
                             .threads = o->threads,
                             .depth = o->ring,
                             .max_bad = o->max_bad,
                             .stop = o->stop};
}

static revbifpn_status check_options(const rb_loader_options *o, rb_error *err) {
    if (!o->split || o->batch < 1 || o->max_bad < 0 || o->first_batch < 0)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "the loader needs a split, a batch of 1 or more, --max-bad of 0 or more");
    if (o->repeats < 0 || o->repeats > MAX_REPEATS)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--aug-repeats %d: 0 … %d can be", o->repeats,
                       MAX_REPEATS);
    if (!o->decode.max_pixels) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "the limit of --max-pixels is 0");
    rb_ring_options ring = ring_options(o);
    revbifpn_status status = rb_ring_check(&ring, err);
    if (status) return status;
    return o->training ? rb_train_transform_check(&o->train, err) : rb_eval_transform_check(&o->eval, err);
}

static revbifpn_status open_memory(rb_loader *l, rb_error *err) {
    size_t batch = (size_t)l->options.batch;
    l->order = rb_alloc((size_t)l->options.split->count * sizeof *l->order);
    l->slots = rb_alloc((size_t)l->options.ring * sizeof *l->slots);
    bool ok = l->order && l->slots;
    for (int i = 0; ok && i < l->options.ring; i++) {
        l->slots[i].labels = rb_alloc(batch * sizeof *l->slots[i].labels);
        l->slots[i].images = rb_alloc(rb_size_mul(batch, l->picture_bytes));
        ok = l->slots[i].labels && l->slots[i].images;
    }
    if (ok) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %d batches of %d pictures of %d x %d",
                   l->options.ring, l->options.batch, l->width, l->height);
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
    l->batches = batches;
    l->repeats = repeats;
    l->width = options->training ? options->train.width : options->eval.width;
    l->height = options->training ? options->train.height : options->eval.height;
    int words = options->decode.channels;
    l->channels = words ? words : 3;
    l->picture_bytes = rb_size_mul((size_t)l->width * (size_t)l->height, words ? 2 * (size_t)words : 3);
    TRY(open_memory(l, err));
    rb_ring_options ring = ring_options(options);
    ring.work.user = l;
    ring.batches = batches;
    TRY(rb_ring_open(&l->ring, &ring, err));
    *loader = l;
    return REVBIFPN_OK;
fail:
    rb_loader_close(&l);
    return status;
}

void rb_loader_close(rb_loader **loader) {
    rb_loader *l = *loader;
    if (!l) return;
    *loader = NULL;
    rb_ring_close(&l->ring);
    for (int i = 0; l->slots && i < l->options.ring; i++) {
        rb_free(l->slots[i].images);
        rb_free(l->slots[i].labels);
    }
    rb_free(l->slots);
    rb_free(l->order);
    rb_free(l);
}
