/* The opening of a run, and its arguments. Only src/train/ includes this. */
#ifndef RB_TRAIN_SETUP_H
#define RB_TRAIN_SETUP_H

#include "train/trainer.h"

/* BAD_ARGUMENT naming the first argument out of range. */
revbifpn_status rb_train_check(const revbifpn_train_config *args, rb_error *err) RB_CHECKED;
/* Takes over `config`, copying its strings. */
revbifpn_status rb_train_copy_args(rb_trainer *t, const revbifpn_train_config *config,
                                   rb_error *err) RB_CHECKED;

#endif
