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

#endif
