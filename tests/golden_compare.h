/* What comparisons with golden files share: weights by formula, and sampled tensors. */
#ifndef RB_TESTS_GOLDEN_COMPARE_H
#define RB_TESTS_GOLDEN_COMPARE_H

#include <jansson.h>

#include "blocks/params.h"

/* The formula of the golden files: u(name, i) in [−1, 1). */
double golden_u(const char *name, uint64_t i);
/* Fills all weights and statistics by the formula. */
void golden_fill(rb_params *params);

/* Σ(got − expected)² and Σexpected². */
typedef struct tally {
    double error, norm;
} tally;
void tally_add(tally *t, double got, double expected);
/* The relative L2 difference; infinite when a value was not finite. */
double tally_ratio(const tally *t);

/* Sampled values of a parameter-shaped tensor. */
void tally_flat(tally *t, json_t *sampled, const float *data);
/* All gradients of a file's "grad"; a name that is not in the list counts as an infinite difference. */
void tally_gradients(tally *t, json_t *expected, const rb_params *params);
int golden_integer(const json_t *root, const char *key);

#endif
