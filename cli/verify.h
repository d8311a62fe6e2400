/* export --verify: the exported file in ONNX Runtime against this program, on the same inputs. */
#ifndef REVBIFPN_CLI_VERIFY_H
#define REVBIFPN_CLI_VERIFY_H

#include <revbifpn.h>

#include "options.h"

/* Two random inputs at the size of the weights (with --dynamic-size two more at another one), and the
 * pictures of --source. Prints the largest difference; the exit status: 0 when it is at most 1e-4 for logits,
 * and for maps 1e-4 of their largest value or of 1. Needs a Python with onnxruntime: --python,
 * REVBIFPN_PYTHON, or python3. */
int cli_verify_onnx(const cli_args *args, revbifpn *ctx, revbifpn_model *model);
/* The same for a detector's raw heads, by the rule for maps. */
int cli_verify_heads(const cli_args *args, revbifpn *ctx, revbifpn_detector *detector);

/* The same for a detector's detections: each of one side must be found by the other, with the same label, a
 * score within 1e-4, corners within 0.05 pixels and mask within 1e-3, but for those that a threshold decides
 * on: these are counted apart. The exit status is 1 when others differ, and when nothing was found at all,
 * since nothing was compared then. Random inputs are rectangles, half of them smaller than the input. */
int cli_verify_detections(const cli_args *args, revbifpn *ctx, revbifpn_detector *detector);

#endif
