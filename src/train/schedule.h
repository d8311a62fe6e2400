/* Learning rate per step: linear warm-up, then one cosine to zero (Loshchilov and Hutter 2017). */
#ifndef RB_TRAIN_SCHEDULE_H
#define RB_TRAIN_SCHEDULE_H

#include <stdint.h>

/* Rate of step `step` (from 0) of `steps`: peak·(step + 1)/warmup while step < warmup, then
 * peak·½(1 + cos(π·(step − warmup)/(steps − warmup))). */
double rb_schedule_cosine(double peak, int64_t step, int64_t warmup, int64_t steps);

#endif
