/* The operators of the network, and the tables that choose their kernels.
 *
 * Model code calls the rb_<operator>() functions below. Each takes its scratch from the executor's arena and
 * calls the kernel of the table, which starts with the reference (plain C, double accumulators: the
 * specification) and is overridden upward by what the processor has. In a dry run no kernel is called: only
 * the arena counts.
 *
 * Maps are NHWC. A map of c channels may be a slice of a wider one: `ld` elements lie between neighbouring
 * pixels. Every kernel partitions its work by shapes alone, so results do not depend on the number of
 * threads.
 *
 * Names: z is the raw output of a convolution; u = scale·z + shift its normalised value; h hardswish;
 * a = gate·h(u) what the next convolution reads; d_… the gradient of the loss with respect to …. */
#ifndef RB_OPS_H
#define RB_OPS_H

#include "base/cpu.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/threads.h"

/* ---- operands ---- */

typedef struct rb_shape {
    int n, h, w, c; /* samples, rows, columns, channels */
} rb_shape;

static inline size_t rb_pixels(rb_shape s) { return (size_t)s.n * (size_t)s.h * (size_t)s.w; }
static inline size_t rb_elements(rb_shape s) { return rb_pixels(s) * (size_t)s.c; }

/* What batch normalisation amounts to once its statistics are known: u = scale·z + shift, per channel. */
typedef struct rb_affine {
    float *scale, *shift; /* c; scale = gamma·rstd, shift = beta − mean·scale */
} rb_affine;

/* A convolution's input, with the prologue that forms it from memory:
 *   fixed  : value = state · step                  (int32 residual state, step = 2^-k)
 *   map    : value = raw                           (float)
 *   act    : value = gate · h(scale·raw + shift)   (float; gate may be NULL = 1) */
typedef enum rb_load { RB_LOAD_FIXED, RB_LOAD_MAP, RB_LOAD_ACT } rb_load;
typedef struct rb_source {
    rb_shape shape;
    int ld;
    rb_load load;
    const void *data; /* n,h,w,ld of int32 (fixed) or float */
    float step;
    rb_affine affine;
    const float *gate; /* n,c */
} rb_source;

/* The gradient of a raw convolution output z, formed on load (z, d: n,h,w,c; d with its own ld):
 *   d_u = sample[n]·d                              without activation (sample may be NULL = 1)
 *   d_u = (gate[n,c]·d + pool[n,c]) · h'(u)        with activation (gate NULL = 1, pool NULL = 0, d NULL = 0)
 *   d_z = scale · (d_u − mean_d − (z − mean)·slope)
 * mean_d = Σ d_u / M and slope = rstd²·Σ d_u (z − mean) / M come from rb_norm_backward (both 0 for frozen
 * norms). A layer without norm (the linear one) has affine.scale NULL: d_z = d. */
typedef struct rb_gradient {
    rb_shape shape;
    const float *d;
    int ld;
    const float *z;
    bool act;
    const float *sample;      /* n */
    const float *gate, *pool; /* n,c */
    rb_affine affine;
    const float *mean, *mean_d, *slope; /* c */
} rb_gradient;

/* Batch statistics of a convolution output, an epilogue of the convolution: biased variance. NULL members:
 * not asked. */
typedef struct rb_moments {
    float *mean, *var; /* c */
} rb_moments;

/* Sums over the pixels of a sample that the backward of activation, gate and norm need (DESIGN 6, backward
 * 2): with d the gradient of the gated activation and u = scale·z + shift, per sample and channel [0] Σ d·h
 * [1] Σ d·h'  [2] Σ d·h'·(z − mean)  [3] Σ h'  [4] Σ h'·(z − mean) */
enum { RB_ACT_SUMS = 5 };
typedef struct rb_act_sums {
    double *sums; /* n, RB_ACT_SUMS, c; NULL: not asked */
    const float *z, *mean;
    rb_affine affine;
} rb_act_sums;

/* Where a data gradient goes: += into a gradient map (ld), or = into a dense one with its sums. */
typedef struct rb_sink {
    float *d; /* NULL: no data gradient wanted */
    int ld;
    bool accumulate;
    rb_act_sums act; /* only when not accumulating */
} rb_sink;

