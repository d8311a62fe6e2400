/* The description of weights that carry none: those of other programs, the published ones among them. */
#ifndef RB_IO_WEIGHTS_GUESS_H
#define RB_IO_WEIGHTS_GUESS_H

#include "io/weights.h"

/* From config.json beside the file (io/card.h) when it is of a network with the file's first width and count
 * of classes; else the published network with that width, at its published size, prepared as ImageNet
 * pictures are. A detector that MMDetection trained has "backbone." before those names and heads behind; its
 * classes are as many as it has scores for, with the names of the checkpoint's "meta" (RB_PTH_CLASSES), its
 * other numbers the defaults. The tensors themselves are checked when they are read. BAD_FILE when no network
 * has that width. */
revbifpn_status rb_weights_guess(const rb_tensor_file *file, rb_weights_info *info, rb_error *err) RB_CHECKED;

#endif
