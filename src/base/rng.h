/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A stream is named by (seed, purpose, a, b): nothing is stored to repeat it, and it does not depend on
 * threads or on what was drawn elsewhere. The same name gives the same numbers on every machine. */
#ifndef RB_BASE_RNG_H
#define RB_BASE_RNG_H

#include <stdint.h>

typedef enum rb_purpose { /* keeps the streams of one seed apart; values are part of the file format: append
                             only */
                          RB_PURPOSE_INIT = 1,  /* a = tensor */
                          RB_PURPOSE_SHUFFLE,   /* a = epoch */
                          RB_PURPOSE_AUGMENT,   /* a = epoch, b = sample; high half of b: which repetition */
                          RB_PURPOSE_DROP_PATH, /* a = step, b = transform */
                          RB_PURPOSE_DROPOUT,   /* a = step */
                          RB_PURPOSE_SYNTH,     /* a = picture */
                          RB_PURPOSE_SPLIT,
                          RB_PURPOSE_TEST,
                          RB_PURPOSE_RATE,         /* a = epoch or step */
                          RB_PURPOSE_ERASE,        /* as AUGMENT */
                          RB_PURPOSE_ERASE_VALUES, /* as AUGMENT; high half of a: which box */
                          RB_PURPOSE_MIX,          /* a = epoch, b = batch */
                          RB_PURPOSE_ANCHORS,      /* a = step, b = picture of the batch */
                          RB_PURPOSE_ROIS          /* as ANCHORS */
} rb_purpose;

typedef struct rb_rng {
    uint32_t key[2], counter[4], block[4];
    int left; /* words of `block` not yet drawn */
} rb_rng;

/* The stream of that name, at its start. `a` uses 32 bits, `b` 32 bits, purpose 8 and the position 2^24
 * blocks. */
rb_rng rb_rng_open(uint64_t seed, rb_purpose purpose, uint64_t a, uint64_t b);
uint32_t rb_rng_u32(rb_rng *rng);
/* Uniform in [0, 1) with 53 bits. */
double rb_rng_uniform(rb_rng *rng);
/* Uniform integer in 0 … n − 1, without bias; n ≥ 1. */
uint32_t rb_rng_below(rb_rng *rng, uint32_t n);
/* Standard normal (Box and Muller, cosine branch). */
double rb_rng_normal(rb_rng *rng);
/* One Philox4x32-10 block, for the known-answer test. */
void rb_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