/* What an addition into the residual state saw (DESIGN 4). The limit is 2^30. */
typedef struct rb_watch {
    uint32_t largest;  /* largest |integer| of the results */
    bool out_of_range; /* an addend or a result reached the limit */
    bool not_finite;   /* an addend is NaN or infinite */
    float value;       /* the first such addend or result, in real units */
} rb_watch;
#define RB_STATE_LIMIT (1u << 30)

/* Joins what a later part saw into `all`; the first value found stays. */
static inline void rb_watch_merge(rb_watch *all, const rb_watch *part) {
    if (part->largest > all->largest) all->largest = part->largest;
    if (!all->out_of_range && !all->not_finite) all->value = part->value;
    all->out_of_range |= part->out_of_range;
    all->not_finite |= part->not_finite;
}

/* ---- executor ---- */

/* What a kernel runs for: a part of the network, of the step. `op` is the index in rev_stack of residual
 * blocks and silos, `stream` the level of residual blocks, neck and head; 0 where there is none. */
typedef enum rb_part {
    RB_PART_STEM,
    RB_PART_RESIDUAL,
    RB_PART_SILO,
    RB_PART_NECK,
    RB_PART_HEAD,
    RB_PART_FINAL_CONV,
    RB_PART_LINEAR,
    RB_PART_PYRAMID, /* of a detector, as the next three */
    RB_PART_RPN,
    RB_PART_BOX_HEAD,
    RB_PART_MASK_HEAD,
    RB_PART_LOSS,
    RB_PART_OPTIMIZER
} rb_part;
typedef struct rb_operation {
    rb_part part;
    int op, stream;
    bool backward; /* the backward pass, with what is formed again for it */
} rb_operation;

struct rb_ops;
struct rb_profile;
typedef struct rb_exec {
    const struct rb_ops *ops;
    rb_pool *pool;
    rb_arena scratch; /* dies with the operation or the block that pushed it */
    rb_arena kept;    /* survives from forward to backward */
    bool dry;
    struct rb_profile *profile; /* gathers times when set (ops/profile.h) */
} rb_exec;

/* What runs from here on belongs to `operation`. Only a profile wants to know. */
void rb_exec_enter(rb_exec *x, rb_operation operation);

/* Fills a table with the best kernels up to `level`, which must not exceed what the processor has. */
void rb_ops_fill(struct rb_ops *ops, rb_cpu_level level);

/* ---- convolutions ---- */

/* 1×1: dst[p,oc] = Σ_ic wgt[oc,ic]·src[p,ic]; wgt is oc,ic. */
typedef struct rb_pointwise {
    rb_source src;
    int oc;
    const float *wgt;
    bool bf16; /* both factors of every product rounded to bf16 (nearest, ties to even); sums in float32 */
} rb_pointwise;
void rb_pointwise_forward(rb_exec *x, const rb_pointwise *p, float *dst, rb_moments moments);
/* d_wgt += Σ_p d_dst·src (NULL: not asked); d_src into `sink`. With ic = oc a dense sink may be d_dst->z
 * itself: each pixel's z is read for both gradients before its d_src is written over it. */
void rb_pointwise_backward(rb_exec *x, const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                           const rb_sink *sink);

/* Depthwise k×k, stride s, padding (k−1)/2; wgt is c,k,k. dst is n,⌈h/s⌉,⌈w/s⌉,c (h, w multiples of s). */
typedef struct rb_depthwise {
    rb_source src;
    int kernel, stride;
    const float *wgt;
} rb_depthwise;
rb_shape rb_depthwise_shape(const rb_depthwise *p);
void rb_depthwise_forward(rb_exec *x, const rb_depthwise *p, float *dst, rb_moments moments);
void rb_depthwise_backward(rb_exec *x, const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                           const rb_sink *sink);

/* ---- batch normalisation (Ioffe and Szegedy 2015) and activation ---- */

#define RB_NORM_EPSILON 1e-3f
#define RB_NORM_MOMENTUM 0.1

/* affine from statistics: rstd = 1/√(var + eps). */
void rb_norm_affine(rb_exec *x, int c, const float *mean, const float *var, const float *gamma,
                    const float *beta, rb_affine affine);
/* The sums of rb_act_sums over a stored gradient d (n,h,w,c; NULL = 0), as a pass of its own. */
void rb_act_sums_pass(rb_exec *x, rb_shape shape, const float *d, rb_act_sums act);
/* Norm without activation: sums[0,c] = Σ sample·d, sums[1,c] = Σ sample·d·(z − mean). */
void rb_norm_sums(rb_exec *x, const rb_gradient *g, double *sums);
/* Norm with activation: the same two sums of d_u from act sums, gate and pool: sums is 2,c. */
void rb_norm_sums_from_act(rb_exec *x, rb_shape shape, const double *act_sums, const float *gate,
                           const float *pool, double *sums);
