/* Where two runs part. */
#ifndef RB_TRAIN_COMPARE_H
#define RB_TRAIN_COMPARE_H

#include "base/status.h"

/* Reads the steps.jsonl of both, and where they part their tensors.hash. BAD_FILE, IO_FAILED; BAD_ARGUMENT
 * when a folder has no steps. */
revbifpn_status rb_run_compare(const char *a, const char *b, revbifpn_run_difference *out,
                               rb_error *err) RB_CHECKED;

#endif
