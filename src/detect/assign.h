/* Which boxes shall learn which object: matching by overlap, and the draw of those that take part (spec 7).
 */
#ifndef RB_DETECT_ASSIGN_H
#define RB_DETECT_ASSIGN_H

#include "ops/ops.h"

/* count boxes against the objects of a picture. */
typedef struct rb_assignment {
    const float *boxes;   /* count,4 */
    const uint8_t *valid; /* count: the others take no part; NULL: all do */
    int count;
    const float *truth; /* truths,4 */
    int truths;
    float positive, negative; /* overlaps from which a box learns an object, and below which background */
    float least;              /* an object's best boxes learn it from this overlap on; above 1: they don't */
} rb_assignment;

enum { RB_LEFT_OUT = -1, RB_BACKGROUND = 0 }; /* else 1 + the object's index */

/* result: count. Every box learns the object that it overlaps most, the first of equals, if by `positive` or
 * more; then each object in turn takes all boxes that overlap it exactly as much as the best one does. Works
 * through the boxes in blocks; scratch is truths · threads floats. */
void rb_assign(rb_exec *x, const rb_assignment *a, int32_t *result);

/* A subset of the candidates, all equally likely, of at most `most`: their indices in candidates[0 … result −
 * 1], rising. The other candidates stay behind them. */
int rb_draw(rb_rng *rng, int32_t *candidates, int count, int most);

/* Indices of boxes that take part, rising: those with an object, and background. */
typedef struct rb_drawn {
    int32_t *positive, *negative;
    int positives, negatives;
} rb_drawn;
/* Draws among `count` results of matching: at most most/share of them have an object, and background fills up
 * to `most`; most = 0: all take part. The lists of `out` have room for `count`. */
void rb_draw_matched(rb_rng *rng, const int32_t *result, int count, int most, int share, rb_drawn *out);

#endif