/* mean_d, slope from the two sums, and d_gamma += rstd·sums[1], d_beta += sums[0]. `frozen`: running
 * statistics were used, so mean_d = slope = 0. d_gamma, d_beta NULL: not wanted. */
void rb_norm_backward(rb_exec *x, rb_shape shape, const double *sums, const float *var, bool frozen,
                      float *mean_d, float *slope, float *d_gamma, float *d_beta);
/* dst = scale·z + shift, or dst += … */
void rb_norm_store(rb_exec *x, rb_shape shape, const float *z, rb_affine affine, bool accumulate, float *dst);
/* running += momentum·(batch − running); the variance unbiased: × m/(m−1). */
void rb_norm_move(rb_exec *x, int c, size_t m, const float *mean, const float *var, float *running_mean,
                  float *running_var);

/* ---- squeeze-excite (Hu et al. 2018) ---- */

typedef struct rb_squeeze {
    int n, c, r;                    /* r hidden channels */
    const float *w1, *b1, *w2, *b2; /* r,c  r  c,r  c */
} rb_squeeze;
/* pooled[n,c] = mean over the pixels of h(scale·z + shift). */
void rb_squeeze_pool(rb_exec *x, rb_shape shape, const float *z, rb_affine affine, float *pooled);
/* gate = hardsigmoid(w2·h(w1·pooled + b1) + b2): n,c */
void rb_squeeze_gate(rb_exec *x, const rb_squeeze *s, const float *pooled, float *gate);
/* From act sums (n,5,c; [0] is d_gate): pool[n,c] = d_pooled / pixels, and += into the four parameter
 * gradients. */
void rb_squeeze_backward(rb_exec *x, const rb_squeeze *s, size_t pixels, const float *pooled,
                         const double *act_sums, float *pool, float *d_w1, float *d_b1, float *d_w2,
                         float *d_b2);

/* ---- the residual state ---- */

/* state += rint(up(scale'·z + shift')), up = bilinear by `factor` (half-pixel centres); scale', shift' are
 * the affine times sign·sample[n]·2^k. Every level forms the same fused multiply-adds (state_ref.c). z is
 * n,h,w,c at low resolution; state is n,h·factor,w·factor,c with ld. `watch` may be NULL (undoing). */
typedef struct rb_state_add {
    rb_shape shape;
    const float *z;
    rb_affine affine;
    const float *sample;
    int factor, k, sign;
    int32_t *state;
    int ld;
} rb_state_add;
void rb_state_add_run(rb_exec *x, const rb_state_add *a, rb_watch *watch);
/* d_low[n,h,w,c] = adjoint of up, of d (n,h·factor,w·factor, ld). Gather form. */
void rb_upsample_backward(rb_exec *x, rb_shape low, int factor, const float *d, int ld, float *d_low);

/* The picture into the first stream: normalise, repeat channels cyclically, space to depth by 4, round to the
 * grid. bytes, words or floats, the first that is not NULL: n,h,w,c. state: n,h/4,w/4,16·repeated. */
typedef struct rb_stem {
    rb_shape image;
    int repeated; /* channels after repetition, at least image.c: first stream width / 16 */
    const uint8_t *bytes;
    const uint16_t *words;
    const float *floats;
    const float *mean, *std; /* c: value = (byte − 255·mean)/(255·std), of words with 65535 for 255 */
    int k;
    int32_t *state;
} rb_stem;
void rb_stem_forward(rb_exec *x, const rb_stem *s, rb_watch *watch);

/* A box of picture `image` (of at most 64 channels) that is replaced: by 0, by one N(0, 1) for each channel,
 * or by one for each value, drawn in memory order. */
typedef enum rb_patch_fill { RB_PATCH_ZERO, RB_PATCH_COLOR, RB_PATCH_NOISE } rb_patch_fill;
typedef struct rb_patch {
    int image, x, y, w, h;
    rb_patch_fill fill;
    rb_rng values;
} rb_patch;
/* After rb_stem_forward of the same stem: random erasing of normalised pixels. */
void rb_stem_erase(rb_exec *x, const rb_stem *s, const rb_patch *patches, int count);
/* The picture back from the state: floats n,h,w,c of the grid's values (first copy of each channel). */
void rb_stem_inverse(rb_exec *x, rb_shape image, int repeated, int k, const int32_t *state, float *floats);

