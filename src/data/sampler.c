#include "data/sampler.h"

#include "base/rng.h"

void rb_sampler_order(uint64_t seed, uint64_t epoch, bool shuffle, int count, uint32_t *order) {
    for (int i = 0; i < count; i++) order[i] = (uint32_t)i;
    if (!shuffle) return;
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_SHUFFLE, epoch, 0);
    for (int i = count - 1; i > 0; i--) {
        uint32_t j = rb_rng_below(&rng, (uint32_t)i + 1), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
}

int rb_sampler_batches(int count, int batch, bool drop_last) {
    return count / batch + (!drop_last && count % batch != 0);
}

int rb_sampler_entries(int count, int repeats) {
    return repeats > 1 && count >= 256 ? count - count % 256 : count;
}
