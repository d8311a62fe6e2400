/* How the optimizers' passes are cut into tasks: by counts alone. Elementwise passes into parts of equal
 * size; sums of squares into at most RB_SHARES shares, each summed in double in RB_SQUARE_LANES chains, which
 * are joined in a fixed order: the same bits at every level and with any number of threads. */
#ifndef RB_OPS_OPTIM_PARTS_H
#define RB_OPS_OPTIM_PARTS_H

#include <stddef.h>

enum { RB_PART = 1 << 14, RB_SHARES = 64, RB_SHARE_LEAST = 1 << 12, RB_SQUARE_LANES = 16 };

static inline int rb_parts(size_t count) { return (int)((count + RB_PART - 1) / RB_PART); }
static inline size_t rb_part_first(int task) { return (size_t)task * RB_PART; }
static inline size_t rb_part_last(int task, size_t count) {
    size_t end = ((size_t)task + 1) * RB_PART;
    return end < count ? end : count;
}

static inline int rb_shares(size_t count) {
    size_t shares = (count + RB_SHARE_LEAST - 1) / RB_SHARE_LEAST;
    return shares < RB_SHARES ? (int)shares : RB_SHARES;
}
/* Where share `task` begins; that of the number of shares is the end. */
static inline size_t rb_share_first(size_t count, int task) {
    size_t shares = (size_t)rb_shares(count);
    return count / shares * (size_t)task + count % shares * (size_t)task / shares;
}

typedef struct rb_squares {
    const float *data;
    size_t count;
    double sums[RB_SHARES];
} rb_squares;

static inline double rb_join_lanes(const double lane[RB_SQUARE_LANES]) {
    double half[RB_SQUARE_LANES];
    for (int i = 0; i < RB_SQUARE_LANES; i++) half[i] = lane[i];
    for (int n = RB_SQUARE_LANES / 2; n; n /= 2)
        for (int i = 0; i < n; i++) half[i] += half[i + n];
    return half[0];
}
static inline double rb_join_shares(const rb_squares *s) {
    double sum = 0;
    for (int i = 0; i < rb_shares(s->count); i++) sum += s->sums[i];
    return sum;
}

#endif
