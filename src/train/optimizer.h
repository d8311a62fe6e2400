/* The optimizer of a run: its slots, clipping, parameter groups, and the average of the weights (spec 10).
 * All that it keeps lies in one arena whose size the plan knows before the run. */
#ifndef RB_TRAIN_OPTIMIZER_H
#define RB_TRAIN_OPTIMIZER_H

#include "blocks/params.h"

typedef struct rb_optimizer_options {
    revbifpn_optimizer rule;
    double momentum, decay;
    bool decay_all;               /* of norms and biases, too */
    double beta1, beta2, epsilon; /* epsilon 0: the rule's own (rb_optimizer_epsilon) */
    double clip;                  /* 0: none */
    revbifpn_clip_mode clip_mode;
    bool average, average_warmup;
    double average_decay;
    int frozen, backbone;  /* of the list's tensors the first `frozen` stay, those up to `backbone` */
    double backbone_scale; /* … have this factor of the learning rate; with backbone 0 unused */
} rb_optimizer_options;

/* A range of the trained block with a decay of its own and a factor for the learning rate. */
typedef struct rb_param_group {
    size_t first, count;
    double decay, scale;
} rb_param_group;

typedef struct rb_optimizer {
    rb_optimizer_options options;
    rb_params *params;
    rb_arena state;
    int slots;
    float *slot[2];                      /* the layout of params->weight */
    float *average, *average_statistics; /* of weights and running statistics; NULL without average */
    rb_param_group *group;
    int groups;     /* what decays, and what does not; each from the input on, by factor of the rate */
    uint64_t steps; /* done */
} rb_optimizer;

/* ε of a rule when none is given: 1e-10 rmsproptf, 1e-8 adamw, 1e-6 lamb. */
double rb_optimizer_epsilon(revbifpn_optimizer rule);
/* Name of a slot in checkpoints: "momentum", "square_avg", "exp_avg", "exp_avg_sq". */
const char *rb_optimizer_slot_name(revbifpn_optimizer rule, int slot);
/* Bytes of slots and average for that network. */
size_t rb_optimizer_bytes(const rb_params *params, revbifpn_optimizer rule, bool average);

/* Takes memory and puts the slots where the rule begins. The average begins when rb_optimizer_start is
 * called. */
revbifpn_status rb_optimizer_open(rb_optimizer *o, rb_params *params, const rb_optimizer_options *options,
                                  rb_error *err) RB_CHECKED;
void rb_optimizer_close(rb_optimizer *o);
/* The average becomes the weights and statistics as they are now: to be called once they have been filled. */
void rb_optimizer_start(rb_optimizer *o);

/* Clips the gradients, moves the weights, then the average. Gradients are used up. */
void rb_optimizer_step(rb_optimizer *o, rb_exec *exec, double lr);
/* Exchanges weights and statistics for their averages, and back: to judge and to save the other model. */
void rb_optimizer_swap_average(rb_optimizer *o);
/* The decay of the average after step `step` (from 1): `decay`, with warm-up at most 1 − step^(−2/3). */
double rb_average_decay(double decay, bool warmup, uint64_t step);

#endif
