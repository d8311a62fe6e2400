/* config.json beside a weights file, as Hugging Face and timm keep it: "architecture" ("revbifpn_s0"),
 * "num_classes", "num_features", "label_names", and "pretrained_cfg" with input_size [channels, height,
 * width], mean, std, crop_pct, interpolation; this program adds its own "config", so that any network can be
 * read back. Weights files of this program say all of it themselves: for them the card is written, not read.
 */
#ifndef RB_IO_CARD_H
#define RB_IO_CARD_H

#include "io/weights.h"

/* Writes config.json into the folder of `weights`. A config.json of another kind that lies there stays. */
revbifpn_status rb_card_write(const char *weights, const rb_weights_info *info, rb_error *err) RB_CHECKED;

/* Reads it: *found = there is one, of a network of this family. `info` then has configuration, preprocessing
 * and class names (the rest stays), else nothing of it is touched. Errors: BAD_FILE with file, key and
 * reason. */
revbifpn_status rb_card_read(const char *weights, bool *found, rb_weights_info *info,
                             rb_error *err) RB_CHECKED;

#endif
