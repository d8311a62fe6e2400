/* A weights file: safetensors, or PyTorch's own format when the name ends in .pth, .pt or .pth.tar, under the
 * published tensor names, `num_batches_tracked` included, so that PyTorch's load_state_dict(strict=True)
 * takes it. The metadata says all that is needed to use it: "config" (the network), "classes" (names),
 * "preprocessing", "grid" (k of the state's grid 2^-k), of a detector "detector" (its numbers); config.json
 * beside it says the same to other programs (io/card.h). No path, time, host or thread count is in it: equal
 * runs give equal files. A checkpoint is a safetensors file with the optimizer's tensors and a "training"
 * record. */
#ifndef RB_IO_WEIGHTS_H
#define RB_IO_WEIGHTS_H

#include "blocks/params.h"
#include "io/safetensors.h"

enum { RB_IMAGE_CHANNELS_MAX = 64 };

typedef struct rb_preprocess {
    float mean[RB_IMAGE_CHANNELS_MAX], std[RB_IMAGE_CHANNELS_MAX]; /* in units of the largest value */
    double crop_pct;
    char interpolation[16]; /* "bicubic", "bilinear" */
    int bits;               /* of a sample: 16, or 8 (also 0), which only pictures of 3 channels have */
} rb_preprocess;
/* How pictures come to a network: 0 as 8-bit RGB, else as rasters of so many channels (image/raster.h). */
static inline int rb_raster_channels(int channels, int bits) {
    return channels == 3 && bits != 16 ? 0 : channels;
}

typedef struct rb_weights_info {
    revbifpn_model_config config;      /* image_width, image_height: a classifier's training size */
    revbifpn_detector_config detector; /* of a detector, whose backbone is `config`; else classes is 0 */
    rb_preprocess preprocess;
    int grid;
    int class_count; /* 0: no names */
    char **classes;  /* owned */
} rb_weights_info;

/* ImageNet's mean and deviation, repeated over the channels; bicubic, crop 0.875. */
rb_preprocess rb_preprocess_default(void);
void rb_weights_info_close(rb_weights_info *info);
/* Copies the names. */
revbifpn_status rb_weights_info_set_classes(rb_weights_info *info, char *const *names, int count,
                                            rb_error *err) RB_CHECKED;

/* What a checkpoint adds to the weights: for each block tensors PREFIX.NAME in the layout of params->weight,
 * and of params->statistics where `running` is set; and a text. NULL: a plain weights file. */
typedef struct rb_checkpoint_block {
    const char *prefix;
    float *trained, *running;
} rb_checkpoint_block;
enum { RB_CHECKPOINT_BLOCKS = 3, RB_CHECKPOINT_PREFIX = 16 };
typedef struct rb_checkpoint {
    rb_checkpoint_block block[RB_CHECKPOINT_BLOCKS];
    int blocks;
    char *training; /* reading: owned by the caller, rb_free */
} rb_checkpoint;

revbifpn_status rb_weights_save(const char *path, const rb_params *params, const rb_weights_info *info,
                                const rb_checkpoint *checkpoint, rb_error *err) RB_CHECKED;
/* The metadata of an open file, checked; of a file without, what io/weights_guess.h finds out. */
revbifpn_status rb_weights_read_info(const rb_tensor_file *file, rb_weights_info *info,
                                     rb_error *err) RB_CHECKED;
/* Every tensor of `params`, exactly (float32 out of any floating type): a missing, extra or differently
 * shaped one is an error that names it. */
revbifpn_status rb_weights_read(const rb_tensor_file *file, rb_params *params, rb_checkpoint *checkpoint,
                                rb_error *err) RB_CHECKED;

/* The same for the first `count` tensors of the list alone, to begin another training with them: what the
 * file has beyond is passed over when the network has it, too. */
revbifpn_status rb_weights_read_first(const rb_tensor_file *file, rb_params *params, int count,
                                      rb_error *err) RB_CHECKED;
/* The backbone of a detector, PREFIX.NAME for the first `count` tensors of the list, from a classifier's
 * file: there without the
 * prefix ("": with it, as in another detector's). What it has beyond is passed over. */
revbifpn_status rb_weights_read_backbone(const rb_tensor_file *file, rb_params *params, int count,
                                         const char *prefix, rb_error *err) RB_CHECKED;

#endif
