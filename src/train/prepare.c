#include "train/prepare.h"

#include "base/memory.h"

revbifpn_status rb_prepare_open(rb_prepare *p, const rb_prepare_options *options, rb_error *err) {
    size_t batch = (size_t)options->batch;
    bool mixing = rb_mix_used(&options->mix), erasing = options->erase.probability > 0;
    *p = (rb_prepare){.options = *options};
    if (mixing) {
        p->mixtures = rb_alloc(rb_size_mul(batch, sizeof *p->mixtures));
        p->soft = rb_alloc(rb_size_mul(rb_size_mul(batch, (size_t)options->classes), sizeof *p->soft));
    }
    if (erasing) p->patches = rb_alloc(rb_size_mul(batch * (size_t)options->erase.count, sizeof *p->patches));
    if ((!mixing || (p->mixtures && p->soft)) && (!erasing || p->patches)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for mixing and erasing batches of %d",
                   options->batch);
}

void rb_prepare_close(rb_prepare *p) {
    rb_free(p->mixtures);
    rb_free(p->patches);
    rb_free(p->soft);
    *p = (rb_prepare){0};
}

static void mix(rb_prepare *p, const rb_batch *b) {
    const rb_prepare_options *o = &p->options;
    rb_mix how = o->mix;
    if (o->mix_off_epoch && b->epoch >= (uint64_t)o->mix_off_epoch) how.probability = 0;
    rb_mix_draw(&how, b->count, b->height, b->width, o->seed, b->epoch, (uint64_t)b->index, p->mixtures);
    if (b->words)
        rb_mix_words(p->mixtures, b->count, b->height, b->width, b->channels, b->words);
    else
        rb_mix_images(p->mixtures, b->count, b->height, b->width, b->images);
    rb_mix_targets(p->mixtures, b->count, o->classes, o->smoothing, b->labels, p->soft);
}

/* Draws the boxes of picture i; returns how many. */
static int draw_patches(const rb_prepare *p, const rb_batch *b, int i, rb_patch *patches) {
    static const rb_patch_fill fills[] = {[RB_ERASE_CONST] = RB_PATCH_ZERO,
                                          [RB_ERASE_RAND] = RB_PATCH_COLOR,
                                          [RB_ERASE_PIXEL] = RB_PATCH_NOISE};
    const rb_prepare_options *o = &p->options;
    rb_erasure boxes[RB_ERASE_BOXES];
    uint64_t sample = b->samples[i] | (uint64_t)b->repetitions[i] << 32;
    int count = rb_erase_draw(&o->erase, b->width, b->height, o->seed, b->epoch, sample, boxes);
    for (int k = 0; k < count; k++)
        patches[k] = (rb_patch){.image = i,
                                .x = boxes[k].x,
                                .y = boxes[k].y,
                                .w = boxes[k].w,
                                .h = boxes[k].h,
                                .fill = fills[o->erase.mode],
                                .values = boxes[k].values};
    return count;
}

void rb_prepare_batch(rb_prepare *p, const rb_batch *b, rb_images *images) {
    if (p->mixtures) mix(p, b);
    bool half = p->mixtures && p->options.mix.mode == RB_MIX_HALF;
    images->shape.n = half ? b->count / 2 : b->count;
    images->patches = p->patches;
    images->patch_count = 0;
    for (int i = 0; p->patches && i < images->shape.n; i++)
        images->patch_count += draw_patches(p, b, i, p->patches + images->patch_count);
}
