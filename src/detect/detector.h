/* Faster and Mask R-CNN on the reversible pyramid (Ren et al. 2015; He et al. 2017; spec 5): backbone with
 * neck, HRFPN (Sun et al. 2019), region proposal network, box head, mask head. Tensor names are
 * MMDetection's.
 *
 *   x_i   maps of the neck, strides 4 … 32           (model/model.h)
 *   y_0   = Σ_i up_{2^i}(W_i x_i) + b: the 1×1 reduction, applied before upsampling
 *   y_l   = mean of y_0 over 2^l × 2^l
 *   f_l   = 3×3 of y_l: the feature pyramid, strides 4 … 64
 *
 * Kept from forward to backward: what the backbone keeps, x, y and f, and three scores and twelve numbers for
 * each cell. The heads work through fixed chunks of cells or boxes, each forward and backward in one go, and
 * add to the gradient of f; what they need does not grow with the picture or its objects. */
#ifndef RB_DETECT_DETECTOR_H
#define RB_DETECT_DETECTOR_H

#include "detect/anchors.h"
#include "mask/truth.h"
#include "model/plan.h"
#include "ops/mask_head/mask_head.h"
#include "ops/roi_align/roi_align.h"

/* A layer's tensors, indices into the parameter list. */
typedef struct rb_layer {
    int wgt, bias;
} rb_layer;

/* Pictures in a batch from which on its own statistics normalise it (spec 2.3). */
enum { RB_NORM_BATCH = 16 };
enum { RB_MASK_CONVS = 4, RB_ROI_SIDE = 7, RB_MASK_IN = 14 };

/* The losses of a step, each a part of their sum, under MMDetection's names; and how often the box head's
 * largest score was right. */
typedef enum rb_loss_part {
    RB_LOSS_RPN_CLASS,
    RB_LOSS_RPN_BOX,
    RB_LOSS_CLASS,
    RB_LOSS_BOX,
    RB_LOSS_MASK,
    RB_LOSS_PARTS
} rb_loss_part;
extern const char *const rb_loss_names[RB_LOSS_PARTS]; /* "loss_rpn_cls", … */
typedef struct rb_detect_losses {
    double part[RB_LOSS_PARTS], accuracy;
} rb_detect_losses;
double rb_detect_loss(const rb_detect_losses *losses); /* the sum */

/* What the forward pass finds out about a picture. */
typedef struct rb_frame {
    int width, height; /* what it covers of the input, without padding */
} rb_frame;

/* Boxes drawn for the heads, picture after picture, in each those with an object first. */
typedef struct rb_rois {
    int count;
    float *boxes;   /* count,4 */
    int32_t *image; /* count */
    int32_t *label; /* count; classes: background */
    int32_t *truth; /* count: index of the object in its picture; −1 */
} rb_rois;

typedef struct rb_detector {
    revbifpn_detector_config config;
    rb_model model; /* its list holds the detector's tensors, too, behind its own */
    rb_layer reduction, fpn[RB_PYRAMID_LEVELS], rpn_conv, rpn_class, rpn_box;
    rb_layer fc[2], box_class, box_code, mask_conv[RB_MASK_CONVS], upsample, mask_logits;

    /* of the last forward: on the kept arena */
    rb_anchors anchors;
    rb_shape levels[RB_PYRAMID_LEVELS]; /* of y and f */
    float *maps[RB_MAX_STREAMS];        /* x */
    float *sums[RB_PYRAMID_LEVELS];     /* y */
    float *features[RB_PYRAMID_LEVELS], *d_features[RB_PYRAMID_LEVELS];
    float *scores[RB_PYRAMID_LEVELS], *codes[RB_PYRAMID_LEVELS]; /* n,h,w,3  n,h,w,3·4 */
    float *proposals;                                            /* n,most,4 */
    int *proposal_count;                                         /* n */
    int counts[3];        /* of the last training step: proposals, boxes with an object, others */
    int anchor_counts[2]; /* that learned in the last step: with an object, background */
} rb_detector;

/* Builds the network and its parameter list; no weights yet (rb_params_allocate on model.params). */
revbifpn_status rb_detector_create(rb_detector *d, const revbifpn_detector_config *config,
                                   rb_error *err) RB_CHECKED;
void rb_detector_close(rb_detector *d);

/* One training step's forward and backward: adds to the gradients of all parameters. `truth`: one for each
 * picture; masks' pixels are the picture's. Lowers pass->k for as long as a state leaves the range (as
 * rb_model_forward_on_a_grid). `batches`: of the step; the gradients are those of the sum of losses /
 * batches. NOT_FINITE when a loss is not. */
revbifpn_status rb_detector_train(rb_detector *d, rb_pass *pass, const rb_images *images,
                                  const rb_truth *truth, int batches, rb_detect_losses *losses) RB_CHECKED;

enum { RB_DETECTIONS = 100 }; /* at most, of a picture */
/* What a proposal may share with a better one of its level, a detection with a better one of its class; the
 * score that a detection exceeds. */
extern const float rb_proposal_overlap, rb_detection_overlap, rb_least_score;
typedef struct rb_detection {
    float box[4]; /* in pixels of the input, clipped to the picture */
    float score;
    int32_t label;
} rb_detection;
typedef struct rb_detections {
    int count;
    rb_detection at[RB_DETECTIONS]; /* by falling score */
    float *masks;                   /* count,28,28 probabilities; NULL without masks */
} rb_detections;

/* Inference on a batch: found[n] for each picture (spec 13). Their masks lie in the kept arena until the next
 * pass. */
revbifpn_status rb_detector_detect(rb_detector *d, rb_pass *pass, const rb_images *images,
                                   const rb_frame *frames, rb_detections *found) RB_CHECKED;

/* The bytes of the arenas for such a batch (model/plan.h). */
rb_step_bytes rb_detector_measure(rb_detector *d, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                                  bool training, bool stored);

/* ---- parts; only src/detect/ uses these ---- */

/* pyramid.c: maps to features, and from d_features to the gradients of all before. */
void rb_pyramid_forward(rb_detector *d, rb_pass *pass);
revbifpn_status rb_pyramid_backward(rb_detector *d, rb_pass *pass) RB_CHECKED;

/* rpn.c: features to scores and codes; proposals; the losses of the anchors drawn, with their gradients. */
void rb_rpn_forward(rb_detector *d, rb_pass *pass);
void rb_rpn_propose(rb_detector *d, rb_pass *pass, const rb_frame *frames);
void rb_rpn_learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, int batches,
                  rb_detect_losses *losses);

/* rois.c: the boxes that the heads learn from, drawn among objects and proposals. */
int rb_rois_most(const revbifpn_detector_config *c); /* of a picture */
rb_rois rb_rois_draw(rb_detector *d, rb_pass *pass, const rb_truth *truth);

/* box_head.c, mask_head.c: forward and backward by chunks of boxes. */
void rb_box_head_learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, const rb_rois *rois, int batches,
                       rb_detect_losses *losses);
void rb_mask_head_learn(rb_detector *d, rb_pass *pass, const rb_truth *truth, const rb_rois *rois,
                        int batches, rb_detect_losses *losses);
/* Scores of count boxes (count,classes + 1: after softmax) and codes (count,classes,4). */
void rb_box_head_judge(rb_detector *d, rb_pass *pass, int count, const float *boxes, const int32_t *image,
                       float *scores, float *codes);
/* Probabilities count,28,28 of each box's label. */
void rb_mask_head_form(rb_detector *d, rb_pass *pass, int count, const float *boxes, const int32_t *image,
                       const int32_t *label, float *probabilities);

#endif
