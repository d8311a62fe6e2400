/* A golden file (tests/golden/README.md): the published model's figures in float64 for one small input with
 * formula weights, and how near this engine comes to them. */
#ifndef RB_TESTS_GOLDEN_CASE_H
#define RB_TESTS_GOLDEN_CASE_H

#include "base/cpu.h"
#include "model/plan.h"

typedef struct golden_result {
    char file[256];
    double eval_error, state_error, grad_error, running_error; /* relative L2 over the sampled elements */
    double loss_error;                                         /* absolute */
    double bound,
        stored; /* the published float32 error, reversible and stored; 0 when no bounds.json lists the file */
    bool reversible_equals_stored, pass;
} golden_result;

/* Reads the file and runs it; OK also when the figures are off (then result->pass is false). */
revbifpn_status golden_run(const char *path, rb_cpu_level level, int threads, golden_result *result,
                           rb_error *err);
void golden_print(const golden_result *result);

/* The logits of inference alone, with the weights of a file (NULL: by the formula), in `logits` (batch ×
 * classes); *error: relative L2 against the golden ones. */
revbifpn_status golden_logits(const char *path, const char *weights, float *logits, double *error,
                              rb_error *err);

#endif
