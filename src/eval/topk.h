/* Top-k accuracy. Ties: the lower class index wins (spec 12). */
#ifndef RB_EVAL_TOPK_H
#define RB_EVAL_TOPK_H

/* Place of class `label` among `classes` scores, 0 = best. A score that is not a number counts as the lowest.
 */
int rb_rank_of(const float *scores, int classes, int label);
/* The `k` best classes, best first; k ≤ classes. */
void rb_top_k(const float *scores, int classes, int k, int *best);

#endif
