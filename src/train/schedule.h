/* Learning rates (spec 11). A schedule is a pure function of time t: epochs or steps, whichever it counts; so
 * it has no state to save. */
#ifndef RB_TRAIN_SCHEDULE_H
#define RB_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "revbifpn.h"

enum { RB_MILESTONES = 16 };

typedef struct rb_schedule {
    revbifpn_schedule kind;
    double rate, warmup_rate, least; /* η₀, η_w, η_min */
    double length, warmup;           /* T, w, in units of t */
    bool prefix;                     /* the warm-up comes before T instead of inside it */
    double decay_time, decay_rate;   /* step: every so long, times this; poly: decay_rate is the power */
    double k_decay;                  /* cosine, poly */
    double cycle_mul, cycle_decay;   /* each cycle so much longer, its peak so much lower */
    int cycles;                      /* after so many: η_min */
    double noise_from, noise_to;     /* units of t; none when noise_to ≤ noise_from */
    double noise_most, noise_deviation;
    uint64_t seed;
    double milestone[RB_MILESTONES]; /* units of t */
    int milestones;
    double steps_warm, ratio; /* the warm-up by steps */
} rb_schedule;

/* Rising positive numbers, "8,11": how many, 0 when the text is none of that. */
int rb_milestones_parse(const char *text, double numbers[RB_MILESTONES]);

/* The schedule of a run in its units of time: steps when the arguments say so (`steps` an epoch), else
 * epochs. */
rb_schedule rb_schedule_of(const revbifpn_train_config *args, int steps);
/* Epochs of the whole run: args->epochs, and those of cycles, a prefix and cooldown. */
int rb_schedule_epochs(const revbifpn_train_config *args);
/* The rate at time t ≥ 0:
 *   t < w      η_w + t·(η₀ − η_w)/w
 *   cosine     η_min + ½(η₀ − η_min)(1 + cos(π t^k/T^k)) up to the end of the last cycle, then η_min
 *   poly       η_min + (η₀ − η_min)(1 − t^k/T^k)^power, likewise
 *   step       η₀·γ^⌊t/d⌋
 *   constant   η₀
 *   milestones η₀·γ^(how many of them t has reached)
 *   rise_fall  η₀·(t + 1)/w while t < w, then η₀·½(1 + cos(π(t − w)/(T − w))); only by steps
 * times 1 + z in the range of noise: z normal, drawn again until |z| is below its limit, named by seed and t.
 */
double rb_schedule_rate(const rb_schedule *schedule, double t);

/* … and what that is multiplied by after k steps of the run: 1 − (1 − k/W)(1 − r), 1 from step W on. */
double rb_schedule_warmth(const rb_schedule *schedule, int64_t k);

#endif
