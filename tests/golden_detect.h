/* A golden file of the detector (../shared/golden/detect, tests/golden/README.md): one training step and one
 * inference in float64, and how near this engine comes to them. */
#ifndef RB_TESTS_GOLDEN_DETECT_H
#define RB_TESTS_GOLDEN_DETECT_H

#include "base/cpu.h"
#include "base/status.h"

typedef struct golden_detect {
    char file[256];
    double loss_error;         /* the largest of the losses', absolute */
    double grad_error, stored; /* relative L2 over the sampled gradients; the reference's own in float32 */
    double score_error, box_error; /* the largest, absolute */
    double area_error;             /* of masks, the largest, relative */
    bool same_choices;             /* proposals, boxes with and without objects, detections, labels */
    bool reversible_equals_stored, pass;
} golden_detect;

/* Whether a golden file is one of the detector's. */
bool golden_is_detect(const char *path);
/* Reads the file and runs it; OK also when the figures are off (then result->pass is false). */
revbifpn_status golden_detect_run(const char *path, rb_cpu_level level, int threads, golden_detect *result,
                                  rb_error *err);
void golden_detect_print(const golden_detect *result);

#endif
