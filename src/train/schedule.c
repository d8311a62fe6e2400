#include "train/schedule.h"

#include <math.h>

double rb_schedule_cosine(double peak, int64_t step, int64_t warmup, int64_t steps) {
    if (step < warmup) return peak * (double)(step + 1) / (double)warmup;
    int64_t rest = steps > warmup ? steps - warmup : 1;
    return peak * 0.5 * (1 + cos(3.14159265358979323846 * (double)(step - warmup) / (double)rest));
}