/* Its adjoint: floats n,h,w,c = the gradient of the picture, from that of the state; copies add up. */
void rb_stem_backward(rb_exec *x, rb_shape image, int repeated, const float *d, float *floats);

/* dst (dense) = slice of src, of 4-byte elements. */
void rb_slice_pack(rb_exec *x, rb_shape shape, const void *src, int ld, void *dst);
void rb_state_to_map(rb_exec *x, rb_shape shape, const int32_t *state, int k, float *dst);
void rb_zero(rb_exec *x, void *data, size_t bytes);
/* dst = src; they may overlap. */
void rb_move(rb_exec *x, void *dst, const void *src, size_t bytes);

/* ---- head, loss, optimizer ---- */

/* dst[n,classes] = wgt·src + bias; wgt is classes,features. */
typedef struct rb_linear {
    int n, features, classes;
    const float *src, *wgt, *bias;
} rb_linear;
void rb_linear_forward(rb_exec *x, const rb_linear *l, float *dst);
void rb_linear_backward(rb_exec *x, const rb_linear *l, const float *d_dst, float *d_src, float *d_wgt,
                        float *d_bias);
/* data[i] *= factor[i] */
void rb_scale_by(rb_exec *x, size_t count, const float *factor, float *data);

/* A loss of logits (spec 9; loss/loss.c has the formulas): *loss, and its gradient unless d_logits is NULL.
 */
typedef struct rb_loss {
    int n, classes;
    const float *logits;   /* n,classes */
    const int32_t *labels; /* n; or NULL with */
    const float *soft;     /* n,classes: targets as they are, without smoothing; NULL: labels */
    double smoothing;      /* of labels */
    bool binary;           /* a sigmoid and a cross entropy for each class; else one softmax */
    bool sum_classes;      /* binary: sum over classes instead of their mean */
    double threshold;      /* binary: targets above become 1, others 0; 0: as they are */
    int batches;           /* that share the step: d_logits is divided by it, too; 0 as 1 */
} rb_loss;
void rb_loss_run(rb_exec *x, const rb_loss *l, double *loss, float *d_logits);
/* Mean cross entropy of labels with smoothing. */
void rb_softmax_loss(rb_exec *x, int n, int classes, const float *logits, const int32_t *labels,
                     double smoothing, double *loss, float *d_logits);

/* A step of an optimizer over `count` parameters (spec 10; the formulas are in optim/formula.h). The slots
 * are what it keeps: sgd and momentum b; rmsproptf v (which begins with 1) and b; adamw and lamb m and v. The
 * two kinds of lamb leave p alone and put their direction u into g: the caller knows the tensor's trust ratio
 * r and adds −lr·r·u. */
typedef struct rb_update {
    revbifpn_optimizer rule;
    size_t count;
    double lr, decay, momentum;   /* adamw, lamb: momentum unused */
    double beta1, beta2, epsilon; /* sgd, momentum: unused; rmsproptf: beta2 is α */
    uint64_t step;                /* from 1; adamw, lamb */
    float *p, *g, *slot[2];
} rb_update;
void rb_update_run(rb_exec *x, const rb_update *u);
/* Slots that a rule keeps: 1 or 2. */
int rb_update_slots(revbifpn_optimizer rule);
/* Σ data², in double, in an order that `count` alone fixes. 0 in a dry run. */
double rb_sum_squares(rb_exec *x, size_t count, const float *data);
/* data *= factor; every element into ±limit; dst += factor·src; dst = decay·dst + (1 − decay)·src. */
void rb_scale(rb_exec *x, size_t count, double factor, float *data);
void rb_clamp(rb_exec *x, size_t count, double limit, float *data);
void rb_add_scaled(rb_exec *x, size_t count, double factor, const float *src, float *dst);
void rb_average(rb_exec *x, size_t count, double decay, const float *src, float *dst);
/* Adaptive clipping (Brock et al. 2021) of `count` units of `length` elements: with m = limit·max(‖p‖, 1e-3),
 * a gradient of norm ‖g‖ ≥ m is scaled by m/max(‖g‖, 1e-6). */
