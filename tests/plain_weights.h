/* Weights as another program writes them: tensors and nothing that describes them. */
#ifndef RB_TESTS_PLAIN_WEIGHTS_H
#define RB_TESTS_PLAIN_WEIGHTS_H

#include "blocks/params.h"

/* PyTorch's way when the name ends in .pth, else safetensors; the test fails when that fails. */
void plain_weights_save(const char *path, const rb_params *params);

#endif
