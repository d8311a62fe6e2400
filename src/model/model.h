/* The network: the reversible pyramid, the neck, the classification head (DESIGN 3; Chiley et al. 2022, Sec.
 * 4).
 *
 * A training step is rb_model_forward, rb_softmax_loss on model.logits, rb_model_backward. Between the two
 * only the final pyramid, the norms' statistics, the pooled means and the head's small vectors are kept
 * (pass.stored keeps all). The executor's arenas must have been opened with the sizes that a dry run found
 * (model/plan.h). */
#ifndef RB_MODEL_H
#define RB_MODEL_H

#include "blocks/mbconv.h"
#include "rev/coupling.h"

typedef struct rb_model {
    revbifpn_model_config config;
    rb_params params;
    rb_mbconv *blocks; /* all of them, in order of their names in the state dict */
    int block_count;
    rb_stack stack;
    rb_mbconv *neck[RB_MAX_STREAMS], *head[RB_MAX_STREAMS]; /* into blocks; head[i]: level i → i + 1 */
    rb_conv_norm final;                                     /* head.final_conv */
    int fc_weight, fc_bias;
    int neck_params, head_params;   /* index in params.list of the first tensor of neck and of head */
    int frozen_params;              /* the first tensors of the list, which are not trained */
    bool frozen_neck, frozen_head;  /* the head but for the linear layer */
    int map_widths[RB_MAX_STREAMS]; /* channels of the maps that neck or stack give */

    /* of the last forward: on the kept arena */
    rb_shape image;
    rb_streams streams;
    float *pooled;            /* n,fc_features */
    float *logits, *d_logits; /* n,classes */
    /* the head's, on scratch until its backward has used them (in stored mode maps are kept) */
    float *maps[RB_MAX_STREAMS], *d_maps[RB_MAX_STREAMS]; /* n,h,w,map_widths, and their gradients */
    size_t below_map[RB_MAX_STREAMS],
        below_gradients; /* marks of scratch before maps[i], and before streams.d */
    float *final_z;      /* raw output of final_conv */
} rb_model;

/* A batch of pictures, n,h,w,c: bytes or 16-bit words with their mean and deviation, or floats as they are.
 */
typedef struct rb_images {
    rb_shape shape;
    const uint8_t *bytes;
    const uint16_t *words;
    const float *floats;
    const float *mean, *std; /* c, in units of the largest value, 255 or 65535 */
    const rb_patch *patches; /* boxes to be erased once the pictures are normalised */
    int patch_count;
} rb_images;

/* Builds the network and its parameter list; no weights yet (rb_params_allocate). The config must have passed
 * rb_config_check. */
revbifpn_status rb_model_create(rb_model *model, const revbifpn_model_config *config,
                                rb_error *err) RB_CHECKED;
void rb_model_close(rb_model *model);

/* Arithmetic of the blocks' products from now on: bf16 factors with float32 sums, or float32. Everything else
 * (weights, state, norms, depthwise convolutions, classifier) stays as it is. */
void rb_model_set_precision(rb_model *model, revbifpn_precision precision);

/* How much of the network stays as it is, from the input on. */
typedef enum rb_freeze_stage { RB_FREEZE_LEVELS, RB_FREEZE_BACKBONE, RB_FREEZE_FEATURES } rb_freeze_stage;
typedef struct rb_freeze {
    rb_freeze_stage stage; /* the first `levels` levels; levels and neck; all but the linear layer */
    int levels;            /* of RB_FREEZE_LEVELS, 0 … those there are; 0: nothing */
} rb_freeze;
/* Levels of the network: one for each stream added, then the extension levels. */
int rb_model_levels(const revbifpn_model_config *config);
/* Frozen parts get no gradients, have no stochastic depth, and their norms running statistics that do not
 * move; the backward pass ends where nothing before it learns. To be called before memory is planned. */
void rb_model_freeze(rb_model *model, rb_freeze freeze);
/* All norms use running statistics in training, too, and these do not move; scale and shift are trained. */
void rb_model_fix_norms(rb_model *model);
/* Scale and shift of all norms stay as they are: they get no gradients, and no optimizer moves them. */
void rb_model_hold_affine(rb_model *model);

/* Pixels per side that one pixel of the coarsest stream covers: 4·2^(streams−1). */
int rb_model_stride(const revbifpn_model_config *config);
/* Refuses sizes that are not multiples of the stride, and training batches whose coarsest map has one value a
 * channel. */
revbifpn_status rb_model_check_input(const revbifpn_model_config *config, rb_shape image, bool training,
                                     rb_error *err) RB_CHECKED;

/* Picture i of the batch as the network sees it: normalised, boxes erased, on the grid; floats h,w,c. Between
 * passes only: the kept arena holds it meanwhile. */
void rb_model_seen(rb_model *model, const rb_pass *pass, const rb_images *images, int i, float *floats);

/* Runs the network up to the logits (with classes) or the pyramid. Resets both arenas. */
revbifpn_status rb_model_forward(rb_model *model, rb_pass *pass, const rb_images *images,
                                 rb_observer *observe, void *arg) RB_CHECKED;
/* The same, repeated on the next coarser grid (pass->k − 1) for as long as a state leaves the range.
 * NOT_FINITE when even the coarsest grid is not enough: RB_GRID_FLOOR, where states past ±2^20 say that
 * training diverges; for inference with one picture RB_GRID_LAST. Running statistics that lag behind the
 * weights of a young network can drive its states to any size; on a grid that coarse smaller values are lost,
 * so it is for a picture alone, not for a batch. Nothing has moved in between: all randomness is keyed. */
revbifpn_status rb_model_forward_on_a_grid(rb_model *model, rb_pass *pass,
                                           const rb_images *images) RB_CHECKED;
/* From d_logits to the gradients of all parameters, which are added to. Consumes the pyramid. */
revbifpn_status rb_model_backward(rb_model *model, rb_pass *pass) RB_CHECKED;

/* Of one picture, after an inference with pass->differentiate set: floats h,w,c = the gradient of the logit
 * of `class` with respect to the picture as the network saw it, normalised. Exact but for float32: the
 * running statistics are constants, and rounding to the grid passes the gradient on. Overwrites the
 * parameters' gradients, which must be allocated. Consumes the pyramid. */
revbifpn_status rb_model_input_gradient(rb_model *model, rb_pass *pass, int class, float *floats) RB_CHECKED;

/* The maps (float, n,h,w,map_widths) from the pyramid, after a forward; level i goes to maps[i]. With
 * classes in inference only, and what the head left on scratch is lost. */
void rb_model_maps(rb_model *model, rb_pass *pass, float *const maps[]);
/* … and the backward from their gradients. */
revbifpn_status rb_model_backward_maps(rb_model *model, rb_pass *pass, float *const d_maps[]) RB_CHECKED;

/* The picture back from the pyramid of the last forward: floats n,h,w,c, the values of the state's grid. */
revbifpn_status rb_model_inverse(rb_model *model, rb_pass *pass, float *floats) RB_CHECKED;

/* After a step that succeeded: moves the running statistics by the batch, once, or (`published`) twice in
 * stack and neck as the published code does. */
void rb_model_move_statistics(rb_model *model, rb_exec *exec, bool published);

/* Stream i of the pyramid as a kernel reads it. */
rb_source rb_model_stream(const rb_model *model, const rb_pass *pass, int i);

/* head.c: the head's part of the above. The backward pass places the gradients of the streams on scratch. */
void rb_head_forward(rb_model *model, rb_pass *pass);
void rb_head_backward(rb_model *model, rb_pass *pass);

#endif