#define RB_AGC_LEAST_WEIGHT 1e-3
#define RB_AGC_LEAST_GRADIENT 1e-6
void rb_clip_units(rb_exec *x, size_t count, size_t length, double limit, const float *p, float *g);
/* Index of the first value that is not finite, or `count`. */
size_t rb_first_not_finite(rb_exec *x, const float *data, size_t count);

/* ---- tables (for kernels and their tests) ---- */

/* A kernel gets its operands, scratch of the size that the _scratch function named, and the pool. The 3×3
 * convolutions (conv3x3/conv3x3.h) are made of other operators, and get the executor instead. */
struct rb_conv3x3;
struct rb_conv3x3_result;
struct rb_conv3x3_grads;
struct rb_roi_align; /* roi_align/roi_align.h */
typedef struct rb_ops {
    rb_cpu_level level;
    size_t (*pointwise_forward_scratch)(const rb_pointwise *p, int threads);
    void (*pointwise_forward)(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                              rb_pool *pool);
    size_t (*pointwise_backward_scratch)(const rb_pointwise *p, int threads);
    void (*pointwise_backward)(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                               const rb_sink *sink, void *scratch, rb_pool *pool);
    /* The same four for p->bf16. */
    size_t (*pointwise_forward_scratch_bf16)(const rb_pointwise *p, int threads);
    void (*pointwise_forward_bf16)(const rb_pointwise *p, float *dst, rb_moments moments, void *scratch,
                                   rb_pool *pool);
    size_t (*pointwise_backward_scratch_bf16)(const rb_pointwise *p, int threads);
    void (*pointwise_backward_bf16)(const rb_pointwise *p, const rb_gradient *d_dst, float *d_wgt,
                                    const rb_sink *sink, void *scratch, rb_pool *pool);
    size_t (*depthwise_forward_scratch)(const rb_depthwise *p, int threads);
    void (*depthwise_forward)(const rb_depthwise *p, float *dst, rb_moments moments, void *scratch,
                              rb_pool *pool);
    size_t (*depthwise_backward_scratch)(const rb_depthwise *p, int threads);
    void (*depthwise_backward)(const rb_depthwise *p, const rb_gradient *d_dst, float *d_wgt,
                               const rb_sink *sink, void *scratch, rb_pool *pool);
    size_t (*act_sums_scratch)(rb_shape shape, int threads);
    void (*act_sums)(rb_shape shape, const float *d, rb_act_sums act, void *scratch, rb_pool *pool);
    size_t (*norm_sums_scratch)(rb_shape shape, int threads);
    void (*norm_sums)(const rb_gradient *g, double *sums, void *scratch, rb_pool *pool);
    void (*norm_store)(rb_shape shape, const float *z, rb_affine affine, bool accumulate, float *dst,
                       rb_pool *pool);
    size_t (*squeeze_pool_scratch)(rb_shape shape, int threads);
    void (*squeeze_pool)(rb_shape shape, const float *z, rb_affine affine, float *pooled, void *scratch,
                         rb_pool *pool);
    size_t (*state_add_scratch)(const rb_state_add *a, int threads);
    void (*state_add)(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool);
    size_t (*upsample_backward_scratch)(rb_shape low, int factor, int threads);
    void (*upsample_backward)(rb_shape low, int factor, const float *d, int ld, float *d_low, void *scratch,
                              rb_pool *pool);
    void (*conv3x3_forward)(rb_exec *x, const struct rb_conv3x3 *c, const int32_t *at, size_t count,
                            const struct rb_conv3x3_result *r);
    void (*conv3x3_backward)(rb_exec *x, const struct rb_conv3x3 *c, const struct rb_conv3x3_grads *g);
    size_t (*roi_align_scratch)(const struct rb_roi_align *r, int threads);
    void (*roi_align_forward)(const struct rb_roi_align *r, float *dst, void *scratch, rb_pool *pool);
    void (*roi_align_backward)(const struct rb_roi_align *r, const float *d_dst, float *const d_map[],
                               void *scratch, rb_pool *pool);
    void (*update)(const rb_update *u, rb_pool *pool);
    double (*sum_squares)(size_t count, const float *data, rb_pool *pool);
} rb_ops;

/* Each level overwrites the entries it has. */
void rb_ops_init_ref(rb_ops *ops);
void rb_ops_init_avx2(rb_ops *ops);
void rb_ops_init_avx512(rb_ops *ops);

#endif
