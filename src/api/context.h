/* What the public handles hold. */
#ifndef RB_API_CONTEXT_H
#define RB_API_CONTEXT_H

#include "api/options.h"
#include "base/cpu.h"
#include "base/host.h"
#include "base/threads.h"
#include "data/augment.h"
#include "data/detect_change.h"
#include "detect/detector.h"
#include "image/image.h"
#include "io/weights.h"
#include "model/plan.h"

struct revbifpn {
    rb_error error;
    rb_host host;
    rb_cpu_level level;
    rb_ops ops;
    rb_pool *pool;
};

/* The number of a class as text. */
typedef char rb_class_number[12];

struct revbifpn_model {
    revbifpn *ctx;
    rb_weights_info info;
    rb_model network;
    rb_exec exec; /* opened for batches of the shape `ready` */
    rb_shape ready;
    bool backward;            /* … and for a backward pass after it */
    uint8_t *input;           /* one batch of that shape … */
    uint16_t *words;          /* … or this, when the network takes rasters */
    rb_class_number *numbers; /* of classes without names, once they are needed; or NULL */
};

struct revbifpn_detector {
    revbifpn *ctx;
    rb_weights_info info;     /* info.detector has its numbers */
    rb_class_number *numbers; /* of classes without names, once they are needed; or NULL */
    rb_detector network;
    rb_exec exec; /* opened for one picture of the shape `ready` */
    rb_shape ready;
    uint8_t *input; /* of that shape */
    rb_detect_room room;
    rb_detections found; /* of the last picture … */
    revbifpn_detection at[RB_DETECTIONS];
    rb_spans spans;
    rb_text masks; /* … and their runs, one after the other, each ended by a zero */
};

/* Texts of 0 … classes-1, unless they are there already. */
revbifpn_status rb_api_number_classes(int classes, rb_class_number **numbers, rb_error *err) RB_CHECKED;
/* n,c,h,w into n,h,w,c, or back. */
void rb_api_turn(const float *src, rb_shape shape, bool to_pixels, float *dst);
/* The detector's executor and input for pictures of that shape; anew only when the shape changes. */
revbifpn_status rb_api_prepare_detector(revbifpn_detector *d, rb_shape shape) RB_CHECKED;

/* First in every public function that may allocate, log or ask: the context's host is in use until the
 * function returns. The one before comes back: the function may have been called by one of the program's,
 * which was called for another context. */
#define RB_ENTER(context)                                                                                    \
    __attribute__((cleanup(rb_api_leave), unused)) rb_host *host_before = rb_host_use(&(context)->host)
static inline void rb_api_leave(rb_host *const *before) { rb_host_use(*before); }

/* A picture of less than 240 pixels a row becomes *times as wide and as high, so that text on it can be read;
 * unless it is so high that it would get more than 16384 rows. OUT_OF_MEMORY. */
revbifpn_status rb_api_enlarge(revbifpn *ctx, revbifpn_image *image, int *times) RB_CHECKED;

/* Builds a network without weights, for questions about it. Checks config and size. */
revbifpn_status rb_api_network(revbifpn *ctx, const revbifpn_model_config *config, rb_shape image,
                               bool training, rb_model *network) RB_CHECKED;

/* A program's detector, checked; what it does not know are defaults. */
revbifpn_status rb_api_take_detector(revbifpn_detector_config *own, const revbifpn_detector_config *given,
                                     rb_error *err) RB_CHECKED;

/* What a plan is for: inference, or training with that optimizer (and an average of the weights). */
typedef struct rb_api_step {
    bool training, stored, average, words; /* words: pictures are rasters */
    revbifpn_optimizer optimizer;
} rb_api_step;
/* Arenas of those bytes, and the weights they belong to, as a plan. */
revbifpn_memory rb_api_memory_of(const rb_model *network, const rb_step_bytes *step, rb_shape image,
                                 const rb_api_step *kind);
/* The plan of a step on such a batch, and what one more sample adds. */
revbifpn_memory rb_api_memory(revbifpn *ctx, rb_model *network, rb_shape image, rb_api_step step);

/* An executor for inference on pictures of that shape; opened anew only when the shape changes. */
revbifpn_status rb_api_prepare(revbifpn_model *model, rb_shape image) RB_CHECKED;

/* The same with room for a backward pass, and gradients. */
revbifpn_status rb_api_prepare_backward(revbifpn_model *model, rb_shape image) RB_CHECKED;
/* A picture prepared as the weights say, in model->input or words, and its forward pass; `pass` is filled in.
 * `differentiate`: a backward pass may follow. */
revbifpn_status rb_api_forward(revbifpn_model *model, const revbifpn_image *image, bool differentiate,
                               rb_pass *pass) RB_CHECKED;
/* rb_raster_channels of the model. */
int rb_api_raster(const revbifpn_model *model);
/* How the weights look at pictures; crop_pct 0: as they say. */
rb_eval_transform rb_api_transform(const revbifpn_model *model, double crop_pct);
enum { RB_API_MAX_PIXELS = 178000000 };

#endif
