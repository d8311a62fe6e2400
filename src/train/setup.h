/* The opening of a run, and its arguments. Only src/train/ includes this. */
#ifndef RB_TRAIN_SETUP_H
#define RB_TRAIN_SETUP_H

#include "io/weights.h"
#include "train/trainer.h"

/* BAD_ARGUMENT naming the first argument out of range. */
revbifpn_status rb_train_check(const revbifpn_train_config *args, rb_error *err) RB_CHECKED;
/* Takes over `config`, copying its strings. */
revbifpn_status rb_train_copy_args(rb_trainer *t, const revbifpn_train_config *config,
                                   rb_error *err) RB_CHECKED;

/* Mean and deviation as given, into `out`, which has the usual ones. BAD_ARGUMENT. */
revbifpn_status rb_train_statistics(const revbifpn_train_config *args, rb_preprocess *out,
                                    rb_error *err) RB_CHECKED;
/* What the arguments say of the loss and of the optimizer. */
rb_loss rb_train_loss(const revbifpn_train_config *args);
rb_optimizer_options rb_train_optimizer(const revbifpn_train_config *args);
/* What a checkpoint keeps of an optimizer: its slots, and the average as "ema". */
rb_checkpoint rb_train_checkpoint(const rb_optimizer *optimizer);

/* What the arguments say of augmentation, checked: into `transform` what the loader does, into `prepare` what
 * is done to batches (its classes are not yet known). BAD_ARGUMENT. */
revbifpn_status rb_train_augmentation(const revbifpn_train_config *args, rb_train_transform *transform,
                                      rb_prepare_options *prepare, rb_error *err) RB_CHECKED;

/* The arguments of fine-tuning: freezes what args->freeze names, fixes norms, holds their scale and
 * shift. BAD_ARGUMENT. */
revbifpn_status rb_train_freeze(rb_model *model, const revbifpn_train_config *args, rb_error *err) RB_CHECKED;
/* Weights, grid, mean and deviation of args->weights; its last layer when it is for the same classes. Notes
 * what begins anew. BAD_ARGUMENT when it is another network, BAD_FILE. */
revbifpn_status rb_train_read_weights(rb_trainer *t, rb_error *err) RB_CHECKED;

/* The same for a detector: all of it when the weights are for one like it, else the backbone. */
revbifpn_status rb_train_read_detector(rb_trainer *t, rb_error *err) RB_CHECKED;

#endif
