/* The parameter list: every tensor of the network under its published name, in state-dict order.
 *
 * Trainable tensors lie in one block of floats (and their gradients and momenta in blocks of the same
 * layout), those with weight decay first: more than one dimension and not a bias (spec 10.1). Running
 * statistics and the counters `num_batches_tracked` have blocks of their own, and so have the affine maps
 * that the norms amount to in inference: scale where the block of statistics has a mean, shift where it has a
 * variance. */
#ifndef RB_BLOCKS_PARAMS_H
#define RB_BLOCKS_PARAMS_H

#include "ops/ops.h"

typedef enum rb_param_kind { RB_PARAM_TRAINED, RB_PARAM_RUNNING, RB_PARAM_COUNTER } rb_param_kind;
typedef enum rb_init {
    RB_INIT_ZERO,
    RB_INIT_ONE,
    RB_INIT_NORMAL_FAN_OUT, /* deviation √(2/fan) */
    RB_INIT_UNIFORM_FAN_IN, /* within ±√(1/fan) */
    RB_INIT_NORMAL,         /* deviation `scale` */
    RB_INIT_UNIFORM         /* within ±scale */
} rb_init;

typedef struct rb_param {
    char name[120];
    rb_param_kind kind;
    int ndim, shape[4];   /* PyTorch's shape: O,I,kh,kw for convolutions */
    size_t count, offset; /* elements, and where they start in their block */
    rb_init init;
    int fan;      /* for the random ones that name it, … */
    double scale; /* … and for the others */
    bool held;    /* a trained one that this run leaves as it is */
} rb_param;

typedef struct rb_params {
    rb_param *list;
    int count, capacity;
    size_t parameters;        /* trainable elements, without alignment gaps */
    size_t trained, decayed;  /* floats of the trained block; how many of them, from the start, decay */
    size_t running, counters; /* floats, int64 */
    float *weight, *gradient, *statistics, *maps; /* blocks; NULL until rb_params_allocate */
    int64_t *counter;
    bool maps_current; /* maps are those of the weights and statistics as they are now */
} rb_params;

/* Appends a tensor and gives its index. Names longer than the field are a bug. */
revbifpn_status rb_params_add(rb_params *params, const rb_param *param, int *index, rb_error *err) RB_CHECKED;
/* Lays the blocks out once all tensors are known. */
void rb_params_layout(rb_params *params);
/* Allocates weights, statistics, maps and counters, and gradients when asked; all zero. */
revbifpn_status rb_params_allocate(rb_params *params, bool gradients, rb_error *err) RB_CHECKED;
void rb_params_close(rb_params *params);
/* Fills weights and statistics from the seed (spec 2.3). Every tensor has its own random stream. */
void rb_params_init(rb_params *params, uint64_t seed, rb_pool *pool);
/* Index of that name, or -1. */
int rb_params_find(const rb_params *params, const char *name);

static inline float *rb_param_weight(const rb_params *p, int index) {
    return p->weight + p->list[index].offset;
}
static inline float *rb_param_gradient(const rb_params *p, int index) {
    return p->gradient + p->list[index].offset;
}
static inline float *rb_param_statistic(const rb_params *p, int index) {
    return p->statistics + p->list[index].offset;
}
static inline float *rb_param_map(const rb_params *p, int index) { return p->maps + p->list[index].offset; }

#endif
