/* What happens to a training batch between the loader and the network (spec 7, 8): pictures are mixed,
 * targets with them, and boxes are drawn that the network erases once it has normalised the pictures. */
#ifndef RB_TRAIN_PREPARE_H
#define RB_TRAIN_PREPARE_H

#include "data/erase.h"
#include "data/loader.h"
#include "data/mix.h"
#include "model/model.h"

typedef struct rb_prepare_options {
    rb_mix mix;
    int mix_off_epoch; /* from this epoch on (counted from 0) nothing is mixed; targets stay soft. 0: never */
    rb_erase erase;
    double smoothing; /* of soft targets */
    int classes, batch;
    uint64_t seed;
} rb_prepare_options;

typedef struct rb_prepare {
    rb_prepare_options options;
    rb_mixture *mixtures; /* batch; NULL: nothing is mixed in this run */
    rb_patch *patches;    /* batch · erase.count; NULL: nothing is erased */
    float *soft;          /* batch,classes: targets of the last batch; NULL: its labels are the targets */
} rb_prepare;

/* The options have been checked (rb_mix_check, rb_erase_check). OUT_OF_MEMORY. Zero the struct first; close
 * it also after a failure. */
revbifpn_status rb_prepare_open(rb_prepare *p, const rb_prepare_options *options, rb_error *err) RB_CHECKED;
void rb_prepare_close(rb_prepare *p);
/* Mixes the batch's images in place, sets p->soft, and gives `images` its patches and the number of pictures
 * to train on, which RB_MIX_HALF halves. What it does depends on
 * seed, epoch, batch number, samples and sizes alone. */
void rb_prepare_batch(rb_prepare *p, const rb_batch *batch, rb_images *images);

#endif
