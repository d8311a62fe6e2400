#include "data/detect_sampler.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

static int batches_of(int size, int batch) { return size / batch + (size % batch != 0); }

revbifpn_status rb_detect_order_open(rb_detect_order *o, const bool *group, int count, int batch,
                                     rb_error *err) {
    *o = (rb_detect_order){.batch = batch};
    o->members = rb_alloc(rb_size_mul((size_t)count, sizeof *o->members));
    o->first = rb_alloc(rb_size_mul((size_t)count, sizeof *o->first));
    for (int g = 0, at = 0; o->first && g < 2; g++)
        for (int i = 0; i < count; i++)
            if (group[i] == (g == 1)) {
                o->first[at++] = (uint32_t)i;
                o->size[g]++;
            }
    o->batch_count = batches_of(o->size[0], batch) + batches_of(o->size[1], batch);
    o->batches = rb_alloc(rb_size_mul((size_t)o->batch_count, sizeof *o->batches));
    if (o->members && o->first && o->batches) return REVBIFPN_OK;
    rb_detect_order_close(o);
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the order of %d pictures", count);
}

void rb_detect_order_close(rb_detect_order *o) {
    rb_free(o->members);
    rb_free(o->first);
    rb_free(o->batches);
    *o = (rb_detect_order){0};
}

static void permute(uint32_t *list, int count, uint64_t seed, uint64_t epoch, uint64_t stream) {
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_SHUFFLE, epoch, stream);
    for (int i = count - 1; i > 0; i--) {
        uint32_t j = rb_rng_below(&rng, (uint32_t)i + 1), keep = list[i];
        list[i] = list[j];
        list[j] = keep;
    }
}

void rb_detect_order_shuffle(rb_detect_order *o, uint64_t seed, uint64_t epoch) {
    memcpy(o->members, o->first, (size_t)(o->size[0] + o->size[1]) * sizeof *o->members);
    permute(o->members, o->size[0], seed, epoch, 1);
    permute(o->members + o->size[0], o->size[1], seed, epoch, 2);
    for (int i = 0; i < o->batch_count; i++) o->batches[i] = (uint32_t)i;
    permute(o->batches, o->batch_count, seed, epoch, 3);
}

void rb_detect_order_batch(const rb_detect_order *o, int index, uint32_t *want, uint32_t *again) {
    int number = (int)o->batches[index], before = batches_of(o->size[0], o->batch), wide = number >= before;
    const uint32_t *members = o->members + (wide ? o->size[0] : 0);
    for (int i = 0; i < o->batch; i++) {
        int64_t at = (int64_t)(wide ? number - before : number) * o->batch + i;
        want[i] = members[at % o->size[wide]];
        again[i] = (uint32_t)(at / o->size[wide]);
    }
}
